"""What happens at the edges of blocks: selection, early stopping, plateau, NaN guard, budgets, interruption."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suite.engine.checkpoints import checkpoints, is_intact
from suite.engine.progress import TrainingState
from suite.runs import splits

Train = Callable[..., Any]
METRIC = "val/squared-error"


def test_best_val_keeps_the_earliest_of_equally_good_weights(train: Train) -> None:
    done = train([3, 1, 2, 1])
    assert done.result["status"] == "completed"
    assert done.selected == 2.0
    assert done.result["selection"] == {"rule": "best-val", "step": 2, "epoch": pytest.approx(2 / 12)}
    assert done.result["scores"][METRIC] == pytest.approx(1.0)


def test_best_val_of_a_task_to_maximize_keeps_the_highest(train: Train) -> None:
    assert train([3, 1, 4, 2], direction="maximize").selected == 3.0


def test_last_keeps_the_last_weights_whatever_val_says(train: Train) -> None:
    done = train([1, 2, 3, 4], groups={"evaluation": {"selection": "last"}})
    assert done.selected == 4.0
    assert done.result["selection"]["step"] == 4


STOPPING = [
    ([5, 4, 4, 3, 3, 3, 2], 2, 0.0, 6),
    ([5, 4, 3, 2, 1], 1, 0.0, 5),
    ([5, 5, 4], 1, 0.0, 2),
    ([5, 6, 4, 6, 6, 6, 3], 3, 0.0, 6),
    # The gain is counted from the last score that had it.
    ([5, 4.5, 3.9, 3.5, 3.2, 1], 2, 1.0, 5),
]


@pytest.mark.parametrize(("scores", "patience", "gain", "stops_at"), STOPPING)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_early_stopping_ends_at_the_stated_validation(
    scores: list[float], patience: int, gain: float, stops_at: int, direction: str, train: Train
) -> None:
    given_scores = scores if direction == "minimize" else [10 - score for score in scores]
    stopping = {"early_stopping": patience, "early_stopping_min_improvement": gain}
    done = train(given_scores, direction=direction, groups={"regularization": stopping})
    assert done.result["status"] == "completed"
    assert done.result["cost"]["steps"] == stops_at
    assert len(done.curves.scores[METRIC]) == stops_at


@pytest.mark.parametrize(("scores", "direction"), [([9, 4, 4, 1], "minimize"), ([4, 9, 9, 16], "maximize")])
def test_early_stopping_wants_more_than_the_stated_gain(scores: list[float], direction: str, train: Train) -> None:
    stopping = {"early_stopping": 2, "early_stopping_min_improvement": 5.0}
    assert train(scores, direction=direction, groups={"regularization": stopping}).result["cost"]["steps"] == 3


def test_without_patience_training_goes_to_its_end(train: Train) -> None:
    assert train([1] * 8).result["cost"]["steps"] == 8


def test_early_stopping_does_not_depend_on_the_length_of_blocks(train: Train) -> None:
    for block_steps in (1, 3, 50, None):
        done = train(
            [5, 4, 4, 4, 1],
            every_steps=5,
            block_steps=block_steps,
            folder=str(block_steps),
            groups={"regularization": {"early_stopping": 2}},
        )
        assert done.result["cost"]["steps"] == 20


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("patience", [0, 1, 3])
def test_reduce_on_plateau_is_torchs_with_threshold_0(direction: str, patience: int, train: Train) -> None:
    scores = [5, 4, 4, 4, 6, 3, 3, 3, 3, 3, 2, 9, 9, 9, 9, 9, 1, 1, 1, 1]
    plateau = {"schedule": "reduce-on-plateau", "plateau_patience": patience, "decay_factor": 0.5}
    done = train(scores, direction=direction, groups={"optimization": plateau})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    mode: Any = "min" if direction == "minimize" else "max"
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode=mode, factor=0.5, patience=patience, threshold=0, eps=0
    )
    expected = []
    for _, score in done.curves.scores[METRIC]:
        expected.append(optimizer.param_groups[0]["lr"])
        reference.step(score)
    assert done.learner.rates == pytest.approx(expected)
    assert done.learner.rates[-1] < 1.0


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("block_steps", [1, 4, 50])
def test_a_broken_loss_ends_the_run_as_diverged_with_its_step(value: str, block_steps: int, train: Train) -> None:
    broken = {"broken_step": 7, "broken_value": value}
    done = train(steps=20, every_steps=20, block_steps=block_steps, script=broken)
    assert done.result["status"] == "diverged"
    assert done.result["message"] == f"train/loss was {value} at step 7."
    assert done.result["scores"] == {}
    assert (done.result["cost"]["steps"], done.result["cost"]["epochs"]) == (7, pytest.approx(7 / 12, abs=1e-4))
    losses = done.curves.steps["train/loss"]
    assert len(losses) == 7
    assert losses[-1] is None
    assert None not in losses[:-1]
    assert done.curves.scores == {}


def test_a_loss_that_breaks_at_the_last_step_is_no_completion(train: Train) -> None:
    done = train(steps=5, block_steps=50, every_steps=5, script={"broken_step": 5})
    assert done.result["status"] == "diverged"
    assert "at step 5." in done.result["message"]
    assert not (done.folder / "predictions.npz").exists()


def test_a_val_score_that_is_no_number_ends_the_run_as_diverged(train: Train) -> None:
    done = train([1, -1, 1])
    assert done.result["status"] == "diverged"
    assert "val/squared-error" in done.result["message"]
    assert "nan" in done.result["message"]
    assert done.result["cost"]["steps"] == 2


def test_seconds_end_the_training_as_completed_with_a_last_validation(train: Train) -> None:
    done = train(every_steps=1000, block_steps=3, groups={"budget": {"seconds": 1e-6}})
    assert done.result["status"] == "completed"
    assert done.result["cost"]["steps"] == 3
    assert done.curves.scores[METRIC] == [(3, 1.0)]
    assert done.selected == 3.0


def test_a_broken_loss_in_the_last_second_is_no_completion(train: Train) -> None:
    done = train(every_steps=1000, block_steps=3, script={"broken_step": 2}, groups={"budget": {"seconds": 1e-6}})
    assert done.result["status"] == "diverged"


def test_last_step_is_validated_also_inside_an_interval(train: Train) -> None:
    done = train(steps=7, every_steps=5, block_steps=50)
    assert [step for step, _ in done.curves.scores[METRIC]] == [5, 7]


RESUMED: dict[str, Any] = {"scores": [5, 4, 6, 3, 3, 2], "every_steps": 2}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_going_on_after_a_stop_gives_what_an_unbroken_run_gives(train: Train, optimizer: str) -> None:
    groups = {"optimization": {"schedule": "cosine", "optimizer": optimizer, "lr": 0.1, "momentum": 0.9}}
    whole = train(**RESUMED, groups=groups, folder="whole")
    asked = itertools.count(1)
    first = train(**RESUMED, groups=groups, should_stop=lambda: next(asked) == 5)
    assert first.result["status"] == "interrupted"
    assert "after step 5" in first.result["message"]
    (checkpoint,) = checkpoints(first.folder / "checkpoints")
    assert is_intact(checkpoint)
    second = train(**RESUMED, groups=groups, block_steps=3)
    assert second.learner.num_steps == 12 - 5
    assert second.result["status"] == "completed"
    assert second.curves == whole.curves
    assert second.result["digests"] == whole.result["digests"]
    assert second.result["selection"] == whole.result["selection"]
    assert checkpoints(second.folder / "checkpoints") == []


def test_plateau_and_patience_survive_a_stop(train: Train) -> None:
    groups = {
        "optimization": {"schedule": "reduce-on-plateau", "plateau_patience": 1, "decay_factor": 0.5},
        "regularization": {"early_stopping": 5},
    }
    scores = [5, 4, 4, 4, 4, 4, 4, 4, 4]
    whole = train(scores, groups=groups, folder="whole")
    asked = itertools.count(1)
    train(scores, groups=groups, should_stop=lambda: next(asked) == 5)
    second = train(scores, groups=groups)
    assert whole.learner.rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    assert second.learner.rates == whole.learner.rates[5:]
    assert second.result["cost"]["steps"] == whole.result["cost"]["steps"] == 7


def test_a_hopeless_run_ends_as_pruned_at_its_validation_and_has_no_scores(train: Train) -> None:
    told: list[tuple[int, float]] = []

    def should_prune(state: TrainingState, score: float) -> bool:
        told.append((state.num_validations, score))
        return len(told) == 2

    done = train([5, 4, 3, 2], every_steps=3, block_steps=2, should_prune=should_prune)
    assert told == [(1, pytest.approx(5)), (2, pytest.approx(4))]
    assert (done.result["status"], done.result["scores"]) == ("pruned", {})
    assert done.result["cost"]["steps"] == 6
    assert "step 6" in done.result["message"]
    assert len(done.curves.scores[METRIC]) == 2
    assert checkpoints(done.folder / "checkpoints") == []


def test_the_last_validation_is_told_too_and_completes_whatever_the_answer(train: Train) -> None:
    told: list[float] = []
    done = train([5, 4, 3], should_prune=lambda _state, score: told.append(score) is None and len(told) == 3)
    assert told == pytest.approx([5, 4, 3])
    assert done.result["status"] == "completed"


def test_validations_are_counted_on_over_a_stop(train: Train) -> None:
    told: list[int] = []
    asked = itertools.count(1)

    def note(state: TrainingState, _score: float) -> bool:
        told.append(state.num_validations)
        return False

    train([5, 4, 3, 2, 1], should_prune=note, should_stop=lambda: next(asked) == 3)
    train([5, 4, 3, 2, 1], should_prune=note)
    assert told == [1, 2, 3, 4, 5]


def test_a_run_over_its_time_limit_is_timed_out_and_one_over_its_budget_is_completed(train: Train) -> None:
    done = train([3, 2, 1], time_limit_seconds=1e-9)
    assert (done.result["status"], done.result["cost"]["steps"]) == ("timed-out", 1)
    spent = train([3, 2, 1], steps=3, folder="spent", groups={"budget": {"seconds": 1e-9}}, time_limit_seconds=1e-9)
    assert spent.result["status"] == "completed"


def test_without_evaluation_on_test_the_test_split_is_never_loaded(train: Train) -> None:
    splits._load.cache_clear()
    done = train([3, 2], groups={"evaluation": {"test": False}})
    assert done.result["status"] == "completed"
    assert all(name.startswith("val/") for name in done.result["scores"])
    assert not (done.folder / "predictions.npz").exists()
    assert splits._load.cache_info().currsize == 2  # train and val


CHECKPOINTED: dict[str, Any] = {"steps": 12, "every_steps": 100, "block_steps": 2, "checkpoint_seconds": 0.0}


def stopped_at_8(train: Train) -> Any:
    asked = itertools.count(1)
    done = train(**CHECKPOINTED, should_stop=lambda: next(asked) == 4)
    assert done.result["status"] == "interrupted"
    return done


def test_the_two_newest_checkpoints_are_kept(train: Train) -> None:
    names = [path.name for path in checkpoints(stopped_at_8(train).folder / "checkpoints")]
    assert names == ["step-000000000008.ckpt", "step-000000000006.ckpt"]


@pytest.mark.parametrize(("num_damaged", "goes_on_from"), [(0, 8), (1, 6), (2, 0)])
def test_damaged_checkpoints_are_passed_over_for_the_one_before(
    train: Train, num_damaged: int, goes_on_from: int, caplog: pytest.LogCaptureFixture
) -> None:
    directory: Path = stopped_at_8(train).folder / "checkpoints"
    for path in checkpoints(directory)[:num_damaged]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    caplog.clear()
    done = train(**CHECKPOINTED)
    assert done.learner.num_steps == 12 - goes_on_from
    assert ("does not match its sha256" in caplog.text) == (num_damaged > 0)
    assert done.result["status"] == "completed"
    assert len(done.curves.steps["train/loss"]) == 12
    assert done.selected == 12.0


def test_every_edge_is_told_with_steps_that_only_grow(train: Train) -> None:
    edges: list[tuple[int, int]] = []
    train(steps=10, every_steps=4, block_steps=3, on_edge=lambda state, row: edges.append((state.step, row.step)))
    assert edges == [(3, 3), (4, 4), (7, 7), (8, 8), (10, 10)]


@given(
    st.builds(
        TrainingState,
        step=st.integers(0),
        best_score=st.none() | st.floats(allow_nan=False),
        stopping_validations=st.integers(0),
        lr_scale=st.floats(0, 1),
    )
)
def test_state_goes_through_plain_values_unchanged(state: TrainingState) -> None:
    assert TrainingState.from_mapping(state.to_mapping()) == state
