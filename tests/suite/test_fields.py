"""Typed fields: what text and YAML values become, what is refused, and in which words."""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import UserError
from suite.fields import Bounds, IntDistribution, OnCard, Settings, Unless, When, fields_of
from suite.values import parse_value, type_text

FINITE = st.floats(allow_nan=False, allow_infinity=False)
COLOURS = Literal["red", "green", "dark-blue"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample(Settings):
    """Settings with one field of each kind."""

    group: ClassVar[str] = "sample"

    width: Annotated[int, Bounds(low=1), IntDistribution(2, 64, log=True)] = 8
    """Units
    per layer."""
    rate: Annotated[float, Bounds(0, 1, open_high=True)] = 0.5
    """A share."""
    sizes: Annotated[tuple[int, ...], Bounds(low=1)] = (3,)
    """Several sizes."""
    patience: int | None = None
    """Rounds, or none."""
    colour: COLOURS = "red"
    """One of a few."""
    is_quick: bool = False
    """A switch."""


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (int, st.integers(-(2**53) + 1, 2**53 - 1)),
        (float, FINITE),
        (bool, st.booleans()),
        (int | None, st.none() | st.integers(-1000, 1000)),
        (float | None, st.none() | FINITE),
        (COLOURS, st.sampled_from(["red", "green", "dark-blue"])),
        (tuple[int, ...], st.lists(st.integers(-99, 99)).map(tuple)),
        (tuple[float, ...], st.lists(FINITE).map(tuple)),
    ],
    ids=["int", "float", "bool", "int-or-none", "float-or-none", "literal", "ints", "floats"],
)
@given(data=st.data())
def test_a_value_written_as_text_reads_back_as_itself(annotation: Any, values: Any, data: st.DataObject) -> None:
    value = data.draw(values)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    parsed = parse_value("x", annotation, text)
    assert parsed == value
    assert type(parsed) is type(value)
    assert parse_value("x", annotation, value) == value


@given(st.text())
def test_text_stays_text(text: str) -> None:
    assert parse_value("x", str, text) == text


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, "1e-3", 1e-3),
        (float, 2, 2.0),
        (int, "1e3", 1000),
        (int, 4.0, 4),
        (int | None, "null", None),
        (int | None, "", None),
        (bool, "True", True),
        (tuple[int, ...], "[32, 64]", (32, 64)),
        (tuple[int, ...], [32, "64"], (32, 64)),
        (tuple[int, ...], 32, (32,)),
        (tuple[int, ...], "", ()),
        (tuple[int, ...] | None, "none", None),
    ],
)
def test_what_flags_and_yaml_write_is_understood(annotation: Any, value: object, expected: object) -> None:
    parsed = parse_value("x", annotation, value)
    assert parsed == expected
    assert type(parsed) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "3.7"),
        (int, 3.7),
        (int, True),
        (int, None),
        (int, "1e400"),
        (int, 2**53),
        (int, str(-(2**53))),
        (float, "fast"),
        (float, math.nan),
        (float, "inf"),
        (float, False),
        (bool, 1),
        (bool, "yes"),
        (str, 5),
        (COLOURS, "blue"),
        (COLOURS, None),
        (tuple[int, ...], "1,,2"),
        (tuple[int, ...], {"a": 1}),
        (tuple[int, ...], [1, 2.5]),
        (int | None, "nothing"),
    ],
)
def test_nothing_is_rounded_cut_or_guessed(annotation: Any, value: object) -> None:
    with pytest.raises(UserError, match=r"group\.field.*must be"):
        parse_value("group.field", annotation, value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": "many"}, "`sample.width` must be an int, but got 'many'."),
        ({"width": 0}, "`1 <= width` must hold, but got sample.width=0."),
        ({"rate": 1.0}, "`0 <= rate < 1` must hold, but got sample.rate=1.0."),
        ({"sizes": (4, 0)}, "`1 <= sizes` must hold, but got sample.sizes=0."),
        ({"patience": "soon"}, "`sample.patience` must be an int or none, but got 'soon'."),
        (
            {"colour": "gren"},
            "`sample.colour` must be one of red, green, dark-blue, but got 'gren'. Did you mean 'green'?",
        ),
    ],
)
def test_an_error_gives_the_law_and_the_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        Sample.from_mapping(changes)
    assert str(caught.value) == message


def test_an_unknown_key_is_an_error_with_the_nearest_known_one() -> None:
    with pytest.raises(
        UserError, match=r"^Unknown key 'sample\.widht'\. Did you mean 'width'\? Known under 'sample': "
    ):
        Sample.from_mapping({"widht": 3})


def test_an_unknown_key_without_a_neighbour_suggests_nothing() -> None:
    with pytest.raises(UserError) as caught:
        Sample.from_mapping({"zzz": 3})
    assert "Did you mean" not in str(caught.value)


def test_settings_built_in_python_are_checked_too() -> None:
    assert Sample(sizes=[5, 6]).sizes == (5, 6)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="width"):
        Sample(width=-1)


@given(
    st.builds(
        Sample,
        width=st.integers(1, 10**6),
        rate=st.floats(0, 1, exclude_max=True),
        sizes=st.lists(st.integers(1, 9)).map(tuple),
        patience=st.none() | st.integers(-9, 9),
        colour=st.sampled_from(["red", "green", "dark-blue"]),
        is_quick=st.booleans(),
    )
)
def test_settings_go_through_plain_values_unchanged(sample: Sample) -> None:
    assert Sample.from_mapping(sample.to_mapping()) == sample


def test_a_field_carries_type_default_help_bounds_and_range() -> None:
    width, *_, is_quick = fields_of(Sample)
    assert (width.name, width.type, width.default, width.help) == ("width", int, 8, "Units per layer.")
    assert width.bounds == Bounds(low=1)
    assert width.distribution == IntDistribution(2, 64, log=True)
    assert (is_quick.bounds, is_quick.distribution, is_quick.help) == (None, None, "A switch.")


def test_a_field_carries_the_conditions_under_which_it_counts() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Optimiser(Settings):
        """Settings that depend on one another."""

        kind: Literal["sgd", "adam"] = "sgd"
        layers: int = 1
        beta: Annotated[float, When("kind", "adam"), Unless("layers", 1, 2), OnCard("vocabulary")] = 0.9

    beta = fields_of(Optimiser)[-1]
    assert [condition.text() for condition in beta.conditions] == ["kind=adam", "layers!=1|2"]
    assert [beta.conditions[0].holds(kind) for kind in ("sgd", "adam")] == [False, True]
    assert [beta.conditions[1].holds(layers) for layers in (1, 2, 3)] == [False, False, True]
    assert beta.needs_on_card == (OnCard("vocabulary"),)


def test_a_subclass_adds_its_fields_after_those_of_its_base() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class More(Sample):
        depth: int = 2
        """Layers."""

    assert [field.name for field in fields_of(More)] == [*(field.name for field in fields_of(Sample)), "depth"]
    assert fields_of(More)[-1].help == "Layers."


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int | None, "int or none"),
        (COLOURS, "red|green|dark-blue"),
        (tuple[int, ...], "list of int"),
        (tuple[int, ...] | None, "list of int or none"),
    ],
)
def test_types_are_shown_as_users_write_them(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


NUMBERS = st.integers(-5, 5).map(float)


@given(low=NUMBERS, high=NUMBERS, open_low=st.booleans(), open_high=st.booleans(), value=NUMBERS)
def test_bounds_let_through_exactly_what_their_law_says(
    low: float, high: float, open_low: bool, open_high: bool, value: float
) -> None:
    bounds = Bounds(low, high, open_low, open_high)
    holds = bool(eval(bounds.law("value"), {"value": value}))  # the law is a formula that Python reads too
    try:
        bounds.check("group.value", value)
    except UserError:
        assert not holds
    else:
        assert holds


def test_bounds_without_an_end_do_not_name_it() -> None:
    assert Bounds(low=1).law("n") == "1 <= n"
    assert Bounds(high=0.5, open_high=True).law("n") == "n < 0.5"
    Bounds().check("n", -1e300)


def test_nan_is_within_no_bounds() -> None:
    with pytest.raises(UserError):
        Bounds(0, 1).check("n", math.nan)
