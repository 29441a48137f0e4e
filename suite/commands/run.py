"""Trains one family on one task, or every cell of a plan, under one protocol.

  boltbench run digits mlp
  boltbench run mnist1d cnn --seeds 0-4 --family.channels 32 --optimization.lr 3e-3
  boltbench run --plan quick
  boltbench run digits cnn --init-from fashion-mnist-cnn-s0 --transfer.train head

Settings are flags --GROUP.NAME VALUE with the groups task, family, optimization, regularization, data, budget,
evaluation, randomness, transfer and execution. `boltbench run TASK FAMILY --help-settings` lists them all. A flag wins
over --config, which wins over the default. A run that is done already is not made again, unless --force.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.console import complain, say, watched
from suite.errors import UserError, shown
from suite.hints import command

if TYPE_CHECKING:
    from suite.engine.devices import Execution
    from suite.fields import Settings
    from suite.runs.prepare import Prepared
    from sweeps.plans import Cell

TAKES_SETTINGS = True
"""The arguments that argparse does not know are settings."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", nargs="?", help="the task (`boltbench list` names them)")
    parser.add_argument("family", nargs="?", help="the model family")
    parser.add_argument("--plan", help="a plan by name (`boltbench list plans`), or a YAML file")
    parser.add_argument("--seeds", help="seeds, such as 0-4 or 0,3,7 (default: 0, or the plan's)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a YAML file, as --print_config prints it")
    parser.add_argument(
        "--init-from",
        metavar="RUN[,RUN]",
        help="begin with the weights of a finished run, or of one run for each seed; layers are matched by name",
    )
    parser.add_argument("--print_config", action="store_true", help="print the resolved spec as YAML and stop")
    parser.add_argument("--help-settings", action="store_true", help="list every --GROUP.NAME flag and stop")
    parser.add_argument("--force", action="store_true", help="make runs anew that are done already")
    parser.add_argument(
        "--workers",
        default="auto",
        metavar="auto|N",
        help="runs that are made at once; auto: one per GPU or CPU core where there is work for them",
    )
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file with more tasks or families"
    )


def main(arguments: Namespace, rest: list[str]) -> int:
    """Check everything, then make the runs and print their leaderboards."""
    from suite.commands.shared import load_plugins, open_store

    store = open_store(arguments)
    if not (arguments.print_config or arguments.help_settings):
        store.check_writable()  # first of all: what follows imports for seconds
    load_plugins(arguments.plugin)
    # What can be said without torch and lightning is said first: they take seconds to import.
    if arguments.seeds is not None:
        _seeds(arguments.seeds)
    if arguments.plan is not None:
        if arguments.help_settings:
            raise UserError("--help-settings lists the settings of one task and family; give these in place of --plan.")
        prepared = _from_plan(arguments, rest, store.runs)
    else:
        config = read_config(arguments.config) if arguments.config is not None else {}
        task, family = _names(arguments, config)
        _check_names(task, family, rest)
        groups = _groups(task, family)
        if arguments.help_settings:
            from suite.commands.settings import help_text

            say(help_text(groups))
            return 0
        prepared = _from_flags(arguments, rest, config, task, family, store.runs)
    if arguments.print_config:
        if len(prepared) > 1:
            raise UserError(
                f"--print_config prints one spec, but here are {len(prepared)}. Name one pair and one seed."
            )
        say(prepared[0].to_yaml().rstrip())
        return 0
    from suite.commands.session import run_all, say_transfers

    say_transfers(prepared)
    code = run_all(
        prepared,
        store,
        force=arguments.force,
        tracking_uri=arguments.tracking_uri,
        workers=arguments.workers,
        plugins=[str(Path(path).resolve()) for path in arguments.plugin],
    )
    if arguments.plan is not None and code in (0, 1):
        _say_what_next(arguments)
    return code


def _names(arguments: Namespace, config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of task and family, from the arguments or the configuration file."""
    found = []
    for key in ("task", "family"):
        value = getattr(arguments, key) or config.get(key)
        value = value.get("name") if isinstance(value, Mapping) else value
        if value is None:
            raise UserError("`boltbench run` needs a task and a family, or --plan. `boltbench list` shows which fit.")
        if not isinstance(value, str):
            raise UserError(f"`{key}.name` must be a name, but got {shown(value)}.")
        found.append(value)
    return found[0], found[1]


def _check_names(task: str, family: str, rest: list[str]) -> None:
    """Raise `UserError` where the task, the family or a flag of the task is unknown; all that needs no torch."""
    from suite.commands.settings import parse_flags
    from suite.family import FAMILIES
    from suite.task import TASKS

    TASKS.check(task)
    FAMILIES.check(family)
    of_task = [word for word in rest if word.startswith("--task.")]
    if of_task:
        parse_flags([word.partition("=")[0] + "=" for word in of_task], {"task": TASKS.get(task)})


def _groups(task: str, family: str) -> dict[str, type[Settings]]:
    from suite.engine.devices import Execution
    from suite.family import FAMILIES
    from suite.spec import settings_groups
    from suite.task import TASKS

    return {"task": TASKS.get(task), "family": FAMILIES.get(family), **settings_groups(), "execution": Execution}


def _from_flags(
    arguments: Namespace, rest: list[str], config: Mapping[str, Any], task: str, family: str, runs: Path
) -> list[Prepared]:
    from suite.runs.beginning import named_in, origins, read_names, with_origin
    from suite.runs.prepare import prepare
    from suite.spec import RunSpec

    merged, execution = settings_of(task, family, rest, config)
    found = named_in(merged, runs)
    if arguments.init_from is not None:
        found = origins(read_names(arguments.init_from), runs)
    if arguments.seeds is not None:
        seeds = _seeds(arguments.seeds)
    elif found and None not in found:  # a run for each seed says which seeds there are
        seeds = sorted(seed for seed in found if seed is not None)
    else:
        seeds = [merged.get("seed", 0)]
    specs = [RunSpec.from_mapping(with_origin(merged, found, seed)) for seed in seeds]
    return [prepare(spec, execution, runs=runs) for spec in specs]


def settings_of(task: str, family: str, rest: list[str], config: Mapping[str, Any]) -> tuple[dict[str, Any], Execution]:
    """Return the settings of a run of a pair, from flags over a configuration, and how it is to be carried out.

    Raises:
        UserError: A name or a flag is unknown.
    """
    from suite.commands.settings import parse_flags
    from suite.spec import merge

    _check_names(task, family, rest)
    flags: Mapping[str, Any] = parse_flags(rest, _groups(task, family))
    merged = merge(config, {"task": task, "family": family}, flags)
    return merged, _execution(merged)


def _from_plan(arguments: Namespace, rest: list[str], runs: Path) -> list[Prepared]:
    from suite.commands.planning import cells_of, leave_out
    from suite.commands.settings import parse_flags
    from suite.errors import DataMissingError

    if arguments.task is not None or arguments.config is not None or arguments.init_from is not None:
        raise UserError("--plan names the tasks, families and settings itself; drop the other arguments, or --plan.")
    cells = cells_of(arguments.plan)
    from suite.engine.devices import Execution
    from suite.spec import settings_groups

    # A plan's cells differ in task and family, so that only the groups that all of them have can be set by flag.
    flags = parse_flags(rest, {**settings_groups(), "execution": Execution})
    prepared: list[Prepared] = []
    left_out: dict[tuple[str, str], list[str]] = {}
    without_data: set[str] = set()
    for cell in watched(cells, "checking the plan's pairs"):
        task = cell.task["name"]
        if task in without_data:
            continue
        try:
            made = _prepare_cell(cell, flags, arguments, runs)
        except DataMissingError as error:
            if cell.is_explicit:
                raise
            leave_out(task, error)
            without_data.add(task)
            continue
        if isinstance(made, str):
            left_out.setdefault((task, made), []).append(cell.family["name"])
        else:
            prepared += made
    for (task, reason), families in left_out.items():
        complain(f"{task} is not for {', '.join(families)} ({reason}).")
    if not prepared:
        raise UserError(f"The plan {arguments.plan!r} must hold at least one pair that fits, but holds none.")
    return prepared


def _prepare_cell(cell: Cell, flags: Mapping[str, Any], arguments: Namespace, runs: Path) -> list[Prepared] | str:
    """Return a cell's runs, or why ``all`` in a plan does not mean it."""
    from suite.commands.planning import why_not_meant
    from suite.runs.beginning import named_in, with_origin
    from suite.runs.prepare import prepare
    from suite.spec import RunSpec, merge

    merged = merge(cell.settings, {"task": cell.task, "family": cell.family}, flags)
    execution = _execution(merged)
    seeds = cell.seeds if arguments.seeds is None else _seeds(arguments.seeds)
    found = named_in(merged, runs)
    specs = [RunSpec.from_mapping(with_origin(merged, found, seed)) for seed in seeds]
    reason = None if cell.is_explicit else why_not_meant(specs[0])
    if reason is not None:
        return reason
    return [prepare(spec, execution, runs=runs) for spec in specs]


def _execution(merged: dict[str, Any]) -> Execution:
    """Take the execution settings out of the merged settings: they are no part of a run's identity."""
    from suite.engine.devices import Execution

    settings = merged.pop("execution", None) or {}
    if not isinstance(settings, Mapping):
        raise UserError(f"`execution` must be a mapping of settings, but got {shown(settings)}.")
    return Execution.from_mapping(settings)


def _seeds(text: str) -> list[int]:
    from sweeps.plans import PlanError, parse_seeds

    try:
        return parse_seeds(text)
    except PlanError as error:
        raise UserError(f"--seeds: {error}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings that a YAML file holds; raise `UserError` when it holds none."""
    from sweeps.documents import DocumentError, read_document

    try:
        content = read_document(path)
    except FileNotFoundError as error:
        raise UserError(f"--config must name a YAML file, but there is no {str(path)!r}.") from error
    except DocumentError as error:
        raise UserError(f"--config {str(path)!r} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"--config {str(path)!r} must hold a mapping of settings, but holds {shown(content)}.")
    return content


def _say_what_next(arguments: Namespace) -> None:
    from suite.commands.shared import open_store

    done = [folder.run_id for folder in open_store(arguments).folders() if folder.status() == "completed"]
    say("\nNext:")
    steps = [("ui", "", "browse every run, curve and picture in MLflow")]
    if done:
        steps.append(("replay", f" {done[0]}", "make that run again and see that every bit is equal"))
    steps += [
        ("leaderboard", " --format markdown,csv --output leaderboards", ""),
        ("run", " mnist1d cnn --seeds 0-4 --regularization.dropout 0.2", ""),
        ("list", "", "every task and family, and which pairs fit"),
    ]
    for verb, rest, reason in steps:
        say(f"  {command(verb, rest):<34}  {reason}".rstrip())
    say("(the command lies in .venv/bin: `source .venv/bin/activate` puts it on the path)")
