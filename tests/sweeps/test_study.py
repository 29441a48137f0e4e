"""Proposals: a function of study seed, name, number and earlier batches, whoever asks and however often it restarts."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from suite.atomic import write_text
from sweeps.choice import ChoiceError
from sweeps.executors.base import Finished
from sweeps.pruners import PRUNERS, NoPruner, pruner_class
from sweeps.records import StudyFolder, Trial
from sweeps.samplers import GP, NSGA2, QMC, SAMPLERS, TPE, Grid, Random, Sampler, sampler_class
from sweeps.search import Search, best, device_seconds, front, wall_seconds
from sweeps.space import Condition, Dimension, Space
from sweeps.study import Study, frozen

CONDITIONAL = Space(
    (
        Dimension("lr", low=1e-4, high=1e-1, log=True),
        Dimension("kind", choices=("sgd", "adam")),
        Dimension("momentum", low=0.0, high=0.9, conditions=(Condition("kind", ("sgd",)),)),
        Dimension("dropout", low=0.1, high=0.5, has_off=True, off=0.0),
        Dimension("width", low=4, high=64, is_integer=True, log=True),
    )
)
FLAT = Space((Dimension("lr", low=1e-4, high=1e-1, log=True), Dimension("width", low=4, high=64, is_integer=True)))
FEW = Space((Dimension("a", choices=tuple(range(5))), Dimension("b", choices=tuple(range(4)))))
CASES: list[tuple[Sampler, Space]] = [
    (Random(), CONDITIONAL),
    (QMC(), CONDITIONAL),
    (QMC(sequence="halton"), CONDITIONAL),
    (Grid(), FEW),
    (TPE(n_startup_trials=3), CONDITIONAL),
    (GP(n_startup_trials=3), FLAT),
    (NSGA2(population_size=4), CONDITIONAL),
]
IDS = ["random", "sobol", "halton", "grid", "tpe", "gp", "nsga2"]


class Toy:
    """Trials whose value is written down in their parameters."""

    def payload(self, trial: Trial) -> dict[str, Any]:
        return {"number": trial.number}

    def give_up(self, trial: Trial) -> list[str]:
        return []


def value(params: dict[str, Any]) -> float:
    return sum(hash(str(item)) % 7919 / 7919 if isinstance(item, str) else float(item or 0) for item in params.values())


def search(path: Path, sampler: Sampler, space: Space, *, num_trials: int = 12, batch: int | None = 4) -> Search:
    study = Study("toy", 3, ["maximize"], space, sampler, NoPruner())
    folder = StudyFolder(path, write_text)
    folder.describe({"schema": 1})
    return Search(folder, study, num_trials=num_trials, trials=Toy(), batch_size=batch)


def work(it: Search, *, num_workers: int, num_jobs: int | None = None, last_first: bool = False) -> None:
    """Do jobs as several workers would, each batch's in any order; stop in the middle after ``num_jobs``."""
    at_work: list[str] = []
    done = 0
    while num_jobs is None or done < num_jobs:
        while len(at_work) < num_workers and (job := it.next_job()) is not None:
            at_work.append(job.key)
            it.started(job.key, attempt=1)
        if not at_work:
            return
        key = at_work.pop(-1 if last_first else 0)
        trial = it.trials[int(key.rpartition("-")[2])]
        result = {"message": "", "intermediate": [], "run_ids": [], "values": [value(trial.params)]}
        it.finished(Finished(key, {"status": "completed", **result}))
        done += 1


def points(it: Search) -> list[tuple[dict[str, Any], list[float] | None]]:
    return [(trial.params, trial.values) for trial in it.trials]


SLOW = [
    pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name == "gp"))
    for case, name in zip(CASES, IDS, strict=True)
]
"""The Gaussian process takes a second for each point."""


@pytest.mark.parametrize(("sampler", "space"), SLOW)
def test_workers_order_and_restarts_change_no_parameter_in_batches(
    sampler: Sampler, space: Space, tmp_path: Path
) -> None:
    one = search(tmp_path / "one", sampler, space)
    work(one, num_workers=1)
    assert len(one.trials) == 12
    four = search(tmp_path / "four", sampler, space)
    work(four, num_workers=4, last_first=True)
    assert points(four) == points(one)
    for num_jobs in (1, 6, 3):  # cut off with trials at work, inside a batch and at its end
        cut = search(tmp_path / "cut", sampler, space)
        work(cut, num_workers=3, num_jobs=num_jobs, last_first=True)
    cut = search(tmp_path / "cut", sampler, space)
    work(cut, num_workers=2)
    assert points(cut) == points(one)


@pytest.mark.parametrize(("sampler", "space"), CASES[:4], ids=IDS[:4])
def test_what_does_not_learn_needs_no_batches(sampler: Sampler, space: Space, tmp_path: Path) -> None:
    assert not sampler.learns
    one = search(tmp_path / "one", sampler, space, batch=None)
    work(one, num_workers=1)
    four = search(tmp_path / "four", sampler, space, batch=None)
    work(four, num_workers=4, last_first=True)
    assert points(four) == points(one)


@pytest.mark.parametrize(("sampler", "space"), CASES, ids=IDS)
def test_no_point_comes_twice(sampler: Sampler, space: Space, tmp_path: Path) -> None:
    it = search(tmp_path / "it", sampler, space)
    work(it, num_workers=2, num_jobs=7)
    it = search(tmp_path / "it", sampler, space)
    work(it, num_workers=2)
    assert len({str(trial.params) for trial in it.trials}) == 12


def test_another_seed_or_name_gives_other_points() -> None:
    asked = [
        Study(name, seed, ["maximize"], CONDITIONAL, Random(), NoPruner()).ask(0)[0]
        for name, seed in (("a", 0), ("a", 1), ("b", 0))
    ]
    assert len({str(params) for params in asked}) == 3


def test_tpe_comes_closer_to_the_best_than_chance_does(tmp_path: Path) -> None:
    space = Space((Dimension("x", low=0.0, high=1.0), Dimension("y", low=0.0, high=1.0)))

    def mean_of_last(sampler: Sampler, path: Path) -> float:
        it = search(path, sampler, space, num_trials=60, batch=None)
        work(it, num_workers=1)
        return sum(value(trial.params) for trial in it.trials[40:]) / 20

    assert mean_of_last(TPE(), tmp_path / "tpe") > mean_of_last(Random(), tmp_path / "random") + 0.2


def test_a_sampler_learns_from_bad_ends_as_from_pruned_trials_and_nothing_from_lost_ones() -> None:
    def state(status: Any, *, for_sampler: bool) -> str:
        return frozen(trial(0, [1.0], status), {}, for_sampler=for_sampler).state.name

    bad = ("diverged", "failed", "out-of-memory", "timed-out")
    assert {state(status, for_sampler=True) for status in bad} == {"PRUNED"}
    assert {state(status, for_sampler=False) for status in (*bad, "lost")} == {"FAIL"}
    assert state("lost", for_sampler=True) == "FAIL"
    for for_sampler in (False, True):
        states = [state(status, for_sampler=for_sampler) for status in ("completed", "pruned", "interrupted")]
        assert states == ["COMPLETE", "PRUNED", "RUNNING"]


def test_gp_refuses_a_space_with_conditions_and_names_them() -> None:
    reason = GP().misfit(CONDITIONAL, num_objectives=1)
    assert reason is not None
    assert "momentum" in reason
    assert "tpe" in reason
    assert GP().misfit(FLAT, num_objectives=1) is None


def test_cma_es_is_left_out_with_its_reason() -> None:
    with pytest.raises(ChoiceError, match="pickle"):
        sampler_class("cmaes")


@pytest.mark.parametrize("name", [*SAMPLERS, *PRUNERS])
def test_every_choice_builds_records_its_settings_and_comes_back_from_them(name: str) -> None:
    cls: Any = SAMPLERS.get(name) or pruner_class(name)
    choice = cls()
    mapping = choice.to_mapping()
    assert mapping.pop("name") == name
    assert set(mapping) == {field.name for field in dataclasses.fields(cls)}
    assert cls.from_settings(mapping) == choice
    if name in PRUNERS:
        choice.build()


@pytest.mark.parametrize(
    ("find", "name", "settings", "message"),
    [
        (sampler_class, "tpee", {}, "Did you mean 'tpe'"),
        (pruner_class, "medain", {}, "Did you mean 'median'"),
        (sampler_class, "tpe", {"n_startup_trial": 3}, "Did you mean 'n_startup_trials'"),
        (sampler_class, "tpe", {"n_startup_trials": -1}, "n_startup_trials >= 0"),
        (pruner_class, "percentile", {"percentile": 101.0}, "percentile <= 100"),
        (sampler_class, "nsga2", {"crossover_prob": 2.0}, "crossover_prob <= 1"),
    ],
)
def test_an_unknown_name_or_setting_is_an_error_with_the_way_out(
    find: Any, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ChoiceError, match=message):
        find(name).from_settings(settings)


def trial(number: int, values: list[float] | None, status: Any = "completed", **more: Any) -> Trial:
    return Trial("toy", number, status, {}, values=values, **more)


def test_the_winner_is_the_best_completed_trial_and_the_earliest_of_equals() -> None:
    trials = [trial(0, [1.0]), trial(1, [3.0]), trial(2, [3.0]), trial(3, None, "diverged"), trial(4, [0.5])]
    assert (best(trials, "maximize"), best(trials, "minimize")) == (trials[1], trials[4])
    assert best([trials[3]], "maximize") is None


def test_the_front_holds_what_nothing_dominates() -> None:
    trials = [
        trial(0, [0.9, 100]),
        trial(1, [0.8, 10]),
        trial(2, [0.7, 50]),
        trial(3, [0.9, 200]),
        trial(4, None, "lost"),
    ]
    assert [item.number for item in front(trials, ["maximize", "minimize"])] == [0, 1]


def test_the_bill_counts_overlapping_trials_once_in_seconds_and_each_in_device_seconds() -> None:
    def at(second: int) -> str:
        return f"2026-01-01T00:00:{second:02d}.000+00:00"

    spans = [(0, 10), (5, 15), (20, 30)]
    trials = [
        trial(number, [1.0], started_at=at(start), finished_at=at(end), seconds=float(end - start))
        for number, (start, end) in enumerate(spans)
    ]
    assert (wall_seconds(trials), device_seconds(trials)) == (25.0, 30.0)
