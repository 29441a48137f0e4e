"""Missing values: which are taken away, and what each strategy does, held to numpy, pandas and scikit-learn."""

import dataclasses
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.impute import MissingIndicator, SimpleImputer

from suite.engine.data import ResidentSplit
from suite.engine.imputation import Imputer
from suite.engine.missing import OBSERVED_SHARE, Gaps, Mechanism, Missing, Strategy
from suite.errors import UserError
from suite.task import Card, Split, SplitName, Splits, Task

SHAPES = {"vector": (20,), "signal": (2, 24), "image": (3, 8, 6)}
NUM_TRAIN, NUM_TEST = 600, 300


@pytest.fixture(params=list(SHAPES))
def card(request: pytest.FixtureRequest, toys: dict[str, type[Task]]) -> Card:
    shape = SHAPES[request.param]
    return dataclasses.replace(toys["toy-regression"]().card(), input_shape=shape, output_shape=shape)


def draw(card: Card, count: int, seed: int, kind: str = "float32") -> NDArray[Any]:
    drawn = np.random.default_rng(seed).normal(100, 30, (count, *card.input_shape))
    return drawn.clip(0, 255).astype(kind)


def splits_of(card: Card, kind: str = "float32") -> Splits:
    by_name: dict[SplitName, Split] = {}
    for seed, (name, count) in enumerate({"train": NUM_TRAIN, "test": NUM_TEST}.items()):
        inputs = torch.from_numpy(draw(card, count, seed, kind))
        by_name[name] = Split(inputs, inputs)  # type: ignore[index]  # the two names are splits
    moment = torch.ones((card.input_shape[0], *[1] * (len(card.input_shape) - 1)))
    return Splits(by_name, mean=100 * moment, std=30 * moment)


def imputed(missing: Missing, card: Card, name: SplitName, kind: str = "float32") -> tuple[Splits, NDArray[np.bool_]]:
    """Return the split without gaps, and the mask of what was missing."""
    splits = splits_of(card, kind)
    mask = Gaps(missing, card, splits["train"].inputs.numpy()).mask(splits[name].inputs.numpy(), name)
    return Imputer(missing, card, splits["train"]).apply(splits, name), mask


@pytest.mark.parametrize("mechanism", get_args(Mechanism))
@pytest.mark.parametrize("name", ["train", "test"])
def test_the_share_that_is_missing_is_the_rate(card: Card, mechanism: Mechanism, name: SplitName) -> None:
    splits, missing = splits_of(card), Missing(0.3, mechanism, "mean")
    mask = Gaps(missing, card, splits["train"].inputs.numpy()).mask(splits[name].inputs.numpy(), name)
    assert mask.shape == splits[name].inputs.shape
    if mechanism == "completely-at-random":
        assert mask.mean() == pytest.approx(0.3, abs=0.015)
    elif mechanism == "at-random":
        flat = mask.reshape(len(mask), -1)
        always = ~flat.any(axis=0)
        assert always.sum() == round(OBSERVED_SHARE * card.num_inputs)
        assert flat[:, ~always].mean() == pytest.approx(0.3, abs=0.04)
    else:
        assert len({int(row.sum()) for row in mask}) == 1
        assert mask.mean() == pytest.approx(0.3, abs=0.03)


def test_a_higher_rate_takes_what_a_lower_one_takes_and_more(card: Card) -> None:
    inputs = draw(card, NUM_TRAIN, 0)
    low, high = (
        Gaps(Missing(rate, "completely-at-random", "mean"), card, inputs).mask(inputs, "train") for rate in (0.1, 0.4)
    )
    assert (high | low == high).all()
    assert high.sum() > 3 * low.sum()


def test_each_split_has_gaps_of_its_own_and_the_same_ones_every_time(card: Card) -> None:
    inputs = draw(card, NUM_TEST, 0)
    for mechanism in get_args(Mechanism):
        gaps = Gaps(Missing(0.3, mechanism, "mean"), card, inputs)
        masks = [gaps.mask(inputs, name) for name in ("train", "val", "test")]
        assert np.array_equal(masks[0], Gaps(Missing(0.3, mechanism, "drop"), card, inputs).mask(inputs, "train"))
        assert not np.array_equal(masks[0], masks[1])
        assert not np.array_equal(masks[1], masks[2])


def test_blocks_are_whole_and_leave_something_in_every_example(card: Card) -> None:
    inputs = draw(card, NUM_TRAIN, 0)
    missing = Missing(0.5, "blocks", "mean")
    mask = Gaps(missing, card, inputs).mask(inputs, "train")
    if len(card.input_shape) > 1:
        assert (mask == mask[:, :1]).all(), "all channels go together"
        mask = mask[:, 0]
    sides = missing.block(card)
    starts = set()
    for example in mask:
        places = np.argwhere(example)
        low, high = places.min(axis=0), places.max(axis=0) + 1
        assert tuple(high - low) == sides
        assert example[tuple(slice(*ends) for ends in zip(low, high, strict=True))].all()
        assert not example.all()
        starts.add(tuple(low))
    assert len(starts) == np.prod([size - side + 1 for size, side in zip(mask.shape[1:], sides, strict=True)])


def test_at_random_the_chance_depends_on_what_is_observed_and_on_nothing_else(card: Card) -> None:
    inputs = draw(card, 20_000, 3)
    level = np.random.default_rng(4).normal(0, 40, (len(inputs), *[1] * len(card.input_shape)))
    inputs = (inputs + level).astype("float32")  # examples that are high all over, or low
    mask = Gaps(Missing(0.3, "at-random", "mean"), card, inputs).mask(inputs, "train").reshape(len(inputs), -1)
    flat = inputs.reshape(len(inputs), -1)
    always = ~mask.any(axis=0)
    observed = flat[:, always].mean(axis=1)
    order = np.argsort(observed)
    rates = [mask[chunk][:, ~always].mean() for chunk in np.array_split(order, 5)]
    assert rates == sorted(rates)
    assert rates[-1] > 4 * rates[0]
    # Among examples with one and the same observed level, gaps know nothing of the values that they hide.
    alike = np.array_split(order, 200)[100]
    hidden, shown = flat[alike][mask[alike]], flat[alike][:, ~always][~mask[alike][:, ~always]]
    error = (hidden.std() ** 2 / len(hidden) + shown.std() ** 2 / len(shown)) ** 0.5
    assert abs(hidden.mean() - shown.mean()) < 4 * error


@pytest.mark.parametrize("mechanism", get_args(Mechanism))
@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_means_and_medians_are_those_of_scikit_learn_learned_from_train(
    card: Card, mechanism: Mechanism, kind: str, strategy: Strategy
) -> None:
    missing = Missing(0.4, mechanism, strategy)
    train, train_mask = imputed(missing, card, "train", kind)
    test, test_mask = imputed(missing, card, "test", kind)
    clean = splits_of(card, kind)
    holes = {
        name: np.where(mask, np.nan, clean[name].inputs.numpy().astype(float)).reshape(len(mask), -1)  # type: ignore[index]
        for name, mask in (("train", train_mask), ("test", test_mask))
    }
    reference = SimpleImputer(strategy=strategy).fit(holes["train"])
    for name, found in (("train", train), ("test", test)):
        expected = reference.transform(holes[name]).reshape(clean[name].inputs.shape)  # type: ignore[index]
        np.testing.assert_allclose(found[name].inputs.numpy(), expected, rtol=1e-6)  # type: ignore[index]


def test_the_largest_value_is_that_of_numpy_over_what_train_shows(card: Card) -> None:
    missing = Missing(0.4, "completely-at-random", "max")
    found, mask = imputed(missing, card, "test")
    clean = splits_of(card)
    _, train_mask = imputed(missing, card, "train")
    largest = np.nanmax(np.where(train_mask, np.nan, clean["train"].inputs.numpy()), axis=0)
    np.testing.assert_array_equal(found["test"].inputs.numpy(), np.where(mask, largest, clean["test"].inputs.numpy()))


def test_the_last_value_is_carried_forward_as_pandas_does_with_means_before_the_first(card: Card) -> None:
    missing = Missing(0.5, "completely-at-random", "forward")
    found, mask = imputed(missing, card, "test")
    _, train_mask = imputed(missing, card, "train")
    clean = splits_of(card)
    means = np.nanmean(np.where(train_mask, np.nan, clean["train"].inputs.numpy().astype(float)), axis=0)
    for example, gaps, result in zip(clean["test"].inputs.numpy(), mask, found["test"].inputs.numpy(), strict=True):
        rows = np.where(gaps, np.nan, example).reshape(-1, example.shape[-1])
        carried = pd.DataFrame(rows.T).ffill().to_numpy().T.reshape(example.shape)
        np.testing.assert_allclose(result, np.where(np.isnan(carried), means, carried), rtol=1e-6)


def test_the_indicator_is_that_of_scikit_learn_beside_the_mean(card: Card) -> None:
    missing = Missing(0.3, "completely-at-random", "indicator")
    found, mask = imputed(missing, card, "test")
    filled, _ = imputed(Missing(0.3, "completely-at-random", "mean"), card, "test")
    channels = card.input_shape[0]
    assert found["test"].inputs.shape[1:] == missing.card(card).input_shape == (2 * channels, *card.input_shape[1:])
    assert torch.equal(found["test"].inputs[:, :channels], filled["test"].inputs)
    holes = np.where(mask, np.nan, 1.0).reshape(len(mask), -1)
    expected = MissingIndicator(features="all").fit_transform(holes).reshape(mask.shape)
    np.testing.assert_array_equal(found["test"].inputs[:, channels:].numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_values_are_normalised_as_without_gaps_and_indicators_and_targets_are_left(card: Card, kind: str) -> None:
    clean = splits_of(card, kind)
    plain = ResidentSplit.place(clean["test"], clean, torch.device("cpu")).gather(slice(0, NUM_TEST))
    found, mask = imputed(Missing(0.3, "completely-at-random", "indicator"), card, "test", kind)
    batch = ResidentSplit.place(found["test"], found, torch.device("cpu")).gather(slice(0, NUM_TEST))
    channels = card.input_shape[0]
    observed = torch.from_numpy(~mask)
    assert torch.equal(batch.inputs[:, :channels][observed], plain.inputs[observed])
    assert torch.equal(batch.inputs[:, channels:], (~observed).float())
    assert torch.equal(batch.targets, plain.targets)


def test_dropping_leaves_whole_training_examples_and_every_test_example(card: Card) -> None:
    missing = Missing(0.02, "completely-at-random", "drop")
    train, mask = imputed(missing, card, "train")
    whole = ~mask.reshape(len(mask), -1).any(axis=1)
    assert 0 < whole.sum() < NUM_TRAIN
    clean = splits_of(card)
    assert torch.equal(train["train"].inputs, clean["train"].inputs[torch.from_numpy(whole)])
    assert torch.equal(train["train"].targets, clean["train"].targets[torch.from_numpy(whole)])
    test, _ = imputed(missing, card, "test")
    filled, _ = imputed(dataclasses.replace(missing, strategy="mean"), card, "test")
    assert torch.equal(test["test"].inputs, filled["test"].inputs)


def test_values_that_are_nan_in_the_data_are_missing_too(card: Card) -> None:
    clean = splits_of(card)
    holes = clean["train"].inputs.clone()
    holes[::3].view(len(holes[::3]), -1)[:, 4] = torch.nan
    splits = dataclasses.replace(clean, by_name={"train": Split(holes, clean["train"].targets)})
    found = Imputer(Missing(0.0, "completely-at-random", "mean"), card, splits["train"]).apply(splits, "train")
    filled = found["train"].inputs.reshape(NUM_TRAIN, -1)
    assert torch.isfinite(filled).all()
    expected = np.nanmean(holes.reshape(NUM_TRAIN, -1)[:, 4].numpy().astype(float))
    torch.testing.assert_close(filled[::3, 4], torch.full_like(filled[::3, 4], float(expected)))
    for mechanism in get_args(Mechanism):
        more = Imputer(Missing(0.3, mechanism, "median"), card, splits["train"]).apply(splits, "train")
        assert torch.isfinite(more["train"].inputs).all()


def test_a_position_that_no_training_example_shows_is_an_error(card: Card) -> None:
    splits = splits_of(card)
    few = dataclasses.replace(splits, by_name={"train": Split(splits["train"].inputs[:3], splits["train"].targets[:3])})
    with pytest.raises(UserError, match=r"must be observed in some training example.*missing_rate=0\.9 and 3 training"):
        Imputer(Missing(0.9, "completely-at-random", "mean"), card, few["train"])


def test_a_card_with_gaps_is_of_other_data_without_a_ceiling(card: Card) -> None:
    card = dataclasses.replace(card, ceiling=0.0, ceiling_reason="the identity")
    seen = {card.sha256}
    for rate, mechanism in ((0.1, "completely-at-random"), (0.2, "completely-at-random"), (0.2, "blocks")):
        cards = [Missing(rate, mechanism, strategy).card(card) for strategy in get_args(Strategy)]  # type: ignore[arg-type]
        assert len({found.sha256 for found in cards}) == 1, "a strategy is a choice of method and not of data"
        assert {found.ceiling for found in cards} == {None}
        seen.add(cards[0].sha256)
    assert len(seen) == 4
    assert Missing(0.0, "blocks", "mean").card(card) == card


def test_what_cannot_have_gaps_says_why(card: Card) -> None:
    def reason(rate: float = 0.3, mechanism: Mechanism = "blocks", strategy: Strategy = "mean", **changes: Any) -> str:
        return str(Missing(rate, mechanism, strategy).misfit(dataclasses.replace(card, **changes)))

    assert reason() == "None"
    assert "tokens" in reason(vocabulary=5)
    assert "one length" in reason(is_length_fixed=False)
    assert "generated" in reason(strategy="indicator", objective="generation")
    assert "one value" in reason(mechanism="at-random", input_shape=(1,))
    assert ">= 0.5` must hold" in reason(rate=0.001)


def test_marks_of_missing_values_are_not_augmented(toys: dict[str, type[Task]]) -> None:
    image = toys["toy-image"]().card()
    assert image.augmentations
    assert Missing(0.1, "blocks", "mean").card(image).augmentations == image.augmentations
    assert Missing(0.1, "blocks", "indicator").card(image).augmentations == frozenset()


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("sizes", [(8, 8), (28, 28), (32, 20), (4096, 3000)])
def test_a_block_takes_the_share_that_is_asked_for_in_about_the_images_proportions(
    rate: float, sizes: tuple[int, int], toys: dict[str, type[Task]]
) -> None:
    card = dataclasses.replace(toys["toy-image"]().card(), input_shape=(3, *sizes))
    missing = Missing(rate, "blocks", "mean")
    height, width = missing.block(card)
    assert height * width / (sizes[0] * sizes[1]) == pytest.approx(rate, abs=0.03)
    assert 0.5 <= (height / sizes[0]) / (width / sizes[1]) <= 2
    assert missing.misfit(card) is None


def test_a_share_that_no_block_takes_is_refused(toys: dict[str, type[Task]]) -> None:
    card = dataclasses.replace(toys["toy-image"]().card(), input_shape=(3, 8, 8))
    assert "nearest one in (8, 8) is (7, 8), a share of 0.875" in (Missing(0.95, "blocks", "mean").misfit(card) or "")


def test_what_is_to_be_generated_has_its_gaps_in_training_and_none_in_scoring(toys: dict[str, type[Task]]) -> None:
    task = toys["toy-pictures"]()
    card, splits = task.card(), task.load()
    imputer = Imputer(Missing(0.3, "blocks", "mean"), card, splits["train"])
    train, test = (imputer.apply(splits, name) for name in ("train", "test"))
    assert train.mean is not None
    assert train.std is not None
    normal = (train["train"].inputs - train.mean) / train.std
    torch.testing.assert_close(train["train"].targets, normal)
    assert torch.equal(test["test"].targets, splits["test"].targets)
