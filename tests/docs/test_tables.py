"""The tables of the pages are those that the code makes."""

import os
import re
from pathlib import Path

import pytest

from docs import tables
from suite.runs.folder import (
    ATTRIBUTIONS,
    CHECKPOINTS,
    ENVIRONMENT,
    ERROR,
    EXAMPLES,
    EXPLANATION,
    EXPLANATION_PICTURE,
    LOCK,
    METRICS,
    PREDICTIONS,
    REPLAY,
    RESULT,
    SPEC,
    TRAINED,
    WEIGHTS,
)
from suite.runs.study_mirror import TRIAL, TUNING
from tests.commands.front import Front
from tests.docs.pages import PAGES, ROOT, SPAN, name_of

MARKED = [page for page in PAGES if "<!-- begin " in page.read_text()]


@pytest.mark.parametrize("page", MARKED, ids=name_of)
def test_tables_say_what_the_code_registers(page: Path) -> None:
    text = page.read_text()
    expected = tables.with_tables(text)
    if os.environ.get("REGENERATE_DOCS"):
        page.write_text(expected)
        return
    assert text == expected, "run `REGENERATE_DOCS=1 make docs` and read the diff"


def test_every_table_has_its_place_on_a_page() -> None:
    marks = [mark["name"] for page in MARKED for mark in tables.MARKS.finditer(page.read_text())]
    assert sorted(marks) == sorted(tables.TABLES)


@pytest.mark.usefixtures("registered_examples")
def test_a_new_task_family_or_regulariser_asks_for_its_row() -> None:
    assert "| `stripes` |" in tables.tasks()
    assert "| `rbf` |" in tables.families()
    assert "| `gradient-noise` |" in tables.regularizers()
    assert "`--regularization.gradient_noise`" in tables.settings()
    readme = (ROOT / "README.md").read_text()
    assert tables.with_tables(readme) != readme


def test_a_cell_cannot_break_its_row() -> None:
    assert tables.table(["type"], [["a|b"]]).splitlines()[-1] == r"| a\|b |"


def section_of(page: str, title: str) -> str:
    return (ROOT / page).read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows_of(page: str, title: str) -> set[str]:
    """Return the code spans in the first column of the table in one section."""
    cells = re.findall(r"^\| (.*?) \|", section_of(page, title), flags=re.MULTILINE)
    return {span for cell in cells for span in SPAN.findall(cell)}


def test_every_field_of_a_result_is_explained_and_no_other(front: Front) -> None:
    assert front("run", "digits", "linear", "--budget.epochs", "1", "--execution.device", "cpu").code == 0
    assert rows_of("docs/run-folder.md", "result.json") == set(front.result())


def test_every_file_of_a_run_folder_is_explained_and_no_other() -> None:
    resumed_from = f"{CHECKPOINTS}/step-*.ckpt"
    files = {
        TRIAL,
        TUNING,
        SPEC,
        ENVIRONMENT,
        METRICS,
        WEIGHTS,
        resumed_from,
        PREDICTIONS,
        EXAMPLES,
        RESULT,
        REPLAY,
        EXPLANATION,
        ATTRIBUTIONS,
        EXPLANATION_PICTURE,
        TRAINED,
        ERROR,
        LOCK,
    }
    assert rows_of("docs/run-folder.md", "Files") == files
    assert rows_of("README.md", "A run folder") < files


def test_every_status_is_explained_with_what_resume_does() -> None:
    from results.schema import STATUSES
    from suite.runs.folder import RESUMABLE

    explained = rows_of("docs/run-folder.md", "Statuses")
    assert explained == {*STATUSES, *RESUMABLE, "running"}
    text = section_of("docs/run-folder.md", "Statuses")
    for status in explained:
        (deed,) = re.findall(rf"^\| `{status}` \|.*\| (.*?) \|$", text, flags=re.MULTILINE)
        assert (deed in ("goes on", "makes it")) == (status in RESUMABLE), status


def test_every_replay_grade_and_determinism_level_is_explained() -> None:
    from typing import get_args

    from results.schema import DETERMINISM
    from suite.runs.replay import Grade

    assert rows_of("docs/run-folder.md", "Replay") == set(get_args(Grade))
    assert rows_of("docs/run-folder.md", "What equal means") == set(DETERMINISM)


def test_every_environment_variable_is_in_the_readme_and_no_other() -> None:
    sources = [path for package in ("suite", "tasks", "sweeps", "results") for path in (ROOT / package).rglob("*.py")]
    known = {name for path in sources for name in re.findall(r"\bBOLTBENCH_[A-Z]+\b", path.read_text())}
    assert set(re.findall(r"\bBOLTBENCH_[A-Z]+\b", (ROOT / "README.md").read_text())) == known
