"""Figures: values where they belong, axes that can be read, labels that cover nothing."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.report.figures.curves import Line, learning_curves
from results.report.figures.frame import Box
from results.report.figures.labels import names_beside
from results.report.figures.pareto import Point, pareto_front
from results.report.figures.scale import Scale, fit, tick_text, wants_log
from results.report.figures.seeds import Strip, strip, strip_scale
from results.report.figures.svg import area, element, path, spread
from results.report.palette import NUM_COLOURS, family_colours, line_colours
from results.report.series import Series
from tests.results.report.pages import Page

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


def test_attributes_and_words_are_escaped():
    made = element("text", '<b>"&', class_="a", data_key='"><script>')
    assert str(made) == '<text class="a" data-key="&#34;&gt;&lt;script&gt;">&lt;b&gt;&#34;&amp;</text>'


def test_a_path_breaks_where_a_value_is_missing():
    assert path([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, 4.25)]) == "M0 0L1 1M3 3L4 4.2"
    assert area([0, 1, 2], [0, math.nan, 0], [1, 1, 1]) == "M0 1L0 0ZM2 1L2 0Z"


@given(values=st.lists(FINITE, max_size=20), log=st.sampled_from([None, False]))
def test_an_axis_holds_every_value_and_has_ticks_on_it(values, log):
    scale = fit(values, 40.0, 400.0, log=log)
    assert scale.low < scale.high
    for value in values:
        assert 40 - 1e-6 <= scale(value) <= 400 + 1e-6
    ticks = scale.ticks(5)
    assert len(ticks) == len(set(ticks))
    assert all(40 - 1e-6 <= scale(tick) <= 400 + 1e-6 for tick in ticks)


@given(low=st.floats(1e-6, 1e6), factor=st.floats(1.5, 1e8))
def test_a_wide_axis_has_between_two_and_nine_ticks(low, factor):
    for scale in (Scale(low, low * factor, 0, 300), Scale(low, low * factor, 0, 300, log=True)):
        assert 2 <= len(scale.ticks(5)) <= 9


def test_a_logarithmic_axis_is_taken_for_positive_values_that_span_much_and_for_no_others():
    assert wants_log([0.01, 1.0])
    assert not wants_log([0.1, 1.0])
    assert not wants_log([0.0, 1.0])
    assert not wants_log([])
    scale = fit([0.001, 1000.0], 0.0, 100.0)
    assert scale.log
    assert scale(1.0) == pytest.approx(50.0)
    assert math.isnan(scale(0.0))


def test_percent_stays_within_0_and_100():
    scale = fit([2.0, 99.0], 0.0, 100.0, bounds=(0.0, 100.0))
    assert (scale.low, scale.high) == (0.0, 100.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "0.05"), (250.0, "250"), (1500.0, "1.5k"), (20e6, "20M"), (0.0, "0"), (1e-5, "1e-5"), (-2000.0, "-2k")],
)
def test_ticks_are_short(value, text):
    assert tick_text(value) == text


@given(places=st.lists(st.floats(0, 200), max_size=8))
def test_labels_move_apart_and_keep_their_order(places):
    moved = spread(places, 12.0, 0.0, 200.0)
    ordered = [moved[index] for index in sorted(range(len(places)), key=lambda index: places[index])]
    assert all(below - above >= 12 - 1e-9 for above, below in itertools.pairwise(ordered))
    assert all(-1e-9 <= place <= 200 + 1e-9 for place in moved)


def line(label, values, colour=0):
    mean = np.asarray(values, dtype=float)
    return Line(label, f"key-{label}", colour, Series(np.arange(1.0, len(mean) + 1), mean, mean - 0.01, mean + 0.01, 3))


def curves(lines, **options):
    wanted = {"title": "Val", "metric": "accuracy", "axis": "epoch", "name": "f", "note": "A note."} | options
    return learning_curves(lines, **wanted)


def test_a_curve_is_drawn_from_its_first_value_to_its_last():
    figure = curves([line("a", [0.0, 0.5, 1.0])])
    (drawn,) = [item.attributes["d"] for item in Page(str(figure.svg)).all("path", class_="line")]
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", drawn)[1:]]
    box = Box()
    assert points[-1] == (box.x[1], pytest.approx(box.top, abs=4))
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.1)


def test_the_table_of_a_curve_says_what_the_line_shows():
    figure = curves([line("a", [0.0, 0.5, 1.0]), line("b", [0.2, 0.2, 0.2], 1)])
    assert figure.headers == ("configuration", "seeds", "after 25%", "after 50%", "after 75%", "after 100%")
    assert figure.rows == (("a", "3", "25.00", "50.00", "75.00", "100.00"), ("b", "3", *["20.00"] * 4))


def test_a_tower_of_first_losses_leaves_the_picture_with_a_word_that_says_so():
    values = [9.0, *[0.5] * 99]
    low = curves([line("a", values)], metric="loss", trim=True)
    assert "above the picture" in low.note
    assert "above the picture" not in curves([line("a", [0.5] * 100)], metric="loss", trim=True).note


def test_the_front_is_marked_and_tabled():
    points = [
        Point("small", "k1", 0, 100, 0.8, math.nan, math.nan, True),
        Point("large", "k2", None, 9000, 0.7, 0.6, 0.8, False),
    ]
    figure = pareto_front(points, metric="accuracy", maximize=True, cost="parameters", name="p", title="Cost")
    assert figure.rows == (("small", "100", "80.00", "yes"), ("large", "9k", "70.00", ""))
    page = Page(str(figure.svg))
    assert len(page.all("g", class_="beaten")) == 1
    assert len(page.all("line", class_="bar")) == 1


def test_names_cover_no_point_and_no_other_name():
    crowd = [(f"name{index}", 200.0, 100.0 + index) for index in range(12)]
    placed = names_beside(crowd, [(x, y) for _, x, y in crowd], Box())
    assert 1 <= len(placed) < len(crowd)
    alone = names_beside([("one", 100.0, 100.0)], [(100.0, 100.0)], Box())
    assert 'text-anchor="start"' in alone[0]


def test_a_strip_has_a_dot_for_each_seed_and_a_bar_for_the_interval():
    shown = Strip([90.0, 94.0], 92.0, 88.0, 96.0, 3, "Seeds of a")
    page = Page(str(strip(shown, strip_scale([shown], percent=True))))
    assert len(page.all("circle", class_="dot")) == 2
    assert page.all("svg", class_="s3", role="img")
    (bar,) = page.all("rect", class_="interval")
    (mean,) = page.all("line", class_="mean")
    middle = float(bar.attributes["x"]) + float(bar.attributes["width"]) / 2
    assert float(mean.attributes["x1"]) == pytest.approx(middle, abs=0.2)


def test_a_family_keeps_its_colour_over_tasks_and_no_figure_has_one_twice():
    preferred = family_colours([["cnn", "mlp"], ["cnn", "rnn"], ["cnn", "mlp"]])
    assert preferred == {"cnn": 0, "mlp": 1, "rnn": 2}
    assert line_colours(["rnn", "cnn"], preferred) == [2, 0]
    assert line_colours(["mlp", "mlp", "cnn"], preferred) == [1, 2, 0]


@given(names=st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=NUM_COLOURS))
def test_colours_of_one_figure_differ(names):
    chosen = line_colours(names, family_colours([list("abcdefghijkl")]))
    assert len(set(chosen)) == len(names)
    assert set(chosen) <= set(range(NUM_COLOURS))
