"""The base of learners that generate what they were shown."""

from typing import Any

from suite.errors import UserError
from suite.learner import Learner


class GenerativeLearner(Learner):
    """A learner that generates what it was shown, changed examples included; so nothing may change them."""

    def configure(self, **settings: Any) -> None:
        """Set how this learner is optimised; refuse what changes examples."""
        if self.transforms:
            raise UserError(
                "A generator learns what it is shown, so nothing may change the examples on their way, but this run "
                "would. Leave augmentation, cutmix, input_noise and mixup off, and take a task without corruption."
            )
        super().configure(**settings)
