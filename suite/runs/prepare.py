"""Everything about a run that can be checked, loaded or built before anything is created on disk."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from suite.depth import apply_depth, frozen_layers
from suite.engine.budget import steps_per_epoch
from suite.engine.data import BlockLoader, ResidentSplit
from suite.engine.devices import Execution, choose_device, usable_cores
from suite.engine.pacing import Pacer
from suite.engine.randomness import RandomSource
from suite.errors import UserError, shown
from suite.inheritance import inherit
from suite.learner import Learner
from suite.probe import blank_batch, refusing_unsound_convolutions
from suite.runs.environment import code_sha256
from suite.runs.sharing import check_shares, check_sharing
from suite.runs.source import Source, find_source
from suite.runs.splits import check_split, load_splits, reading
from suite.seeds import derive, seed_torch
from suite.spec import RunSpec
from suite.task import Card, SplitName, Task

PARALLEL_FLOPS = 200_000_000
"""Operations per step from which more CPU threads pay. Below, they gain nothing on an idle machine, and on a busy one
each operator waits for a thread that is not scheduled: measured 12 ms instead of 0.4 ms per step of a small MLP."""


@dataclass(frozen=True)
class Prepared:
    """A run that is known to be able to start."""

    spec: RunSpec
    execution: Execution
    card: Card
    device: torch.device
    run_id: str
    config_id: str
    steps_per_epoch: int
    total_steps: int | None
    stop_step: int | None = None
    """Step at which a replay ends, where the clock ended the original; the schedule still aims at ``total_steps``."""
    flops_per_step: int = 0
    """Floating-point operations of forward and backward over one batch, as torch's counter has them."""
    parent: Source | None = None
    """The finished run that is compressed, if any."""
    origin: Source | None = None
    """The finished run whose weights this one begins with, if any."""
    transfer: Mapping[str, Any] | None = None
    """What was taken over and what trains, as the record holds it; None where every weight is fresh and trains."""
    scorer_sha256: str | None = None
    """What the task's scores rest on beside data and code, see `Task.scorer_sha256`."""

    def to_yaml(self) -> str:
        """Return spec and execution as YAML that ``--config`` takes."""
        return yaml.safe_dump({**self.spec.to_mapping(), "execution": self.execution.to_mapping()}, sort_keys=False)

    @property
    def examples_per_step(self) -> int:
        """Examples in a full batch."""
        return min(self.spec.data.batch_size, self.spec.data.num_used(self.card.split_sizes["train"]))

    @property
    def threads(self) -> int:
        """CPU threads for this run: as asked for, else one while a step is small, else every core."""
        if self.execution.threads is not None:
            return self.execution.threads
        return 1 if self.flops_per_step < PARALLEL_FLOPS else usable_cores()

    @property
    def block_steps(self) -> int | None:
        """Optimiser steps per block where they are fixed: one where several processes share the training."""
        return self.execution.block_steps if self.execution.num_devices == 1 else 1

    def evaluation_seed(self, split: SplitName) -> int:
        """Return the seed of what predictions for ``split`` draw: test scores other samples than val does."""
        return derive(self._seed_of("noise"), "evaluation", split)

    def _seed_of(self, source: RandomSource) -> int:
        return self.spec.randomness.seed_of(source, self.spec.seed)

    def build_learner(self) -> Learner:
        """Return a fresh learner on the device, its weights drawn from the run's seed."""
        seed_torch(derive(self._seed_of("initialization"), "initialization"))
        learner = self.spec.family.build(self.card)
        self.begin(learner)
        for regularizer in self.spec.regularization.regularizers():
            regularizer.attach(learner)
        corrupt = load_splits(self.spec, "train").corrupt
        if corrupt is not None:  # first of all: what else changes an input sees it as a user of the data would
            learner.transforms.insert(0, lambda batch: batch._replace(inputs=corrupt(batch.inputs)))
        optimization = self.spec.optimization
        learner.configure(
            noise_seed=derive(self._seed_of("noise"), "noise"),
            schedule=optimization.build_schedule(self.total_steps),
            build_optimizer=lambda parameters, decay, scope: optimization.build_optimizer(
                parameters, weight_decay=decay, decay_scope=scope, lr_factors=learner.lr_factors
            ),
            precision="fp32" if self.device.type == "meta" else optimization.precision,
        )
        learner = learner.to(self.device)
        if self.spec.compression is not None:
            assert self.parent is not None, "prepare looked the parent up"
            self.spec.compression.attach(learner, self.parent.build(self.device), self.total_steps)
        return learner

    def begin(self, learner: Learner) -> dict[str, Any]:
        """Give a fresh learner the weights that it begins with, and freeze what does not train; return what was done.

        Before the regularisers, some of which look at the weights.
        """
        done: dict[str, Any] = {}
        if self.origin is not None:
            source = self.origin.build(torch.device("meta" if self.device.type == "meta" else "cpu"))
            done = inherit(learner, source, run_id=self.origin.folder.run_id).to_mapping()
        done |= apply_depth(learner, self.spec.transfer, steps_per_epoch=self.steps_per_epoch)
        idle = frozen_layers(learner, done.get("fresh", ()))
        if idle:
            assert self.origin is not None, "layers are fresh beside those of another run"
            raise UserError(
                f"A layer that is frozen must have its weights from {self.origin.folder.run_id!r}, "
                f"but {', '.join(idle)} would stay as drawn from the seed. Take the sizes of that run, or freeze fewer."
            )
        return done

    def resident(self, name: SplitName) -> ResidentSplit | None:
        """Return a split on the device, or None where the task has no such examples."""
        splits = load_splits(self.spec, name)
        return ResidentSplit.place(splits[name], splits, self.device) if len(splits[name]) else None

    def build_loader(self, train: ResidentSplit) -> BlockLoader:
        """Return the loader over the training split, from step 0."""
        spec = self.spec
        return BlockLoader(
            split=train,
            data=spec.data,
            seed=derive(self._seed_of("order"), "data"),
            steps_per_epoch=self.steps_per_epoch,
            total_steps=self.stop_step or self.total_steps,
            validate_every_steps=spec.evaluation.every_steps or self.steps_per_epoch,
            pacer=Pacer(
                fixed=self.block_steps,
                step_bytes=spec.data.batch_size * train.example_bytes,
            ),
        )


def prepare(spec: RunSpec, execution: Execution, *, runs: Path | None = None) -> Prepared:
    """Check a spec against its task, its data and this machine.

    Args:
        spec: What to run.
        execution: How.
        runs: Where the finished runs lie that this one may begin with.

    Raises:
        UserError: The pair does not fit, the data is missing, the budget or selection rule makes no sense, or this
            machine lacks the device. Nothing has been created then.
    """
    with reading(spec.task):
        spec.check_fits()
        card = spec.card()
    spec.family.check_packages()
    needs_val = {
        "evaluation.selection='best-val'": spec.evaluation.selection == "best-val",
        "regularization.early_stopping": "early-stopping" in {r.name for r in spec.regularization.regularizers()},
        "optimization.schedule='reduce-on-plateau'": spec.optimization.schedule == "reduce-on-plateau",
    }
    for knob, is_used in needs_val.items():
        if is_used and card.split_sizes["val"] == 0:
            raise UserError(
                f"{knob} needs a val split, but the task {spec.task.name!r} has none in this setting. "
                "Use --evaluation.selection last without early stopping, or keep a val split."
            )
    device = choose_device(execution)
    check_sharing(spec, execution, card)
    num_train = len(load_splits(spec, "train")["train"])
    if num_train < card.split_sizes["train"]:  # examples were dropped for what they lack
        card = dataclasses.replace(card, split_sizes={**card.split_sizes, "train": num_train})
    per_epoch = steps_per_epoch(
        spec.data.num_used(card.split_sizes["train"]), spec.data.batch_size, drop_last=spec.data.drop_last
    )
    code = code_sha256(spec)
    prepared = Prepared(
        spec=spec,
        execution=execution,
        card=card,
        device=device,
        run_id=spec.run_id(data_sha256=card.sha256, code_sha256=code),
        config_id=spec.config_id(data_sha256=card.sha256, code_sha256=code),
        steps_per_epoch=per_epoch,
        total_steps=spec.budget.total_steps(per_epoch) if spec.trains else 0,
        parent=_parent(spec, runs),
        origin=_origin(spec, runs),
    )
    load_splits(spec, "val")
    if spec.evaluation.test:
        check_split(spec, "test")
    try:
        flops_per_step = _probe(prepared)
    except (RuntimeError, TypeError) as error:
        if "overflow" not in str(error).lower():
            raise
        raise UserError(
            f"The model that {spec.family.name!r} builds from these settings is larger than any memory can be. "
            "Take smaller sizes."
        ) from error
    if spec.origin is not None or spec.transfer.is_on:
        with torch.device("meta"):
            learner = spec.family.build(card)
            prepared = dataclasses.replace(
                prepared, transfer=dataclasses.replace(prepared, device=torch.device("meta")).begin(learner)
            )
    # Last, for it may train a network, and nothing is to be refused after that.
    return dataclasses.replace(prepared, flops_per_step=flops_per_step, scorer_sha256=spec.task.scorer_sha256())


def _parent(spec: RunSpec, runs: Path | None) -> Source | None:
    """Return the run that is compressed, checked against the spec, or None."""
    if spec.parent is None or spec.compression is None:
        return None
    source = find_source(runs, spec.parent.run_id, weights=spec.parent.weights, purpose="compressed")
    if source.spec.task != spec.task:
        raise UserError(
            f"A run and its parent must share their task, but here is {_task_text(spec.task)} and the parent "
            f"{spec.parent.run_id!r} is of {_task_text(source.spec.task)}."
        )
    if source.spec.seed != spec.seed or source.result["config_id"] != spec.parent.config_id:
        raise UserError(
            f"A compressed run has the seed and configuration of its parent, but the parent {spec.parent.run_id!r} has "
            f"seed={source.spec.seed} and config_id={source.result['config_id']}, and the spec says seed={spec.seed} "
            f"and config_id={spec.parent.config_id}. `boltbench compress RUN` fills them in."
        )
    if spec.compression.has_own_spec and not _reads_alike(spec, source.spec):
        raise UserError(
            f"A student learns from what its teacher answers to the very inputs that it reads, but "
            f"{spec.family.name!r} reads them in another form than {source.spec.family.name!r}. Take a student of the "
            "teacher's family."
        )
    made_by = source.spec.compression
    if made_by is not None and made_by.is_final and not spec.compression.has_own_spec:
        raise UserError(
            f"{spec.compression.name!r} takes a model that could be trained on, but {spec.parent.run_id!r} was made by "
            f"{made_by.name!r}, for prediction only. Compress the run that it comes from."
        )
    return source


def _reads_alike(one: RunSpec, other: RunSpec) -> bool:
    """Return whether the families of two specs of one task read the same numbers."""
    ours, theirs = (load_splits(spec, "train")["train"].inputs for spec in (one, other))
    return ours is theirs or torch.equal(ours, theirs)


def _origin(spec: RunSpec, runs: Path | None) -> Source | None:
    """Return the run that this one begins with, checked against the spec, or None."""
    if spec.origin is None:
        return None
    source = find_source(runs, spec.origin.run_id, weights=spec.origin.weights, purpose="begun with")
    if source.result["config_id"] != spec.origin.config_id:
        raise UserError(
            f"`origin.config_id` must be that of {spec.origin.run_id!r}, which is {source.result['config_id']}, but "
            f"got {shown(spec.origin.config_id)}. `boltbench run TASK FAMILY --init-from RUN` fills it in."
        )
    if spec.origin.each_seed and source.spec.seed != spec.seed:
        raise UserError(
            f"Under origin.each_seed a run begins with one of its own seed, but {spec.origin.run_id!r} has "
            f"seed={source.spec.seed} and this run seed={spec.seed}. Give --init-from a run for each seed."
        )
    if source.spec.compression is not None and source.spec.compression.is_final:
        raise UserError(
            f"A run begins with weights that can be trained on, but {spec.origin.run_id!r} was made by "
            f"{source.spec.compression.name!r}, for prediction only. Begin with the run that it comes from."
        )
    return source


def _task_text(task: Task) -> str:
    changed = task.changed()
    return f"{task.name!r}" + (f" with {changed}" if changed else "")


def _probe(prepared: Prepared) -> int:
    """Build the learner and take one step's forward and backward on the meta device; return the operations counted.

    Regularisers and schedules refuse here what they cannot act on. Meta tensors have shapes and no values, so this
    takes milliseconds and no memory, whatever the model's size.
    """
    from torch.utils.flop_counter import FlopCounterMode

    card, meta = prepared.card, torch.device("meta")
    seen = load_splits(prepared.spec, "train")["train"].inputs.shape[1:]
    batch = blank_batch(prepared.spec.family.seen_card(card), prepared.examples_per_step, meta, seen)
    with meta:
        learner = dataclasses.replace(prepared, device=meta).build_learner()
        if prepared.execution.num_devices > 1:
            check_shares(learner, batch, prepared.execution.num_devices)
        is_unsound = prepared.spec.optimization.precision == "bf16" and prepared.device.type == "cpu"
        checks = refusing_unsound_convolutions(learner) if is_unsound else contextlib.nullcontext()
        with checks, FlopCounterMode(display=False) as counter:
            learner.regularized_losses(batch)["total"].backward()
    return int(counter.get_total_flops())
