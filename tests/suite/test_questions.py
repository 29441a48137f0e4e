"""What a model is asked, and what methods answer where the right answer is known in closed form."""

from typing import Any

import pytest
import torch

from suite import questions
from suite.explainer import EXPLAINERS, Question
from suite.family import FAMILIES
from suite.learner import Learner
from suite.seeds import seed_torch
from suite.task import Task

pytest.importorskip("captum", reason="an extra that `make install` leaves out")


def question(toys: dict[str, type[Task]], task: str, family: str, **settings: Any) -> Question:
    seed_torch(3)
    toy = toys[task]()
    learner = FAMILIES.get(family)(**settings).build(toy.card()).eval()
    splits = toy.load(["test"])
    inputs = splits["test"].inputs[:5]
    return questions.ask(learner, inputs if splits.mean is None else (inputs - splits.mean) / splits.std)


def chosen_outputs(asked: Question, features: torch.Tensor) -> torch.Tensor:
    return asked.outputs(features).gather(1, asked.chosen.unsqueeze(1)).squeeze(1)


CASES = [
    ("toy-vector", "mlp", (20,)),
    ("toy-signal", "cnn", (24,)),
    ("toy-image", "cnn", (8, 8)),
    ("toy-tokens", "rnn", (12,)),
    ("toy-tokens", "mlp", (12,)),
    ("toy-tokens", "transformer", (12,)),
]


@pytest.mark.parametrize(("task", "family", "positions"), CASES)
def test_features_give_the_answers_that_the_inputs_give(
    toys: dict[str, type[Task]], task: str, family: str, positions: tuple[int, ...]
) -> None:
    asked = question(toys, task, family)
    assert asked.positions == positions
    outputs = asked.outputs(asked.features)
    assert torch.equal(outputs.argmax(dim=1), asked.chosen)
    assert asked.fold(asked.features).shape == (5, *positions)


@pytest.mark.parametrize(("task", "family", "positions"), CASES)
def test_integrated_gradients_sum_to_the_difference_between_input_and_baseline(
    toys: dict[str, type[Task]], task: str, family: str, positions: tuple[int, ...]
) -> None:
    """The axiom of completeness, section 3 of the paper."""
    asked = question(toys, task, family)
    contributions = EXPLAINERS.get("integrated-gradients")(steps=300).attribute(asked)
    assert contributions.shape == (5, *positions)
    baseline = asked.baseline.expand_as(asked.features)
    wanted = chosen_outputs(asked, asked.features) - chosen_outputs(asked, baseline)
    torch.testing.assert_close(contributions.flatten(1).sum(dim=1), wanted.detach(), atol=5e-3, rtol=0.02)


@pytest.mark.parametrize(("task", "family", "positions"), CASES)
def test_occlusion_is_the_fall_of_the_answer_where_one_position_is_covered(
    toys: dict[str, type[Task]], task: str, family: str, positions: tuple[int, ...]
) -> None:
    asked = question(toys, task, family)
    found = EXPLAINERS.get("occlusion")().attribute(asked).flatten(1)
    values = asked.features[0].numel() // found.shape[1]
    for position in range(found.shape[1]):
        # What one position is, told by itself: the features whose sum over positions it changes.
        probe = torch.zeros_like(asked.features[:1]).requires_grad_()
        asked.fold(probe).flatten(1)[0, position].backward()
        assert probe.grad is not None
        is_covered = probe.grad != 0
        assert int(is_covered.sum()) == values
        covered = torch.where(is_covered, asked.baseline, asked.features)
        fall = chosen_outputs(asked, asked.features) - chosen_outputs(asked, covered)
        torch.testing.assert_close(found[:, position], fall.detach(), atol=1e-5, rtol=1e-4)


def test_a_linear_model_has_the_same_explanation_by_both_methods(toys: dict[str, type[Task]]) -> None:
    """Each value contributes its weight times itself, by either method."""
    asked = question(toys, "toy-vector", "linear")
    weights = asked.learner.state_dict()["output.weight"][asked.chosen]
    for name in ("integrated-gradients", "occlusion"):
        found = EXPLAINERS.get(name)().attribute(asked)
        torch.testing.assert_close(found, weights * asked.inputs, atol=1e-5, rtol=1e-4)


def test_a_wider_window_gives_each_position_the_mean_of_its_windows(toys: dict[str, type[Task]]) -> None:
    asked = question(toys, "toy-vector", "linear")
    single = EXPLAINERS.get("occlusion")().attribute(asked)
    sums = single[:, :-1] + single[:, 1:]
    wide = EXPLAINERS.get("occlusion")(window=2).attribute(asked)
    torch.testing.assert_close(wide[:, 1:-1], (sums[:, :-1] + sums[:, 1:]) / 2, atol=1e-5, rtol=1e-4)
    assert "window <= 20" in (EXPLAINERS.get("occlusion")(window=21).misfit(asked) or "")


@pytest.mark.parametrize("readout", ["mean", "last", "class-token"])
@pytest.mark.parametrize("task", ["toy-vector", "toy-signal", "toy-image", "toy-tokens"])
def test_rolled_out_attention_is_shares_of_the_positions(toys: dict[str, type[Task]], task: str, readout: str) -> None:
    asked = question(toys, task, "transformer", readout=readout, patch_size=4)
    found = EXPLAINERS.get("attention-rollout")().attribute(asked)
    assert found.shape == (5, *asked.positions)
    assert bool((found >= 0).all())
    total = found.flatten(1).sum(dim=1)
    if readout == "class-token":  # which keeps a share of the answer for itself
        assert bool(((total > 0) & (total < 1)).all())
    else:
        torch.testing.assert_close(total, torch.ones(5))


def test_one_layer_of_attention_rolled_out_is_half_itself_and_half_the_shortcut(toys: dict[str, type[Task]]) -> None:
    asked = question(toys, "toy-tokens", "transformer", readout="last", num_layers=1)
    found = EXPLAINERS.get("attention-rollout")().attribute(asked)
    learner: Any = asked.learner
    from suite.batch import Batch

    attention = learner.attention_maps(Batch(asked.inputs, asked.inputs))[:, 0].mean(dim=1)[:, -1] / 2
    attention[:, -1] += 0.5
    torch.testing.assert_close(found, attention)


def test_attention_over_rows_of_an_image_is_shared_by_their_pixels(toys: dict[str, type[Task]]) -> None:
    asked = question(toys, "toy-image", "attention")
    found = EXPLAINERS.get("attention-rollout")().attribute(asked)
    learner: Any = asked.learner
    torch.testing.assert_close(found.sum(dim=2), learner.attention_weights(asked.inputs))
    torch.testing.assert_close(found[:, :, 0], found[:, :, -1])


def test_patches_of_an_image_lie_where_they_were_cut() -> None:
    """Attention to a patch is shared by the pixels that change it."""
    from suite.layers import Patches
    from tests.conformance.toy_tasks import ToyImage

    patches = Patches(ToyImage().card(), 4, 6)
    for place in range(4):
        share = torch.zeros(1, 4)
        share[0, place] = 1
        picture = torch.zeros(1, 3, 8, 8, requires_grad=True)
        patches(picture)[0, place].sum().backward()
        assert picture.grad is not None
        assert torch.equal(patches.spread(share)[0] > 0, picture.grad[0].abs().sum(dim=0) > 0)


def test_a_model_without_attention_is_told_so(toys: dict[str, type[Task]]) -> None:
    asked = question(toys, "toy-vector", "mlp")
    assert "attention weights" in (EXPLAINERS.get("attention-rollout")().misfit(asked) or "")


def test_a_model_that_lets_no_gradient_through_is_told_so(toys: dict[str, type[Task]]) -> None:
    asked = question(toys, "toy-image", "simclr")
    assert "lets none through" in (EXPLAINERS.get("integrated-gradients")().misfit(asked) or "")
    assert EXPLAINERS.get("occlusion")().misfit(asked) is None


def _look_again(module: Any, arguments: tuple[torch.Tensor]) -> None:
    module.again(arguments[0])


def test_tokens_that_enter_twice_are_refused(toys: dict[str, type[Task]]) -> None:
    from suite.errors import UserError

    toy = toys["toy-tokens"]()
    learner: Learner = FAMILIES.get("mlp")().build(toy.card()).eval()
    learner.again = torch.nn.Embedding(7, 3)
    learner.register_forward_pre_hook(_look_again)
    with pytest.raises(UserError, match="2 such layers take them in"):
        questions.ask(learner, toy.load(["test"])["test"].inputs[:2].long())
