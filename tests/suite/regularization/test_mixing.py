"""Regularisers that change training examples: mixtures, patches, noise, shifts."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.nn import functional

from suite.batch import Batch
from suite.errors import UserError
from suite.families.linear import Linear
from suite.learner import Learner
from suite.regularization import augmentation
from suite.regularization.augmentation import Augmentation
from suite.regularization.cutmix import CutMix, patch
from suite.regularization.input_noise import InputNoise
from suite.regularization.mixup import Mixup
from suite.supervised_learner import SupervisedLearner
from suite.task import Augmentation as AugmentationName
from suite.task import Card
from tasks.digits import Digits


@pytest.fixture
def card() -> Card:
    return Digits().card()


@pytest.fixture
def learner(card: Card) -> SupervisedLearner:
    built = Linear().build(card)
    assert isinstance(built, SupervisedLearner)
    return built


def a_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(torch.randn(32, 1, 8, 8, generator=generator), torch.arange(32) % 10)


def transformed(learner: Learner, batch: Batch) -> Batch:
    torch.manual_seed(1)
    for transform in learner.transforms:
        batch = transform(batch)
    return batch


def test_mixup_sums_two_examples_of_the_batch_and_trains_on_both_targets(learner: SupervisedLearner) -> None:
    Mixup(mixup=0.5).attach(learner)
    batch = a_batch()
    mixed = transformed(learner, batch)
    assert mixed.share is not None
    assert mixed.other_targets is not None
    assert 0 < mixed.share < 1
    others = (mixed.inputs - mixed.share * batch.inputs) / (1 - mixed.share)
    distances = torch.cdist(others.flatten(1), batch.inputs.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.min(dim=1).values.max() < 1e-3, "each partner is an example of the batch"
    assert torch.equal(batch.targets[distances.argmin(dim=1)], mixed.other_targets)
    outputs = learner(mixed.inputs)
    expected = mixed.share * functional.cross_entropy(outputs, mixed.targets)
    expected += (1 - mixed.share) * functional.cross_entropy(outputs, mixed.other_targets)
    torch.testing.assert_close(learner.losses(mixed)["total"], expected)


def test_mixup_shares_follow_the_beta_distribution(learner: SupervisedLearner) -> None:
    Mixup(mixup=0.5).attach(learner)
    (mix,) = learner.transforms
    torch.manual_seed(0)
    shares = torch.stack([mix(a_batch()).share for _ in range(2000)])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
    assert shares.var().item() == pytest.approx(1 / 8, abs=0.02), "variance of Beta(a, a) is 1 / (4 (2 a + 1))"


def test_cutmix_share_is_the_area_that_is_left_of_the_first_example(learner: SupervisedLearner) -> None:
    CutMix(cutmix=1.0).attach(learner)
    batch = Batch(torch.zeros(16, 1, 8, 8) + torch.arange(16.0).reshape(-1, 1, 1, 1), torch.arange(16) % 10)
    mixed = transformed(learner, batch)
    assert mixed.share is not None
    is_own = mixed.inputs == batch.inputs
    moved = ~is_own.flatten(1).all(dim=1)  # an example may be its own partner
    kept = is_own[moved].float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(kept, mixed.share.expand_as(kept))


def test_a_patch_is_a_rectangle_of_the_wanted_side_where_no_border_cuts_it() -> None:
    torch.manual_seed(3)
    sizes = [patch(torch.Size([40, 20]), torch.tensor(0.25), device=torch.device("cpu")).sum() for _ in range(200)]
    assert max(sizes) in range(9 * 4, 11 * 6 + 1)


def test_input_noise_has_the_wanted_spread_and_leaves_targets_alone(learner: SupervisedLearner) -> None:
    InputNoise(input_noise=0.3).attach(learner)
    batch = a_batch()
    noisy = transformed(learner, batch)
    assert (noisy.inputs - batch.inputs).std().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(noisy.targets, batch.targets)


def test_shift_moves_whole_pictures_and_fills_with_zero() -> None:
    torch.manual_seed(0)
    inputs = torch.rand(64, 1, 8, 8) + 1
    moved = augmentation.shift(inputs, torch.tensor(1.0))
    seen = set()
    for before, after in zip(inputs[:, 0], moved[:, 0], strict=True):
        matches = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(
                after[max(dy, 0) : 8 + min(dy, 0), max(dx, 0) : 8 + min(dx, 0)],
                before[max(-dy, 0) : 8 + min(-dy, 0), max(-dx, 0) : 8 + min(-dx, 0)],
            )
        ]
        assert len(matches) == 1
        dy, dx = matches[0]
        assert (after == 0).sum() == 64 - (8 - abs(dy)) * (8 - abs(dx))
        seen.add((dy, dx))
    assert len(seen) > 10


def line_of(signals: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return slope and middle of the least-squares line of each channel, as numpy fits it."""
    steps = np.arange(signals.shape[2]) - (signals.shape[2] - 1) / 2
    return np.polyfit(steps, signals.flatten(0, 1).double().numpy().T, deg=1)


def test_roll_moves_what_is_about_the_line_around_and_keeps_the_line() -> None:
    torch.manual_seed(0)
    steps = torch.arange(40.0) - 19.5
    rest = torch.randn(100, 1, 40)
    slopes, means = (torch.from_numpy(item).float()[:, None, None] for item in line_of(rest))
    rest = rest - means - slopes * steps
    rolled = augmentation.roll(rest + 2 + 0.1 * steps, torch.tensor(1.0)) - 2 - 0.1 * steps
    moves = []
    for before, after in zip(rest[:, 0], rolled[:, 0], strict=True):
        found = [move for move in range(40) if torch.allclose(before.roll(move), after, atol=1e-4)]
        assert len(found) == 1
        moves += found
    assert set(moves) == set(range(10)), "up to a quarter of the size, and each of them"


@pytest.mark.parametrize(("change", "row", "spread"), [("level", 1, 0.3), ("slope", 0, 0.04)])
def test_level_and_slope_are_drawn_anew_and_nothing_else_is(change: AugmentationName, row: int, spread: float) -> None:
    torch.manual_seed(0)
    before = torch.randn(2000, 1, 40) + 5 + 0.3 * torch.arange(40.0)
    after = augmentation.CHANGES[change](before, torch.tensor(1.0))
    lines = line_of(before), line_of(after)
    assert np.abs(lines[1][row].mean()) < 0.1 * spread
    assert lines[1][row].std() == pytest.approx(spread, rel=0.1)
    np.testing.assert_allclose(lines[1][1 - row], lines[0][1 - row], atol=1e-4)


def test_flip_mirrors_about_half_of_the_examples() -> None:
    torch.manual_seed(0)
    inputs = torch.rand(200, 1, 4, 4)
    flipped = augmentation.flip(inputs, torch.tensor(1.0))
    mirrored = (flipped == inputs.flip(-1)).flatten(1).all(dim=1)
    untouched = (flipped == inputs).flatten(1).all(dim=1)
    assert bool((mirrored ^ untouched).all())
    assert 70 < int(mirrored.sum()) < 130


def test_cutout_sets_one_rectangle_of_an_example_to_zero() -> None:
    torch.manual_seed(0)
    cut = augmentation.cut_out(torch.ones(50, 2, 16, 16), torch.tensor(1.0))
    for example in cut:
        holes = example == 0
        assert torch.equal(holes[0], holes[1]), "all channels alike"
        rows, columns = holes[0].any(dim=1).sum(), holes[0].any(dim=0).sum()
        assert holes[0].sum() == rows * columns
        assert max(rows, columns) <= 12


def test_augmentation_takes_only_what_the_card_allows(card: Card) -> None:
    learner = Linear().build(card)
    Augmentation(augmentation=0.5).attach(learner)
    assert len(learner.transforms) == len(card.augmentations) == 2


def test_every_change_that_a_card_can_name_is_there() -> None:
    assert set(augmentation.CHANGES) == set(get_args(AugmentationName))


def test_a_task_without_known_symmetries_cannot_be_augmented(card: Card) -> None:
    from dataclasses import replace

    with pytest.raises(UserError, match="needs changes that keep the answer"):
        Augmentation(augmentation=0.5).attach(Linear().build(replace(card, augmentations=frozenset())))


@pytest.mark.parametrize("regularizer", [Mixup(mixup=0.2), CutMix(cutmix=0.2), InputNoise(input_noise=0.2)])
def test_tokens_cannot_be_mixed(card: Card, regularizer: Mixup | CutMix | InputNoise) -> None:
    from dataclasses import replace

    learner = Linear().build(replace(card, vocabulary=5, input_shape=(12,)))
    with pytest.raises(UserError, match="are tokens"):
        regularizer.attach(learner)
