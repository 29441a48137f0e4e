"""Mixtures of Gaussians: where the points lie, and how samples are scored."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from tasks.grid import Grid
from tasks.ring import Ring
from tasks.sources.generated import Stream
from tasks.sources.mixtures import Mixture, normals

BOTH = pytest.mark.parametrize("task", [Ring(num_train=20000), Grid(num_train=20000)], ids=["ring", "grid"])


def at_modes(task: Mixture, counts: list[int], elsewhere: int = 0) -> torch.Tensor:
    """Return so many samples at each mode, and some far away."""
    centres = torch.tensor(task.centres())
    far = torch.full((elsewhere, 2), 50.0)
    return torch.cat([centres.repeat_interleave(torch.tensor(counts), dim=0), far])


def test_normal_numbers_are_normal_and_a_longer_draw_begins_with_a_shorter_one() -> None:
    drawn = normals(Stream("test"), 200_000)
    assert scipy.stats.kstest(drawn, "norm").pvalue > 0.01
    assert np.array_equal(drawn[:1000], normals(Stream("test"), 1000))
    # Beyond three deviations lie 0.27 %: four standard errors of 200,000 are 0.046 %.
    assert abs(np.mean(np.abs(drawn) > 3) - 0.0027) < 0.00046


def test_the_modes_are_those_of_the_paper() -> None:
    ring = torch.tensor(Ring().centres())
    assert ring.shape == (8, 2)
    assert torch.allclose(ring.norm(dim=1), torch.ones(8))
    assert torch.allclose((ring - ring.roll(1, 0)).norm(dim=1), torch.tensor(2 * math.sin(math.pi / 8)))
    assert set(Grid().centres()) == {(float(x), float(y)) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert (Ring().std, Grid().std, Ring().num_train, Grid().num_train) == (0.01, 0.05, 100_000, 100_000)


@BOTH
def test_points_lie_normally_around_each_mode_evenly(task: Mixture) -> None:
    points = task.load(("train",))["train"].inputs.double()
    centres = torch.tensor(task.centres(), dtype=torch.float64)
    nearest = torch.cdist(points, centres).argmin(dim=1)
    counts = torch.bincount(nearest, minlength=len(centres))
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001
    offsets = (points - centres[nearest]) / task.std
    assert scipy.stats.kstest(offsets.flatten().numpy(), "norm").pvalue > 0.001


@BOTH
def test_the_data_itself_scores_close_to_perfect(task: Mixture) -> None:
    val = task.load(("val",))["val"].inputs
    found = task.score(val, val)
    # 1.1 % of a plane Gaussian lies beyond three deviations.
    assert found["high-quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert found["modes"] == len(task.centres())
    assert found["reverse-kl"] < 0.01
    assert found["total-variation"] < 0.06


def test_scores_are_those_of_a_distribution_worked_out_by_hand() -> None:
    task = Ring(num_modes=4)
    found = task.score(at_modes(task, [2, 1, 1, 0], elsewhere=4), torch.empty(0))
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert found["modes"] == 3
    assert found["high-quality"] == 0.5
    assert found["reverse-kl"] == pytest.approx(math.log(4) - entropy)
    assert found["total-variation"] == pytest.approx((0 + 1 / 8 + 1 / 8 + 1 / 4 + 1 / 2) / 2)


@pytest.mark.parametrize(("distance", "expected"), [(2.99, 1.0), (3.01, 0.0)])
def test_high_quality_ends_at_three_standard_deviations(distance: float, expected: float) -> None:
    sample = torch.tensor([[1 + distance * 0.01 * 0.6, distance * 0.01 * 0.8]])
    assert Ring().score(sample, sample)["high-quality"] == expected


@BOTH
def test_one_mode_alone_scores_the_floor_and_no_mode_is_worse_yet_finite(task: Mixture) -> None:
    num_modes = len(task.centres())
    one = task.score(at_modes(task, [100] + [0] * (num_modes - 1)), torch.empty(0))
    none = task.score(at_modes(task, [0] * num_modes, elsewhere=100), torch.empty(0))
    assert one["total-variation"] == pytest.approx(task.card().floor)
    assert one["reverse-kl"] == none["reverse-kl"] == pytest.approx(math.log(num_modes))
    assert (one["modes"], none["modes"]) == (1, 0)
    assert none["total-variation"] == 1


def test_a_blur_over_the_plane_passes_for_good_by_modes_and_reverse_kl_and_not_by_the_primary_metric() -> None:
    task = Grid()
    blur = (torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) - 0.5) * 8
    found = task.score(blur, blur)
    published = {"modes": 17.3, "reverse-kl": 0.70}
    assert found["modes"] > published["modes"]
    assert found["reverse-kl"] < published["reverse-kl"]
    assert found["total-variation"] > task.card().floor


def test_one_mode_of_each_is_allowed() -> None:
    for task in (Ring(num_modes=1), Grid(num_modes_per_side=1)):
        points = task.load(("val",))["val"].inputs
        assert task.score(points, points)["modes"] == 1
        assert task.score(points, points)["reverse-kl"] == 0


@pytest.mark.parametrize("task", [Ring(), Grid()])
def test_samples_that_are_not_finite_have_no_score(task: Ring | Grid) -> None:
    samples = task.load(("test",))["test"].inputs.clone()
    assert all(math.isfinite(value) for value in task.score(samples, samples).values())
    samples[3, 0] = math.nan
    assert all(math.isnan(value) for value in task.score(samples, samples).values())
