"""The few test examples that a run keeps: which ones, as the model sees them, and attention within bounds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from suite.batch import Batch
from suite.families.mlp import MLP
from suite.runs import examples
from suite.runs.folder import EXAMPLES, PREDICTIONS, RunFolder
from tasks.digits import Digits
from tasks.digits_reconstruction import DigitsReconstruction

DIGITS: dict[str, Any] = {"task": "digits", "data": {"batch_size": 64}}


def kept(folder: RunFolder) -> dict[str, Any]:
    with np.load(folder.path / EXAMPLES, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_a_run_keeps_eight_examples_from_all_parts_of_test_and_vouches_for_them(
    run_quickly: Callable[..., Any],
) -> None:
    result, folder = run_quickly({**DIGITS, "family": "mlp"})
    found = kept(folder)
    assert set(found) == {"indices", "inputs", "class_names"}
    assert found["indices"].tolist() == [0, 51, 103, 154, 205, 256, 308, 359]
    splits = Digits().load()
    assert splits.mean is not None
    assert splits.std is not None
    expected = (splits["test"].inputs[found["indices"]] - splits.mean) / splits.std
    np.testing.assert_allclose(found["inputs"], expected.numpy(), rtol=1e-6)
    assert tuple(found["class_names"]) == Digits().card().class_names
    assert EXAMPLES in result["files"]
    assert folder.damaged_files() == []
    (folder.path / EXAMPLES).write_bytes(b"changed")
    assert folder.damaged_files() == [EXAMPLES]


def test_inputs_and_targets_are_on_one_scale(run_quickly: Callable[..., Any]) -> None:
    """Predictions, targets and inputs of a reconstruction can be held side by side."""
    _, folder = run_quickly({"task": "digits-reconstruction", "family": "autoencoder"})
    found = kept(folder)
    with np.load(folder.path / PREDICTIONS) as archive:
        targets = archive["targets"]
    np.testing.assert_array_equal(targets[found["indices"]], found["inputs"])
    assert (targets.min(), targets.max()) == (0, 1)
    assert len(targets) == DigitsReconstruction().card().split_sizes["test"]


def test_attention_of_the_examples_is_kept(run_quickly: Callable[..., Any]) -> None:
    _, folder = run_quickly({**DIGITS, "family": "attention"})
    found = kept(folder)
    assert found["attention"].shape == (8, 1, 1, 1, 8)
    np.testing.assert_allclose(found["attention"].sum(axis=-1), 1, atol=5e-3)


def test_a_trial_that_leaves_test_alone_keeps_no_test_example(run_quickly: Callable[..., Any]) -> None:
    _, folder = run_quickly({**DIGITS, "family": "mlp", "evaluation": {"test": False}})
    assert not (folder.path / EXAMPLES).exists()


@pytest.mark.parametrize(("limit", "shape"), [(10_000, (8, 2, 3, 4, 4)), (250, (2, 2, 3, 4, 4)), (60, (1, 1, 3, 4, 4))])
def test_attention_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch, limit: int, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(examples, "MAX_WEIGHTS", limit)
    learner = MLP().build(Digits().card())
    learner.attention_maps = lambda batch: torch.rand(8, 2, 3, 4, 4)  # type: ignore[method-assign]
    found = examples._attention(learner, Batch(torch.zeros(8, 1, 8, 8), torch.zeros(8)))
    assert found is not None
    assert found.shape == shape


def test_a_family_without_attention_has_none() -> None:
    batch = Batch(torch.zeros(8, 1, 8, 8), torch.zeros(8))
    assert MLP().build(Digits().card()).attention_maps(batch) is None
