"""The space of a pair: what its fields give, what a user says of them, and what makes no sense beside the rest."""

import random
from typing import Any

import pytest

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.family import FAMILIES
from suite.runs.prepare import prepare
from suite.search.space import SearchSpace, search_space
from suite.spec import RunSpec
from suite.task import Task
from sweeps.space import Condition
from tests.small import lacks, settings_of, small


def space(
    family: str = "mlp", task: str = "digits", *, preset: str = "none", spec: Any = None, **changes: Any
) -> SearchSpace:
    base = RunSpec.from_mapping({"task": task, "family": family, **(spec or {})})
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return search_space(base, preset=preset, changes=named, given=frozenset())


def only(found: SearchSpace) -> Any:
    (dimension,) = found.space.dimensions
    return dimension


def test_every_regulariser_that_can_act_is_in_the_preset_with_off_as_a_value() -> None:
    found = space(preset="regularization")
    names = {dimension.name for dimension in found.space.dimensions}
    assert {"regularization.dropout", "regularization.l2", "regularization.early_stopping"} <= names
    assert set(found.left_out) == {"regularization.stochastic_depth"}
    for dimension in found.space.dimensions:
        group, _, field = dimension.name.partition(".")
        default = getattr(getattr(found.base, group), field)
        assert dimension.off == default if dimension.has_off else default in dimension.choices, dimension.name
    assert "regularization.stochastic_depth" in {
        d.name for d in space("resnet", preset="regularization").space.dimensions
    }


def test_a_point_becomes_a_spec_that_can_be_built(registered_toys: dict[str, type[Task]]) -> None:
    for family in FAMILIES.names():
        if lacks(family) is not None:
            continue
        toy = next(name for name, task in registered_toys.items() if small(family).misfit(task().card()) is None)
        found = space(task=toy, preset="all", spec={"family": settings_of(family)})
        for share in (0.0, 0.49, 0.51, 0.99):
            params = found.space.at([share] * found.space.num_shares)
            spec = RunSpec.from_mapping(found.spec_mapping(params))
            for name, value in found.values(params).items():
                group, _, field = name.partition(".")
                assert getattr(spec, group).to_mapping()[field] == value


def test_fields_that_depend_on_others_carry_the_condition_and_follow_them() -> None:
    found = space(preset="optimizer")
    names = [dimension.name for dimension in found.space.dimensions]
    momentum = found.space.dimensions[names.index("optimization.momentum")]
    assert momentum.conditions == (Condition("optimization.optimizer", ("sgd",)),)
    assert names.index("optimization.optimizer") < names.index("optimization.momentum")
    assert "optimization.decay_factor" in found.left_out


def test_a_fixed_sibling_decides_a_condition_once_and_for_all() -> None:
    sgd = space(preset="optimizer", optimization__optimizer="sgd")
    momentum = next(d for d in sgd.space.dimensions if d.name == "optimization.momentum")
    assert momentum.conditions == ()
    assert "optimization.beta1" in sgd.left_out
    assert sgd.base.optimization.optimizer == "sgd"


def test_what_counts_on_tokens_alone_is_left_out_elsewhere() -> None:
    assert "family.embedding_size" in space("rnn", preset="architecture").left_out
    names = {d.name for d in space("rnn", "induction", preset="architecture").space.dimensions}
    assert "family.embedding_size" in names


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1e-4..1e-1 log", {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}),
        ("0.1..0.5 step 0.1", {"type": "float", "low": 0.1, "high": 0.5, "log": False, "step": 0.1}),
        ({"low": 1e-3, "high": 1e-2}, {"type": "float", "low": 1e-3, "high": 1e-2, "log": False}),
        ("1e-3,1e-2", {"choices": [1e-3, 1e-2]}),
        ([1e-3, "1e-2"], {"choices": [1e-3, 1e-2]}),
        ({"choices": [0.1, 0.2]}, {"choices": [0.1, 0.2]}),
        ("search", {"type": "float", "low": 1e-5, "high": 1.0, "log": True}),
    ],
)
def test_a_field_is_narrowed_widened_or_added_in_a_flag_or_in_yaml(value: Any, expected: dict[str, Any]) -> None:
    assert only(space(optimization__lr=value)).to_mapping() == {"name": "optimization.lr", **expected}


def test_lists_are_choices_that_semicolons_part() -> None:
    found = space("cnn", family__channels="16;16,32")
    assert only(found).choices == ("16", "16,32")
    assert found.spec_mapping({"family.channels": "16,32"})["family"]["channels"] == [16, 32]


def test_a_range_may_have_off_before_it_and_an_integer_stays_one() -> None:
    dimension = only(space(regularization__early_stopping="off|2..8"))
    assert (dimension.has_off, dimension.off, dimension.is_integer, dimension.low) == (True, None, True, 2)
    assert only(space(regularization__dropout="off,0.1,0.3")).choices == (0.0, 0.1, 0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family__width": "64..16"}, r"`low <= high` must hold.*low=64, high=16"),
        ({"family__width": "0..16"}, "1 <= width"),
        ({"family__width": "1.5..16"}, "must be an int"),
        ({"family__width": "16..64 step 0.5"}, "`step` in the space of family.width must be int"),
        ({"family__activation": "relu..tanh"}, "has no range"),
        ({"family__activation": "relu,than"}, "Did you mean 'tanh'"),
        ({"family__width": "16,16"}, "comes twice"),
        ({"family__width": []}, r"`len\(choices\) >= 1`"),
        ({"family__width": {"lo": 1, "high": 2}}, "Did you mean 'low'"),
        ({"family__width": {"high": 2}}, "needs low and high"),
        ({"family__widths": "search"}, "no range of its own"),
        ({"family__widht": "1..2"}, "Did you mean 'family.width'"),
        ({"evaluation__selection": "last"}, "cannot be searched"),
    ],
)
def test_what_says_nothing_of_a_field_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        space(**changes)


def left_out(family: str, task: str, **settings: Any) -> set[str]:
    return set(space(family, task, preset="all", spec={"family": {"name": family, **settings}}).left_out)


@pytest.mark.parametrize("family", ["diffusion", "gan", "vae"])
def test_nothing_that_changes_examples_is_searched_where_they_are_to_be_generated(family: str) -> None:
    changes = {"augmentation", "cutmix", "input_noise", "mixup"}
    assert {f"regularization.{name}" for name in changes} <= left_out(family, "ring")


def test_fields_that_change_nothing_on_a_task_are_left_out() -> None:
    dense = {f"family.{name}" for name in ("generator_width", "generator_layers", "discriminator_pieces")}
    assert dense <= left_out("gan", "digits-generation")
    assert "family.channels" in left_out("gan", "ring")
    assert {"family.channels", "family.num_blocks"} <= left_out("diffusion", "ring")
    assert {"family.width", "family.num_layers"} <= left_out("diffusion", "digits-generation")
    assert "family.readout" in left_out("transformer", "shakespeare-char")
    assert "family.readout" in left_out("rnn", "copy-memory")
    assert "family.readout" not in left_out("rnn", "digits")


def test_a_strength_that_is_refused_wherever_it_is_on_is_left_out() -> None:
    assert "family.sparsity" in left_out("autoencoder", "digits")
    assert "family.sparsity" not in left_out("autoencoder", "digits-reconstruction")


def test_group_norm_is_no_choice_where_no_number_of_groups_divides_the_channels() -> None:
    def norms(preset: str | None) -> Any:
        found = space("cnn", "mnist1d", preset="all", spec={"family": {"name": "cnn", "preset": preset}})
        return next(item.choices for item in found.space.dimensions if item.name == "family.norm")

    assert norms(None) == ("none", "batch", "layer", "group")
    assert norms("mnist1d") == ("none", "batch", "layer")


def test_cutmix_is_searched_beside_no_mixup() -> None:
    found = space(preset="regularization", task="mnist1d")
    both = [found.values(found.space.at([share] * found.space.num_shares)) for share in (0.2, 0.7)]
    cutmix = next(item for item in found.space.dimensions if item.name == "regularization.cutmix")
    assert cutmix.conditions == (Condition("regularization.mixup", (0.0,)),)
    assert both[1]["regularization.mixup"] > 0
    assert "regularization.cutmix" not in both[1]
    fixed = space(preset="regularization", task="mnist1d", spec={"regularization": {"cutmix": 0.5}})
    assert "mixup=0.0" in fixed.left_out["regularization.mixup"]


@pytest.mark.dear
def test_every_point_of_the_whole_space_can_be_prepared(pair: tuple[str, str], registered_toys: Any) -> None:
    found = space(task=pair[1], preset="all", spec={"family": settings_of(pair[0]), "budget": {"steps": 2}})
    generator = random.Random(0)
    for _ in range(15):
        params = found.space.at([generator.random() for _ in range(found.space.num_shares)])
        spec = RunSpec.from_mapping(found.spec_mapping(params))
        prepare(spec, Execution(device="cpu", threads=1))
