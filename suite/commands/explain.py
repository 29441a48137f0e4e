"""Explains the answers of a finished run: which positions of the input they rest on, by one method or by all that fit.

  boltbench explain mnist1d-cnn-s0
  boltbench explain mnist1d-cnn-s0 --method occlusion --explanation.window 3

Where a task knows what the answer rests on, each method gets scores, beside what chance comes to. The run's folder
keeps explanation.json, attributions.npz and explanation.png; MLflow gets the scores and the picture.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from suite.console import complain, say
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.explainer import Explainer
    from suite.runs.explain import Case, Explanation

TAKES_SETTINGS = True
"""The arguments that argparse does not know are settings."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", help="a run id, its beginning, or the path of its folder")
    parser.add_argument("--method", help="one method (`boltbench list explanation` names them; default: all that fit)")
    parser.add_argument(
        "--examples", type=int, metavar="N", help="examples explained (default: 200 where they are scored, else 4)"
    )
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that the run needs")


def main(arguments: Namespace, rest: list[str]) -> int:
    """Check everything, then explain, keep what was found, mirror and print it."""
    from suite.commands.session import mirror_quietly
    from suite.commands.shared import load_plugins, open_store
    from suite.runs.explain import explain, keep, open_case
    from suite.runs.folder import EXPLANATION_PICTURE
    from suite.runs.mirror import Mirror
    from suite.runs.source import open_source

    load_plugins(arguments.plugin)
    if arguments.examples is not None and arguments.examples < 1:
        raise UserError(f"`--examples >= 1` must hold, but got {arguments.examples}.")
    methods = _methods(arguments.method, rest)
    store = open_store(arguments)
    folder = store.find(arguments.run)
    case = open_case(open_source(folder, purpose="explained"), arguments.examples)
    reasons = {method.name: method.misfit(case.question) for method in methods}
    fitting = [method for method in methods if reasons[method.name] is None]
    if not fitting:
        told = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
        raise UserError(f"{folder.run_id!r} cannot be explained so: {told}. `boltbench list explanation` names others.")
    with folder.hold():
        explanations = [explain(case, method) for method in fitting]
        try:
            keep(case, explanations)
        except OSError as error:
            complain(f"boltbench: The explanation could not be written ({error.strerror}: {error.filename}).")
            return 1
    _say(case, explanations, {name: reason for name, reason in reasons.items() if reason is not None})
    say(f"  picture: {folder.path / EXPLANATION_PICTURE}")
    mirror_quietly(Mirror(store, arguments.tracking_uri), [folder])
    return 0


def _methods(name: str | None, rest: list[str]) -> list[Explainer]:
    from suite.commands.settings import parse_flags
    from suite.explainer import EXPLAINERS
    from suite.extras import require

    if name is None and rest:
        raise UserError(f"{rest[0]} is a setting of one method: name it with --method.")
    names = EXPLAINERS.names() if name is None else [name]
    methods = []
    for found in names:
        cls = EXPLAINERS.get(found)
        settings: dict[str, Any] = dict(parse_flags(rest, {"explanation": cls}).get("explanation", {}))
        methods.append(cls.from_mapping(settings))
        for package in cls.packages:
            require(package, extra="explain", purpose=f"--method {found}")
    return methods


def _say(case: Case, explanations: list[Explanation], left_out: dict[str, str]) -> None:
    from suite.runs.explain import chance_of

    chance, source = chance_of(case), case.source
    say(f"{source.folder.run_id}: {len(case.indices)} examples of the {case.split} split explained")
    if case.evidence is None:
        say(f"  The task {source.card.name!r} does not know what its answers rest on, so that nothing is scored.")
    elif chance is None:
        say("  The model answers none of them correctly, so that nothing is scored.")
    else:
        count = int(case.is_scored.sum())
        say(f"  scored on {count}{' that are answered correctly' if count < len(case.indices) else ''}")
        names = list(explanations[0].scores or {})
        say("  " + f"{'method':<22}" + "".join(f"{name:>16}" for name in names))
        for item in explanations:
            scores = item.scores or {}
            say("  " + f"{item.method.name:<22}" + "".join(f"{scores[name]:>16.3f}" for name in names))
        say("  " + f"{'chance':<22}" + f"{chance:>16.3f}" * len(names))
    for name, reason in left_out.items():
        say(f"  left out: {name} {reason}")
