import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from suite.batch import Batch
from suite.families.cnn import CNN
from suite.families.simclr import SimCLR, SimCLRLearner, contrast, contrast_second_views
from suite.family import FAMILIES
from suite.task import TASKS, Task


@pytest.fixture
def learner(toys: dict[str, type[Task]]) -> SimCLRLearner:
    torch.manual_seed(0)
    return SimCLR(channels=(4, 8), dense=()).build(toys["toy-image"]().card())


def test_the_contrastive_loss_is_the_papers_sum_over_pairs() -> None:
    """Equation 1 of Chen et al., 2020, view by view."""
    torch.manual_seed(1)
    projected, temperature, size = torch.randn(10, 6), 0.3, 5
    unit = projected / projected.norm(dim=1, keepdim=True)
    total = 0.0
    for view in range(2 * size):
        twin = (view + size) % (2 * size)
        others = [math.exp(float(unit[view] @ unit[k]) / temperature) for k in range(2 * size) if k != view]
        total -= math.log(math.exp(float(unit[view] @ unit[twin]) / temperature) / sum(others))
    found = contrast(projected, torch.tensor(temperature))
    assert float(found) == pytest.approx(total / (2 * size), rel=1e-5)


def test_views_that_agree_with_their_twins_alone_have_the_smallest_loss() -> None:
    apart = torch.eye(4).repeat(2, 1)
    mixed = torch.cat([torch.eye(4), torch.eye(4).roll(1, dims=0)])
    assert contrast(apart, torch.tensor(0.1)) < 0.01 < 1 < contrast(mixed, torch.tensor(0.1))


def test_told_from_second_views_alone_a_twin_has_half_as_many_others() -> None:
    torch.manual_seed(1)
    projected, temperature, size = torch.randn(10, 6), 0.3, 5
    unit = projected / projected.norm(dim=1, keepdim=True)
    total = 0.0
    for view in range(size):
        likeness = [math.exp(float(unit[view] @ unit[size + other]) / temperature) for other in range(size)]
        total -= math.log(likeness[view] / sum(likeness))
    found = contrast_second_views(projected, torch.tensor(temperature))
    assert float(found) == pytest.approx(total / size, rel=1e-5)


def test_the_setting_chooses_what_a_twin_is_told_from(toys: dict[str, type[Task]]) -> None:
    losses = []
    for negatives in ("all", "second-views"):
        torch.manual_seed(0)
        learner = SimCLR(channels=(4, 8), dense=(), negatives=negatives).build(toys["toy-image"]().card())
        torch.manual_seed(1)
        batch = Batch(torch.randn(8, 3, 8, 8), torch.arange(8) % 4)
        losses.append(float(learner.losses(batch)["contrastive"].detach()))
    assert losses[0] > losses[1] > 0


def test_no_gradient_of_the_labels_reaches_the_encoder(learner: SimCLRLearner) -> None:
    batch = Batch(torch.randn(8, 3, 8, 8), torch.arange(8) % 4)
    learner.losses(batch)["probe"].backward()
    reached = {name for name, parameter in learner.named_parameters() if parameter.grad is not None}
    assert reached == {"probe.weight", "probe.bias"}


def test_the_encoder_of_a_run_is_the_same_bit_for_bit_whatever_the_labels_are(
    registered_toys: dict[str, type[Task]], run_quickly: Callable[..., Any]
) -> None:
    class Mislabelled(registered_toys["toy-image"]):  # type: ignore[misc]
        """The same pictures under other labels."""

        name = "mislabels"  # as long as the other name, which seeds the examples

        def card(self) -> Any:
            return dataclasses.replace(super().card(), name=self.name)

        def load(self, splits: Any = ("train", "val", "test")) -> Any:
            loaded = super().load(splits)
            others = {
                name: dataclasses.replace(split, targets=(split.targets * 3 + 1) % 4)
                for name, split in loaded.by_name.items()
            }
            return dataclasses.replace(loaded, by_name=others)

    TASKS.add(Mislabelled)
    try:
        weights = []
        for task in ("toy-image", "mislabels"):
            mapping = {"task": task, "family": "simclr", "evaluation": {"selection": "last"}}
            result, folder = run_quickly(mapping, steps=6)
            assert result["status"] == "completed", result["message"]
            path: Path = folder.path / "checkpoints/selected.safetensors"
            weights.append(safetensors.torch.load(path.read_bytes()))
    finally:
        TASKS.remove("mislabels")
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]) != name.startswith("probe."), name


def test_each_example_has_views_of_its_own_and_the_strength_bounds_them(toys: dict[str, type[Task]]) -> None:
    card = dataclasses.replace(toys["toy-signal"]().card(), augmentations=frozenset({"shift"}))
    learner = SimCLR(view_strength=0.5).build(card)
    torch.manual_seed(0)
    signal = torch.zeros(64, 2, 24)
    signal[:, :, 12] = 1
    views = learner.view(signal)
    places = {int(view[0].argmax()) for view in views}
    assert min(places) >= 12 - 3
    assert max(places) <= 12 + 3
    assert len(places) > 3


def test_a_classifier_takes_over_the_encoder_by_name_and_begins_without_the_probe(learner: SimCLRLearner) -> None:
    classifier = CNN(channels=(4, 8), dense=()).build(learner.card)
    mine, theirs = classifier.state_dict(), learner.state_dict()
    shared = {name for name in mine if name in theirs and mine[name].shape == theirs[name].shape}
    assert shared == {name for name in mine if name.startswith("convolutions.")}


@pytest.mark.parametrize("task", ["toy-tokens", "toy-text", "toy-vector", "toy-signal"])
def test_tasks_without_changes_that_keep_the_answer_are_refused(task: str, toys: dict[str, type[Task]]) -> None:
    reason = SimCLR().misfit(toys[task]().card())
    assert reason is not None
    assert "views" in reason


def test_all_in_a_plan_does_not_stand_for_families_that_prepare_only(toys: dict[str, type[Task]]) -> None:
    card = toys["toy-image"]().card()
    left_out = {name for name in FAMILIES.names() if not FAMILIES.get(name)().joins_all(card)}
    assert left_out == {"autoencoder", "simclr", "huggingface", "timm"}
    assert FAMILIES.get("autoencoder")().joins_all(toys["toy-reconstruction"]().card())
