"""The processes beside this one that share its training: started once, and kept for the next run."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import inspect
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from suite.engine.devices import Execution, configure_torch
from suite.engine.following import follow
from suite.engine.ranks import Ranks
from suite.plugins import load_once
from suite.registry import PLUGIN_PREFIX
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec
from sweeps.executors.base import Channel, Event, Finished, Job, Lost, Raised, Reported
from sweeps.executors.local import LocalExecutor
from sweeps.executors.places import Place

END_SECONDS = 60.0
"""What the other ranks have to end after rank 0 has."""


class RankLostError(RuntimeError):
    """A process of a shared training died; the training goes on from its last checkpoint when it is resumed."""


@contextlib.contextmanager
def shared(prepared: Prepared, checkpoint: Path | None) -> Iterator[Ranks | None]:
    """Have the other ranks at work while entered, and give rank 0; None where this process trains alone.

    Raises:
        RankLostError: One of them died.
        RuntimeError: One of them could not begin.
    """
    size = prepared.execution.num_devices
    if size == 1:
        yield None
        return
    pool = _Pool.of(size - 1)
    ranks = _ranks(prepared, 0, _free_port())
    payload = {
        "plugins": _plugin_files(prepared.spec),
        "spec": prepared.spec.to_mapping(),
        "execution": prepared.execution.to_mapping(),
        "threads": prepared.threads,
        "stop_step": prepared.stop_step,
        "port": ranks.port,
        "checkpoint": None if checkpoint is None else str(checkpoint),
    }
    try:
        pool.start(payload)
        yield ranks
        pool.finish()
    except BaseException as error:
        lost = pool.close()
        if lost is not None and isinstance(error, Exception):
            raise RankLostError(lost) from error
        raise


def work(payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Be one of the other ranks, from joining to the end."""
    load_once(tuple(payload["plugins"]))
    prepared = prepare(RunSpec.from_mapping(payload["spec"]), Execution.from_mapping(payload["execution"]))
    prepared = dataclasses.replace(prepared, stop_step=payload["stop_step"])
    ranks = _ranks(prepared, payload["rank"], payload["port"])
    prepared = dataclasses.replace(prepared, device=ranks.device)
    configure_torch(threads=payload["threads"], deterministic=prepared.execution.deterministic)
    learner, train = prepared.build_learner(), prepared.resident("train")
    assert train is not None, "a task has training examples"
    loader = prepared.build_loader(train)
    channel.report(0, 0.0)  # ready to join
    follow(learner, loader, ranks, None if payload["checkpoint"] is None else Path(payload["checkpoint"]))
    return {}


def _ranks(prepared: Prepared, rank: int, port: int) -> Ranks:
    kind = prepared.device.type
    return Ranks(
        rank=rank,
        size=prepared.execution.num_devices,
        port=port,
        device=torch.device("cuda", rank) if kind == "cuda" else torch.device(kind),
        compression=prepared.spec.optimization.gradient_compression,
    )


class _Pool:
    """The processes of the other ranks, kept for the next run: importing torch and Lightning takes seconds."""

    _kept: _Pool | None = None

    def __init__(self, size: int) -> None:
        self.size = size
        # Without a GPU of its own: a rank sees all of them, and takes the one of its number.
        self._executor = LocalExecutor(f"{__name__}:work", [Place("any", ())] * size)
        self._executor.__enter__()

    @classmethod
    def of(cls, size: int) -> _Pool:
        """Return the pool of ``size`` processes."""
        if cls._kept is not None and cls._kept.size != size:
            cls._kept.close()
        if cls._kept is None:
            cls._kept = cls(size)
            atexit.register(cls._kept.close)
        return cls._kept

    def start(self, payload: Mapping[str, Any]) -> None:
        """Return when every rank is about to join."""
        for rank in range(1, self.size + 1):
            self._executor.submit(Job(f"rank {rank}", {**payload, "rank": rank}))
        self._wait(Reported, float("inf"))

    def finish(self) -> None:
        """Return when every rank has ended."""
        self._wait(Finished, END_SECONDS)

    def close(self) -> str | None:
        """End the processes; return how one died before, or None."""
        if _Pool._kept is not self:
            return None
        _Pool._kept = None
        atexit.unregister(self.close)
        lost = [event.reason for event in self._executor.poll(0.2) if isinstance(event, Lost)]
        self._executor.close(kill=True)
        return lost[0] if lost else None

    def _wait(self, kind: type[Event], seconds: float) -> None:
        """Wait until every rank has told such an event."""
        told: set[str] = set()
        deadline = time.monotonic() + seconds
        while len(told) < self.size:
            if time.monotonic() > deadline:
                raise RuntimeError(f"The other processes of the training did not end within {END_SECONDS:g} s.")
            for event in self._executor.poll(1.0):
                if isinstance(event, Raised):
                    raise RuntimeError(f"A process of the training failed: {event.message}")
                if isinstance(event, Lost):
                    raise RankLostError(event.reason)
                if isinstance(event, kind):
                    told.add(event.key)


def _plugin_files(spec: RunSpec) -> list[str]:
    """Return the files that were given with --plugin and that this run needs."""
    owners = [type(spec.task), type(spec.family), *(type(item) for item in spec.regularization.regularizers())]
    return sorted({inspect.getfile(owner) for owner in owners if owner.__module__.startswith(PLUGIN_PREFIX)})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
