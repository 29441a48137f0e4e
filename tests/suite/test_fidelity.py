"""FID and KID against torchmetrics and closed forms, precision and recall against brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from suite import fidelity
from suite.fidelity import frechet_distance, kernel_distance, precision_and_recall


def features(seed: int, count: int, size: int = 5, *, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, size, generator=generator) + shift


class Flat(nn.Module):
    """Features as torchmetrics wants them: a network, here one that hands its input on."""

    num_features = 5

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_fid_is_that_of_torchmetrics() -> None:
    one, other = features(0, 200, shift=0.3), features(1, 300, scale=1.5) @ torch.randn(5, 5)
    metric = FrechetInceptionDistance(feature=Flat(), normalize=True, input_img_size=(1, 1, 5))
    metric.update(one.reshape(-1, 1, 1, 5), real=False)
    metric.update(other.reshape(-1, 1, 1, 5), real=True)
    assert frechet_distance(one, other) == pytest.approx(metric.compute().item(), rel=1e-4)


def test_fid_of_gaussians_with_one_value_is_the_closed_form() -> None:
    one, other = features(0, 50, 1), features(1, 70, 1, shift=2.0, scale=3.0)
    expected = (one.mean() - other.mean()) ** 2 + (one.std() - other.std()) ** 2
    assert frechet_distance(one, other) == pytest.approx(expected.item(), rel=1e-5)


def test_fid_and_kid_of_a_set_to_itself_are_0_also_with_fewer_examples_than_features() -> None:
    few = features(0, 4, 10)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    assert kernel_distance(few, few.flip(0)) < 0, "unbiased, it leaves a feature's product with itself out on one side"


def test_kid_is_the_maximum_mean_discrepancy_of_torchmetrics_over_equally_many() -> None:
    one, other = features(0, 60), features(1, 60, shift=0.5)
    assert kernel_distance(one, other) == pytest.approx(poly_mmd(other, one).item(), rel=1e-4)


def test_kid_of_one_distribution_is_0_on_average() -> None:
    values = torch.tensor([kernel_distance(features(2 * s, 20), features(2 * s + 1, 30)) for s in range(200)])
    assert abs(values.mean().item()) < 3 * values.std().item() / math.sqrt(200)


def by_hand(points: Tensor, others: Tensor) -> float:
    """Return the share of ``points`` in a ball around one of ``others``, by comparing each with each."""
    inside = 0
    for point in points:
        for index, other in enumerate(others):
            rest = [math.dist(other, neighbour) for place, neighbour in enumerate(others.tolist()) if place != index]
            if math.dist(point, other) <= sorted(rest)[2]:
                inside += 1
                break
    return inside / len(points)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 12), st.integers(4, 12), st.floats(0, 3))
def test_precision_and_recall_are_those_of_brute_force(seed: int, many: int, more: int, shift: float) -> None:
    samples, examples = features(seed, many, 2, shift=shift).double(), features(seed + 1, more, 2).double()
    assert precision_and_recall(samples, examples) == (by_hand(samples, examples), by_hand(examples, samples))


def test_precision_falls_with_what_is_no_example_and_recall_with_what_is_missing() -> None:
    examples = torch.cat([features(0, 50, 2), features(1, 50, 2, shift=100.0)])
    half = features(2, 100, 2)
    assert precision_and_recall(half, examples) == (pytest.approx(1, abs=0.1), pytest.approx(0.5, abs=0.05))
    assert precision_and_recall(examples, half) == (pytest.approx(0.5, abs=0.05), pytest.approx(1, abs=0.1))


def test_rows_in_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = features(0, 57), features(1, 43, shift=0.4)
    whole = fidelity.scores(one, other)
    assert set(whole) == {"fid", "kid", "precision", "recall"}
    monkeypatch.setattr(fidelity, "ROWS_AT_ONCE", 7)
    assert fidelity.scores(one, other) == pytest.approx(whole, rel=1e-12)
