"""Linear-Gaussian vectors: their moments and closed forms against samples and scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from suite.errors import UserError
from suite.metrics import squared_error
from tasks.linear_gaussian import LinearGaussian, optimal_log_likelihood

TASK = LinearGaussian()


def test_default_data_is_the_pinned_one() -> None:
    assert TASK.check_data() == TASK.card().sha256


def test_vectors_have_mean_zero_and_the_known_covariance() -> None:
    values = TASK.load(("train",))["train"].inputs.double().numpy()
    covariance = TASK.covariance()
    deviations = np.sqrt(np.diag(covariance))
    assert np.abs(values.mean(axis=0) / deviations).max() < 5 / np.sqrt(len(values))
    error = (values.T @ values / len(values) - covariance) / np.outer(deviations, deviations)
    assert np.abs(error).max() < 5 * np.sqrt(2 / len(values))


def test_targets_are_the_inputs() -> None:
    for split in TASK.load().by_name.values():
        assert torch.equal(split.inputs, split.targets)


def test_floor_is_the_error_of_answering_with_the_mean() -> None:
    test = TASK.load(("test",))["test"].targets
    assert squared_error(torch.zeros_like(test), test).item() == pytest.approx(TASK.card().floor, rel=0.05)


@pytest.mark.parametrize("num_latents", [1, 4, 7])
def test_ceiling_is_the_error_of_pca_with_as_many_components_as_latents(num_latents: int) -> None:
    task = LinearGaussian(num_latents=num_latents, noise=0.3)
    spectrum, directions = np.linalg.eigh(task.covariance())
    assert spectrum[:-num_latents].sum() / 20 == pytest.approx(task.card().ceiling)
    basis = torch.from_numpy(directions[:, -num_latents:])
    test = task.load(("test",))["test"].inputs.double()
    assert squared_error(test @ basis @ basis.T, test).item() == pytest.approx(task.card().ceiling, rel=0.02)


def test_log_likelihood_is_scipys_and_beats_that_of_any_wrong_noise() -> None:
    test = TASK.load(("test",))["test"].inputs
    expected = multivariate_normal(np.zeros(20), TASK.covariance()).logpdf(test.double().numpy())
    np.testing.assert_allclose(optimal_log_likelihood(TASK, test).numpy(), expected, rtol=1e-9)
    for noise in (0.45, 0.55):
        assert optimal_log_likelihood(LinearGaussian(noise=noise), test).mean() < expected.mean() - 0.1


def test_as_many_latents_as_values_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"`num_latents < num_values` must hold, but got \(num_latents=9, num_values=9\)"
    ):
        LinearGaussian(num_latents=9, num_values=9)


@pytest.mark.parametrize("task", [TASK, LinearGaussian(num_latents=2, noise=0.3)], ids=["default", "other"])
def test_anchors_are_those_of_scikit_learn_and_scipy_on_the_test_split(task: LinearGaussian) -> None:
    splits = task.load(("train", "test"))
    train, test = (splits[name].inputs.double().numpy() for name in ("train", "test"))
    pca = PCA(n_components=task.num_latents, svd_solver="full").fit(train)
    error = np.square(pca.inverse_transform(pca.transform(test)) - test).mean()
    likelihood = multivariate_normal(np.zeros(20), task.covariance()).logpdf(test).mean()
    assert task.anchors() == pytest.approx(
        {"floor": task.card().floor, "ceiling": task.card().ceiling, "pca": error, "log-likelihood": likelihood},
        rel=1e-9,
    )
