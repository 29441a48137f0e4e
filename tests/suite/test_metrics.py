"""Metrics against scikit-learn and numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from suite.metrics import BEST_PSNR, accuracy, cross_entropy, psnr, score, squared_error, ssim
from suite.targets import NO_TARGET


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 10**6))
def test_accuracy_and_cross_entropy_are_scikit_learns(count: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator)
    targets = torch.randint(0, classes, (count,), generator=generator)
    guesses = logits.argmax(dim=1).numpy()
    assert accuracy(logits, targets).item() == pytest.approx(accuracy_score(targets.numpy(), guesses))
    shares = logits.double().softmax(dim=1).numpy()
    expected = log_loss(targets.numpy(), shares, labels=np.arange(classes))
    assert cross_entropy(logits, targets).item() == pytest.approx(expected, rel=1e-4)


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_squared_error_is_the_mean_over_all_outputs(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, count, 6)).astype(np.float32)
    shaped = (torch.from_numpy(part).reshape(count, 2, 3) for part in (one, other))
    assert squared_error(*shaped).item() == pytest.approx(mean_squared_error(one, other), rel=1e-5)


def test_accuracy_counts_examples_alike_whatever_their_class() -> None:
    logits = torch.eye(3)[[0, 0, 0, 1]]
    assert accuracy(logits, torch.tensor([0, 0, 0, 2])).item() == 0.75


def pictures(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return targets in [0, 1] and predictions near them, some outside."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(shape, generator=generator)
    return targets + 0.2 * torch.randn(shape, generator=generator), targets


@given(st.integers(1, 9), st.integers(0, 10**6))
def test_psnr_is_the_mean_of_torchmetrics_over_pictures(count: int, seed: int) -> None:
    predictions, targets = pictures(seed, count, 2, 5, 6)
    expected = peak_signal_noise_ratio(
        predictions, targets, data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3)
    )
    assert psnr(predictions, targets).item() == pytest.approx(expected.item(), rel=1e-5)


def test_psnr_of_pictures_without_error_is_the_best_there_is() -> None:
    targets = torch.rand(3, 1, 4, 4)
    assert psnr(targets, targets).item() == pytest.approx(BEST_PSNR)


@given(st.integers(1, 4), st.integers(11, 30), st.integers(11, 30), st.integers(0, 10**6))
def test_ssim_is_torchmetrics_where_the_whole_window_fits(count: int, height: int, width: int, seed: int) -> None:
    predictions, targets = pictures(seed, count, 3, height, width)
    _, everywhere = structural_similarity_index_measure(predictions, targets, data_range=1.0, return_full_image=True)
    expected = everywhere[..., 5:-5, 5:-5].mean()  # it mirrors the pictures at their edges
    assert ssim(predictions, targets).item() == pytest.approx(expected.item(), abs=1e-4)


@given(st.integers(3, 10), st.integers(3, 12), st.integers(0, 10**6))
def test_ssim_of_small_pictures_takes_the_largest_odd_window_that_fits(height: int, width: int, seed: int) -> None:
    predictions, targets = pictures(seed, 2, 1, height, width)
    size = max(size for size in (3, 5, 7, 9, 11) if size <= min(height, width))
    weights = np.exp(-((np.arange(size) - size // 2.0) ** 2) / 4.5)
    window = np.outer(weights, weights) / weights.sum() ** 2
    found = []
    for one, other in zip(predictions.double().numpy(), targets.double().numpy(), strict=True):
        windows = [np.lib.stride_tricks.sliding_window_view(part[0], (size, size)) for part in (one, other)]
        means = [(part * window).sum(axis=(2, 3)) for part in windows]
        deviations = [part - mean[..., None, None] for part, mean in zip(windows, means, strict=True)]
        variances = sum((part**2 * window).sum(axis=(2, 3)) for part in deviations)
        covariance = (deviations[0] * deviations[1] * window).sum(axis=(2, 3))
        luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
        found.append((luminance * (2 * covariance + 9e-4) / (variances + 9e-4)).mean())
    assert ssim(predictions, targets).item() == pytest.approx(np.mean(found), abs=1e-4)


def test_ssim_of_equal_pictures_is_one() -> None:
    targets = torch.rand(3, 1, 8, 8)
    assert ssim(targets, targets).item() == pytest.approx(1.0)


def test_score_names_the_metrics_and_the_loss() -> None:
    logits, targets = torch.tensor([[4.0, 0, 0, 0], [4.0, 0, 0, 0]]), torch.tensor([0, 1])
    found = score(("accuracy",), "cross-entropy", logits, targets)
    assert found == {"accuracy": 0.5, "loss": pytest.approx(cross_entropy(logits, targets).item())}
    by_loss = score(("cross-entropy",), "cross-entropy", logits, targets)
    assert by_loss["cross-entropy"] == by_loss["loss"]


def test_score_has_no_loss_where_the_objective_is_no_metric() -> None:
    assert set(score(("squared-error",), "generation", torch.zeros(2, 1), torch.ones(2, 1))) == {"squared-error"}


def test_an_answer_that_is_always_the_same_scores_its_share_to_the_last_bit() -> None:
    logits = torch.zeros(10_000, 10)
    logits[:, 3] = 1
    assert accuracy(logits, torch.arange(10_000) % 10).item() == 0.1


def test_positions_without_an_answer_count_for_nothing() -> None:
    logits, targets = (
        torch.eye(3)[torch.tensor([[0, 1, 2], [2, 1, 0]])],
        torch.tensor([[0, NO_TARGET, 0], [NO_TARGET, 1, 1]]),
    )
    assert accuracy(logits, targets).item() == 0.5
    answered = targets != NO_TARGET
    expected = torch.nn.functional.cross_entropy(logits[answered], targets[answered])
    torch.testing.assert_close(cross_entropy(logits, targets), expected)


def test_scores_are_those_of_their_names_and_bits_are_nats_over_ln_2() -> None:
    logits, targets = torch.randn(7, 4), torch.arange(7) % 4
    found = score(("accuracy", "bits", "cross-entropy"), "cross-entropy", logits, targets)
    assert found["bits"] == pytest.approx(found["cross-entropy"] / 0.6931471805599453)
    assert found["loss"] == found["cross-entropy"]
    shown, true = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    pictures_found = score(("psnr", "ssim"), "squared-error", shown, true)
    assert pictures_found["psnr"] == pytest.approx(psnr(shown, true).item())
    assert pictures_found["ssim"] == pytest.approx(ssim(shown, true).item())
    assert pictures_found["psnr"] != pytest.approx(pictures_found["ssim"])
