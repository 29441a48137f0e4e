"""The base of learners that map inputs to answers and train on the objective that the card names."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from suite.batch import Batch
from suite.learner import Learner
from suite.targets import NO_TARGET
from suite.task import Card


class SupervisedLearner(Learner):
    """A learner that maps inputs to the task's outputs and trains on the objective that the card names.

    A subclass writes ``forward``: (batch, *input_shape) to (batch, *output_shape).
    """

    label_smoothing: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.register_buffer("label_smoothing", torch.zeros(()), persistent=False)
        self.smooths_labels = False
        self.rewrites: list[Callable[[Batch, Tensor, Tensor], Tensor]] = []
        """Each turns (batch, outputs, loss so far) into the loss that is trained on, with a teacher's answers, say."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the objective on ``batch``, of both targets where a regulariser mixed two examples."""
        outputs: Tensor = self(batch.inputs)
        total = self.objective(outputs, batch.targets)
        if batch.other_targets is not None and batch.share is not None:
            total = batch.share * total + (1 - batch.share) * self.objective(outputs, batch.other_targets)
        for rewrite in self.rewrites:
            total = rewrite(batch, outputs, total)
        return {"total": total}

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the objective that the card names; labels are smoothed where that is switched on."""
        if self.card.objective == "squared-error":
            return functional.mse_loss(outputs, targets)
        if targets.ndim > 1:  # an answer at every position
            outputs, targets = outputs.flatten(0, -2), targets.flatten()
        if not self.smooths_labels:
            return functional.cross_entropy(outputs, targets, ignore_index=NO_TARGET)
        # torch's own label smoothing takes a Python float; ours is a tensor, so that lanes may differ in it.
        log_probabilities = functional.log_softmax(outputs.float(), dim=-1)  # as cross_entropy does under autocast
        likelihood = functional.nll_loss(log_probabilities, targets, ignore_index=NO_TARGET)
        answered = (targets != NO_TARGET).to(log_probabilities.dtype)
        uniform = -(log_probabilities.mean(dim=-1) * answered).sum() / answered.sum()
        return (1 - self.label_smoothing) * likelihood + self.label_smoothing * uniform

    def shape_outputs(self, flat: Float[Tensor, "batch values"]) -> Float[Tensor, "batch *outputs"]:
        """Return flat outputs in the card's output shape."""
        # A reshape to the shape that is there already would still be a node of the graph, 3 % of a small step.
        # Python's len would fix the number of examples in a graph that is exported.
        return flat if len(self.card.output_shape) == 1 else flat.reshape(flat.shape[0], *self.card.output_shape)

    def predict(self, batch: Batch) -> Tensor:
        """Return the outputs (logits for classification)."""
        outputs: Tensor = self(batch.inputs)
        return outputs
