"""What `sweep` and `show` share: from arguments and flags to a sweep that can start, and who does its work."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from suite.commands.settings import parse_flags
from suite.errors import UserError, shown
from suite.search.space import SearchSpace, search_space
from suite.search.sweep import Sweep, SweepSettings, check
from suite.spec import RunSpec, merge, settings_groups
from suite.values import parse_value
from sweeps.choice import ChoiceError, Named
from sweeps.executors.base import ExecutorError
from sweeps.pruners import pruner_class
from sweeps.samplers import sampler_class

if TYPE_CHECKING:
    from pathlib import Path

    from suite.fields import Settings
    from sweeps.executors.base import Executor

WORK = "suite.search.worker:work"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def split_settings(tokens: list[str]) -> tuple[list[str], dict[str, str], dict[str, str], dict[str, str]]:
    """Part the dotted flags into those of a run, of the space, of the sampler and of the pruner."""
    others: list[str] = []
    found: dict[str, dict[str, str]] = {"space": {}, "sampler": {}, "pruner": {}}
    position = 0
    while position < len(tokens):
        flag, has_value, value = tokens[position].partition("=")
        group, _, name = flag.removeprefix("--").partition(".")
        if group not in found:
            others.append(tokens[position])
            if not has_value and position + 1 < len(tokens) and not tokens[position + 1].startswith("--"):
                position += 1
                others.append(tokens[position])
            position += 1
            continue
        if not has_value:
            position += 1
            if position == len(tokens) or tokens[position].startswith("--"):
                raise UserError(f"{flag} needs a value, but none follows it.")
            value = tokens[position]
        if name in found[group]:
            raise UserError(f"{flag} may be given once, but comes twice.")
        found[group][name] = value
        position += 1
    return others, found["space"], found["sampler"], found["pruner"]


def build_space(
    arguments: Namespace, pair: Mapping[str, Any], settings: list[str], space: Mapping[str, object]
) -> tuple[SearchSpace, Mapping[str, Any]]:
    """Return the space of a pair, and the execution settings that were given beside it."""
    from suite.commands.run import read_config
    from suite.engine.devices import Execution
    from suite.family import FAMILIES
    from suite.task import TASKS

    config = read_config(arguments.config) if getattr(arguments, "config", None) is not None else {}
    merged = merge(config, pair)
    groups: dict[str, type[Settings]] = {
        "task": TASKS.get(_name(merged["task"])),
        "family": FAMILIES.get(_name(merged["family"])),
        **settings_groups(),
        "execution": Execution,
    }
    merged = merge(merged, parse_flags(settings, groups))
    execution = merged.pop("execution", None) or {}
    merged.pop("seed", None)
    if getattr(arguments, "init_from", None) is not None:
        merged["origin"] = arguments.init_from
    merged = _with_origin(merged, arguments)
    given = frozenset(
        f"{group}.{name}"
        for group, values in merged.items()
        if isinstance(values, Mapping)
        for name in values
        if name != "name"
    )
    base = RunSpec.from_mapping(merged)
    changes = {**_read_space(arguments.space), **space}
    return search_space(base, preset=arguments.preset, changes=changes, given=given), execution


def _with_origin(merged: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    """Return the settings with the run that every trial begins with, where one is named."""
    from suite.commands.shared import open_store
    from suite.runs.beginning import named_in, with_origin

    found = named_in(merged, open_store(arguments).runs)
    if found and None not in found:
        raise UserError("Every trial of a search begins with the same run, but --init-from names several. Name one.")
    completed = with_origin(merged, found, 0)
    del completed["seed"]
    return completed


def build_sweep(
    arguments: Namespace,
    pair: Mapping[str, Any],
    settings: list[str],
    space: Mapping[str, str],
    sampler: Mapping[str, str],
    pruner: Mapping[str, str],
    *,
    is_only: bool,
) -> Sweep:
    """Return a sweep that is known to be able to start, as far as its arguments go."""
    import dataclasses
    from pathlib import Path

    from suite.commands.shared import open_store
    from suite.engine.devices import Execution, choose_device

    found, execution_settings = build_space(arguments, pair, settings, space)
    execution = Execution.from_mapping(execution_settings)
    device = choose_device(execution).type
    # The threads of a trial change its rounding: they must not depend on how many workers there are.
    threads = execution.threads or (1 if device == "cpu" else None)
    execution = dataclasses.replace(execution, device="cuda" if device == "cuda" else "cpu", threads=threads)
    try:
        how = SweepSettings(
            sampler=_choice(sampler_class(arguments.sampler), sampler, "sampler"),
            pruner=_choice(pruner_class(arguments.pruner), pruner, "pruner"),
            num_trials=arguments.trials,
            seed=arguments.seed,
            trial_seeds=arguments.trial_seeds,
            final_seeds=arguments.final_seeds,
            batch_size=arguments.deterministic_batches,
            trial_seconds=arguments.trial_timeout,
            objectives=tuple(name.strip() for name in arguments.objectives.split(",")),
            preset=arguments.preset,
        )
    except ChoiceError as error:
        raise UserError(str(error)) from error
    base = found.base
    name = default_name(base, how) if arguments.study is None else arguments.study
    if arguments.study is not None and not is_only:
        name = f"{arguments.study}-{base.task.name}-{base.family.name}"
    if not NAME.fullmatch(name):
        raise UserError(
            f"A study's name must be letters, digits, '.', '_' and '-', at most 100, but got {shown(name)}. "
            "Give another with --study."
        )
    plugins = tuple(str(Path(path).resolve()) for path in arguments.plugin)
    sweep = Sweep(
        name=name, space=found, settings=how, execution=execution, store=open_store(arguments), plugins=plugins
    )
    check(sweep)
    return sweep


def default_name(base: RunSpec, how: SweepSettings) -> str:
    """Return a readable name for a study."""
    preset = how.preset.replace(",", "-").replace(" ", "")
    seed = f"-s{how.seed}" if how.seed else ""
    return f"{base.task.name}-{base.family.name}-{preset}-{how.sampler.name}{seed}"


def pairs_of_plan(name: str) -> list[Mapping[str, Any]]:
    """Return the pairs of a plan that fit, each with its settings."""
    from suite.commands.planning import cells_of, why_not_meant

    pairs: list[Mapping[str, Any]] = []
    for cell in cells_of(name):
        merged = merge(cell.settings, {"task": cell.task, "family": cell.family})
        merged.pop("execution", None)
        spec = RunSpec.from_mapping(merged)
        if cell.is_explicit or why_not_meant(spec) is None:
            pairs.append(merged)
    if not pairs:
        raise UserError(f"The plan {name!r} must hold at least one pair that fits, but holds none.")
    return pairs


def executor_of(workers: str, sweeps: Sequence[Sweep], *, cluster: str | None = None) -> Callable[[], Executor]:
    """Return what makes the executor, once it is known that there can be one."""
    from sweeps.executors.inline import InlineExecutor
    from sweeps.executors.local import LocalExecutor
    from sweeps.executors.places import places

    if workers == "inline":
        return lambda: InlineExecutor("suite.search.work:work")
    count = None if workers == "auto" else _count(workers)
    device, threads = sweeps[0].execution.device, sweeps[0].execution.threads
    limits = [sweep.settings.trial_seconds for sweep in sweeps]
    silence = None if None in limits else max(60.0, *(limit for limit in limits if limit))
    try:
        if cluster is not None:
            from sweeps.executors.ray import RayExecutor

            joined = RayExecutor(
                WORK, address=cluster, workers=count, device=device, threads=threads, silence_seconds=silence
            )
            return lambda: joined
        found = places(workers=count, threads=threads, device=device)
    except ExecutorError as error:
        raise UserError(str(error)) from error
    logs = sweeps[0].folder.path / "workers"

    def make() -> Executor:
        logs.mkdir(parents=True, exist_ok=True)
        return LocalExecutor(WORK, found, log_directory=logs, silence_seconds=silence)

    return make


def _choice(cls: Any, settings: Mapping[str, str], what: str) -> Any:
    """Return a sampler or pruner with settings that are text."""
    import typing

    hints = typing.get_type_hints(cls)
    assert issubclass(cls, Named)
    known = cls.names_of_fields()
    values: dict[str, Any] = {}
    for name, text in settings.items():
        values[name] = parse_value(f"{what}.{name}", hints[name], text) if name in known else text
    return cls.from_settings(values)


def _read_space(path: Path | None) -> dict[str, object]:
    """Return field -> range from a YAML file, whose groups may be nested or dotted."""
    from sweeps.documents import DocumentError, read_document

    if path is None:
        return {}
    try:
        content = read_document(path)
    except FileNotFoundError as error:
        raise UserError(f"--space must name a YAML file, but there is no {str(path)!r}.") from error
    except DocumentError as error:
        raise UserError(f"--space {str(path)!r} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"--space {str(path)!r} must hold a mapping of fields, but holds {shown(content)}.")
    found: dict[str, object] = {}
    for key, value in content.items():
        if isinstance(value, dict) and "." not in str(key):
            found |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            found[str(key)] = value
    return found


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(name, str):
        raise UserError(f"Task and family must be names, but got {shown(value)}.")
    return name


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--workers must be auto, inline or a number, but got {shown(text)}.") from None
