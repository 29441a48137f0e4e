"""Missing data through the front door: every task of real inputs has it, and what cannot be is refused before a run."""

import dataclasses
from pathlib import Path

import pytest

from suite.task import TASKS
from tests.commands.front import QUICK, Front

GAPS = ("--data.missing_rate", "0.3", "--data.missing_strategy")


def test_strategies_share_a_table_that_says_what_is_missing_and_whole_data_has_its_own(front: Front) -> None:
    for strategy in ("mean", "forward", "indicator"):
        assert front("run", "digits", "linear", *GAPS, strategy, *QUICK).code == 0
    assert front("run", "digits", "linear", *QUICK).code == 0
    results = [folder.result() or {} for folder in front.folders()]
    assert {result["status"] for result in results} == {"completed"}
    assert len({result["data_sha256"] for result in results}) == 2
    gaps = [result for result in results if result["spec"]["data"]["missing_rate"]]
    sizes = {result["spec"]["data"]["missing_strategy"]: result["cost"]["num_parameters"] for result in gaps}
    assert sizes == {"mean": 650, "forward": 650, "indicator": 1290}
    out = front("leaderboard").out
    assert "digits(missing_rate=0.3): test accuracy" in out
    assert "digits: test accuracy" in out
    table = front("leaderboard", "--task", "digits(missing_rate=0.3)", "--format", "csv").out
    assert table.count("data.missing_strategy=") == 2
    assert "data.missing_rate" not in table


def test_gaps_do_not_depend_on_the_seed_and_a_replay_is_bit_exact(front: Front) -> None:
    words = ("run", "digits", "linear", *GAPS, "median", "--data.missing_mechanism", "at-random", "--seeds", "0-1")
    assert front(*words, *QUICK).code == 0
    one, other = (folder.result() or {} for folder in front.folders())
    assert one["config_id"] == other["config_id"]
    outcome = front("replay", one["run_id"])
    assert outcome.code == 0
    assert "bit-exact" in outcome.out


def test_dropping_examples_shortens_the_epoch(front: Front) -> None:
    rate = ("--data.missing_rate", "0.01", "--data.missing_strategy", "drop")
    assert front("run", "digits", "linear", *rate, *QUICK).code == 0
    # About half of 1257 examples have none of 64 values missing: 0.99 ** 64 is 0.53.
    assert 2 * 9 <= front.result()["cost"]["steps"] <= 2 * 12


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("digits", "mlp", "--data.missing_rate", "1"), ("`0 <= missing_rate < 1` must hold", "data.missing_rate=1")),
        (("digits", "mlp", *GAPS, "drop"), ("'drop' must leave training examples", "each of the 1257", "of 64 values")),
        (("digits", "mlp", "--data.missing_mechanism", "blocks", *GAPS, "drop"), ("'drop' must leave",)),
        (("listops", "mlp", *GAPS, "mean"), ("'listops'", "inputs are tokens")),
        (("ring", "gan", *GAPS, "indicator"), ("what is to be generated",)),
        (
            ("digits", "mlp", "--data.missing_rate=0.005", "--data.missing_mechanism=blocks", *GAPS[2:], "mean"),
            ("`rate * places >= 0.5` must hold", "0.005"),
        ),
        (
            ("digits-reconstruction", "mlp", *GAPS, "mean", "--task.noise", "0.1"),
            ("corrupts its inputs itself", "'digits-reconstruction'"),
        ),
        (("digits-reconstruction", "autoencoder", *GAPS, "indicator"), ("'autoencoder'", "(2, 8, 8)")),
        (("digits", "mlp", *GAPS, "zero"), ("data.missing_strategy", "'zero'")),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_gaps_that_cannot_be_are_refused_before_anything_is_created(
    words: tuple[str, ...], named: tuple[str, ...], tmp_path: Path
) -> None:
    front = Front(tmp_path / "absent")
    outcome = front("run", *words)
    assert outcome.code == 2, outcome
    assert outcome.err.count("\n") == 1
    for text in named:
        assert text in outcome.err
    assert not front.root.exists()


PLUGIN = '''
import dataclasses
from typing import ClassVar

import torch
from suite.task import SPLIT_NAMES
from tasks.mnist1d import Mnist1d


@dataclasses.dataclass(frozen=True, kw_only=True)
class Holes(Mnist1d):
    """MNIST-1D as a sensor with faults sends it."""

    name: ClassVar[str] = "holes"

    def load(self, splits=SPLIT_NAMES):
        whole = super().load(splits)
        for split in whole.by_name.values():
            split.inputs[::5, :, 7] = torch.nan
        return whole
'''


def test_data_with_nan_is_refused_unless_it_stands_for_missing_values(front: Front, tmp_path: Path) -> None:
    (tmp_path / "holes.py").write_text(PLUGIN)
    words = ("run", "holes", "linear", "--plugin", tmp_path / "holes.py", *QUICK)
    try:
        outcome = front(*words)
        assert outcome.code == 2
        assert "holds NaN or infinity (720 examples in all)" in outcome.err
        assert "data.missing_nan" in outcome.err
        assert front.folders() == []
        assert front(*words, "--data.missing_nan", "true", "--data.missing_strategy", "forward").code == 0
        assert front.result()["status"] == "completed"
    finally:
        TASKS.remove("holes")


@pytest.mark.slow
def test_a_plan_leaves_out_the_tasks_that_cannot_have_gaps(front: Front, tmp_path: Path) -> None:
    plan = tmp_path / "gaps.yaml"
    plan.write_text("runs:\n  - tasks: [digits, parity]\n    families: all\n    settings: {budget: {steps: 1}}\n")
    flags = (*GAPS, "mean", "--data.batch_size", "16", "--execution.device", "cpu")
    outcome = front("run", "--plan", plan, *flags)
    assert outcome.code == 0, outcome
    assert "parity is not for" in outcome.err
    assert {(folder.result() or {})["task"] for folder in front.folders()} == {"digits"}


def test_every_task_of_real_inputs_can_have_gaps_and_no_other() -> None:
    from suite.errors import UserError
    from suite.spec import RunSpec

    gaps = {"missing_rate": 0.3, "missing_strategy": "mean", "missing_mechanism": "at-random"}
    for name in TASKS.names():
        try:
            card = TASKS.get(name)().card()
        except UserError:  # the user's own pictures
            continue
        spec = RunSpec.from_mapping({"task": name, "family": "mlp", "data": gaps})
        assert (spec.data.misfit(card) is None) == (card.vocabulary is None), name
        if card.vocabulary is None:
            assert dataclasses.replace(spec.card(), sha256="", ceiling=None, ceiling_reason="") == dataclasses.replace(
                card, sha256="", ceiling=None, ceiling_reason=""
            )


def test_strategies_are_searched_like_any_other_field(front: Front) -> None:
    short = ("--budget.steps", "6", "--workers", "inline", "--sampler", "grid", "--trials", "2", "--final-seeds", "1")
    space = ("--preset", "none", "--space.data.missing_strategy", "indicator,drop", "--data.missing_rate", "0.01")
    outcome = front("sweep", "digits", "linear", *short, *space)
    assert outcome.code == 0, outcome
    results = [folder.result() or {} for folder in front.folders()]
    assert {result["status"] for result in results} == {"completed"}
    assert {result["spec"]["data"]["missing_strategy"] for result in results} == {"indicator", "drop", "mean"}
    assert len({result["data_sha256"] for result in results}) == 1
