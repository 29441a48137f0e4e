"""Every registered family on every toy task that it supports."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from suite.batch import Batch
from suite.engine.data import ResidentSplit
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.family import FAMILIES
from suite.fields import fields_of
from suite.layers import Dropout
from suite.learner import Learner
from suite.regularization.l1 import L1
from suite.regularization.l2 import L2
from suite.runs.prepare import prepare
from suite.runs.splits import load_splits
from suite.seeds import derive, seed_torch
from suite.spec import RunSpec
from suite.task import TASKS
from tests.small import settings_of, small

pytestmark = pytest.mark.usefixtures("registered_toys")

Pair = tuple[str, str]
OVERFIT_STEPS = 300
OVERFIT_SHARE = 0.05
"""Share of its first loss to which a family must bring the loss of eight examples within the steps above."""
SHARE_WITH_PARTS = 0.6
"""The same where the total is a sum, such as reconstruction and divergence, whose parts hold each other up."""


def build(pair: Pair, seed: int = 0) -> Learner:
    """Return a fresh learner, without the checks and counts of `prepare`."""
    family, task = pair
    seed_torch(derive(seed, "initialization"))
    return small(family).build(TASKS.get(task)().card())


def first_batch(pair: Pair, size: int) -> Batch:
    splits = load_splits(RunSpec.from_mapping({"task": pair[1], "family": settings_of(pair[0])}), "train")
    return ResidentSplit.place(splits["train"], splits, torch.device("cpu")).gather(slice(0, size))


def weights(learner: Learner) -> list[Tensor]:
    return [parameter.detach() for parameter in learner.parameters()]


def skip_generation(pair: Pair) -> None:
    """Skip where predictions are samples, and losses those of a game."""
    if TASKS.get(pair[1])().card().objective == "generation":
        pytest.skip("predictions of a generator are samples, and its losses may be those of a game")


def test_every_family_supports_some_toy_task(family_name: str, toys: dict[str, Any]) -> None:
    reasons = {name: small(family_name).misfit(task().card()) for name, task in toys.items()}
    assert None in reasons.values(), f"no toy task has a shape for {family_name!r}; add one to toy_tasks.py: {reasons}"


def test_misfit_is_a_reason_that_prepare_repeats_or_none(family_name: str, toys: dict[str, Any]) -> None:
    for name, task in toys.items():
        reason = FAMILIES.get(family_name)().misfit(task().card())
        if reason is None:
            continue  # prepared and run in the tests of pairs below
        assert isinstance(reason, str)
        assert reason.strip()
        with pytest.raises(UserError) as caught:
            prepare(RunSpec.from_mapping({"task": name, "family": family_name}), Execution(device="cpu", threads=1))
        assert reason in str(caught.value)


def test_family_cites_and_explains_every_setting(family_name: str) -> None:
    cls = FAMILIES.get(family_name)
    assert "Reference:" in inspect.cleandoc(cls.__dict__["__doc__"])
    assert [field.name for field in fields_of(cls) if not field.help.endswith(".")] == []


def test_defaults_lie_within_the_search_range(family_name: str) -> None:
    for field in fields_of(FAMILIES.get(family_name)):
        distribution: Any = field.distribution
        if hasattr(distribution, "choices"):
            assert field.default in distribution.choices, field.name
        elif distribution is not None and field.default:  # 0 and none are off, which a logarithmic range leaves out
            assert distribution.low <= field.default <= distribution.high, field.name


def test_prediction_has_the_cards_output_shape(pair: Pair) -> None:
    learner, batch = build(pair).eval(), first_batch(pair, 5)
    with torch.no_grad():
        assert learner.predict(batch).shape == (5, *learner.card.output_shape)
        assert learner.predict(Batch(batch.inputs[:1], batch.targets[:1])).shape == (1, *learner.card.output_shape)


def test_prediction_of_an_example_does_not_depend_on_its_neighbours(pair: Pair) -> None:
    skip_generation(pair)
    learner, batch = build(pair).eval(), first_batch(pair, 6)
    with torch.no_grad():
        together = learner.predict(batch)
        alone = learner.predict(Batch(batch.inputs[3:4], batch.targets[3:4]))
    torch.testing.assert_close(together[3:4], alone, rtol=1e-4, atol=1e-5)


def test_answers_of_a_causal_task_rest_on_earlier_positions_only(pair: Pair) -> None:
    learner, batch = build(pair).eval(), first_batch(pair, 4)
    if not learner.card.is_causal:
        pytest.skip("answers may rest on every position")
    changed = batch.inputs.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 16
    with torch.no_grad():
        one, other = learner.predict(batch), learner.predict(Batch(changed, batch.targets))
    torch.testing.assert_close(one[:, :6], other[:, :6])
    assert not torch.allclose(one[:, 6:], other[:, 6:])


def test_losses_are_finite_scalars_with_a_total(pair: Pair) -> None:
    losses = build(pair).losses(first_batch(pair, 8))
    assert "total" in losses
    assert all(loss.shape == () and bool(torch.isfinite(loss)) for loss in losses.values())


def test_total_loss_reaches_every_parameter(pair: Pair) -> None:
    skip_generation(pair)
    learner = build(pair)
    learner.losses(first_batch(pair, 8))["total"].backward()
    assert [name for name, parameter in learner.named_parameters() if parameter.grad is None] == []


def test_family_overfits_eight_examples(pair: Pair) -> None:
    skip_generation(pair)
    learner, batch = build(pair), first_batch(pair, 8)
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    first = last = float("nan")
    for step in range(OVERFIT_STEPS):
        optimizer.zero_grad()
        losses = learner.losses(batch)
        losses["total"].backward()
        optimizer.step()
        last = losses["total"].item()
        first = last if step == 0 else first
        if last < first * (OVERFIT_SHARE if len(losses) == 1 else SHARE_WITH_PARTS):
            return
    pytest.fail(f"after {OVERFIT_STEPS} steps on eight examples the loss went from {first:.3g} to {last:.3g} only")


def test_weights_are_a_function_of_the_seed(pair: Pair) -> None:
    one, again, other = (weights(build(pair, seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.dear  # the golden losses make a run of every pair in every default run
def test_two_runs_complete_and_are_equal_bit_for_bit_whatever_the_block_length(
    pair: Pair, run_quickly: Callable[..., Any]
) -> None:
    """The same seed twice, blocks of 1 and of 50 steps, with dropout where the family has a place for it."""
    mapping: dict[str, Any] = {"task": pair[1], "family": settings_of(pair[0]), "seed": 3}
    if any(isinstance(module, Dropout) for module in build(pair).modules()):
        mapping["regularization"] = {"dropout": 0.3}
    (one, folder), (fifty, _) = (run_quickly(mapping, steps=4, block_steps=length) for length in (1, 50))
    for result in (one, fifty):
        assert result["status"] == "completed", result["message"]
        assert result["cost"]["steps"] == 4
        assert {f"val/{result['metric']}", f"test/{result['metric']}"} <= set(result["scores"])
    assert set(one["digests"]) == {"weights", "predictions", "metrics"}
    assert one["digests"] == fifty["digests"]
    assert folder.damaged_files() == []
    written = yaml.safe_load((folder.path / "spec.yaml").read_text())
    assert written.pop("execution")["block_steps"] == 1
    spec = RunSpec.from_mapping(written)
    assert spec.to_mapping() == written
    assert spec.to_mapping(with_places=False) == one["spec"]
    assert (spec.family, spec.seed) == (small(pair[0]), 3)


def test_weights_hold_no_hyper_parameters(pair: Pair) -> None:
    """A checkpoint of one strength must load under another: strengths are buffers that are not saved."""
    learner = build(pair)
    for regularizer in (L1(l1=1e-3), L2(l2=1e-3)):
        regularizer.attach(learner)
    saved = learner.state_dict()
    scalars = {name for name, buffer in learner.named_buffers() if buffer.is_floating_point() and buffer.ndim == 0}
    assert {"l1", "l2"} <= scalars
    assert scalars & set(saved) == set()
    fresh = build(pair, seed=1)
    fresh.load_state_dict(copy.deepcopy(saved))
    assert all(torch.equal(a, b) for a, b in zip(weights(learner), weights(fresh), strict=True))


def test_prediction_has_no_side_effects(pair: Pair) -> None:
    skip_generation(pair)
    learner, batch = build(pair).eval(), first_batch(pair, 8)
    before, kept = copy.deepcopy(learner.state_dict()), batch.inputs.clone()
    state = torch.get_rng_state()
    with torch.no_grad():
        assert torch.equal(learner.predict(batch), learner.predict(batch))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(batch.inputs, kept)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
