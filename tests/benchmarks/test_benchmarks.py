"""Each benchmark runs with the least work, its equivalence check can fail, and the harness tells ratios truly."""

import dataclasses
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import harness, p6_data, p8_help, p9_first_step
from benchmarks.harness import Comparison, NotEquivalentError, Sample, Scale
from benchmarks.workload import Trained, same_bits
from suite.errors import DataMissingError

BENCHMARKS = sorted(path.stem for path in Path(harness.__file__).parent.glob("[a-z]*_*.py"))
SLOW = ("docs_stack", "p8_help", "p9_first_step", "p10_leaderboard", "p11_controller", "p12_workers")


@pytest.fixture(autouse=True)
def torch_settings() -> Iterator[None]:
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BENCHMARKS],
)
def test_runs_with_the_least_work_and_stores_its_figures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    benchmark = importlib.import_module(f"benchmarks.{name}")
    try:
        assert harness.run(name, benchmark.comparisons, ["--smoke", "--output", str(tmp_path)]) in (0, 1)
    except DataMissingError as error:  # text that is not on every machine
        pytest.skip(str(error))
    stored = json.loads((tmp_path / f"{name}.json").read_text())
    assert stored["is_smoke"]
    assert stored["machine"]["packages"]["torch"] == torch.__version__
    told = capsys.readouterr().out
    for figures in stored["comparisons"]:
        assert figures["name"] in told
        assert figures["pairs"] == 1
        assert figures["ratio"]["wall"]["median"] > 0


def trained(**changes: Any) -> Trained:
    return dataclasses.replace(Trained(steps=3, last_loss=0.5, weights=[torch.ones(2)]), **changes)


@pytest.mark.parametrize(
    "peer", [trained(steps=4), trained(last_loss=0.5 + 1e-16 * 2), trained(weights=[torch.tensor([1.0, 1.0000001])])]
)
def test_trainings_that_differ_in_one_bit_are_not_compared(peer: Trained) -> None:
    same_bits(trained(), trained())
    with pytest.raises(NotEquivalentError):
        same_bits(trained(), peer)


def test_loaders_that_differ_in_one_value_are_not_compared() -> None:
    case = p6_data.Case(torch.rand(10, 1, 4), torch.arange(10), mean=0.0, std=2.0, batch_size=4, epochs=1)
    case.check_batches()
    case.split.inputs[3] += 1e-6
    with pytest.raises(NotEquivalentError, match="differs"):
        case.check_batches()
    with pytest.raises(NotEquivalentError, match="batches against"):
        case.check(3, 4)


def test_a_command_without_its_help_text_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p8_help, "COMMAND", "true")
    with pytest.raises(NotEquivalentError):
        p8_help.check(None, None)


def test_a_run_that_took_no_step_is_not_compared() -> None:
    with pytest.raises(NotEquivalentError):
        p9_first_step.check("", "imported")


def pair(ours: float, peer: float, check: Callable[[Any, Any], None] = lambda _ours, _peer: None) -> Comparison:
    return Comparison(
        name="x",
        ours=lambda: Sample(ours, ours, "ours"),
        peer=lambda: Sample(peer, peer, "peer"),
        check=check,
        what_is_timed="",
        peer_is="",
        equivalence="",
        goal=2.0,
    )


def test_speed_up_is_peer_over_ours_and_cost_is_the_reverse() -> None:
    faster = harness.compare(pair(1.0, 4.0), Scale(pairs=7))
    assert (faster["ratio"]["wall"]["median"], faster["met"], faster["pairs"]) == (4.0, True, 7)
    cost = harness.compare(dataclasses.replace(pair(1.0, 4.0), measure="cost"), Scale(pairs=7))
    assert (cost["ratio"]["wall"]["median"], cost["met"]) == (0.25, True)
    assert harness.compare(pair(4.0, 1.0), Scale(pairs=7))["met"] is False


def test_a_failed_check_stops_the_comparison() -> None:
    def refuse(_ours: object, _peer: object) -> None:
        raise NotEquivalentError("no")

    with pytest.raises(NotEquivalentError):
        harness.compare(pair(1.0, 1.0, refuse), Scale(pairs=7))


def test_fewer_than_seven_pairs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        harness.run("x", lambda _scale: (), ["--pairs", "6", "--output", str(tmp_path)])
    assert "pairs >= 7" in capsys.readouterr().err
