"""Shares of variance: right on average where they are known, and exact where nothing can vary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from results.errors import LeaderboardError
from results.export import SUFFIXES, export
from results.statistics.intervals import generator
from results.variance import SOURCES, VARIANCE_COLUMNS, variance_shares

SIZES = {"order": 1.0, "initialization": 0.5, "noise": 0.2}
TOGETHER = 0.4
"""What every run adds of its own, whatever its seeds: a source that acts with all others."""


def draw(num_rounds, *names):
    """Return scores of a model whose shares are known: a sum of the sources, and a part that any change renews."""
    random = generator("variance", *names)
    parts = {source: size * random.normal(size=(2, num_rounds)) for source, size in SIZES.items()}
    own = TOGETHER * random.normal(size=(len(SOURCES) + 1, num_rounds))

    def scores(changed):
        values = sum(part[1 if source == changed else 0] for source, part in parts.items())
        return dict(enumerate(values + own[0 if changed is None else 1 + SOURCES.index(changed)]))

    return scores(None), {source: scores(source) for source in SOURCES}


TOTAL = sum(size**2 for size in SIZES.values()) + TOGETHER**2
TRUE = {source: (size**2 + TOGETHER**2) / TOTAL for source, size in SIZES.items()}


def test_variances_are_right_on_average():
    squares = {source: [] for source in (*SOURCES, "all")}
    for number in range(300):
        table = variance_shares(*draw(20, number)).set_index("source")
        for source in squares:
            squares[source].append(table.loc[source, "sd"] ** 2)
    for source, size in SIZES.items():
        assert np.mean(squares[source]) == pytest.approx(size**2 + TOGETHER**2, rel=0.06)
    assert np.mean(squares["all"]) == pytest.approx(TOTAL, rel=0.06)


def test_many_rounds_find_the_shares():
    table = variance_shares(*draw(4000)).set_index("source")
    for source, share in TRUE.items():
        assert table.loc[source, "share"] == pytest.approx(share, rel=0.08)
        assert table.loc[source, "low"] < share < table.loc[source, "high"]


@pytest.mark.slow  # 1200 tables
@pytest.mark.parametrize(("num_rounds", "slack"), [(5, 0.04), (8, 0.04), (16, 0.03)])
def test_intervals_hold_the_share_about_as_often_as_they_say(num_rounds, slack):
    held = {source: 0 for source in SOURCES}
    for number in range(400):
        table = variance_shares(*draw(num_rounds, "coverage", num_rounds, number)).set_index("source")
        for source, share in TRUE.items():
            held[source] += table.loc[source, "low"] <= share <= table.loc[source, "high"]
    for count in held.values():
        assert count / 400 == pytest.approx(0.95, abs=slack)


def test_a_source_that_changes_nothing_has_a_share_of_zero_and_no_interval():
    base, changed = draw(6)
    table = variance_shares(base, {**changed, "noise": base}).set_index("source")
    assert table.loc["noise", "share"] == 0
    assert math.isnan(table.loc["noise", "low"])
    assert table.index[-2] == "noise"


def test_where_nothing_varies_nothing_is_shared():
    flat = dict.fromkeys(range(4), 0.5)
    table = variance_shares(flat, dict.fromkeys(SOURCES, flat))
    assert table["share"].isna().all()
    assert (table["sd"] == 0).all()


def test_rounds_that_lack_a_score_are_left_out():
    base, changed = draw(6)
    del changed["order"][2]
    table = variance_shares(base, changed)
    assert set(table["n"]) == {5}
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == VARIANCE_COLUMNS


@pytest.mark.parametrize(("kept", "word"), [(1, "there is one"), (0, "there are none")])
def test_fewer_than_two_rounds_are_refused(kept, word):
    base, changed = draw(kept) if kept else ({}, {source: {} for source in SOURCES})
    with pytest.raises(LeaderboardError, match=word):
        variance_shares(base, changed)


def test_two_rounds_have_shares_and_no_intervals():
    table = variance_shares(*draw(2))
    assert table["share"].notna().all()
    assert table["low"].isna().all()


@pytest.mark.parametrize("format", SUFFIXES)
def test_it_is_written_in_every_format(format):
    table = variance_shares(*draw(5))
    table.attrs |= {"task": "digits", "family": "mlp", "setting": "default", "metric": "accuracy", "num_rounds": 6}
    content = export(table, format)
    assert content == export(table.copy(), format)
    if format == "markdown":
        assert "1 round left out: a run did not complete." in content.decode()
