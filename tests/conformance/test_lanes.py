"""Every family's losses as lanes of one program: K learners that differ in weights and strengths, under one `vmap`.

Nothing trains so yet; the test keeps `Learner.losses` fit for it: no reading of values, no branch on data, and no
strength that is a Python number.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from suite.batch import Batch
from suite.engine.data import ResidentSplit
from suite.layers import Dropout
from suite.learner import Learner
from suite.regularization.dropout import Dropout as DropoutRegularizer
from suite.regularization.l1 import L1
from suite.regularization.l2 import L2
from suite.regularization.label_smoothing import LabelSmoothing
from suite.regularizer import REGULARIZERS, Regularizer
from suite.runs.splits import load_splits
from suite.seeds import derive, seed_torch
from suite.spec import RunSpec
from suite.task import TASKS
from tests.small import settings_of, small

pytestmark = [
    pytest.mark.usefixtures("registered_toys"),
    # torch runs the lanes of an LSTM one after the other on a CPU: slow, and right.
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]

Pair = tuple[str, str]
NUM_LANES = 3
BATCH_SIZE = 8


class Losses(nn.Module):
    """A learner whose forward pass is its regularised losses, as `functional_call` needs it."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses."""
        return self.learner.regularized_losses(batch)


def regularizers(learner: Learner, lane: int) -> list[Regularizer]:
    """Return regularisers whose strengths differ between lanes, each where it has a place."""
    found: list[Regularizer] = [L1(l1=1e-3 * (lane + 1)), L2(l2=1e-2 * (lane + 1))]
    if any(isinstance(module, Dropout) for module in learner.modules()):
        found.append(DropoutRegularizer(dropout=0.2 * (lane + 1)))
    if learner.card.objective == "cross-entropy" and hasattr(learner, "label_smoothing"):
        found.append(LabelSmoothing(label_smoothing=0.1 * (lane + 1)))
    return found


def build_lane(pair: Pair, lane: int) -> Learner:
    seed_torch(derive(lane, "initialization"))
    learner = small(pair[0]).build(TASKS.get(pair[1])().card())
    for regularizer in regularizers(learner, lane):
        regularizer.attach(learner)
    learner.configure(noise_seed=lane, schedule=lambda _step: 1.0, build_optimizer=_no_optimizer)
    return learner.train()


def _no_optimizer(*_arguments: Any) -> torch.optim.Optimizer:
    raise AssertionError("losses build no optimiser")


def batches(pair: Pair) -> list[Batch]:
    splits = load_splits(RunSpec.from_mapping({"task": pair[1], "family": settings_of(pair[0])}), "train")
    train = ResidentSplit.place(splits["train"], splits, torch.device("cpu"))
    return [train.gather(slice(lane * BATCH_SIZE, (lane + 1) * BATCH_SIZE)) for lane in range(NUM_LANES)]


def test_losses_and_gradients_of_lanes_are_those_of_learners_by_themselves(pair: Pair) -> None:
    lanes = [Losses(build_lane(pair, lane)) for lane in range(NUM_LANES)]
    examples = batches(pair)
    parameters, buffers = stack_module_state(lanes)  # type: ignore[arg-type]  # torch's annotation: list is invariant

    def total(trained: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> tuple[Any, Any]:
        losses = functional_call(lanes[0], (trained, kept), (Batch(inputs, targets),))
        return losses["total"], losses

    inputs = torch.stack([batch.inputs for batch in examples])
    targets = torch.stack([batch.targets for batch in examples])
    seed_torch(5)
    # Under "same" every lane sees the draws that a learner by itself sees under this seed.
    mapped = vmap(grad_and_value(total, has_aux=True), randomness="same")
    gradients, (_, losses) = mapped(dict(parameters), dict(buffers), inputs, targets)
    for lane, (module, batch) in enumerate(zip(lanes, examples, strict=True)):
        seed_torch(5)
        alone = module(batch)
        alone["total"].backward()
        assert set(alone) == set(losses)
        for name, loss in alone.items():
            torch.testing.assert_close(losses[name][lane], loss.detach(), rtol=1e-4, atol=1e-6)
        expected = {name: _gradient(parameter) for name, parameter in module.named_parameters()}
        largest = max(float(gradient.abs().max()) for gradient in expected.values())
        for name, gradient in expected.items():
            torch.testing.assert_close(gradients[name][lane], gradient, rtol=1e-3, atol=1e-5 * largest)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


class Transforms(nn.Module):
    """A learner whose forward pass is what it does to a training batch."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the changed batch without what it leaves out."""
        for transform in self.learner.transforms:
            batch = transform(batch)
        return tuple(part for part in batch if part is not None)


def changing_lanes(regularizer: str) -> list[Transforms]:
    field = regularizer.replace("-", "_")
    found = []
    for lane in range(NUM_LANES):
        learner = small("cnn").build(TASKS.get("toy-image")().card())
        REGULARIZERS.get(regularizer).from_mapping({field: 0.3 * (lane + 1)}).attach(learner)
        found.append(Transforms(learner))
    return found


def change(lanes: list[Transforms], examples: list[Batch], randomness: str) -> tuple[Tensor, ...]:
    """Return the changed batches of all lanes, mapped over a stack of their strengths."""
    parameters, buffers = stack_module_state(lanes)  # type: ignore[arg-type]  # torch's annotation: list is invariant
    seed_torch(5)
    changed: tuple[Tensor, ...] = vmap(
        lambda trained, kept, inputs, targets: functional_call(lanes[0], (trained, kept), (Batch(inputs, targets),)),
        randomness=randomness,
    )(
        dict(parameters),
        dict(buffers),
        torch.stack([batch.inputs for batch in examples]),
        torch.stack([batch.targets for batch in examples]),
    )
    return changed


@pytest.mark.parametrize("regularizer", ["augmentation", "input-noise"])
def test_changed_batches_of_lanes_are_those_of_learners_by_themselves(regularizer: str) -> None:
    lanes, examples = changing_lanes(regularizer), batches(("cnn", "toy-image"))
    inputs, targets = change(lanes, examples, "same")
    for lane, (module, batch) in enumerate(zip(lanes, examples, strict=True)):
        seed_torch(5)
        alone = module(batch)
        assert not torch.equal(alone[0], batch.inputs)
        assert torch.equal(inputs[lane], alone[0])
        assert torch.equal(targets[lane], alone[1])


@pytest.mark.parametrize("regularizer", ["cutmix", "mixup"])
def test_lanes_mix_their_own_examples_by_shares_of_their_own(regularizer: str) -> None:
    """Under "same" torch refuses a draw whose parameters differ between lanes; here each lane draws for itself."""
    examples = batches(("cnn", "toy-image"))
    inputs, targets, others, shares = change(changing_lanes(regularizer), examples, "different")
    assert shares.shape == (NUM_LANES,)
    assert len(set(shares.tolist())) == NUM_LANES
    for lane, batch in enumerate(examples):
        assert torch.equal(targets[lane], batch.targets)
        assert others[lane].sort().values.equal(batch.targets.sort().values)
        own = batch.inputs.flatten(1)
        assert bool((inputs[lane].amin() >= own.amin() - 1e-5) & (inputs[lane].amax() <= own.amax() + 1e-5))
        assert not torch.equal(inputs[lane], batch.inputs)
