"""Weight averaging: the formula, what is scored, and what a checkpoint keeps."""

from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.families.linear import Linear
from suite.families.resnet import ResNet
from suite.regularization.weight_averaging import WeightAveraging
from suite.runs.execute import execute
from suite.runs.folder import WEIGHTS, RunFolder
from suite.runs.prepare import prepare
from suite.spec import RunSpec
from tasks.digits import Digits


def spec(decay: float, family: str = "linear") -> RunSpec:
    small = {"channels": [4]} if family == "resnet" else {}
    return RunSpec.from_mapping(
        {
            "task": "digits",
            "family": {"name": family, **small},
            "regularization": {"weight_averaging": decay},
            "budget": {"epochs": 3},
        }
    )


def test_the_average_follows_its_formula_from_the_first_step_on() -> None:
    learner = Linear().build(Digits().card())
    WeightAveraging(weight_averaging=0.9).attach(learner)
    (update,) = learner.after_step
    weight = learner.output.weight
    values = []
    for step in range(4):
        with torch.no_grad():
            weight.fill_(float(step + 1))
        update()
        values.append(learner.averages["output.weight"].mean().item())
    expected = [1.0]
    for step in range(1, 4):
        expected.append(0.9 * expected[-1] + 0.1 * (step + 1))
    torch.testing.assert_close(torch.tensor(values), torch.tensor(expected))


def test_averages_stand_in_for_the_weights_only_while_entered() -> None:
    learner = Linear().build(Digits().card())
    WeightAveraging(weight_averaging=0.9).attach(learner)
    learner.after_step[0]()
    trained = learner.output.weight.detach().clone()
    with torch.no_grad():
        learner.output.weight.add_(1)
    batch = Batch(torch.randn(5, 1, 8, 8), torch.zeros(5, dtype=torch.int64))
    with learner.averaged():
        torch.testing.assert_close(learner.output.weight.detach(), trained)
        averaged = learner.predict(batch)
    torch.testing.assert_close(learner.output.weight.detach(), trained + 1)
    assert not torch.equal(averaged, learner.predict(batch))
    torch.testing.assert_close(learner.selected_weights()["output.weight"], trained)


def test_batch_norms_statistics_are_averaged_with_the_weights_as_torch_does() -> None:
    learner = ResNet(channels=(4,), blocks=(1,)).build(Digits().card())
    WeightAveraging(weight_averaging=0.9).attach(learner)
    reference = AveragedModel(learner, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    learner.train()
    for _ in range(4):
        with torch.no_grad():
            learner(torch.randn(8, 1, 8, 8) * 3 + 1)
            for parameter in learner.parameters():
                parameter.add_(torch.randn_like(parameter))
        learner.after_step[0]()
        reference.update_parameters(learner)
    last = learner.state_dict()
    kept, expected = learner.selected_weights(), reference.module.state_dict()
    statistics = [name for name in kept if name.endswith(("running_mean", "running_var"))]
    assert len(statistics) == 6
    for name in kept:
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(kept[name], expected[name])
            assert not torch.allclose(kept[name], last[name])


@pytest.mark.parametrize("family", ["linear", "resnet"])
def test_an_interrupted_run_keeps_its_average_bit_for_bit(family: str, tmp_path: Path) -> None:
    prepared = prepare(spec(0.99, family), Execution(block_steps=7, checkpoint_seconds=0))
    whole, _ = execute(prepared, RunFolder(tmp_path / "whole" / prepared.run_id))
    calls = iter(range(1000))
    cut = RunFolder(tmp_path / "cut" / prepared.run_id)
    stopped, _ = execute(prepared, cut, should_stop=lambda: next(calls) == 4)
    assert stopped["status"] == "interrupted"
    resumed, _ = execute(prepared, cut)
    assert resumed["status"] == "completed"
    assert resumed["digests"] == whole["digests"]


def test_averaging_changes_what_is_kept_and_not_how_it_trains(tmp_path: Path) -> None:
    digests = []
    for decay in (0.0, 0.999):
        prepared = prepare(spec(decay), Execution())
        folder = RunFolder(tmp_path / str(decay) / prepared.run_id)
        result, _ = execute(prepared, folder)
        assert (folder.path / WEIGHTS).is_file()
        digests.append(result["digests"]["weights"])
    assert digests[0] != digests[1]
