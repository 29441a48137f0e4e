"""Where the workers of this machine go: one per GPU, or one per share of the cores."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.executors.base import ExecutorError


@dataclass(frozen=True)
class Place:
    """What one worker has of this machine."""

    device: str
    """``cpu``, which hides every GPU; ``cuda``; or another name, for a worker that chooses by itself."""
    cores: tuple[int, ...]
    """The cores that it is pinned to; none leaves it where the system puts it."""
    threads: int | None = None
    """CPU threads of its work; None leaves the choice to the work."""
    gpu: str | None = None
    """Its one GPU, as CUDA_VISIBLE_DEVICES names it."""

    @property
    def label(self) -> str:
        """What a person calls it."""
        if self.gpu is not None:
            return f"cuda {self.gpu}"
        if not self.cores:
            return "cpu"
        return f"cpu core{'s' if len(self.cores) > 1 else ''} {','.join(map(str, self.cores))}"


def places(
    *,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    gpus: Sequence[str] | None = None,
    cores: Sequence[int] | None = None,
) -> list[Place]:
    """Return a place for each worker.

    The threads of a worker do not depend on how many workers there are: they would change the last bits of a result.

    Args:
        workers: How many; None is one per GPU, or on the CPU as many as the cores allow. More than there are devices
            share them in turn.
        threads: CPU threads per worker; None is one on the CPU, and the work's own choice beside a GPU.
        device: ``cpu``, ``cuda``, or ``auto`` for GPUs where there are any.
        gpus: What CUDA_VISIBLE_DEVICES may name; None asks this machine. Give an empty list where the work cannot use
            GPUs, as with a torch that is built without CUDA.
        cores: Cores to use; None is every core that this process may run on.

    Raises:
        ExecutorError: There is no such place.
    """
    if workers is not None and workers < 1:
        raise ExecutorError(f"`workers >= 1` must hold, but got workers={workers}. Leave it out for one per device.")
    if threads is not None and threads < 1:
        raise ExecutorError(f"`threads >= 1` must hold, but got threads={threads}.")
    cores = sorted(usable_cores() if cores is None else cores)
    gpus = [] if device == "cpu" else list(visible_gpus() if gpus is None else gpus)
    if device == "cuda" and not gpus:
        raise ExecutorError("device='cuda' needs a GPU that this process may use, but there is none. Use device='cpu'.")
    if gpus:
        count = workers or len(gpus)
        share = max(1, len(cores) // count)
        return [
            Place("cuda", _some(cores, index * share, share), threads, gpus[index % len(gpus)])
            for index in range(count)
        ]
    wide = threads or 1
    count = workers or max(1, len(cores) // wide)
    return [Place("cpu", _some(cores, index * wide, wide), wide) for index in range(count)]


def _some(cores: Sequence[int], start: int, count: int) -> tuple[int, ...]:
    """Return ``count`` cores from ``start`` on, from the first one again after the last, each once."""
    return tuple(sorted({cores[(start + index) % len(cores)] for index in range(count)}))


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def visible_gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES may name for each GPU that this process may use; CUDA is not touched."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        found = []
        for name in named.split(","):
            if not name.strip() or name.strip().startswith("-"):  # CUDA too reads up to the first that is none
                break
            found.append(name.strip())
        return found
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed_gpus(listed)


def listed_gpus(listing: str) -> list[str]:
    """Return the devices that ``nvidia-smi -L`` lists: GPUs by number, and the parts of one that is split by UUID."""
    found: list[str] = []
    for line in listing.splitlines():
        if line.startswith("GPU "):
            found.append(line.split(":")[0].removeprefix("GPU "))
        elif line.strip().startswith("MIG "):
            if found and not found[-1].startswith("MIG-"):  # the GPU as a whole cannot be used then
                found.pop()
            found.append(line.rsplit("UUID:", 1)[1].strip(" )"))
    return found
