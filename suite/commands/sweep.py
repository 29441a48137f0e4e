"""Searches hyper-parameters and regularisation of one family on one task, or of every pair of a plan.

  boltbench sweep mnist1d cnn --trials 64 --preset regularization
  boltbench sweep mnist1d cnn --space.optimization.lr "1e-4..1e-1 log" --space.family.channels "16;16,32"
  boltbench sweep --plan quick --trials 32 --preset optimizer,regularization
  boltbench show mnist1d cnn                        # the space that this would search

Trials are chosen on val and never read test. The winner and the family's default are then run on fresh seeds, and
they alone enter the leaderboard. Settings are flags as of `boltbench run`; --space.GROUP.NAME says what to search:
a range (LOW..HIGH, with `log` or `step S` behind it, `off|` before it), choices (A,B,C), a value, `search` for the
field's own range, or `default`. --sampler.NAME and --pruner.NAME set those of sampler and pruner.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.commands.shared import STORAGE_VARIABLE, storage_url
from suite.console import complain, say
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.runs.folder import Store
    from suite.search.sweep import Sweep

TAKES_SETTINGS = True


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", nargs="?", help="the task (`boltbench list` names them)")
    parser.add_argument("family", nargs="?", help="the model family")
    parser.add_argument("--plan", help="a plan by name or a YAML file: a study of each of its pairs")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings that trials share, as --print_config has")
    add_space_arguments(parser)
    parser.add_argument("--trials", type=int, default=32, help="trials of each study (default: 32)")
    parser.add_argument("--sampler", default="tpe", help="grid, random, qmc, tpe (default), gp or nsga2")
    parser.add_argument(
        "--pruner", default="none", help="none (default), median, percentile, halving, hyperband or wilcoxon"
    )
    parser.add_argument(
        "--objectives", default="score", metavar="NAME,...", help="score, and costs such as num_parameters"
    )
    parser.add_argument(
        "--trial-seeds", type=int, default=1, metavar="N", help="runs per trial; its score is their mean"
    )
    parser.add_argument("--final-seeds", type=int, default=5, metavar="N", help="fresh seeds in the end (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="the study's seed (default: 0)")
    parser.add_argument(
        "--study", metavar="NAME", help="the study's name (default: from task, family, preset, sampler)"
    )
    parser.add_argument("--workers", default="auto", metavar="auto|N|inline", help="auto: one per GPU, or per CPU core")
    parser.add_argument(
        "--deterministic-batches", type=int, metavar="N", help="ask for N trials at once, on earlier batches alone"
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no new trial after this time")
    parser.add_argument("--trial-timeout", type=float, metavar="SECONDS", help="end a trial after this time")
    parser.add_argument(
        "--attempts", type=int, default=3, help="times a trial is begun when its worker dies (default: 3)"
    )
    parser.add_argument(
        "--cluster", metavar="auto|ADDRESS", help="work on a Ray cluster (pip install boltbench[cluster])"
    )
    parser.add_argument("--no-plots", action="store_true", help="do not draw Optuna's plots in the end")
    parser.add_argument("--storage", metavar="URL", help=f"Optuna's database (default: SQLite; or {STORAGE_VARIABLE})")
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a file with more tasks or families"
    )


def add_space_arguments(parser: ArgumentParser) -> None:
    """Declare what says which fields are searched."""
    parser.add_argument("--init-from", metavar="RUN", help="begin every trial with the weights of a finished run")
    parser.add_argument(
        "--preset",
        default="regularization",
        help="regularization (default), optimizer, architecture, all, none; or several",
    )
    parser.add_argument("--space", type=Path, metavar="FILE", help="YAML: field -> range, choices or value")


def main(arguments: Namespace, rest: list[str]) -> int:
    """Check everything, search, and say what came of it."""
    from suite.commands.finished import finished_before, note_finished, sweep_receipt
    from suite.commands.shared import load_plugins, open_store

    store = open_store(arguments)
    store.check_writable()
    receipt = sweep_receipt(arguments, rest)
    known = None if receipt is None else finished_before(receipt, store)
    if known is not None:
        for name in known:
            say(f"{name}  was done already")
        return _say_results(known, store)
    from suite.search.run import finished_result

    load_plugins(arguments.plugin)
    sweeps = _sweeps(arguments, rest)
    results = {sweep.name: finished_result(sweep) for sweep in sweeps}
    left = [sweep for sweep in sweeps if results[sweep.name] is None]
    for sweep in sweeps:
        if results[sweep.name] is not None:
            say(f"{sweep.name}  was done already")
    code = 0
    if left:
        code = search(left, arguments, results)
    if receipt is not None and all(results.values()):
        note_finished(receipt, sweeps)
    outcome = _say_results(results, store)
    return code or outcome


def _say_results(results: Mapping[str, Any], store: Store) -> int:
    """Print what came of the studies; return 1 where one of them has no winner, else 0."""
    code = 0
    for name, result in results.items():
        if result is not None:
            say_result(result, store.root / "studies" / name)
            code = code or int(result["winner"] is None)
    return code


def search(sweeps: list[Sweep], arguments: Namespace, results: dict[str, Any]) -> int:
    """Run the sweeps, put what came of them into ``results``, and return the exit code."""
    from suite.commands.sweeping import executor_of
    from suite.commands.watching import watcher
    from suite.runs.prepare import prepare
    from suite.search.run import CannotGoOnError, How, run_sweeps

    store = sweeps[0].store
    for sweep in sweeps:  # data, device and default settings, before anything is created
        prepare(sweep.space.base, sweep.execution, runs=store.runs)
    how = How(
        executor=executor_of(arguments.workers, sweeps, cluster=getattr(arguments, "cluster", None)),
        attempts=_at_least("--attempts", arguments.attempts, 1),
        timeout=getattr(arguments, "timeout", None),
        storage_url=storage_url(arguments),
        tracking_uri=arguments.tracking_uri,
        plots=not getattr(arguments, "no_plots", False),
    )
    try:
        found, code = run_sweeps(sweeps, store, how, watcher=watcher(), complain=complain)
    except CannotGoOnError as error:
        complain(f"boltbench: {error}")
        return 1
    results |= {sweep.name: result for sweep, result in zip(sweeps, found, strict=True)}
    if code:
        complain("Stopped. The same command, or `boltbench resume`, goes on where it was.")
    return code


def _sweeps(arguments: Namespace, rest: list[str]) -> list[Sweep]:
    from suite.commands.sweeping import build_sweep, pairs_of_plan, split_settings

    settings, space, sampler, pruner = split_settings(rest)
    _at_least("--trials", arguments.trials, 1)
    if arguments.plan is None:
        if arguments.task is None or arguments.family is None:
            raise UserError("`boltbench sweep` needs a task and a family, or --plan. `boltbench list` shows which fit.")
        pairs: list[Mapping[str, Any]] = [{"task": arguments.task, "family": arguments.family}]
    else:
        if arguments.task is not None or arguments.config is not None:
            raise UserError("--plan names the tasks and families itself; drop the other arguments, or --plan.")
        pairs = pairs_of_plan(arguments.plan)
    sweeps = [
        build_sweep(arguments, pair, settings, space, sampler, pruner, is_only=arguments.plan is None) for pair in pairs
    ]
    names = [sweep.name for sweep in sweeps]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"Each pair of a plan is one study, but two would be called {name!r}. Split the plan.")
    _check_budgets(sweeps)
    return sweeps


def _check_budgets(sweeps: list[Sweep]) -> None:
    """Raise `UserError` where families of one task would be searched under different budgets."""
    first: dict[str, Sweep] = {}
    for sweep in sweeps:
        other = first.setdefault(sweep.space.base.task.name, sweep)
        budgets = [item.space.base.budget.to_mapping() for item in (other, sweep)]
        if budgets[0] != budgets[1]:
            raise UserError(
                f"The families of one task must be searched under one budget, but {other.name} has {budgets[0]} and "
                f"{sweep.name} has {budgets[1]}. Give one with --budget.epochs or --budget.steps, or split the plan."
            )


def say_result(result: Mapping[str, Any], folder: Path) -> None:
    """Print what came of a study."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result["counts"].items()))
    bill = result["bill"]
    say(f"\n{result['study']}: {result['num_trials']} trials ({counts}), {bill['seconds']:.0f} s")
    if result["num_trials"] < result["num_trials_wanted"]:
        say(f"  the time was up: {result['num_trials_wanted'] - result['num_trials']} trials were not begun")
    winner = result["winner"]
    if winner is None:
        say("  no trial completed, so that there is no winner")
        return
    say(f"  winner by the rule `{result['rule']}`:")
    say(f"  trial {winner['number']}, {result['metric']} {winner['values'][0]:.4f}")
    for name, value in winner["settings"].items():
        say(f"    {name}: {'none' if value is None else value}")
    for role, group in result["finals"].items():
        if group["mean"] is not None:
            spread = "" if group["sd"] is None else f" ± {group['sd']:.4f}"
            say(f"  {role} on {len(group['scores'])} fresh seeds: {result['metric']} {group['mean']:.4f}{spread}")
    say(f"  {result['comparison']['text']}")
    say(f"  boltbench run --config {folder / 'best.yaml'} makes the winner's run; `boltbench leaderboard` has both")


def _at_least(flag: str, value: int, least: int) -> int:
    if value < least:
        raise UserError(f"`{flag.removeprefix('--')} >= {least}` must hold, but got {flag} {value}.")
    return value
