"""Hints are commands that work as typed, wherever the runs lie; and what is wrong with names is said at once."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite import hints
from suite.cli import _takes_plugins
from suite.task import TASKS
from tests.commands.front import QUICK, Front, environment
from tests.commands.interrupting import interrupt

PLUGIN = '''
import dataclasses
from typing import ClassVar
from tasks.digits import Digits

@dataclasses.dataclass(frozen=True, kw_only=True)
class Copies(Digits):
    """Digits under another name."""

    name: ClassVar[str] = "copies"
'''


def commands_in(text: str) -> list[list[str]]:
    return [shlex.split(found) for found in re.findall(r"`boltbench ([^`]*)`", text)]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "with space.py"
    path.write_text(PLUGIN)
    yield path
    TASKS.remove("copies")


def test_a_hint_names_the_root_and_the_plug_ins_of_the_call(front: Front, plugin: Path) -> None:
    outcome = front("replay", "nothing", "--plugin", plugin)
    assert f"`boltbench list runs --root {front.root} --plugin '{plugin}'`" in outcome.err


@pytest.mark.parametrize("name", ["result.json", "spec.yaml"])
def test_the_way_out_of_damage_mends_it_as_typed(front: Front, plugin: Path, name: str) -> None:
    assert front("run", "copies", "linear", "--plugin", plugin, *QUICK).code == 0
    folder = front.only()
    digests = front.result()["digests"]
    with (folder.path / name).open("a") as file:
        file.write("\n")  # sound as JSON and YAML, and other bytes than the result vouches for
    if name == "result.json":
        (folder.path / name).write_text("{")
    outcome = front("replay", folder.run_id, "--plugin", plugin)
    assert outcome.code == 2
    ((verb, *words),) = commands_in(outcome.err)
    assert words[-4:] == ["--root", str(front.root), "--plugin", str(plugin)]
    # The front door adds the root itself, and a second one of the same name changes nothing.
    assert front(verb, *words).code == 0
    assert front.result()["digests"] == digests
    assert folder.damaged_files() == []


def test_doctor_names_a_resume_that_works_as_typed(front: Front) -> None:
    interrupt(front)
    found = [words for words in commands_in(front("doctor").out) if words[0] == "resume"]
    assert found
    assert found[0] == ["resume", "--root", str(front.root)]


def test_a_call_without_root_has_plain_hints() -> None:
    hints.remember(root=None)
    assert hints.complete("`boltbench resume` goes on.") == "`boltbench resume` goes on."
    assert hints.complete("see boltbench or `boltbench`") == "see boltbench or `boltbench`"


def test_only_verbs_that_take_them_get_root_and_plug_ins() -> None:
    hints.remember(root="a b", plugins=("x.py",), takes_plugins=_takes_plugins)
    try:
        assert hints.command("ui") == "boltbench ui --root 'a b'"
        assert hints.command("data", " fetch mnist") == "boltbench data fetch mnist --plugin x.py"
        assert hints.command("list") == "boltbench list --plugin x.py"
        assert hints.command("list", " runs") == "boltbench list runs --root 'a b' --plugin x.py"
    finally:
        hints.remember(root=None)


@pytest.mark.parametrize(
    "words",
    [
        ("digts", "mlp"),
        ("digits", "mpl"),
        ("digits", "mlp", "--seeds", "x"),
        ("mnist1d", "mlp", "--task.ful_train", "true"),
        ("--plan", "quik"),
        ("--config", "absent.yaml"),
    ],
    ids=" ".join,
)
def test_a_wrong_name_is_refused_without_importing_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys; from suite.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("boltbench: ")
