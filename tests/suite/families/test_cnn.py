"""CNN: presets, shapes after the convolutions, and what does not fit."""

import copy
import dataclasses
import pickle
from typing import Any, get_args

import pytest
import torch

from suite.errors import UserError
from suite.families.cnn import CNN, PRESETS, PresetName
from suite.layers import count_parameters
from suite.task import Card, Task


@pytest.fixture
def image(toys: dict[str, type[Task]]) -> Card:
    return dataclasses.replace(toys["toy-image"]().card(), input_shape=(1, 28, 28), output_shape=(10,))


@pytest.fixture
def signal(toys: dict[str, type[Task]]) -> Card:
    return dataclasses.replace(toys["toy-signal"]().card(), input_shape=(1, 40), output_shape=(10,))


def test_every_preset_name_has_a_preset() -> None:
    assert set(get_args(PresetName)) == set(PRESETS)


@pytest.mark.parametrize(("preset", "parameters"), [("lenet-5", 61_706), ("conv-32-64", 421_642)])
def test_presets_on_28_by_28_pictures_have_the_published_size(preset: Any, parameters: int, image: Card) -> None:
    """LeNet-5 as it is taught today has 61 706 parameters: 156 + 2416 + 48 120 + 10 164 + 850."""
    assert count_parameters(CNN(preset=preset).build(image)) == parameters


def test_the_mnist1d_preset_has_the_papers_size(signal: Card) -> None:
    """The published net, ConvBase with 25 channels, has 5210 parameters."""
    assert count_parameters(CNN(preset="mnist1d").build(signal)) == 5210


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"channels": (4, 5, 6), "kernel_sizes": (5, 3)},
        {"channels": (4,), "stride": 2, "pool": 1, "dense": ()},
        {"channels": (4, 4), "kernel_sizes": (4,), "paddings": (0,), "pooling": "average"},
    ],
    ids=str,
)
def test_feature_shape_is_what_the_convolutions_give(settings: dict[str, Any], image: Card, signal: Card) -> None:
    for card in (image, signal):
        family = CNN(**settings)
        features = family.build(card).convolutions(torch.zeros(2, *card.input_shape))
        assert features.shape[1:] == family.feature_shape(card)


def test_a_preset_beside_a_field_that_it_sets_is_refused() -> None:
    with pytest.raises(UserError, match=r"family\.preset='lenet-5' sets family\.stride=1, but got 2 beside it"):
        CNN(preset="lenet-5", stride=2)


@pytest.mark.parametrize("value", [(32, 64), [32, 64], "32,64"])
def test_a_field_that_was_given_its_default_is_no_less_given(value: Any) -> None:
    with pytest.raises(UserError, match=r"preset='lenet-5' sets family\.channels=\[6, 16\], but got \[32, 64\]"):
        CNN.from_mapping({"preset": "lenet-5", "channels": value})


def test_a_preset_beside_the_very_values_that_it_sets_is_fine_as_a_printed_spec_has_them() -> None:
    for preset in PRESETS:
        family = CNN(preset=preset)
        assert CNN.from_mapping(family.to_mapping()) == family == dataclasses.replace(family)
        assert family.changed() == {"preset": preset}
        assert pickle.loads(pickle.dumps(family)) == copy.deepcopy(family) == family


def test_a_preset_is_the_fields_that_it_sets() -> None:
    by_name, by_fields = CNN(preset="lenet-5"), CNN(**PRESETS["lenet-5"])
    assert {**by_name.to_mapping(), "preset": None} == by_fields.to_mapping()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": ()}, "`len(family.channels) >= 1` must hold"),
        ({"channels": (8,), "kernel_sizes": (3, 3)}, "number of kernel sizes or paddings <= number of channels"),
        ({"channels": (8,), "kernel_sizes": ()}, "but got [] for 1 convolutions"),
    ],
)
def test_layers_that_make_no_stack_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        CNN(**settings)
    assert message in str(caught.value)


def test_inputs_without_neighbourhoods_or_room_are_not_supported(toys: dict[str, type[Task]], image: Card) -> None:
    assert CNN().supports(image) is None
    assert "signal" in str(CNN().supports(toys["toy-vector"]().card()))
    tiny = dataclasses.replace(image, input_shape=(1, 3, 3))
    assert "too small" in str(CNN(channels=(4, 4)).supports(tiny))
    assert CNN(channels=(4,)).supports(tiny) is None
