"""Every registered family that generates, on every toy task of generation: what tests of answers cannot ask of samples.

The losses of two players need not fall, and a generator that repeats eight examples is none; so it is the samples that
must come closer to the data.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from suite.batch import Batch
from suite.engine.data import ResidentSplit
from suite.engine.devices import Execution
from suite.learner import Learner
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.seeds import seed_torch
from suite.spec import RunSpec
from suite.task import TASKS
from tests.small import settings_of

pytestmark = pytest.mark.usefixtures("registered_toys")

STEPS = 200
LARGEST_SHARE = 0.7
"""Share of a distance to the data below which a family must bring its samples within the steps above: both of its own
before the training, and of that of the mean example, which a family could learn to repeat."""


def prepared_for(pair: tuple[str, str]) -> Prepared:
    """Prepare a run, or skip where the task is not one of generation."""
    if TASKS.get(pair[1])().card().objective != "generation":
        pytest.skip("the task is not one of generation")
    mapping = {
        "task": pair[1],
        "family": settings_of(pair[0]),
        "budget": {"steps": STEPS},
        "data": {"batch_size": 96},
        # Two players swing around each other: less so under a low beta1, and less still on average.
        "optimization": {"lr": 2e-3, "beta1": 0.5},
        "regularization": {"weight_averaging": 0.95},
        "evaluation": {"selection": "last", "every_steps": STEPS},
    }
    return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", threads=1))


def resident(prepared: Prepared) -> ResidentSplit:
    found = prepared.resident("train")
    assert found is not None
    return found


@torch.no_grad()
def sample(learner: Learner, batch: Batch, *, seed: int = 0) -> Tensor:
    seed_torch(seed)
    return learner.eval().predict(batch)


def energy_distance(samples: Tensor, examples: Tensor) -> float:
    """Return ``2 E|x - y| - E|x - x'| - E|y - y'|``, 0 where the two distributions are one."""
    x, y = samples.flatten(1), examples.flatten(1)
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def test_samples_are_a_function_of_the_seed_and_change_no_state(pair: tuple[str, str]) -> None:
    prepared = prepared_for(pair)
    learner, batch = prepared.build_learner(), resident(prepared).gather(slice(0, 8))
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    one, again, other = (sample(learner, batch, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())


def test_samples_do_not_look_at_the_examples_and_differ_from_one_another(pair: tuple[str, str]) -> None:
    prepared = prepared_for(pair)
    learner, batch = prepared.build_learner(), resident(prepared).gather(slice(0, 8))
    samples = sample(learner, batch)
    assert torch.equal(samples, sample(learner, Batch(batch.inputs + 1, batch.targets + 1)))
    assert len(samples.unique(dim=0)) == len(samples)


def test_losses_reach_every_parameter(pair: tuple[str, str]) -> None:
    prepared = prepared_for(pair)
    learner = prepared.build_learner()
    learner.losses(resident(prepared).gather(slice(0, 8)))["total"].backward()
    assert [name for name, parameter in learner.named_parameters() if parameter.grad is None] == []


def test_training_brings_samples_much_closer_to_the_data(pair: tuple[str, str], tmp_path: Path) -> None:
    prepared = prepared_for(pair)
    examples = resident(prepared).gather(slice(0, None))
    untrained = energy_distance(sample(prepared.build_learner(), examples), examples.targets)
    constant = energy_distance(examples.targets.mean(dim=0, keepdim=True), examples.targets)
    folder = RunFolder(tmp_path / "run")
    result, _ = execute(prepared, folder)
    assert result["status"] == "completed", result["message"]
    samples = torch.from_numpy(np.load(folder.path / "predictions.npz")["predictions"])
    assert energy_distance(samples, examples.targets) < LARGEST_SHARE * min(untrained, constant)
