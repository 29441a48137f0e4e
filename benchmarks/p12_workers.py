"""P12: trials per second of two workers against one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.harness import Comparison, NotEquivalentError, Sample, Scale, run
from benchmarks.sweep import STEPS, search


def comparisons(scale: Scale) -> Sequence[Comparison]:
    """Return the one figure."""
    num_trials = 4 if scale.smoke else 64

    def side(workers: int) -> Sample:
        made = search(num_trials, workers)
        return Sample(made.wall_seconds, made.worker_cpu_seconds, outcome=made.found)

    def check(ours: object, peer: object) -> None:
        if ours != peer:
            raise NotEquivalentError("two workers must find what one finds")

    return (
        Comparison(
            name="P12",
            ours=lambda: side(2),
            peer=lambda: side(1),
            check=check,
            what_is_timed=f"the first trial's start to the last one's end, {num_trials} trials of digits mlp, {STEPS} "
            "steps each, one thread per worker; CPU time is the workers', imports included",
            peer_is="the same sweep with one worker",
            equivalence="parameters and values of every trial are equal bit for bit",
            goal=1.9,
        ),
    )


if __name__ == "__main__":
    sys.exit(run("p12_workers", comparisons))
