import io

import pytest
from rich.console import Console

from sweeps.executors.base import Finished, Lost, Reported, Started, WorkerInfo
from sweeps.live import StudyView, SweepView, duration, render


def study(**changes: object) -> StudyView:
    return StudyView(**{"name": "digits-mlp", "metric": "val/accuracy", "maximizes": True, "num_trials": 10, **changes})  # type: ignore[arg-type]


def text_of(view: SweepView, seconds: float = 0.0) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(render(view, view.started + seconds))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_best_is_the_highest_or_lowest_and_the_earliest_of_equals() -> None:
    view = study()
    assert view.add(3, "completed", 0.5, 1.0)
    assert not view.add(1, "completed", 0.4, 1.0)
    assert not view.add(2, "completed", 0.5, 1.0)
    assert view.best == (0.5, 2)
    lower = study(maximizes=False)
    assert lower.add(0, "completed", 0.5, 1.0)
    assert lower.add(1, "completed", 0.4, 1.0)


def test_trials_without_a_value_count_and_are_never_best() -> None:
    view = study()
    for number, status in enumerate(["diverged", "pruned", "lost", "failed"]):
        assert not view.add(number, status, None, 1.0)
    assert (view.num_over, view.best) == (4, None)


def test_workers_are_followed_from_job_to_job() -> None:
    view = SweepView({"a": study()})
    view.take(Started("a:trial-0", 1), 5.0)
    view.take(Reported("a:trial-0", 3, 0.25), 6.0)
    assert (view.at_work[1].key, view.at_work[1].since, view.at_work[1].value) == ("a:trial-0", 5.0, 0.25)
    view.take(Lost("a:trial-0", "killed"), 7.0)
    assert (view.at_work, view.num_lost) == ({}, 1)
    view.take(Started("a:trial-0", 0), 8.0)
    view.take(Finished("a:trial-0", {}), 9.0)
    assert (view.at_work, view.num_lost) == ({}, 1)


def test_the_time_left_rests_on_what_trials_have_taken_and_is_shared_by_the_workers() -> None:
    view = SweepView({"a": study(num_trials=6)}, workers=[WorkerInfo(0, "cpu", 1), WorkerInfo(1, "cpu", 2)])
    assert view.seconds_left(0.0) is None
    for number in range(2):
        view.studies["a"].add(number, "completed", 0.5, 10.0)
    assert view.seconds_left(0.0) == pytest.approx(4 * 10 / 2)
    view.take(Started("a:trial-2", 0), 0.0)
    assert view.seconds_left(5.0) == pytest.approx((4 * 10 - 5) / 2)
    for number in range(2, 6):
        view.studies["a"].add(number, "pruned", None, 1.0)
    assert view.seconds_left(5.0) == 0.0


def test_a_person_sees_workers_trials_scores_counts_and_times() -> None:
    view = SweepView(
        {"digits-mlp": study()}, workers=[WorkerInfo(0, "cuda 1", 4321), WorkerInfo(1, "cpu core 3", None, "node-b")]
    )
    view.studies["digits-mlp"].add(0, "completed", 0.75, 60.0)
    view.studies["digits-mlp"].add(1, "diverged", None, 60.0)
    view.studies["digits-mlp"].add(2, "pruned", None, 60.0)
    view.take(Started("digits-mlp:trial-3", 0), view.started)
    view.take(Reported("digits-mlp:trial-3", 1, 0.625), view.started)
    view.take(Lost("digits-mlp:trial-9", "killed"), view.started)
    shown = text_of(view, seconds=185.5)
    for words in (
        *("digits-mlp", "3/10", "val/accuracy 0.7500 (trial 0)", "1 (1 diverged)"),
        *("cuda 1", "4321", "trial 3", "0.6250", "3:05"),
        *("cpu core 3 on node-b", "starting"),
        *("3:05 so far", "left for trials", "1 attempts lost with their workers"),
    ):
        assert words in shown, f"{words!r} is missing in\n{shown}"
    view.studies["digits-mlp"].finals = "5 fresh seeds"
    assert "5 fresh seeds" in text_of(view)


def test_with_several_studies_a_job_says_whose_it_is() -> None:
    view = SweepView({"a": study(), "b": study(name="b")}, workers=[WorkerInfo(0, "cpu", 1)])
    view.take(Started("b:winner-seed-3", 0), view.started)
    assert "winner, seed 3 of b" in text_of(view)


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0 s"), (59, "59 s"), (185, "3:05"), (7207, "2:00:07")])
def test_times_are_written_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
