"""Measures published numbers again and gives a verdict on each: REPRODUCED, WITHIN NOISE or NOT REPRODUCED.

  boltbench verify                       # every claim that this machine can afford
  boltbench verify mnist1d-cnn           # one claim (`boltbench list claims` names them)
  boltbench verify my-claims.yaml        # claims of your own
  boltbench verify --no-runs --output verdicts.md
  boltbench verify --no-runs --publish results/published

The runs are those of `boltbench run`: done already is not made again, and what was cut off goes on. A claim that needs
a GPU where there is none, or more than an hour of a core, is skipped by name; --all runs it too. docs/claims.md says
what the verdicts mean.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.console import complain, say, show
from suite.errors import DataMissingError, UserError

if TYPE_CHECKING:
    from rich.table import Table

    from results.claims.definition import Claim
    from suite.claims import Resolved
    from suite.engine.devices import Execution
    from suite.runs.folder import Store
    from suite.runs.prepare import Prepared

TAKES_SETTINGS = True
"""The group execution may be set: it is no part of a claim."""

MOST_CPU_SECONDS = 3600
"""A claim whose runs take longer on one core is too dear to be made unasked."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="a claim, or a YAML file of claims (default: all)")
    parser.add_argument("--all", action="store_true", help="make the runs of claims that are too dear, too")
    parser.add_argument("--seeds", help="seeds, such as 0-4 or 0,3,7 (default: those of each claim)")
    parser.add_argument("--no-runs", action="store_true", help="judge by the runs that are there, and make none")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table of all claims there, as Markdown")
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="FOLDER",
        help="keep the verdicts in FOLDER too, with their table as README.md",
    )
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that claims need")


def main(arguments: Namespace, rest: list[str]) -> int:
    """Check everything, make the runs claim by claim, and print the verdicts."""
    from results.claims.verdicts import FOLDER, read_verdicts
    from results.errors import ResultsError
    from suite.claims import choose, resolve
    from suite.commands.settings import parse_flags
    from suite.commands.shared import load_plugins, open_store
    from suite.engine.devices import Execution

    store = open_store(arguments)
    store.check_writable()
    load_plugins(arguments.plugin)
    if arguments.publish is not None and not arguments.publish.is_dir():
        raise UserError(f"--publish must be a folder, but there is none at {str(arguments.publish)!r}.")
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise UserError(f"--output must lie in a folder, but there is none at {str(arguments.output.parent)!r}.")
    execution = Execution.from_mapping(parse_flags(rest, {"execution": Execution}).get("execution", {}))
    _check_seeds(arguments.seeds)
    chosen = choose(arguments.claims)
    resolved = [resolve(claim, arguments.seeds) for claim in chosen.values()]
    try:
        read_verdicts(store.root / FOLDER)  # a damaged one is found now, and not after hours
        work = [(item, _prepared(item, store, execution, arguments)) for item in resolved]
        code = _verify(work, store, arguments)
        if code not in (130, 143):
            _write_table(chosen, store, arguments)
            _publish(chosen, store, arguments)
    except ResultsError as error:
        raise UserError(str(error)) from error
    return code


def _verify(work: list[tuple[Resolved, list[Prepared] | None]], store: Store, arguments: Namespace) -> int:
    """Make the runs of each claim and judge it; return the exit code."""
    from suite.commands.session import run_all

    failed = False
    judged: dict[str, dict[str, Any]] = {}
    how: dict[str, Any] = {"force": False, "tracking_uri": arguments.tracking_uri, "shows_leaderboards": False}
    for item, prepared in work:
        if prepared is None:
            continue
        if prepared:
            say(f"{item.claim.name}: {item.claim.statement}")
            code = run_all(prepared, store, **how)
            if code in (130, 143):
                return code
            failed |= code != 0
        try:
            begun = item.begun(store)
            if item.pretraining and begun is not None and prepared:  # what was made is what the claim's runs begin with
                code = run_all(begun.prepare(prepared[0].execution, store), store, **how)
                if code in (130, 143):
                    return code
                failed |= code != 0
            if begun is None:
                raise UserError(f"The claim {item.claim.name!r} cannot be judged: a run that it begins with failed.")
            judged[item.claim.name] = _judge(begun, store)
        except UserError as error:
            complain(f"boltbench: {error}")
            failed = True
    if judged:
        show(_table({item.claim.name: item.claim for item, _ in work}, judged))
    return int(failed or any(verdict["verdict"] == "NOT REPRODUCED" for verdict in judged.values()))


def _prepared(item: Resolved, store: Store, execution: Execution, arguments: Namespace) -> list[Prepared] | None:
    """Return the runs that are still to be made (none where all are done), or None where the claim is skipped."""
    from results.claims.markdown import cost_text
    from suite.engine.devices import choose_device

    name, begun = item.claim.name, item.begun(store)
    folders = [] if begun is None else begun.folders(store)
    done = [not (f.can_go_on() or f.status() in ("running", "damaged")) for f in folders]
    if begun is not None and (all(done) or (arguments.no_runs and any(done))):
        return []
    if arguments.no_runs:
        say(f"{name}: skipped, none of its runs is there.")
        return None
    lacks_gpu = item.claim.needs_gpu and choose_device(execution).type == "cpu"
    if not arguments.all and (lacks_gpu or item.claim.cpu_seconds > MOST_CPU_SECONDS):
        say(f"{name}: skipped, it {_needs(cost_text(item.claim))}. --all runs it.")
        return None
    item.anchor()  # an unknown one is found now
    try:
        return item.prepare_pretraining(execution) if item.pretraining else item.prepare(execution, store)
    except DataMissingError as error:
        if arguments.claims:
            raise
        complain(f"{name}: skipped, its data is missing. {error}")
        return None


def _needs(cost: str) -> str:
    return cost if cost.startswith("needs") else f"takes {cost}"


def _judge(item: Resolved, store: Store) -> dict[str, Any]:
    """Judge a claim by the runs that are there, and store the verdict."""
    from results.claims.verdicts import FOLDER, assess, to_json
    from results.errors import ResultsError
    from suite.atomic import write_text

    folders = item.folders(store)
    results = [folder.result() for folder in folders]
    environments = [folder.environment() for folder, result in zip(folders, results, strict=True) if result is not None]
    count = len(item.specs)
    try:
        verdict = assess(
            item.claim,
            [result for result in results[:count] if result is not None],
            [result for result in results[count:] if result is not None],
            seeds=item.seeds,
            anchor=item.anchor(),
            environments=[environment for environment in environments if environment is not None],
        )
    except ResultsError as error:
        raise UserError(str(error)) from error
    (store.root / FOLDER).mkdir(parents=True, exist_ok=True)
    write_text(store.root / FOLDER / f"{item.claim.name}.json", to_json(verdict))
    return verdict


def _table(claims: Mapping[str, Claim], judged: Mapping[str, Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from results.claims.markdown import condition, interval_text, measured_text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for header in ("claim", "reproduced where", "measured", "90 % interval", "verdict", "notes"):
        table.add_column(header, overflow="fold")
    colours = {"REPRODUCED": "green", "WITHIN NOISE": "yellow", "NOT REPRODUCED": "red"}
    for name, verdict in judged.items():
        claim = claims[name]
        table.add_row(
            name,
            Text(condition(claim, verdict)),
            measured_text(claim, verdict),
            interval_text(claim, verdict),
            Text(verdict["verdict"], style=colours[verdict["verdict"]]),
            Text("; ".join(verdict["notes"])),
        )
    return table


def _write_table(chosen: Mapping[str, Claim], store: Store, arguments: Namespace) -> None:
    """Write every published claim, and those that were chosen from files, with the verdicts that are stored here."""
    from results.claims.markdown import to_markdown
    from results.claims.verdicts import FOLDER, read_verdicts
    from suite.atomic import write_text
    from suite.claims import published_claims

    if arguments.output is None:
        return
    claims = list({**published_claims(), **chosen}.values())
    try:
        write_text(arguments.output, to_markdown(claims, read_verdicts(store.root / FOLDER)))
    except OSError as error:
        raise UserError(
            f"--output must be a file that can be written, but {str(arguments.output)!r}: {error.strerror}."
        ) from error
    say(f"wrote {arguments.output}")


def _publish(chosen: Mapping[str, Claim], store: Store, arguments: Namespace) -> None:
    """Keep the verdicts of the chosen claims with those that were published before, and write the table of them all."""
    from results.claims.markdown import to_markdown
    from results.claims.verdicts import FOLDER, read_verdicts, to_json
    from suite.atomic import write_text
    from suite.claims import published_claims
    from sweeps.plans import parse_seeds

    if arguments.publish is None:
        return
    folder, claims = arguments.publish / FOLDER, published_claims()

    def is_of_its_claim(name: str, verdict: Mapping[str, Any]) -> bool:
        if name not in claims or verdict.get("claim_sha256") != claims[name].digest():
            return False
        return list(verdict.get("seeds", ())) == parse_seeds(claims[name].seeds)

    try:
        folder.mkdir(exist_ok=True)
        for name, verdict in read_verdicts(store.root / FOLDER).items():
            if name in chosen and is_of_its_claim(name, verdict):
                write_text(folder / f"{name}.json", to_json(verdict))
            elif name in chosen:
                complain(f"{name}: not published, its verdict is on another form of the claim, or on other seeds.")
        published = read_verdicts(folder)
        current = {name: verdict for name, verdict in published.items() if is_of_its_claim(name, verdict)}
        for name in sorted(set(published) - set(current)):
            complain(f"{folder / name}.json is left out of the table: the claim has changed since. Measure it anew.")
        page = to_markdown(list(claims.values()), current)
        write_text(arguments.publish / "README.md", page)
    except OSError as error:
        raise UserError(
            f"--publish must be a folder that can be written to, but {str(arguments.publish)!r}: {error.strerror}."
        ) from error
    say(f"wrote {arguments.publish / 'README.md'}")


def _check_seeds(seeds: str | None) -> None:
    from sweeps.plans import PlanError, parse_seeds

    if seeds is not None:
        try:
            parse_seeds(seeds)
        except PlanError as error:
            raise UserError(f"--seeds: {error}") from error
