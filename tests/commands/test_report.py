import os
import re
from pathlib import Path

import pytest

from tests.commands.front import QUICK, Front


def test_the_report_of_a_run_is_one_file_with_its_curve_and_its_command(done: Front, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    outcome = done("report", page)
    assert outcome.code == 0
    assert re.fullmatch(rf"wrote {re.escape(str(page))}: 1 run of 1 task, \d\d kB\n", outcome.out)
    text = page.read_text()
    assert f"boltbench replay {done.only().run_id}" in text
    assert 'class="line s0"' in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "root"], "and nothing beside it"
    first = page.read_bytes()
    assert done("report", page, "--task", "digits").code == 0
    assert page.read_bytes() == first
    assert done("report", page, "--title", "Spring <2026>").code == 0
    assert '<h1 id="top">Spring &lt;2026&gt;</h1>' in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["{tmp}"], "is a folder"),
        (["{tmp}/nowhere/report.html"], "does not"),
        (["{tmp}/report.html", "--task", "digit"], "Did you mean 'digits'?"),
        (["{tmp}/report.html", "--title", " "], "--title"),
        (["{tmp}/report.html", "--tasks", "digits"], "Did you mean '--task'?"),
        ([], "output"),
    ],
)
def test_bad_input_ends_with_code_2_and_writes_nothing(
    done: Front, tmp_path: Path, arguments: list[str], word: str
) -> None:
    outcome = done("report", *(item.format(tmp=tmp_path) for item in arguments))
    assert outcome.code == 2
    assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_without_runs_there_is_no_report(front: Front, tmp_path: Path) -> None:
    assert "no runs" in front("report", tmp_path / "report.html").err
    (front.root / "runs").mkdir()
    outcome = front("report", tmp_path / "report.html")
    assert outcome.code == 2
    assert "at least one finished run" in outcome.err
    assert not (tmp_path / "report.html").exists()


def test_runs_of_several_places_come_together(done: Front, tmp_path: Path) -> None:
    other = Front(tmp_path / "other")
    assert other("run", "digits", "linear", *QUICK).code == 0
    page = tmp_path / "report.html"
    assert done("report", page, "--from", done.root, "--from", other.root / "runs").code == 0
    text = page.read_text()
    assert all(f"boltbench replay {front.only().run_id}" in text for front in (done, other))
    assert text.count('class="line s') >= 4, "the curves of both"
    assert done("report", page, "--from", tmp_path / "nowhere").code == 2
    assert page.read_text() == text


def test_a_damaged_run_is_named_and_the_earlier_report_stays(done: Front, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("before")
    with (done.only().path / "metrics.jsonl").open("a") as curve:
        curve.write("{}\n")
    outcome = done("report", page)
    assert outcome.code == 2
    assert "metrics.jsonl must have sha256" in outcome.err
    assert page.read_text() == "before"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_named(done: Front, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    outcome = done("report", locked / "report.html")
    assert outcome.code == 2
    assert "Permission denied" in outcome.err
