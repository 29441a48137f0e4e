"""What the chaos tests share: the runs that they disturb, how to meet one in the middle, and what must come out."""

import os
import time
from pathlib import Path

from tests.chaos.zygote import Child, Zygote
from tests.commands.front import Front, make_front

ROUNDS = int(os.environ.get("BOLTBENCH_CHAOS_ROUNDS", "1"))
"""Runs that are killed; each several times before it may end."""
KILLS_PER_RUN = 3
DIGESTS = {"weights", "metrics", "predictions"}
CASES = {
    "mlp": (*("digits", "mlp", "--budget.epochs", 60), *("--regularization.dropout", 0.2)),
    "cnn": (*("digits", "cnn", "--family.channels", "4", "--family.dense", "16"), *("--budget.epochs", 12)),
    "sgd": (
        *("digits", "mlp", "--budget.epochs", 50, "--optimization.optimizer", "sgd", "--optimization.lr", 0.05),
        *("--optimization.schedule", "reduce-on-plateau", "--optimization.plateau_patience", 2),
        *("--regularization.early_stopping", 1000, "--evaluation.every_steps", 13),
    ),
}
"""Each trains for a second or two, long enough to be met in the middle."""
EXECUTION = ("--execution.device", "cpu", "--execution.threads", 1)


def words(case: str, checkpoint_seconds: float) -> tuple[object, ...]:
    return ("run", *CASES[case], *EXECUTION, "--execution.checkpoint_seconds", checkpoint_seconds)


def digests(front: Front) -> dict[str, str]:
    result = front.result()
    assert result["status"] == "completed", result["message"]
    found: dict[str, str] = result["digests"]
    assert set(found) == DIGESTS
    return found


def wait_until_training(child: Child, root: Path) -> Path | None:
    """Return the run folder once the child trains in it, or None when the child has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for log in root.glob("runs/*/metrics.jsonl"):
            if log.stat().st_size > 0:
                return log.parent
        if not child.is_alive():
            return None
        time.sleep(0.002)
    raise AssertionError("the run did not start within a minute")


class Undisturbed:
    """The results of runs that nobody stopped, each made when it is first asked for."""

    def __init__(self, zygote: Zygote, folder: Path, migrated_store: Path) -> None:
        self._zygote, self._folder, self._migrated_store = zygote, folder, migrated_store
        self._fronts: dict[str, Front] = {}

    def front(self, case: str) -> Front:
        if case not in self._fronts:
            front = make_front(self._folder / case, self._migrated_store)
            outcome = self._zygote.run(*words(case, 30), "--root", front.root)
            assert outcome.code == 0, outcome.text
            self._fronts[case] = front
        return self._fronts[case]

    def digests(self, case: str) -> dict[str, str]:
        return digests(self.front(case))

    def seconds(self, case: str) -> float:
        return float(self.front(case).result()["cost"]["seconds"])
