"""MNIST-1D: the paper's frozen data, regenerated and cached."""

import hashlib
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.errors import UserError
from tasks import mnist1d
from tasks.mnist1d import PUBLISHED, Mnist1d, generate, published_arrays
from tasks.sources import arrays
from tasks.sources.places import cache_dir


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the data once (1 s) and return the cache file."""
    path = tmp_path_factory.mktemp("mnist1d") / "generated.npz"
    arrays.store(path, generate())
    return path


@pytest.fixture
def cache(generated: Path) -> Path:
    path = cache_dir() / "mnist1d" / "mnist1d-seed42.npz"
    path.parent.mkdir(parents=True)
    shutil.copy(generated, path)
    return path


@pytest.mark.parametrize("full_train", [False, True])
@pytest.mark.usefixtures("cache")
def test_digest_and_sizes_are_the_cards(full_train: bool) -> None:
    task = Mnist1d(full_train=full_train)
    assert task.check_data() == task.card().sha256
    splits = task.load()
    assert {name: len(split) for name, split in splits.by_name.items()} == task.card().split_sizes
    assert all(split.inputs.shape[1:] == (1, 40) for split in splits.by_name.values())


def test_generated_data_is_the_published_data_and_the_cache_is_filled() -> None:
    found = published_arrays(tuple(PUBLISHED))
    assert {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in found.items()} == PUBLISHED
    assert arrays.load(cache_dir() / "mnist1d" / "mnist1d-seed42.npz", PUBLISHED) is not None


def test_generating_leaves_the_global_random_states_alone() -> None:
    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002 - the state under test
    generate()
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002


@pytest.mark.usefixtures("cache")
def test_train_and_val_share_out_the_published_train_in_its_order() -> None:
    full = Mnist1d(full_train=True).load(("train",))["train"].inputs[:, 0]
    parts = Mnist1d().load(("train", "val"))
    positions = {row.numpy().tobytes(): index for index, row in enumerate(full)}
    found = [[positions[row.numpy().tobytes()] for row in parts[name].inputs[:, 0]] for name in ("train", "val")]
    assert sorted(found[0] + found[1]) == list(range(4000))
    assert all(rows == sorted(rows) for rows in found)
    per_class = torch.bincount(Mnist1d(full_train=True).load(("train",))["train"].targets)
    assert (torch.bincount(parts["val"].targets) - per_class / 10).abs().max() < 1


@pytest.mark.usefixtures("cache")
def test_the_test_arrays_are_not_read_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = arrays.load
    monkeypatch.setattr(arrays, "load", lambda path, names: asked.extend(names) or real(path, names))
    assert set(Mnist1d().load(("train", "val")).by_name) == {"train", "val"}
    assert asked == ["x", "y"]


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 0.999])
def test_a_damaged_cache_is_made_anew_and_said_so(cache: Path, position: float) -> None:
    content = bytearray(cache.read_bytes())
    content[int(position * len(content))] ^= 0x10
    cache.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged .* and is made anew"):
        found = published_arrays(tuple(PUBLISHED))
    assert hashlib.sha256(found["x"].tobytes()).hexdigest() == PUBLISHED["x"]
    assert hashlib.sha256(cache.read_bytes()).hexdigest() != hashlib.sha256(bytes(content)).hexdigest()


def test_a_whole_cache_with_other_data_is_not_trusted(cache: Path) -> None:
    forged = {name: array.copy() for name, array in (arrays.load(cache, PUBLISHED) or {}).items()}
    forged["y"][0] = (forged["y"][0] + 1) % 10
    arrays.store(cache, forged)
    with pytest.warns(UserWarning, match="holds other data"):
        found = published_arrays(("y",))
    assert hashlib.sha256(found["y"].tobytes()).hexdigest() == PUBLISHED["y"]


def test_generating_other_data_than_published_is_an_error_with_both_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"x": np.zeros((4000, 40), dtype=np.float32)}
    monkeypatch.setattr(mnist1d, "generate", lambda: wrong)
    found = hashlib.sha256(wrong["x"].tobytes()).hexdigest()
    with pytest.raises(UserError, match=f"{PUBLISHED['x']}.*{found}"):
        Mnist1d().load(("train",))
    assert not cache_dir().exists()


def test_the_evidence_is_where_the_shape_lies_in_the_noise() -> None:
    """Made from the same seed with the same templates but no noise, no sequence differs from 0 anywhere else."""
    from mnist1d.data import get_dataset_args

    arguments = get_dataset_args()
    vars(arguments).update({"corr_noise_scale": 0.0, "iid_noise_scale": 0.0, "shear_scale": 0.0})
    clean = mnist1d._make(arguments)
    assert np.array_equal(clean["y_test"], published_arrays(["y_test"])["y_test"]), "the same examples"
    evidence = Mnist1d().evidence("test").numpy()
    signal = np.abs(clean["x_test"] - np.median(clean["x_test"], axis=1, keepdims=True))
    inside = (signal * evidence).sum(axis=1) / signal.sum(axis=1)
    assert inside.mean() > 0.97
    assert inside.min() > 0.8
    # The shape is what the noisy data has there, too: sheared and with a little noise on it, it is still the shape.
    noisy = published_arrays(["x_test"])["x_test"]
    there = np.array([np.corrcoef(a[m], b[m])[0, 1] for a, b, m in zip(noisy, clean["x_test"], evidence, strict=True)])
    assert np.median(there) > 0.9
