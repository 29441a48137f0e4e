"""The leaderboard on a terminal: it fits, and what matters stands out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from results.leaderboard import leaderboard
from results.records import load_records
from results.terminal import render, short_settings


def shown(runs, *, width=100, colour=False, columns=None):
    console = Console(
        width=width,
        file=io.StringIO(),
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(render(leaderboard(load_records(runs.path), "digits"), columns))
    return console.file.getvalue()


@pytest.fixture
def full(runs):
    long = {"family.channels": [16, 32], "family.width": 128, "optimization.lr": 0.003, "regularization.dropout": 0.2}
    runs.add_seeds([0.95, 0.96, 0.97], config_id="a", changed=long)
    runs.add_seeds([0.5], config_id="b", family="transformer", determinism="deterministic")
    runs.add(config_id="b", family="transformer", seed=1, status="diverged", scores=None)
    return runs


@pytest.mark.parametrize("width", [80, 100, 120])
def test_every_row_fits_and_keeps_its_figures(full, width):
    lines = shown(full, width=width).splitlines()
    assert max(len(line) for line in lines) <= width
    best = next(line for line in lines if "96.00 ± 1.00" in line)
    assert best.startswith("1")
    other = next(line for line in lines if line.startswith("2"))
    if width >= 100:
        assert " ".join(other.split()) == "2 transformer default 50.00 one seed 1 1 5,210 1.9"
        assert " ".join(best.split()).endswith("96.00 ± 1.00 [93.52, 98.48] 3 0 5,210 1.9")


def test_a_long_setting_folds_and_loses_nothing(full):
    text = "".join(line[:40].strip() for line in shown(full, width=90).splitlines())
    for part in ("channels", "width=128", "lr=0.003", "dropout=0.2"):
        assert part in text


def test_the_best_row_is_bold_and_failures_are_red(full):
    lines = shown(full, width=120, colour=True).splitlines()
    best = next(line for line in lines if "96.00 ± 1.00" in line)
    other = next(line for line in lines if "transformer" in line)
    assert "\x1b[1m96.00 ± 1.00" in best
    assert "\x1b[31m" not in best
    assert "\x1b[1m" not in other
    assert "\x1b[31m1\x1b[0m" in other


def test_without_colour_there_are_no_escapes(full):
    assert "\x1b" not in shown(full)


def test_the_caption_says_metric_direction_floor_and_seeds(full):
    text = " ".join(shown(full).split())
    assert "digits: test accuracy (%), higher is better, floor 10.00. Mean ± sd over 1 to 3 seeds." in text
    assert "1 of 5 runs did not complete." in text


def test_rows_that_do_not_beat_the_floor_are_named(runs):
    runs.add_seeds([0.95, 0.96], config_id="a")
    assert "floor." not in " ".join(shown(runs).split()).replace("floor 10.00.", "")
    runs.add_seeds([0.1, 0.1], config_id="b", family="linear")
    assert "Rank 2 is no better than the floor." in " ".join(shown(runs).split())
    runs.add_seeds([0.08, 0.1], config_id="c", family="gru")
    runs.add(config_id="d", family="cnn", status="diverged", scores=None)  # it has no rank
    assert "Ranks 2 to 3 are no better than the floor." in " ".join(shown(runs).split())


def test_of_errors_the_greater_do_not_beat_the_floor(runs):
    for config_id, score in (("a", 0.05), ("b", 0.1667), ("c", 0.2)):
        runs.add(test=score, config_id=config_id, metric="squared-error", direction="minimize", floor=0.1667)
    assert "Ranks 2 to 3 are no better than the floor." in " ".join(shown(runs).split())


def test_a_level_that_all_rows_share_is_said_once(runs):
    runs.add()
    text = shown(runs)
    assert "determinism" not in text
    assert "All seeded." in text
    assert "Score over 1 seed." in " ".join(text.split())


def test_levels_that_differ_are_said_to(full):
    assert "Determinism differs from row to row." in " ".join(shown(full).split())
    assert "deterministic" in shown(full, columns=["family", "determinism"])


def test_what_says_nothing_is_left_out_until_it_is_asked_for(runs):
    runs.add_seeds([0.95, 0.96, 0.97])
    header = shown(runs).splitlines()[0].split()
    assert header == ["#", "family", "setting", "accuracy", "(%)", "interval", "seeds", "params", "seconds"]
    header = shown(runs, columns=["family", "failed", "val", "p"]).splitlines()[0].split()
    assert header == ["family", "failed", "val", "p"]


def test_rows_that_are_not_told_apart_from_the_best_are_underlined(runs):
    for config_id, scores in (("a", [0.95, 0.96, 0.97]), ("b", [0.96, 0.94, 0.95]), ("c", [0.2, 0.21, 0.22])):
        runs.add_seeds(scores, config_id=config_id, family=config_id)
    lines = shown(runs, colour=True).splitlines()
    assert [
        "\x1b[4m" in next(line for line in lines if f"{score} ±" in line) for score in ("96.00", "95.00", "21.00")
    ] == [
        False,
        True,
        False,
    ]


def test_brackets_in_a_setting_are_not_markup(runs):
    runs.add(changed={"family.note": "[red]x[/red]"})
    assert "note=[red]x[/red]" in shown(runs)


def test_keys_keep_their_group_where_two_groups_share_them():
    assert short_settings(["family.rate=1, optimization.lr=2", "data.rate=3", "default"]) == [
        "family.rate=1, lr=2",
        "data.rate=3",
        "default",
    ]
