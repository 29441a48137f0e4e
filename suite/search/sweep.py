"""One sweep: what its study is, its trials, and the runs of its winner and its default on fresh seeds."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from suite.atomic import write_text
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.regularizer import REGULARIZERS
from suite.runs.environment import code_sha256, package_versions
from suite.runs.folder import RunFolder, Store
from suite.search.outcomes import give_up_run
from suite.search.space import SearchSpace, searchable
from suite.search.work import OBJECTIVES
from suite.sources import pinned_sha256
from suite.spec import RunSpec
from sweeps.pruners import Pruner, pruner_class
from sweeps.records import SCHEMA, StudyFolder, Trial
from sweeps.samplers import Grid, Sampler, sampler_class
from sweeps.search import now
from sweeps.seeds import derive
from sweeps.space import Space

MAY_DIFFER = ("id", "num_trials", "final_seeds", "versions", "created_at", "left_out")
"""What may change between two starts of one study; the numbers of trials and of final seeds may only grow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """How a sweep searches."""

    sampler: Sampler
    pruner: Pruner
    num_trials: int
    seed: int = 0
    trial_seeds: int = 1
    """Runs of each trial, under different seeds; its score is their mean."""
    final_seeds: int = 5
    """Fresh seeds on which winner and default are run in the end."""
    batch_size: int | None = None
    """Trials that are asked for together (`--deterministic-batches`)."""
    trial_seconds: float | None = None
    objectives: tuple[str, ...] = ("score",)
    preset: str = "regularization"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep that is known to be able to start."""

    name: str
    space: SearchSpace
    settings: SweepSettings
    execution: Execution
    store: Store
    plugins: tuple[str, ...] = ()

    @property
    def folder(self) -> StudyFolder:
        """Where the study lies."""
        return StudyFolder(self.store.root / "studies" / self.name, write_text)

    def describe(self) -> dict[str, Any]:
        """Return what the study is, as study.yaml holds it."""
        settings, base = self.settings, self.space.base
        card = base.card()
        objectives = [{"name": f"val/{card.metric}", "direction": card.direction}]
        objectives += [{"name": name, "direction": "minimize"} for name in settings.objectives[1:]]
        execution = {key: getattr(self.execution, key) for key in ("device", "threads", "deterministic")}
        return {
            "schema": SCHEMA,
            "id": secrets.token_hex(8),
            "study": self.name,
            "task": base.task.name,
            "family": base.family.name,
            "kind": card.kind,
            "metric": card.metric,
            "direction": card.direction,
            "floor": card.floor,
            "objectives": objectives,
            "rule": rule_text(card.metric, base, settings),
            "sampler": settings.sampler.to_mapping(),
            "pruner": settings.pruner.to_mapping(),
            "seed": settings.seed,
            "num_trials": settings.num_trials,
            "trial_seeds": settings.trial_seeds,
            "trial_seconds": settings.trial_seconds,
            "deterministic_batches": settings.batch_size,
            "final_seeds": settings.final_seeds,
            "preset": settings.preset,
            "space": self.space.space.to_list(),
            "left_out": dict(self.space.left_out),
            "fixed": base.changed(),
            "spec": base.to_mapping(),
            "execution": execution,
            "plugins": list(self.plugins),
            "data_sha256": card.sha256,
            "code_sha256": study_code(base),
            "versions": package_versions(("boltbench", "optuna")),
            "created_at": now(),
        }

    def trial_payload(self, number: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a worker gets for one trial."""
        mapping = self.space.spec_mapping(params)
        mapping["evaluation"]["test"] = False
        specs = [{**mapping, "seed": seed} for seed in self.seeds_of(number)]
        note = {"schema": 1, "study": self.name, "number": number, "params": self.space.values(params)}
        return self._payload(specs, note, self.settings.trial_seconds)

    def run_payload(self, spec: RunSpec) -> dict[str, Any]:
        """Return what a worker gets for one ordinary run."""
        return self._payload([spec.to_mapping()], None, None)

    def seeds_of(self, number: int) -> list[int]:
        """Return the run seeds of a trial: a function of study seed, study name, trial number and place."""
        return [
            derive(self.settings.seed, self.name, "trial", number, index) for index in range(self.settings.trial_seeds)
        ]

    def best_spec(self, params: Mapping[str, Any]) -> RunSpec:
        """Return the spec of a point of the space as an ordinary run makes it, test included."""
        return RunSpec.from_mapping({**self.space.spec_mapping(params), "seed": 0})

    def _payload(
        self, specs: Sequence[Mapping[str, Any]], note: dict[str, Any] | None, seconds: float | None
    ) -> dict[str, Any]:
        return {
            "root": str(self.store.root.resolve()),
            "specs": list(specs),
            "execution": self.execution.to_mapping(),
            "trial": note,
            "objectives": list(self.settings.objectives),
            "seconds": seconds,
            "plugins": list(self.plugins),
            "sources_sha256": pinned_sha256(self.plugins),
        }


class SweepTrials:
    """What `sweeps.search.Search` needs to know of a sweep's trials."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep

    def payload(self, trial: Trial) -> dict[str, Any]:
        """Return what the work function gets for a trial."""
        return self._sweep.trial_payload(trial.number, trial.params)

    def give_up(self, trial: Trial) -> list[str]:
        """Record an end that no worker could record, and return the ids of the trial's runs."""
        payload = self.payload(trial)
        found = [give_up_run(payload, spec, status=trial.status, message=trial.message) for spec in payload["specs"]]
        return [run_id for run_id in found if run_id is not None]


def rule_text(metric: str, base: RunSpec, settings: SweepSettings) -> str:
    """Return the rule by which the winner is chosen, in words."""
    over = f"mean over {settings.trial_seeds} seeds of the " if settings.trial_seeds > 1 else ""
    return f"best {over}val/{metric} of the selected weights ({base.evaluation.selection}), the earliest of equals"


def study_code(base: RunSpec) -> str:
    """Return the digest of the code that decides a trial: the run's own, and that of every regulariser."""
    return code_sha256(base, also=[REGULARIZERS.get(name) for name in REGULARIZERS.names()])


def check(sweep: Sweep) -> None:
    """Raise `UserError` when sampler, pruner, objectives or numbers do not go together."""
    settings, space = sweep.settings, sweep.space.space
    for label, value in (
        ("--trials", settings.num_trials),
        ("--trial-seeds", settings.trial_seeds),
        ("--deterministic-batches", settings.batch_size or 1),
    ):
        if value < 1:
            raise UserError(f"`{label.removeprefix('--')} >= 1` must hold, but got {label} {value}.")
    if settings.final_seeds < 0:
        raise UserError(f"`final-seeds >= 0` must hold, but got --final-seeds {settings.final_seeds}.")
    if sweep.space.base.card().split_sizes["val"] == 0:
        raise UserError(
            f"A search chooses on val, but the task {sweep.space.base.task.name!r} has no val split in this setting."
        )
    for name in settings.objectives:
        if name not in OBJECTIVES:
            raise UserError(f"--objectives must be among {', '.join(OBJECTIVES)}, but got {name!r}.")
    if settings.objectives[0] != "score" or len(set(settings.objectives)) < len(settings.objectives):
        raise UserError("--objectives must begin with score and name each objective once.")
    reason = settings.sampler.misfit(space, num_objectives=len(settings.objectives))
    if reason is not None:
        raise UserError(reason if reason.endswith(".") else f"{reason}.")
    if isinstance(settings.sampler, Grid) and settings.num_trials > settings.sampler.num_points(space):
        points = settings.sampler.num_points(space)
        raise UserError(
            f"`trials <= points of the grid` must hold, but got --trials {settings.num_trials} and {points}."
        )
    _check_pruner(settings)


def _check_pruner(settings: SweepSettings) -> None:
    pruner = settings.pruner
    if pruner.name == "none":
        return
    if len(settings.objectives) > 1:
        raise UserError(f"The pruner {pruner.name} judges one objective, but here are {len(settings.objectives)}.")
    if pruner.over_seeds != (settings.trial_seeds > 1):
        law = "needs several seeds per trial" if pruner.over_seeds else "compares validations of one seed per trial"
        raise UserError(f"The pruner {pruner.name} {law}, but got --trial-seeds {settings.trial_seeds}.")
    if pruner.looks_at_running and settings.batch_size is not None:
        raise UserError(
            f"The pruner {pruner.name} compares trials that are still running, so that its choices depend on their "
            "order. With --deterministic-batches take none, median, percentile or wilcoxon."
        )


def reconcile_description(sweep: Sweep) -> dict[str, Any]:
    """Return the description to go on with: the one on disk where it is the same study, else the new one.

    Raises:
        UserError: The study on disk was made otherwise; nothing has been changed then.
    """
    new, old = sweep.describe(), sweep.folder.description()
    if old is None:
        return new
    differing = [key for key in new if key not in MAY_DIFFER and new[key] != old.get(key)]
    if differing:
        shown = "; ".join(_difference(key, old.get(key), new[key]) for key in differing)
        raise UserError(
            f"The study {sweep.name!r} was made otherwise ({shown}). Give this search another name with --study, or "
            f"remove {str(sweep.folder.path)!r} to search anew."
        )
    for key in ("num_trials", "final_seeds"):
        if new[key] < old[key]:
            raise UserError(
                f"The study {sweep.name!r} has {key}={old[key]}, which may only grow, but got {new[key]}. "
                "Give this search another name with --study."
            )
    return {**old, "num_trials": new["num_trials"], "final_seeds": new["final_seeds"]}


def _difference(key: str, old: Any, new: Any) -> str:
    if key in ("code_sha256", "data_sha256"):
        return f"its {key.removesuffix('_sha256')} has changed since"
    if key == "space":
        names = [{item["name"]: item for item in side or []} for side in (old, new)]
        changed = sorted(name for name in {*names[0], *names[1]} if names[0].get(name) != names[1].get(name))
        return f"another space: {', '.join(changed[:4])}{', ...' if len(changed) > 4 else ''}"
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        inner = sorted(str(name) for name in {*old, *new} if old.get(name) != new.get(name))
        return "; ".join(f"{key}.{name} was {old.get(name)}, now {new.get(name)}" for name in inner[:3])
    return f"{key} was {old}, now {new}"


def load_sweep(description: Mapping[str, Any], store: Store, execution: Execution) -> Sweep:
    """Return the sweep that a description on disk stands for."""
    base = RunSpec.from_mapping(description["spec"])
    space = Space.from_list(description["space"])
    known = dict(searchable(base))
    fields = {dimension.name: known[dimension.name] for dimension in space.dimensions}
    return Sweep(
        name=description["study"],
        space=SearchSpace(space, base, description["left_out"], fields),
        settings=SweepSettings(
            sampler=_named(sampler_class, description["sampler"]),
            pruner=_named(pruner_class, description["pruner"]),
            num_trials=description["num_trials"],
            seed=description["seed"],
            trial_seeds=description["trial_seeds"],
            final_seeds=description["final_seeds"],
            batch_size=description["deterministic_batches"],
            trial_seconds=description["trial_seconds"],
            objectives=("score", *(item["name"] for item in description["objectives"][1:])),
            preset=description["preset"],
        ),
        execution=dataclasses.replace(execution, **description["execution"]),
        store=store,
        plugins=tuple(description["plugins"]),
    )


def _named(find: Callable[[str], Any], mapping: Mapping[str, Any]) -> Any:
    settings = {key: value for key, value in mapping.items() if key != "name"}
    return find(mapping["name"]).from_settings(settings)


def write_best(sweep: Sweep, spec: RunSpec) -> None:
    """Export the best settings as YAML that `boltbench run --config` takes."""
    sweep.folder.write_text("best.yaml", yaml.safe_dump(spec.to_mapping(), sort_keys=False))


def run_folder(sweep: Sweep, spec: RunSpec) -> RunFolder:
    """Return the folder of an ordinary run of this sweep."""
    card = spec.card()
    return RunFolder(sweep.store.runs / spec.run_id(data_sha256=card.sha256, code_sha256=code_sha256(spec)))
