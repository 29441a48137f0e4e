"""Every registered compression method on every family, each on the first toy task that the family supports."""

import functools
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.compressor import COMPRESSORS
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.fields import fields_of
from suite.runs import footprint
from suite.runs.execute import execute
from suite.runs.folder import WEIGHTS, RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.runs.replay import prepare_replay
from suite.runs.source import open_source
from suite.spec import RunSpec
from suite.task import Task
from tests.small import settings_of, small

pytestmark = pytest.mark.usefixtures("registered_toys")

STEPS = 2
Make = Callable[[str], tuple[RunFolder, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _few_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time each model twice, on few examples: its speed is not looked at here, and diffusion samples for long."""
    for name, value in {"SECONDS": 0.0, "FEWEST_TIMINGS": 2, "BATCH_SIZE": 8}.items():
        monkeypatch.setattr(footprint, name, value)


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, type[Task]]) -> Iterator[Make]:
    """Return a function that makes one short run of a family, once, in one folder of runs for all of them."""
    runs = tmp_path_factory.mktemp("compression") / "runs"

    @functools.cache
    def make(family: str) -> tuple[RunFolder, dict[str, Any]]:
        fitting = [name for name in sorted(toys) if small(family).misfit(toys[name]().card()) is None]
        spec = RunSpec.from_mapping({"task": fitting[0], "family": settings_of(family), "budget": {"steps": STEPS}})
        return run(prepare(spec, Execution(device="cpu", threads=1)), runs)

    return make


def run(prepared: Prepared, runs: Path) -> tuple[RunFolder, dict[str, Any]]:
    folder = RunFolder(runs / prepared.run_id)
    result, _ = execute(prepared, folder)
    assert result["status"] == "completed", result["message"]
    return folder, result


def compressed(method: str, parent: RunFolder) -> Prepared:
    """Prepare the method with its defaults on a run; skip where the method or the machine says why it cannot."""
    source = open_source(parent, purpose="compressed")
    mapping = source.spec.to_mapping() | {
        "compression": method,
        "parent": {
            "run_id": parent.run_id,
            "config_id": source.result["config_id"],
            "weights": source.weights_sha256,
            "model": source.text(),
        },
    }
    packages = COMPRESSORS.get(method).packages
    if not all(importlib.util.find_spec(package) for package in packages):
        pytest.skip(f"{', '.join(packages)} is an extra that `make install` leaves out")
    try:
        return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", threads=1), runs=parent.path.parent)
    except UserError as error:
        pytest.skip(f"{method} says: {error}")


def test_method_cites_and_explains_every_setting(method_name: str) -> None:
    cls = COMPRESSORS.get(method_name)
    assert "Reference:" in inspect.cleandoc(cls.__dict__["__doc__"])
    assert [field.name for field in fields_of(cls) if not field.help.endswith(".")] == []
    assert not {field.name for field in fields_of(cls)} & {"name", "method", "teacher", "after"}


def test_methods_defaults_lie_within_the_search_range(method_name: str) -> None:
    for field in fields_of(COMPRESSORS.get(method_name)):
        default = getattr(COMPRESSORS.get(method_name)(), field.name)
        distribution: Any = field.distribution
        if hasattr(distribution, "choices"):
            assert default in distribution.choices, field.name
        elif distribution is not None and default:  # 0 is off, which a logarithmic range leaves out
            assert distribution.low <= default <= distribution.high, field.name


def test_some_family_can_be_compressed(method_name: str, parents: Make) -> None:
    packages = COMPRESSORS.get(method_name).packages
    if not all(importlib.util.find_spec(package) for package in packages):
        pytest.skip(f"{', '.join(packages)} is an extra that `make install` leaves out")
    assert compressed(method_name, parents("mlp")[0]).spec.compression is not None


@pytest.mark.dear
def test_compression_shrinks_bytes_and_says_so(method_name: str, family_name: str, parents: Make) -> None:
    if COMPRESSORS.get(method_name).has_own_spec:
        pytest.skip("a student may be of any size")
    parent, original = parents(family_name)
    prepared = compressed(method_name, parent)
    folder, result = run(prepared, parent.path.parent)
    figures = result["compression"]
    assert figures["bytes"] < figures["original_bytes"]
    assert figures["bytes"] == (folder.path / WEIGHTS).stat().st_size
    assert figures["original_bytes"] == (parent.path / WEIGHTS).stat().st_size
    assert figures["nonzero_parameters"] <= figures["original_nonzero_parameters"]
    assert all(value > 0 for key, value in figures.items() if "latency" in key)
    assert set(result["scores"]) == set(original["scores"])
    assert (result["parent"], result["seed"]) == (original["run_id"], original["seed"])


def test_a_compressed_run_is_repeated_bit_for_bit(method_name: str, parents: Make, tmp_path: Path) -> None:
    parent, _ = parents("cnn")
    folder, result = run(compressed(method_name, parent), parent.path.parent)
    again = prepare_replay(folder)
    assert again.run_id == folder.run_id
    assert run(again, tmp_path / "again")[1]["digests"] == result["digests"]


def test_a_compressed_spec_goes_through_its_file_unchanged(method_name: str, parents: Make) -> None:
    prepared = compressed(method_name, parents("mlp")[0])
    spec = RunSpec.from_mapping(prepared.spec.to_mapping())
    assert spec == prepared.spec
    assert spec.changed()["compression.method"] == method_name


def test_every_setting_of_a_method_is_part_of_the_identity(method_name: str, parents: Make) -> None:
    prepared = compressed(method_name, parents("mlp")[0])
    plain = RunSpec.from_mapping(
        {k: v for k, v in prepared.spec.to_mapping().items() if k not in ("compression", "parent")}
    )
    ids = {spec.run_id(data_sha256="d", code_sha256="c") for spec in (prepared.spec, plain)}
    other = prepared.spec.to_mapping()
    other["parent"] = {**other["parent"], "weights": "0" * 64}
    ids.add(RunSpec.from_mapping(other).run_id(data_sha256="d", code_sha256="c"))
    assert len(ids) == 3
    assert RunSpec.from_mapping(other).config_id(data_sha256="d", code_sha256="c") == prepared.spec.config_id(
        data_sha256="d", code_sha256="c"
    ), "seeds have parents of other weights, and share a configuration"
