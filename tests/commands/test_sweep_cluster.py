"""A sweep over a real cluster of two nodes, one of which is lost in the middle.

Not among the default tests: ray is an extra of 70 MB that `make install` leaves out, and a cluster takes ten processes
and half a minute of two cores to come up.
"""

import threading
import time
from typing import Any

import pytest

from tests.commands.front import Front, make_front
from tests.commands.test_sweep import SHORT, trials
from tests.sweeps.executors.two_nodes import cluster

__all__ = ["cluster"]

pytestmark = pytest.mark.cluster

ORDER = ("sweep", "digits", "mlp", *SHORT, "--sampler", "random", "--trials", "12", "--final-seeds", "1", "--no-plots")
NAME = "digits-mlp-regularization-random"


def content(front: Front) -> list[Any]:
    return [(trial["params"], trial["values"], trial["intermediate"], trial["run_ids"]) for trial in trials(front)]


def test_a_sweep_over_two_nodes_ends_as_it_should_though_one_is_lost(
    cluster: Any, front: Front, tmp_path: Any, migrated_store: Any
) -> None:
    doomed = cluster.add_node(num_cpus=1)
    folder = front.root / "studies" / NAME / "trials"

    def lose_a_node() -> None:
        while len(list(folder.glob("[0-9]*.json"))) < 6:
            time.sleep(0.05)
        cluster.remove_node(doomed, allow_graceful=False)

    thread = threading.Thread(target=lose_a_node, daemon=True)
    thread.start()
    outcome = front(*ORDER, "--cluster", cluster.address, "--attempts", "5")
    thread.join(timeout=60)
    assert not thread.is_alive(), "the node was not lost in time"
    assert outcome.code == 0, outcome.text
    assert [trial["status"] for trial in trials(front)] == ["completed"] * 12
    assert [folder.damaged_files() for folder in front.folders()] == [[]] * 14
    tuned = [folder for folder in front.folders() if (folder.path / "tuning.json").exists()]
    assert len(tuned) == 2, "the notes beside winner and default stay"
    here = make_front(tmp_path / "here", migrated_store)
    assert here(*ORDER, "--workers", "inline").code == 0
    assert content(front) == content(here), "the place changes no trial"
    board = [line for line in front("leaderboard", "--format", "csv").out.splitlines() if "mlp" in line]
    assert len(board) == 2


def test_a_cluster_that_is_not_there_is_refused_and_nothing_is_created(front: Front) -> None:
    outcome = front(*ORDER, "--cluster", "127.0.0.1:1")
    assert outcome.code == 2
    assert "No Ray cluster can be reached at '127.0.0.1:1'" in outcome.err
    assert not (front.root / "studies").exists()
