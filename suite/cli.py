"""The command line: verb -> command module. A help text imports neither torch nor anything else that is slow."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import NoReturn

from suite import hints
from suite.errors import UserError, did_you_mean, shown
from suite.sources import pin_sources

VERBS = {
    "list": "what there is: tasks, families, plans, runs, and which pairs fit",
    "show": "the card of a task, or the hyper-parameters of a family",
    "run": "train one family on one task, or a whole plan",
    "sweep": "search hyper-parameters and regularisation of one family, or of every pair of a plan",
    "resume": "go on with whatever was cut off",
    "replay": "run a logged run again and grade how equal it is",
    "compress": "make a finished run's model smaller: quantize, prune or distill",
    "explain": "say which parts of the input a finished run's answers rest on",
    "export": "write a finished run's model to a checked file: safetensors, onnx or exported-program",
    "verify": "measure published numbers again, with a verdict on each",
    "leaderboard": "rank the runs of each task; export the tables",
    "variance": "measure what data order, initialisation and noise add to the spread",
    "report": "write one HTML page: tables, curves, costs, and the command behind each number",
    "ui": "browse the runs in MLflow's UI on this machine",
    "data": "list, fetch and check data sets",
    "doctor": "check environment, stores and run folders",
}
"""Verb -> one line of help; the verb's module in suite/commands does the work."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UserError`."""

    def error(self, message: str) -> NoReturn:
        """Raise the error for the one place that prints errors."""
        raise UserError(f"{message[:1].upper()}{message[1:]}. `{self.prog} --help` shows what fits.")


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 a run failed, 2 bad input, 130 or 143 a signal."""
    arguments = sys.argv[1:] if argv is None else argv
    # Before torch is there. Where others use the cores too, threads that wait for each other by spinning take ten times
    # as long; a thousand turns and then sleep cost nothing on a quiet machine. docs/decisions/0003 has the figures.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Shapes in annotations are for readers and tests; lightning 2.6 also warns of a check that torch 2.13 deprecates.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    try:
        return _dispatch(arguments)
    except UserError as error:
        sys.stderr.write(hints.complete(f"boltbench: {error}\n"))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; say nothing more, also not when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: list[str]) -> int:
    hints.remember(root=None)
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0
    if verb == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"boltbench {version('boltbench')}\n")
        return 0
    if verb not in VERBS:
        raise UserError(f"Unknown verb {shown(verb)}.{did_you_mean(verb, VERBS)} Known: {', '.join(VERBS)}.")
    command = importlib.import_module(f"suite.commands.{verb}")
    parser = Parser(prog=f"boltbench {verb}", description=command.__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--root", type=Path, help="folder of runs/ and mlflow/ (default: here)")
    command.add_arguments(parser)
    takes_settings = getattr(command, "TAKES_SETTINGS", False)
    words, settings = _without_settings(arguments[1:]) if takes_settings else (arguments[1:], [])
    try:
        parsed, rest = parser.parse_known_args(words)
    except SystemExit as exit_:  # after --help
        return int(exit_.code or 0)
    hints.remember(
        root=None if parsed.root is None else str(parsed.root),
        plugins=getattr(parsed, "plugin", []),
        takes_plugins=_takes_plugins,
    )
    parsed.root = parsed.root or Path(os.environ.get("BOLTBENCH_ROOT", "."))
    if rest:
        known = [option for action in parser._actions for option in action.option_strings]
        raise UserError(f"Unknown argument {shown(rest[0])}.{did_you_mean(rest[0].split('=')[0], known)}")
    pin_sources()
    return int(command.main(parsed, settings) if takes_settings else command.main(parsed))


def _takes_plugins(verb: str) -> bool:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"suite.commands.{verb}").add_arguments(parser)
    return "--plugin" in parser._option_string_actions


def _without_settings(words: list[str]) -> tuple[list[str], list[str]]:
    """Take ``--group.name value`` out of ``words``; argparse would take the value for a task or a family."""
    others: list[str] = []
    settings: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        if not (word.startswith("--") and "." in word.partition("=")[0]):
            others.append(word)
        else:
            settings.append(word)
            if "=" not in word and position + 1 < len(words) and not words[position + 1].startswith("--"):
                position += 1
                settings.append(words[position])
        position += 1
    return others, settings


def _help() -> str:
    lines = "\n".join(f"  {verb:<12} {text}" for verb, text in VERBS.items())
    return (
        "usage: boltbench VERB ...\n\n"
        "A reproducible benchmark suite for deep-learning model families.\n\n"
        f"{lines}\n\n"
        "boltbench VERB --help tells more. To begin: boltbench run --plan quick\n"
    )
