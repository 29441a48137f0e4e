"""Curves over seeds: means and bands of what was logged, at no more points than can be drawn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.report.series import MAX_POINTS, over_seeds


def curve(values, *, name="val/accuracy", every=1.0):
    steps = [round(10 * every * (index + 1)) for index in range(len(values))]
    return pd.DataFrame({"step": steps, "epoch": [step / 10 for step in steps], "name": name, "value": values})


def test_a_line_is_the_mean_and_its_band_goes_from_the_lowest_seed_to_the_highest():
    series = over_seeds([curve([1.0, 2.0]), curve([3.0, 6.0])], "val/accuracy", "epoch", binned=False)
    np.testing.assert_allclose(series.x, [1, 2])
    np.testing.assert_allclose(series.mean, [2, 4])
    np.testing.assert_allclose(series.low, [1, 2])
    np.testing.assert_allclose(series.high, [3, 6])
    assert series.num_seeds == 2


def test_between_logged_points_lies_a_straight_line_and_beyond_them_nothing():
    series = over_seeds(
        [curve([0.0, 4.0], every=2.0), curve([1.0, 1.0, 1.0, 1.0])], "val/accuracy", "epoch", binned=False
    )
    np.testing.assert_allclose(series.x, [1, 2, 3, 4])
    np.testing.assert_allclose(series.mean, [1, 0.5, 1.5, 2.5])


def test_a_line_ends_where_fewer_than_half_of_the_seeds_are_left():
    curves = [curve([1.0] * 2), curve([1.0] * 4), curve([1.0] * 6)]
    assert over_seeds(curves, "val/accuracy", "epoch", binned=False).x[-1] == 4


def test_losses_of_single_steps_are_averaged_within_bins():
    losses = np.arange(1000, dtype=float)
    series = over_seeds([curve(losses, name="train/loss")], "train/loss", "step", binned=True)
    assert len(series.x) == MAX_POINTS
    np.testing.assert_allclose(series.mean, losses.reshape(MAX_POINTS, -1).mean(axis=1))
    assert series.x[-1] == 10000


def test_a_metric_that_was_never_logged_has_no_line():
    assert over_seeds([curve([1.0])], "val/loss", "epoch", binned=False) is None
    assert over_seeds([curve([np.nan])], "val/accuracy", "epoch", binned=False) is None
    assert over_seeds([], "val/accuracy", "epoch", binned=False) is None


@pytest.mark.parametrize("binned", [True, False])
@given(lists=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), min_size=1, max_size=4))
def test_the_mean_lies_within_the_band_and_the_band_within_the_values(binned, lists):
    series = over_seeds([curve(values) for values in lists], "val/accuracy", "step", binned=binned)
    assert series is not None
    assert len(series.x) <= MAX_POINTS
    assert (np.diff(series.x) > 0).all()
    every = np.concatenate([np.asarray(values) for values in lists])
    slack = 1e-9 * (1 + np.abs(every).max())
    assert (series.low - slack <= series.mean).all()
    assert (series.mean <= series.high + slack).all()
    assert every.min() - slack <= series.low.min()
    assert series.high.max() <= every.max() + slack
