"""What every test stands on: one thread, a folder of its own, no stray settings, and shapes that are checked."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from suite.registry import load_module
from suite.task import TASKS, Task
from tests.small import lacks, small

# None of the imports above brings torch in. Child processes get this too: threads change rounding, and two workers
# share two cores.
os.environ["OMP_NUM_THREADS"] = "1"
# Runs with large steps take every core nevertheless: threads that wait for each other must leave the core to others.
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# The shapes in these files' signatures are checked at each call, in tests only.
CHECKED_SHAPES = (
    *("suite.families", "suite.layers", "suite.metrics", "suite.networks", "suite.normalization"),
    *("suite.learner", "suite.regularization", "suite.supervised_learner"),
)
# Loaded by path: pytest's importlib mode gives the folder `tests` a module that does not know its files.
install_import_hook(CHECKED_SHAPES, f"{load_module(Path(__file__).parent / 'shapes.py').__name__}.checked")

# The same examples each time, and no deadline: a busy machine is no failure.
settings.register_profile("boltbench", deadline=None, derandomize=True)
settings.load_profile("boltbench")


def _load_toys() -> ModuleType:
    return load_module(Path(__file__).parent / "conformance" / "toy_tasks.py")


TOYS: dict[str, type[Task]] = {cls.name: cls for cls in _load_toys().TOYS}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``family_name`` once per registered family, and likewise for the other names.

    ``task_name`` takes in the toy tasks, and ``pair`` is (family, toy task) wherever the family supports the task.
    Of a test marked ``dear`` the default run has one pair of each family, or every third family; the rest is slow.
    """
    from suite.compressor import COMPRESSORS
    from suite.explainer import EXPLAINERS
    from suite.family import FAMILIES
    from suite.format import FORMATS
    from suite.regularizer import REGULARIZERS

    is_dear = metafunc.definition.get_closest_marker("dear") is not None
    for argument, names in {
        "family_name": FAMILIES.names,
        "regularizer_name": REGULARIZERS.names,
        "method_name": COMPRESSORS.names,
        "explainer_name": EXPLAINERS.names,
        "format_name": FORMATS.names,
        "task_name": lambda: [*TASKS.names(), *sorted(TOYS)],
        "toy_name": lambda: sorted(TOYS),
    }.items():
        if argument in metafunc.fixturenames:
            spared = range(0, 10_000, 3 if is_dear and argument == "family_name" else 1)
            metafunc.parametrize(argument, [_slow_unless(i in spared, name) for i, name in enumerate(names())])
    if "pair" in metafunc.fixturenames:
        values: list[Any] = []
        for family in FAMILIES.names():
            if lacks(family) is not None:
                extra = pytest.mark.skip(reason=f"{lacks(family)} is an extra that is not installed")
                values.append(pytest.param((family, "toy"), marks=extra))
                continue
            fitting = [toy for toy, task in sorted(TOYS.items()) if small(family).misfit(task().card()) is None]
            values += [_slow_unless(not is_dear or toy == fitting[0], (family, toy)) for toy in fitting]
        metafunc.parametrize("pair", values, ids="-".join)


def _slow_unless(condition: bool, value: Any) -> Any:
    return value if condition else pytest.param(value, marks=pytest.mark.slow)


COLLECTED = pytest.StashKey[dict[str, dict[str, set[Any]]]]()


@pytest.hookimpl(tryfirst=True)  # before -k and -m take tests out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note for which values each test was collected."""
    found: dict[str, dict[str, set[Any]]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            for argument, value in item.callspec.params.items():
                if isinstance(value, str | tuple):
                    found.setdefault(item.originalname, {}).setdefault(argument, set()).add(value)
    config.stash[COLLECTED] = found


@pytest.fixture
def collected(request: pytest.FixtureRequest) -> dict[str, dict[str, set[Any]]]:
    """Return test -> argument -> the values that it was collected for."""
    return request.config.stash[COLLECTED]


@pytest.fixture(scope="session")
def toys() -> dict[str, type[Task]]:
    """Return the toy tasks by name; they are registered only in tests that ask for `registered_toys`."""
    return TOYS


@pytest.fixture
def registered_toys() -> Iterator[dict[str, type[Task]]]:
    """Register the toy tasks for one test, as ``--plugin`` does."""
    for cls in TOYS.values():
        TASKS.add(cls)
    yield TOYS
    for name in TOYS:
        TASKS.remove(name)


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep generated data for the session (MNIST-1D takes 2 s), away from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        if "BOLTBENCH_CACHE" not in os.environ:
            base = tmp_path_factory.getbasetemp()
            # Under xdist the folder above is shared by the workers; files in it are written atomically.
            shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
            patch.setenv("BOLTBENCH_CACHE", str(shared / "boltbench-cache"))
        yield


@pytest.fixture(autouse=True)
def isolated_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty folder to work and to keep its runs in, and torch as a fresh process has it."""
    for variable in ("MLFLOW_TRACKING_URI", "BOLTBENCH_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(False)
    return tmp_path


@pytest.fixture
def run_quickly(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes one run in a folder of its own and returns (result, folder)."""
    from suite.engine.devices import Execution
    from suite.runs.execute import execute
    from suite.runs.folder import RunFolder
    from suite.runs.prepare import prepare
    from suite.spec import RunSpec

    made = 0

    def run(mapping: dict[str, Any], *, steps: int = 6, block_steps: int | None = 50) -> tuple[dict[str, Any], Any]:
        nonlocal made
        made += 1
        prepared = prepare(
            RunSpec.from_mapping({"budget": {"steps": steps}, "data": {"batch_size": 32}, **mapping}),
            Execution(device="cpu", block_steps=block_steps, threads=1),
        )
        folder = RunFolder(tmp_path / "runs" / str(made))
        result, _ = execute(prepared, folder)
        error = folder.path / "error.txt"
        assert result["status"] != "failed", error.read_text()
        return result, folder

    return run
