"""Makes the models of finished runs smaller. Each result is a run of its own, with a folder, a score and a replay.

  boltbench compress digits-cnn-s0 --method quantize --compression.scheme int8-dynamic
  boltbench compress digits-cnn-s0 --method prune --compression.share 0.9 --budget.epochs 10
  boltbench compress digits-cnn-s0 --method distill --family.channels 16,32
  boltbench compress digits-cnn-s0 --method prune --vary compression.share=0.5,0.8,0.9,0.95

Settings of the method are flags --compression.NAME VALUE; `boltbench show prune` lists them. A method that trains
takes the settings of the original run, and flags of optimization, regularization, data, budget and evaluation change
them. A student may be of another family or size: --student FAMILY with --family.NAME, or --config FILE. --vary makes a
run of each value, of each combination where it is given more than once, and says which are on the Pareto front of score
against size and latency.
"""

from __future__ import annotations

import itertools
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.console import say, show
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.compressor import Compressor
    from suite.fields import Settings
    from suite.runs.folder import Store
    from suite.runs.prepare import Prepared
    from suite.runs.source import Source

TAKES_SETTINGS = True
"""The arguments that argparse does not know are settings."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="+", help="a run id, its beginning, or the path of its folder; may be several")
    parser.add_argument("--method", help="the method (`boltbench list compression` names them)")
    parser.add_argument(
        "--student", metavar="FAMILY", help="the student's family, for distill (default: the teacher's)"
    )
    parser.add_argument(
        "--vary", action="append", default=[], metavar="NAME=V,V", help="make a run of each value of a setting"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="a YAML file of settings, such as a student's")
    parser.add_argument("--help-settings", action="store_true", help="list every --GROUP.NAME flag and stop")
    parser.add_argument("--force", action="store_true", help="make compressed runs anew that are done already")
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that the run needs")


def main(arguments: Namespace, rest: list[str]) -> int:
    """Check everything, then compress run by run and print the figures and the leaderboards."""
    from suite.commands.session import run_all
    from suite.commands.shared import load_plugins, open_store
    from suite.compressor import COMPRESSORS

    load_plugins(arguments.plugin)
    store = open_store(arguments)
    if arguments.method is None:
        raise UserError(f"--method must be given. Known: {', '.join(COMPRESSORS.names())}.")
    method = COMPRESSORS.get(arguments.method)
    varied: dict[str, list[str]] = {}
    for text in arguments.vary:
        name, values = _varied(text, rest)
        if name in varied:
            raise UserError(f"{name} must be varied once, but --vary has it again: {text!r}. Put all values into one.")
        varied[name] = values
    combinations = [
        [word for name, value in zip(varied, values, strict=True) for word in (f"--{name}", value)]
        for values in itertools.product(*varied.values())
    ]
    found = [
        _prepare(name, method, arguments, [*rest, *words], store) for words in combinations for name in arguments.run
    ]
    prepared = list({item.run_id: item for item in found}.values())  # values that mean the same make one run
    if arguments.help_settings:
        from suite.commands.settings import help_text

        say(help_text(_groups(method, prepared[0].spec.family.name)))
        return 0
    store.check_writable()
    code = run_all(prepared, store, force=arguments.force, tracking_uri=arguments.tracking_uri)
    if varied:
        _say_front(prepared, store, list(varied))
    else:
        for item in prepared:
            _say_figures(item, store)
    return code


def _varied(text: str, rest: list[str]) -> tuple[str, list[str]]:
    """Return the setting that is varied and its values, as texts."""
    name, equals, values = text.partition("=")
    found = [value for value in values.split(",") if value]
    if not equals or len(found) < 2:
        raise UserError(f"--vary must be NAME=V,V with two values at least, but got {text!r}.")
    if any(word.partition("=")[0] == f"--{name}" for word in rest):
        raise UserError(f"{name} has a value (--{name}) and several (--vary {text}): give one of them.")
    return name, found


def _groups(method: type[Compressor], family: str) -> dict[str, type[Settings]]:
    """Return the groups of flags that the method takes."""
    from suite.engine.devices import Execution
    from suite.family import FAMILIES
    from suite.spec import settings_groups

    groups: dict[str, type[Settings]] = {"compression": method}
    if method.has_own_spec:
        groups["family"] = FAMILIES.get(family)
    return {**groups, **settings_groups(), "execution": Execution}


def _prepare(name: str, method: type[Compressor], arguments: Namespace, rest: list[str], store: Store) -> Prepared:
    from suite.commands.run import read_config
    from suite.commands.settings import parse_flags
    from suite.engine.devices import Execution
    from suite.runs.prepare import prepare
    from suite.runs.source import open_source
    from suite.spec import RunSpec, merge

    folder = store.find(name)
    if folder.path.parent.resolve() != store.runs.resolve():
        raise UserError(
            f"A compressed run lies beside the one that it comes from, but {str(folder.path)!r} is not under "
            f"{str(store.runs)!r}. Give --root {folder.path.parent.parent}."
        )
    source = open_source(folder, purpose="compressed")
    config = read_config(arguments.config) if arguments.config is not None else {}
    student = _student(method, arguments, config, source)
    flags: Mapping[str, Any] = parse_flags(rest, _groups(method, student))
    flags = {key: dict(value) for key, value in flags.items()}
    compression = method.from_mapping({**config.get("compression", {}), **flags.pop("compression", {})})
    changes = merge(config, flags)
    _check_changes(compression, changes, source)
    execution = Execution.from_mapping({**changes.pop("execution", {})})
    base = {
        key: value
        for key, value in source.spec.to_mapping().items()
        if key not in ("compression", "parent", "origin", "transfer")
    }
    mapping = merge(base, {"family": student}, changes) | {
        "seed": source.spec.seed,
        "compression": {"name": method.name, **compression.to_mapping()},
        "parent": {
            "run_id": folder.run_id,
            "config_id": source.result["config_id"],
            "weights": source.weights_sha256,
            "model": source.text(),
            "steps": source.steps(),
        },
    }
    return prepare(RunSpec.from_mapping(mapping), execution, runs=store.runs)


def _student(method: type[Compressor], arguments: Namespace, config: dict[str, Any], source: Source) -> str:
    """Return the family of the compressed model; raise `UserError` when another is asked for than the method makes."""
    named = config.get("family")
    named = named.get("name") if isinstance(named, Mapping) else named
    student = arguments.student or named or source.spec.family.name
    if not method.has_own_spec and (arguments.student is not None or student != source.spec.family.name):
        raise UserError(
            f"{method.name} keeps the family of the run, which is {source.spec.family.name!r}, but --student or "
            f"--config names {student!r}. Only --method distill makes a student."
        )
    return str(student)


def _check_changes(compression: Compressor, changes: Mapping[str, Any], source: Source) -> None:
    """Refuse settings that would change nothing but the run's id."""
    task = changes.get("task")
    task = task if isinstance(task, Mapping) or task is None else {"name": task}
    if task is not None and source.spec.task.to_mapping() | {"name": source.spec.task.name} != {
        **type(source.spec.task)().to_mapping(),
        **task,
    }:
        raise UserError(
            f"A compressed run has the task of the run that it comes from, which is {source.spec.task.name!r} "
            f"{source.spec.task.changed() or ''}, but --config says {dict(task)}. Teacher and student share a task."
        )
    if changes.get("seed", source.spec.seed) != source.spec.seed:
        raise UserError(
            f"A compressed run has the seed of the run that it comes from, which is {source.spec.seed}, but --config "
            f"says {changes['seed']}. Compress the run of that seed."
        )
    idle = sorted(set(changes) - {"task", "seed", "execution"} - ({"family"} if compression.has_own_spec else set()))
    if not compression.trains and idle:
        raise UserError(
            f"{compression.text()} trains nothing, so that settings of {', '.join(idle)} would change nothing. "
            "Leave them out."
        )


def _say_front(prepared: list[Prepared], store: Store, varied: list[str]) -> None:
    """Print one row for each way of compressing, and which of them are on a front."""
    from rich import box
    from rich.table import Table

    from results.compressed import COSTS, ways
    from results.text import decimals_for, is_percent, score_text
    from suite.runs.folder import RunFolder

    results = [RunFolder(store.runs / item.run_id).result() for item in prepared]
    done = [result for result in results if result is not None and result["status"] == "completed"]
    if not done:
        return
    originals = {item.parent.folder.run_id: item.parent.result for item in prepared if item.parent is not None}
    frame = ways(done, list(originals.values()), varied)
    metric = frame.attrs["metric"]
    unit = " (%)" if is_percent(metric) else ""
    title = f"\n{metric}{unit} against size and latency"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for header in ("way", "val", "test", "bytes", "latency of 1", "of a batch", "on the front of"):
        is_text = header in ("way", "on the front of")
        table.add_column(header, justify="left" if is_text else "right", no_wrap=header == "way")
    decimals = decimals_for(metric, [*frame["val"].dropna(), *frame["test"].dropna()])
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]  # the stubs say Hashable keys
    for row in rows:
        table.add_row(
            row["way"] if row["num_runs"] == 1 else f"{row['way']}, {row['num_runs']} runs",
            *(score_text(metric, row[split], decimals) for split in ("val", "test")),
            f"{row['bytes']:,.0f}",
            *(f"x {row[name]:.2f}" for name in ("latency_one", "latency_batch")),
            ", ".join(COSTS[name] for name in row["fronts"]),
        )
    show(table)
    say("Latencies are shares of the original's, which was timed beside each; val scores decide who is on a front.")


def _say_figures(prepared: Prepared, store: Store) -> None:
    from suite.runs.folder import RunFolder

    result = RunFolder(store.runs / prepared.run_id).result()
    assert prepared.parent is not None
    if result is None or result["status"] != "completed":
        return
    original, found = prepared.parent.result, result["compression"]
    say(f"\n{result['run_id']}, from {original['run_id']}")
    for name in (f"val/{result['metric']}", f"test/{result['metric']}"):
        if name in result["scores"] and name in original["scores"]:
            say(f"  {name:<22}{result['scores'][name]:.4f} (original {original['scores'][name]:.4f})")
    for label, key, form in (
        ("bytes of weights", "bytes", "{:,}"),
        ("non-zero parameters", "nonzero_parameters", "{:,}"),
    ):
        mine, theirs = found[key], found[f"original_{key}"]
        share = mine / theirs if theirs else 0.0
        say(f"  {label:<22}{form.format(mine)} (original {form.format(theirs)}; {share:.1%})")
    for label, key in (
        ("latency of 1 example", "latency_one_seconds"),
        (f"latency of {found['latency_batch_size']}", "latency_batch_seconds"),
    ):
        say(f"  {label:<22}{found[key] * 1000:.3f} ms (original {found[f'original_{key}'] * 1000:.3f} ms)")
    if found["note"]:
        say(f"  {found['note']}")
