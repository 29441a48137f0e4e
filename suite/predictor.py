"""A trained model with its normalisation: from inputs as the task stores them to predictions."""

from torch import Tensor, nn

from suite.batch import Batch
from suite.learner import Learner


class Predictor(nn.Module):
    """What is handed out of a run: normalisation and model in one, the noise of training left out.

    Args:
        learner: The trained model.
        mean: Subtracted from stored inputs; None where inputs are tokens.
        std: What they are then divided by; likewise.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, learner: Learner, mean: Tensor | None, std: Tensor | None) -> None:
        super().__init__()
        self.learner = learner
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def normalized(self, inputs: Tensor) -> Tensor:
        """Return the inputs as the model saw them in training."""
        return inputs if self.mean is None or self.std is None else (inputs - self.mean) / self.std

    def forward(self, inputs: Tensor) -> Tensor:
        """Return one prediction per example, of the card's output shape."""
        x = self.normalized(inputs)
        return self.learner.predict(Batch(x, x))  # no prediction looks at targets
