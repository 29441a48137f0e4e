import contextlib
import io
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.cli import main
from suite.engine.devices import Execution
from suite.fields import fields_of
from suite.spec import settings_groups
from tests.commands.front import Outcome, snapshot
from tests.fuzz import mistakes
from tests.fuzz.mistakes import Mistake
from tests.fuzz.written import SOUND, all_written

MOST_LETTERS = 1000
"""An error is one or two sentences; a list of known names may follow."""
GENERATED = [*mistakes.by_type(), *mistakes.misspelled(), *mistakes.names(), *mistakes.bad_seeds()]
WRITTEN = all_written()
EVERY = 8
"""Of this many fifties of generated mistakes, one is among the default tests; all are, with `make slow`."""


def call(*words: str) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    return Outcome(code, out.getvalue(), err.getvalue())


def check_refused(outcome: Outcome) -> None:
    """Check what holds of every refusal: exit code 2, and one line that says what is wrong."""
    assert outcome.code == 2, outcome
    assert outcome.err.startswith("boltbench: ")
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1, outcome.err
    assert len(outcome.err) <= MOST_LETTERS
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def check(mistake: Mistake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOLTBENCH_ROOT", str(folder / "root"))
    monkeypatch.setenv("BOLTBENCH_DATA", str(folder / "data"))
    monkeypatch.setenv("BOLTBENCH_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)
    (folder / "data").mkdir()
    for name, content in mistake.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    before = snapshot(folder)
    outcome = call(*mistake.words)
    check_refused(outcome)
    for text in mistake.named:
        assert text in outcome.err, outcome.err
    # MNIST-1D keeps what it generates, which is data and no run.
    assert {name for name in snapshot(folder) if not name.startswith("cache")} == set(before)
    assert {name: snapshot(folder)[name] for name in before} == before


@pytest.mark.parametrize("mistake", WRITTEN, ids=str)
def test_a_mistake_is_refused_by_name_and_leaves_nothing(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(mistake, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "start",
    [
        start if index % EVERY == 0 else pytest.param(start, marks=pytest.mark.slow)
        for index, start in enumerate(range(0, len(GENERATED), 50))
    ],
)
def test_fifty_generated_mistakes_are_refused_by_name_and_leave_nothing(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = []
    for index, mistake in enumerate(GENERATED[start : start + 50]):
        folder = tmp_path / str(index)
        folder.mkdir()
        try:
            check(mistake, folder, monkeypatch)
        except Exception as error:  # every mistake is tried, and all that went wrong are told at once
            wrong.append(f"{mistake}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, "\n".join(wrong)


def test_more_than_five_hundred_mistakes_are_tried() -> None:
    assert len(WRITTEN) >= 100
    assert len({(mistake.words, mistake.files) for mistake in (*WRITTEN, *GENERATED)}) >= 500


@pytest.mark.parametrize("name", ["runs", "mlflow"])
def test_a_file_where_a_folder_must_be_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("here first")
    before = snapshot(tmp_path)
    outcome = call("run", "digits", "mlp", "--root", str(tmp_path))
    check_refused(outcome)
    assert name in outcome.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("root", ["/proc/boltbench", "/dev/null/boltbench", "/dev/null"])
def test_a_root_that_cannot_be_written_is_named(root: str) -> None:
    outcome = call("run", "digits", "mlp", "--root", root)
    check_refused(outcome)
    assert root.removesuffix("/boltbench") in outcome.err


@pytest.mark.parametrize("words", [("resume",), ("leaderboard",), ("replay", "x"), ("list", "runs"), ("ui",)])
def test_reading_verbs_refuse_a_file_as_root_or_find_nothing(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    outcome = call(*words, "--root", str(tmp_path / "file"))
    if words == ("list", "runs"):
        assert outcome == Outcome(0, "", "")
    else:
        check_refused(outcome)


PATHS = [
    f"{group}.{field.name}"
    for group, cls in {**settings_groups(), "execution": Execution}.items()
    for field in fields_of(cls)
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES, inner, max_size=3), max_leaves=6
)


@settings(max_examples=150)
@given(path=st.sampled_from(PATHS), text=st.text(max_size=30))
def test_any_text_is_a_value_or_an_error_that_names_the_setting(path: str, text: str) -> None:
    outcome = call("run", "digits", "mlp", "--print_config", f"--{path}={text}")
    if outcome.code == 0:
        assert outcome.err == ""
    else:
        check_refused(outcome)
        assert path in outcome.err


@settings(max_examples=150)
@given(group=st.sampled_from(["task", "family", "seed", *settings_groups()]), value=VALUES)
def test_any_yaml_under_a_group_is_a_spec_or_an_error(
    group: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SOUND), group: value}))
    outcome = call("run", "--print_config", "--config", str(path))
    if outcome.code == 0:
        assert yaml.safe_load(outcome.out)["task"]["name"] == "digits"
    else:
        check_refused(outcome)


@settings(max_examples=150)
@given(words=st.lists(st.text(max_size=12).filter(lambda word: word not in ("-h", "--help")), min_size=1, max_size=4))
def test_any_words_are_refused_without_a_traceback(words: list[str]) -> None:
    check_refused(call("run", "digits", "mlp", "--no-such-flag", *words))


def test_anchors_in_a_config_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "anchors.yaml"
    path.write_text("task: digits\nfamily: {name: mlp, width: &size 48}\ndata: {batch_size: *size}\n")
    outcome = call("run", "--print_config", "--config", str(path))
    assert outcome.code == 0
    assert yaml.safe_load(outcome.out)["data"]["batch_size"] == 48
