"""The execution settings, and the one place that sets torch's devices, threads and determinism flags."""

from __future__ import annotations

import dataclasses
import os
import resource
import sys
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch

from suite.errors import UserError
from suite.fields import Bounds, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution(Settings):
    """How a run is carried out on this machine. Not part of its identity; recorded in its fingerprint."""

    group: ClassVar[str] = "execution"

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; auto takes a GPU where there is one."""
    threads: Annotated[int | None, Bounds(low=1)] = None
    """CPU threads of torch; none is one for small steps and every core for large ones. It changes rounding."""
    block_steps: Annotated[int | None, Bounds(low=1)] = None
    """Optimiser steps per Trainer step; none measures and chooses. It changes speed, never a result."""
    checkpoint_seconds: Annotated[float, Bounds(low=0)] = 30.0
    """Wall time in seconds between checkpoints that an interrupted run goes on from; 0 is at every block."""
    num_devices: Annotated[int, Bounds(low=1)] = 1
    """Processes that share one training, each on a device of its own; on the CPU each has its own threads."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How they share it: ddp gives each a part of every batch; auto is ddp where there are several."""
    deterministic: bool = True
    """Use deterministic algorithms only; a run without them is recorded as seeded."""


def choose_device(execution: Execution) -> torch.device:
    """Return the device that ``execution`` names; raise `UserError` when this machine lacks it."""
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if execution.device == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[execution.device]:
        here = ", ".join(name for name, there in available.items() if there)
        raise UserError(f"execution.device={execution.device!r} needs such a device, but here are only: {here}.")
    return torch.device(execution.device)


def usable_cores() -> int:
    """Return the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure_torch(*, threads: int, deterministic: bool) -> None:
    """Set CPU threads and determinism for the next run of this process."""
    torch.set_num_threads(threads)
    if deterministic:
        # cuBLAS reads this when its first handle is made; without it deterministic matrix products raise.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = False
    # On by default under deterministic algorithms: it fills every new tensor to expose reads of unwritten memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a module property


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring the peak memory anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets VmHWM, see proc(5)
    except OSError:
        return


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory since `reset_peak_memory` in MiB: of the GPU's allocator, or of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / (2**20 if sys.platform == "darwin" else 1024)
