"""The runs behind a row, each with the command that makes it again, and those that did not complete."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from results.text import decimals_for, score_text

MAX_MESSAGE: Final = 600
"""Letters of a failed run's message that the page shows; its result.json has all."""


@dataclasses.dataclass(frozen=True)
class RunView:
    """One run as the page shows it; empty texts where it has no value."""

    run_id: str
    family: str
    seed: int
    status: str
    message: str
    test: str
    val: str
    step: str
    seconds: str
    determinism: str
    command: str


def run_views(runs: Sequence[Mapping[Any, Any]], metric: str) -> list[RunView]:
    """Return the runs of one task; ``runs`` are rows of the records, and their order stays."""
    scores = [run[f"{split}_score"] for run in runs for split in ("val", "test")]
    decimals = decimals_for(metric, scores)
    return [
        RunView(
            run_id=run["run_id"],
            family=run["family"],
            seed=run["seed"],
            status=run["status"],
            message=shortened(run["message"]),
            test=score_text(metric, run["test_score"], decimals),
            val=score_text(metric, run["val_score"], decimals),
            step="" if pd.isna(run["selected_step"]) else f"{run['selected_step']:,}",
            seconds="" if math.isnan(run["seconds"]) else f"{run['seconds']:,.1f}",
            determinism=run["determinism"],
            command=replay_command(run["run_id"]),
        )
        for run in runs
    ]


def replay_command(run_id: str) -> str:
    """Return what makes a run again, safe to paste into a shell."""
    return f"boltbench replay {shlex.quote(run_id)}"


def shortened(message: str) -> str:
    """Return a message on one line, cut at `MAX_MESSAGE` letters with a word that says so."""
    line = re.sub(r"\s+", " ", message).strip()
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE].rstrip()} … (shortened)"
