"""Spaces: what may be drawn, what counts beside what, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.space import Condition, Dimension, Space, SpaceError

LR = Dimension("optimization.lr", low=1e-4, high=1e-1, log=True)
KIND = Dimension("optimization.optimizer", choices=("sgd", "adam"))
MOMENTUM = Dimension("optimization.momentum", low=0.0, high=0.9, conditions=(Condition(KIND.name, ("sgd",)),))
DROPOUT = Dimension("regularization.dropout", low=0.1, high=0.5, step=0.2, has_off=True, off=0.0)
LAYERS = Dimension("family.num_layers", low=1, high=4, is_integer=True)
WIDTH = Dimension("family.width", low=16, high=512, log=True, is_integer=True)
ALL = Space((LR, KIND, MOMENTUM, DROPOUT, LAYERS, WIDTH))


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=ALL.num_shares, max_size=ALL.num_shares))
def test_every_point_of_the_cube_is_within_the_ranges_and_holds_what_counts(shares: list[float]) -> None:
    params = ALL.at(shares)
    settings = ALL.settings(params)
    assert (MOMENTUM.name in settings) == (settings[KIND.name] == "sgd")
    assert (DROPOUT.name in params) == params["regularization.dropout.on"]
    assert settings[DROPOUT.name] == (params[DROPOUT.name] if params["regularization.dropout.on"] else 0.0)
    for dimension in ALL.dimensions:
        value: Any = params.get(dimension.name)
        if value is None:
            continue
        if dimension.choices:
            assert value in dimension.choices
        else:
            assert dimension.low <= value <= dimension.high + 1e-12
            assert isinstance(value, int if dimension.is_integer else float)


def test_a_share_reaches_both_ends_of_a_range() -> None:
    assert [LAYERS.at(share) for share in (0.0, 0.3, 0.6, 0.999)] == [1, 2, 3, 4]
    assert (WIDTH.at(0.0), WIDTH.at(0.9999999)) == (16, 512)
    assert LR.at(0.5) == pytest.approx(10**-2.5)
    assert [DROPOUT.at(share) for share in (0.0, 0.4, 0.99)] == pytest.approx([0.1, 0.3, 0.5])


def test_a_grid_has_a_point_for_every_combination_that_counts() -> None:
    points = Space((KIND, Dimension(MOMENTUM.name, choices=(0.0, 0.9), conditions=MOMENTUM.conditions), DROPOUT)).grid()
    assert len(points) == len({str(sorted(point.items())) for point in points}) == (2 + 1) * 4
    assert {"optimization.optimizer": "adam", "regularization.dropout.on": False} in points


def test_a_grid_refuses_a_continuous_range_and_says_how_to_give_it_values() -> None:
    with pytest.raises(SpaceError, match=r"--space\.optimization\.lr 0\.0001,0\.1"):
        Space((LR,)).grid()


def test_a_space_goes_through_plain_values_unchanged() -> None:
    assert Space.from_list(ALL.to_list()) == ALL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 3, "high": 1}, r"`low <= high` must hold.*low=3, high=1"),
        ({"low": 0.0, "high": 1.0, "log": True}, r"`low > 0` must hold.*low=0"),
        ({"low": 1.0, "high": 2.0, "step": -1.0}, r"`step > 0` must hold.*step=-1"),
        ({"low": 0.0, "high": 1.0, "step": 0.3}, r"`high = low \+ k \* step` must hold"),
        ({"low": 1.0, "high": 2.0, "log": True, "step": 1.0}, "a logarithmic scale has no steps"),
    ],
)
def test_a_range_that_is_none_is_refused_with_the_law_and_the_values(arguments: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Dimension("family.width", **arguments)


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(SpaceError, match="at least one field"):
        Space(())
