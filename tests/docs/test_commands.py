"""Every command that a page shows is one that Boltbench takes."""

import importlib
from argparse import Namespace
from pathlib import Path

import pytest

from suite.claims import choose
from suite.cli import VERBS, Parser
from suite.commands.settings import parse_flags
from suite.commands.sweeping import build_space, build_sweep, split_settings
from suite.compressor import COMPRESSORS
from suite.engine.devices import Execution
from suite.errors import UserError, unknown_name
from suite.explainer import EXPLAINERS
from suite.families.huggingface import HuggingFace
from suite.family import FAMILIES
from suite.format import FORMATS
from suite.plugins import registries
from suite.spec import RunSpec, merge, settings_groups
from suite.task import TASKS
from sweeps.plans import load_plan, parse_seeds
from tests.commands.front import Front
from tests.docs.pages import PAGES, ROOT, commands, name_of, refused

PLACEHOLDERS = {
    "TASK": "digits",
    "FAMILY": "mlp",
    "FOLDER": ".",
    "RUN": "digits-mlp",
    "METHOD": "prune",
    "FORMAT": "onnx",
}
"""Words that stand for the reader's own."""


def check(words: list[str]) -> None:
    """Raise when the command line would refuse these words, up to the point where it would read data or runs."""
    words = [PLACEHOLDERS.get(word, word) for word in words]
    verb, *rest = words
    if verb in ("--help", "--version"):
        return
    if verb not in VERBS:
        raise unknown_name("verb", verb, VERBS)
    command = importlib.import_module(f"suite.commands.{verb}")
    parser = Parser(prog=verb, allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=Path())
    command.add_arguments(parser)
    if all(word.startswith("--") for word in rest):  # a mention such as `boltbench run --force`, without the rest
        known = {option for action in parser._actions for option in action.option_strings}
        if not known >= set(rest):
            raise UserError(f"{verb} does not know {set(rest) - known}.")
        return
    arguments, settings = parser.parse_known_args(rest)
    if verb in ("run", "variance"):
        check_run(arguments, settings)
        return
    if verb == "explain":
        if settings:
            EXPLAINERS.get(arguments.method).from_mapping(
                parse_flags(settings, {"explanation": EXPLAINERS.get(arguments.method)})["explanation"]
            )
        return
    if verb == "compress":
        check_compress(arguments, settings)
        return
    if verb in ("sweep", "show") and arguments.family is not None:
        check_space(verb, arguments, settings)
        return
    if verb == "sweep":
        load_plan(arguments.plan)
        return
    if settings:
        raise UserError(f"{verb} does not take {settings}.")
    if verb == "verify":
        choose([name for name in arguments.claims if not name.endswith(".yaml")])
    if verb == "show":
        known = [name for registry in registries().values() for name in registry.names()]
        if arguments.name not in known:
            raise unknown_name("task, family or regulariser", arguments.name, known)
    if verb == "export":
        FORMATS.get(arguments.format)
    for name in getattr(arguments, "task", None) or []:
        TASKS.get(name)


def check_compress(arguments: object, settings: list[str]) -> None:
    """Check method, flags and values of ``boltbench compress`` on a run of the family cnn."""
    given = vars(arguments)
    method = COMPRESSORS.get(given["method"])
    family = FAMILIES.get(given["student"] or "cnn")
    groups = {"compression": method, **settings_groups(), "execution": Execution}
    flags = parse_flags(settings, {**groups, "family": family} if method.has_own_spec else groups)
    method.from_mapping(flags.pop("compression", {}))
    Execution.from_mapping(flags.pop("execution", {}))
    RunSpec.from_mapping(merge({"task": "digits", "family": family.name}, flags))


def check_run(arguments: object, settings: list[str]) -> None:
    """Check names, flags and values of ``boltbench run`` and ``boltbench variance``."""
    given = {"seeds": None, "plan": None, **vars(arguments)}
    if given["seeds"] is not None:
        parse_seeds(given["seeds"])
    groups = {**settings_groups(), "execution": Execution}
    if given["plan"] is not None:
        load_plan(given["plan"])
        parse_flags(settings, groups)
        return
    groups = {"task": TASKS.get(given["task"]), "family": FAMILIES.get(given["family"]), **groups}
    flags = parse_flags(settings, groups)
    Execution.from_mapping(flags.pop("execution", {}))
    RunSpec.from_mapping(merge({"task": given["task"], "family": given["family"]}, flags))


def check_space(verb: str, arguments: Namespace, settings: list[str]) -> None:
    """Check what ``boltbench sweep`` and ``boltbench show TASK FAMILY`` would search, and how."""
    if verb == "show":
        pair = {"task": arguments.name, "family": arguments.family}
        others, space, *_ = split_settings(settings)
        build_space(arguments, pair, others, space)
        return
    pair = {"task": arguments.task, "family": arguments.family}
    build_sweep(arguments, pair, *split_settings(settings), is_only=True)


ENCODER = "models/MiniLM"
"""The folder of an encoder that pages speak of; a small one is written there."""


@pytest.mark.usefixtures("registered_examples")
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page.read_text())], ids=name_of)
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    if ENCODER in page.read_text():
        Path(ENCODER).mkdir(parents=True)
        HuggingFace.test_settings(Path(ENCODER))
    for words in commands(page.read_text()):
        try:
            check(words)
        except (UserError, ValueError) as error:
            pytest.fail(f"{name_of(page)}: boltbench {' '.join(words)}\n{error}")


@pytest.mark.parametrize(
    "line",
    [
        "rnu digits mlp",
        "run digits mpl",
        "run digits mlp --optimization.learning_rate 1",
        "run digits mlp --optimization.lr -1",
        "run digits mlp --seeds 4-0",
        "run --plan quik",
        "show digit",
        "doctor --fix",
        "data mend",
        "leaderboard --task digit",
        "verify mnist1d-cn",
    ],
)
def test_a_wrong_command_on_a_page_would_be_found(line: str) -> None:
    (words,) = commands(f"```sh\nboltbench {line}  # a comment\n```\n")
    with pytest.raises((UserError, ValueError)):
        check(words)


def test_commands_are_found_in_blocks_and_in_running_text() -> None:
    block = "```text\n$ boltbench show cnn  # its card\n.venv/bin/boltbench doctor\nno boltbench\n```\n"
    page = f"Say `boltbench list`.\n\n{block}"
    assert commands(page) == [["show", "cnn"], ["doctor"], ["list"]]


def test_errors_on_the_pages_are_those_that_the_command_gives(front: Front) -> None:
    shown = [item for page in PAGES for item in refused(page.read_text())]
    assert shown
    for words, error in shown:
        outcome = front(*words)
        assert (outcome.code, outcome.err) == (2, error)


def test_the_readme_shows_every_verb_at_work() -> None:
    assert {words[0] for words in commands((ROOT / "README.md").read_text())} >= set(VERBS)
