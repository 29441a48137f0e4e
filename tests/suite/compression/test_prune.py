from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from suite.compression.prune import Prune
from suite.errors import UserError
from suite.learner import Learner


def masked(learner: Learner) -> dict[str, Tensor]:
    """Return which weights (no biases) are not zero."""
    return {name: item.detach() != 0 for name, item in learner.named_parameters() if item.ndim >= 2}


def cut(models: Any, **settings: Any) -> Learner:
    learner, parent = models("mlp", seed=1, num_layers=2), models("mlp", seed=2, num_layers=2)
    Prune(fine_tuning=False, **settings).attach(learner, parent, 0)
    return learner


def by_torch(models: Any, share: float, *, is_global: bool) -> dict[str, Tensor]:
    """Return what torch.nn.utils.prune keeps of the same parent."""
    parent = models("mlp", seed=2, num_layers=2)
    layers = [(module, "weight") for module in parent.modules() if isinstance(module, nn.Linear)]
    if is_global:
        prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=share)
    else:
        for module, name in layers:
            prune.l1_unstructured(module, name, amount=share)
    return {
        f"{name}.weight": module.weight_mask.bool()
        for name, module in parent.named_modules()
        if (module, "weight") in layers
    }


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("share", [0.25, 0.9])
def test_the_smallest_weights_go_as_torchs_own_pruning_has_it(vectors: Any, scope: Any, share: float) -> None:
    ours, theirs = masked(cut(vectors, share=share, scope=scope)), by_torch(vectors, share, is_global=scope == "global")
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_threshold_cuts_by_size(vectors: Any) -> None:
    learner, parent = cut(vectors, threshold=0.1), vectors("mlp", seed=2, num_layers=2)
    for name, kept in masked(learner).items():
        assert torch.equal(kept, parent.get_parameter(name).abs() > 0.1)


def test_biases_stay_as_they_are(vectors: Any) -> None:
    learner, parent = cut(vectors, share=0.9), vectors("mlp", seed=2, num_layers=2)
    biases = [name for name, item in parent.named_parameters() if item.ndim == 1]
    assert biases
    assert all(torch.equal(learner.get_parameter(name), parent.get_parameter(name)) for name in biases)


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_channels_go_whole_with_their_biases_and_the_answers_stay(images: Any, scope: Any) -> None:
    learner, parent = images("cnn", seed=1), images("cnn", seed=2)
    Prune(units="channels", share=0.5, scope=scope, fine_tuning=False).attach(learner, parent, 0)
    sizes: dict[str, tuple[int, int]] = {}
    for name, module in learner.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            gone = (module.weight.flatten(1) == 0).all(dim=1)
            assert torch.equal(gone, (module.weight.flatten(1) == 0).any(dim=1)), "a channel is whole or gone"
            assert module.bias is not None
            assert bool((module.bias[gone] == 0).all())
            sizes[name] = (int(gone.sum()), len(gone))
    assert sizes.pop("output") == (0, 4)
    assert sum(count for count, _ in sizes.values()) == sum(total for _, total in sizes.values()) // 2
    if scope == "layer":
        assert all(count == total // 2 for count, total in sizes.values())
    kept = parent.get_parameter("dense.1.weight").norm(dim=1)
    zeros = (learner.get_parameter("dense.1.weight") == 0).all(dim=1)
    assert kept[zeros].max() < kept[~zeros].min()


def test_every_layer_keeps_a_channel_however_much_is_cut(images: Any) -> None:
    learner = images("cnn")
    Prune(units="channels", share=0.999, fine_tuning=False).attach(learner, images("cnn"), 0)
    assert all(bool((item != 0).any()) for item in learner.parameters() if item.ndim >= 2)


def test_gradual_pruning_follows_the_cubic_course_and_counts_no_score_before_its_end(vectors: Any) -> None:
    learner, parent = vectors("mlp", seed=1), vectors("mlp", seed=2)
    Prune(share=0.8, schedule="gradual", gradual_fraction=0.5, gradual_every_steps=4).attach(learner, parent, 40)
    total = sum(kept.numel() for kept in masked(learner).values())
    found = {}
    for step in range(40):
        for hook in learner.before_step:
            hook(step)
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        for done in learner.after_step:
            done()
        found[step] = 1 - sum(int(kept.sum()) for kept in masked(learner).values()) / total
    for step in range(40):
        course = 0.8 * (1 - (1 - min(step - step % 4, 20) / 20) ** 3) if step < 20 else 0.8
        assert found[step] == pytest.approx(course, abs=1 / total), step
    assert learner.first_selectable_step == 21


def test_rewinding_starts_from_the_first_weights_under_the_mask_of_the_last(vectors: Any) -> None:
    learner, parent, fresh = vectors("mlp", seed=1), vectors("mlp", seed=2), vectors("mlp", seed=1)
    Prune(share=0.5, schedule="rewind").attach(learner, parent, 40)
    kept = masked(learner)
    assert all(torch.equal(kept[name], mask) for name, mask in by_size(parent, 0.5).items())
    assert all(torch.equal(learner.get_parameter(name), fresh.get_parameter(name) * kept[name]) for name in kept)


def by_size(learner: Learner, share: float) -> dict[str, Tensor]:
    sizes = {name: item.detach().abs() for name, item in learner.named_parameters() if item.ndim >= 2}
    edge = torch.cat([size.flatten() for size in sizes.values()]).sort().values
    limit = edge[round(share * len(edge)) - 1]
    return {name: size > limit for name, size in sizes.items()}


def test_rewinding_to_a_later_step_takes_the_mask_in_there(vectors: Any) -> None:
    learner, fresh = vectors("mlp", seed=1), vectors("mlp", seed=1)
    Prune(schedule="rewind", rewind_steps=3).attach(learner, vectors("mlp", seed=2), 40)
    for step in range(3):
        learner.before_step[0](step)
        learner.after_step[0]()
    assert all(torch.equal(one, other) for one, other in zip(learner.parameters(), fresh.parameters(), strict=True))
    learner.before_step[0](3)
    assert sum(int(kept.sum()) for kept in masked(learner).values()) < 0.11 * sum(
        kept.numel() for kept in masked(learner).values()
    )
    assert learner.first_selectable_step == 4


def test_averaged_weights_are_cut_as_well(vectors: Any) -> None:
    learner = vectors("mlp", seed=1)
    Prune(share=0.9).attach(learner, vectors("mlp", seed=2), 40)
    learner.averages = {name: torch.ones_like(item) for name, item in learner.named_parameters()}
    learner.after_step[0]()
    assert all(torch.equal(learner.averages[name] != 0, mask) for name, mask in learner.masks.items())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 0.5, "threshold": 0.1}, "two ways to say the same"),
        ({"share": 1.0}, "share < 1"),
        ({"share": 0.0}, "0 < share"),
        ({"threshold": -1}, "0 < threshold"),
        ({"schedule": "gradual", "fine_tuning": False}, "is a way to train"),
        ({"schedule": "gradual", "threshold": 0.1}, "rises to a share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Prune(**settings)


def test_a_model_without_hidden_layers_has_no_channels_to_give(vectors: Any) -> None:
    with pytest.raises(UserError, match=r"Take --compression\.units weights"):
        Prune(units="channels").attach(vectors("linear"), vectors("linear"), 10)


@pytest.mark.parametrize(("total_steps", "said"), [(None, "must know the last step"), (3, "rewind_steps < steps")])
def test_a_course_must_fit_into_the_training(vectors: Any, total_steps: int | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Prune(schedule="rewind", rewind_steps=3).attach(vectors("mlp"), vectors("mlp"), total_steps)
