"""P11: what the process that leads a sweep of short trials takes of the CPU time of the whole sweep."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.harness import Comparison, NotEquivalentError, Sample, Scale, run
from benchmarks.sweep import STEPS, Searched, search

WORKERS = 2


def comparisons(scale: Scale) -> Sequence[Comparison]:
    """Return the one figure; both sides of a pair are read off one sweep."""
    num_trials = 4 if scale.smoke else 500
    latest: list[Searched] = []

    def whole() -> Sample:
        latest[:] = [search(num_trials, WORKERS)]
        (made,) = latest
        return Sample(
            made.wall_seconds * WORKERS, made.loop_cpu_seconds + made.worker_cpu_seconds, outcome=len(made.found)
        )

    def controller() -> Sample:
        (made,) = latest
        return Sample(made.loop_cpu_seconds, made.loop_cpu_seconds, outcome=len(made.found))

    def check(ours: object, peer: object) -> None:
        if not ours == peer == num_trials:
            raise NotEquivalentError(f"{num_trials} trials must be made, but there are {peer}")

    return (
        Comparison(
            name="P11",
            ours=controller,
            peer=whole,
            check=check,
            what_is_timed=f"a sweep of {num_trials} trials of digits mlp, {STEPS} steps each, {WORKERS} workers, "
            "random sampler, every record, Optuna and MLflow on; ours is the CPU time of the leading process, over all "
            "threads, while trials are being made. In `wall` it is held against the workers' wall time instead.",
            peer_is="the CPU time of the whole sweep: the leading process and the workers with their imports",
            equivalence="every trial is completed at its first attempt",
            measure="cost",
            goal=0.02,
            clock="cpu",
        ),
    )


if __name__ == "__main__":
    sys.exit(run("p11_controller", comparisons))
