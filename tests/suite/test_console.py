import types

import pytest
from rich.table import Table

import suite.console
from suite.console import PLAIN_COLUMNS, show, watched


def table(*cells: str, wraps: bool = False) -> Table:
    made = Table(box=None, pad_edge=False)
    for index in range(len(cells)):
        made.add_column(f"c{index}", no_wrap=not wraps, overflow="fold")
    made.add_row(*cells)
    return made


def test_a_table_that_is_no_terminal_s_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(table("a" * 90, "b" * 90, "ccc"))
    assert f"{'a' * 90} {'b' * 90} ccc" in " ".join(capsys.readouterr().out.split())


def test_a_table_that_can_give_way_keeps_to_the_usual_width(capsys: pytest.CaptureFixture[str]) -> None:
    show(table("word " * 18, "word " * 18, wraps=True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= PLAIN_COLUMNS


def test_a_table_with_very_many_columns_shows_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"cell-{index}" for index in range(60)]
    show(table(*names))
    assert capsys.readouterr().out.split()[60:] == names


def test_long_checks_say_how_far_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))  # four seconds from one look at the clock to the next
    monkeypatch.setattr(suite.console, "time", types.SimpleNamespace(monotonic=lambda: float(next(clock))))
    assert list(watched("abcdef", "checking")) == list("abcdef")
    assert capsys.readouterr().out.splitlines() == ["  checking: 2/6", "  checking: 5/6"]


def test_short_checks_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched("abc", "checking")) == list("abc")
    assert capsys.readouterr().out == ""
