"""Generation of pictures: a judge that is the same each time, a checked cache, and scores that mean something."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from suite.engine.devices import Execution
from suite.fidelity import frechet_distance
from suite.runs.prepare import prepare
from suite.spec import RunSpec
from suite.task import Splits
from tasks.digits import Digits
from tasks.digits_generation import DigitsGeneration
from tasks.sources import judge
from tasks.sources.generated import Stream

OTHER_JUDGE = 0.3
"""How far, relatively, another judge's figures may lie: those of judges from three other seeds are 2.4 to 3.2 for the
floor and 0.36 to 0.40 for the ceiling, and another processor's rounding works as another seed does."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the tests of this file share: training takes some seconds."""
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(autouse=True)
def shared_cache(bare_machine: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BOLTBENCH_CACHE", str(kept))
    yield
    judge._judge.cache_clear()


@pytest.fixture
def splits() -> Splits:
    return DigitsGeneration().load()


def pictures(splits: Splits, name: Any) -> Tensor:
    return DigitsGeneration.scaled(splits[name].targets)


class Quick(DigitsGeneration):
    """The same task with a judge that is trained in a moment."""

    judge_epochs = 1


def test_pictures_and_splits_are_those_of_the_classification_task_in_the_range_of_the_card(splits: Splits) -> None:
    original = Digits().load()
    for name, split in splits.by_name.items():
        assert torch.equal(split.inputs, original[name].inputs)
        assert split.inputs is split.targets
    assert splits.mean is not None
    assert splits.std is not None
    values = (splits["train"].inputs - splits.mean) / splits.std
    assert (values.min().item(), values.max().item()) == DigitsGeneration().card().value_range == (-1, 1)
    assert torch.equal(values, DigitsGeneration.scaled(splits["train"].inputs))


def test_the_judges_features_are_standardised_and_tell_the_digits_apart(splits: Splits) -> None:
    task, labels = DigitsGeneration(), Digits().load()
    train, test = (task.features(pictures(splits, name)) for name in ("train", "test"))
    assert train.shape == (1257, task.num_features)
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(train.std(dim=0), torch.ones(32), atol=1e-3, rtol=0)
    nearest = torch.cdist(test, train).argmin(dim=1)
    assert (labels["train"].targets[nearest] == labels["test"].targets).double().mean() > 0.95


def test_floor_is_what_a_gaussian_with_the_moments_of_the_training_pictures_scores(splits: Splits) -> None:
    task = DigitsGeneration()
    train, test = pictures(splits, "train").double().flatten(1), pictures(splits, "test")
    values, vectors = torch.linalg.eigh(torch.cov(train.T))
    found = []
    for draw in range(3):
        normal = torch.from_numpy(Stream("gaussian", task.name, draw).normal(len(test), 64).astype("float64"))
        samples = train.mean(dim=0) + (normal * values.clamp(min=0).sqrt()) @ vectors.T
        found.append(task.score(samples.float().reshape(test.shape), test)["fid"])
    assert np.mean(found) == pytest.approx(task.card().floor, rel=OTHER_JUDGE)


def test_ceiling_is_what_training_pictures_score(splits: Splits) -> None:
    task = DigitsGeneration()
    train, test = pictures(splits, "train"), pictures(splits, "test")
    # Every third picture: neighbours in the file come from the same hand.
    found = [task.score(train[start::3][: len(test)], test)["fid"] for start in range(3)]
    assert np.mean(found) == pytest.approx(task.card().ceiling, rel=OTHER_JUDGE)


def test_scores_are_taken_of_samples_as_pictures(splits: Splits) -> None:
    task, test = DigitsGeneration(), pictures(splits, "test")
    samples = test + 0.05 * torch.rand_like(test)  # less than half a level away
    beyond = torch.where(test == 1, 7.0, test)
    exact = task.score(test, test)
    assert exact["fid"] == pytest.approx(0, abs=1e-6)
    assert (exact["precision"], exact["recall"]) == (1, 1)
    assert task.score(samples, test) == task.score(beyond, test) == exact


def test_a_sample_that_is_no_number_makes_every_score_none(splits: Splits) -> None:
    test = pictures(splits, "test")
    broken = test.clone()
    broken[3, 0, 2, 2] = torch.nan
    assert all(np.isnan(value) for value in DigitsGeneration().score(broken, test).values())


def test_scores_rise_with_noise(splits: Splits) -> None:
    task, test = DigitsGeneration(), pictures(splits, "test")
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(test.shape, generator=generator)
    fids = [task.score(test + strength * noise, test)["fid"] for strength in (0.0, 0.3, 0.6, 1.2)]
    assert fids == sorted(fids)
    assert fids[-1] > task.card().floor


def weights_file(kept: Path, task: type[DigitsGeneration]) -> Path:
    path = judge._path(task)
    assert path.parent.parent == kept
    return path


def test_the_judge_is_the_same_each_time_and_comes_from_the_cache(kept: Path) -> None:
    digest = Quick().scorer_sha256()
    path = weights_file(kept, Quick)
    written = path.stat().st_mtime_ns
    judge._judge.cache_clear()
    assert Quick().scorer_sha256() == digest
    assert path.stat().st_mtime_ns == written
    path.unlink()
    judge._judge.cache_clear()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    torch.set_num_threads(2)
    assert Quick().scorer_sha256() == digest
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_a_damaged_judge_is_trained_anew_to_the_same_weights(kept: Path) -> None:
    digest = Quick().scorer_sha256()
    path = weights_file(kept, Quick)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    judge._judge.cache_clear()
    with pytest.warns(UserWarning, match="is damaged .* made anew"):
        assert Quick().scorer_sha256() == digest
    judge._judge.cache_clear()
    assert Quick().scorer_sha256() == digest


@pytest.mark.slow
def test_processes_that_start_at_once_train_one_judge(kept: Path, tmp_path: Path) -> None:
    code = "from tasks.digits_generation import DigitsGeneration as T; T.judge_epochs = 2; print(T().scorer_sha256())"
    root = Path(judge.__file__).parents[2]
    environment = {**os.environ, "BOLTBENCH_CACHE": str(tmp_path), "PYTHONPATH": str(root)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    digests = {process.communicate(timeout=300)[0] for process in started}
    assert len(digests) == 1
    assert len(list((tmp_path / "judges").glob("*.npz"))) == 1


def test_another_version_of_the_judge_is_another_task_to_the_run_ids() -> None:
    class Later(DigitsGeneration):
        judge_version = "2"

    assert Later().card().sha256 != DigitsGeneration().card().sha256
    assert judge._path(Later) != judge._path(DigitsGeneration)


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("BOLTBENCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        digest = Quick().scorer_sha256()
    assert len(digest) == 64


def test_fid_on_the_judges_features_is_what_the_score_says(splits: Splits) -> None:
    task = DigitsGeneration()
    train, test = pictures(splits, "train")[:360], pictures(splits, "test")
    assert task.score(train, test)["fid"] == frechet_distance(task.features(train), task.features(test))


def test_the_judge_stands_in_fingerprint_and_result(tmp_path: Path) -> None:
    from suite.runs.execute import execute
    from suite.runs.folder import RunFolder

    mapping = {"task": "digits-generation", "family": {"name": "vae", "hidden": [16]}, "budget": {"steps": 3}}
    folder = RunFolder(tmp_path / "run")
    result, _ = execute(prepare(RunSpec.from_mapping(mapping), Execution(device="cpu")), folder)
    environment = folder.environment()
    assert environment is not None
    digest = DigitsGeneration().scorer_sha256()
    assert result["scorer_sha256"] == environment["decisive"]["scorer_sha256"] == digest
    assert {"test/fid", "test/kid", "test/precision", "test/recall"} <= set(result["scores"])
