"""Against a real cluster of two nodes on this machine, as Ray's own tests have it.

Not among the default tests: ray is an extra of 70 MB that `make install` leaves out, and a cluster takes ten processes
and half a minute of two cores to come up.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.executors.base import ExecutorError, Finished, Job, Lost, Raised, Reported, Started
from tests.sweeps.executors.two_nodes import cluster
from tests.sweeps.executors.waiting import do, is_end, is_running, until, wait_until

__all__ = ["cluster"]

pytestmark = pytest.mark.cluster

WORK = "tests.sweeps.executors.jobs:work"


@pytest.fixture
def executor(cluster: Any) -> Iterator[Any]:
    from sweeps.executors.ray import RayExecutor

    with RayExecutor(WORK, address=cluster.address) as one:
        yield one


def test_there_is_one_worker_per_cpu_of_the_cluster_and_each_does_job_after_job(executor: Any) -> None:
    assert executor.num_workers == 2
    for number in range(3):
        executor.submit(Job(f"a{number}", {"do": "add", "one": number, "other": 1}))
        executor.submit(Job(f"b{number}", {"do": "describe"}))
        ends = {event.key: event for event in until(executor, is_end, 2) if isinstance(event, Finished)}
        assert ends[f"a{number}"].result == {"sum": number + 1}
        about = ends[f"b{number}"].result
        assert (about["device"], about["threads"], about["visible"]) == ("cpu", 1, "")


def test_reports_are_answered_and_work_that_raises_is_told(executor: Any) -> None:
    executor.submit(Job("up", {"do": "climb", "steps": 100}, waits_for_answers=True))
    for step in range(3):
        *_, reported = until(executor, lambda event: isinstance(event, Reported))
        assert reported == Reported("up", step, step / 10)
        executor.answer("up", prune=step == 2)
    assert until(executor, is_end)[-1] == Finished("up", {"ended": "pruned", "step": 2})
    *_, end = do(executor, "bad", "fail", message="no luck")
    assert isinstance(end, Raised)
    assert end.message == "ValueError: no luck"


def test_a_folder_goes_with_its_job_and_comes_back_before_the_end_is_told(executor: Any, tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "spec.yaml").write_text("here before")
    *_, end = do(executor, "one", "write_folder", root=str(tmp_path), folder="runs/one", folders=["runs/one"])
    assert isinstance(end, Finished)
    assert end.result["root"] != str(tmp_path), "the worker has a folder of its own"
    assert end.result["before"] == ["spec.yaml"]
    assert sorted(path.name for path in (tmp_path / "runs" / "one").iterdir()) == [
        "checkpoints",
        "result.json",
        "spec.yaml",
    ]
    assert (tmp_path / "runs" / "one" / "checkpoints" / "weights.bin").read_bytes() == bytes(range(256))
    assert not (Path(end.result["root"]) / "runs" / "one").exists()


def test_a_folder_that_cannot_travel_costs_the_job_and_not_the_sweep(executor: Any, tmp_path: Path) -> None:
    *_, end = do(executor, "out", "write_folder", root=str(tmp_path), folder="../outside", folders=[])
    assert isinstance(end, Lost)
    assert "must lie within its folder" in end.reason
    assert isinstance(do(executor, "next", "add", one=1, other=2)[-1], Finished)


def test_a_worker_that_crashes_or_hangs_costs_its_job_and_not_its_actor(executor: Any) -> None:
    *_, end = do(executor, "crash", "crash")
    assert isinstance(end, Lost)
    assert "SIGSEGV" in end.reason
    executor.submit(Job("deaf", {"do": "hang"}))
    until(executor, lambda event: isinstance(event, Started))
    pids = [worker.pid for worker in executor.workers]
    executor.kill("deaf", "It took too long.")
    assert until(executor, is_end)[-1] == Lost("deaf", "It took too long.")
    assert isinstance(do(executor, "next", "add", one=1, other=2)[-1], Finished)
    assert [worker.pid for worker in executor.workers] == pids


def test_an_interrupt_reaches_the_jobs_at_work(executor: Any) -> None:
    executor.submit(Job("a", {"do": "wait_to_stop"}))
    executor.submit(Job("b", {"do": "wait_to_stop"}))
    until(executor, lambda event: isinstance(event, Started), 2)
    executor.interrupt()
    assert [event.result for event in until(executor, is_end, 2)] == [{"ended": "stopped"}] * 2


def test_leaving_leaves_no_process_and_no_folder(cluster: Any, tmp_path: Path) -> None:
    from sweeps.executors.ray import RayExecutor

    with RayExecutor(WORK, address=cluster.address, workers=1) as executor:
        *_, end = do(executor, "one", "write_folder", root=str(tmp_path), folder="runs/one", folders=["runs/one"])
        *_, about = do(executor, "who", "describe")
        pids = [about.result["pid"], about.result["parent"], executor.workers[0].pid]
        assert all(map(is_running, pids))
    wait_until(lambda: not any(map(is_running, pids)))
    assert not Path(end.result["root"]).exists()


def test_a_node_that_is_lost_costs_its_job_an_attempt_and_the_others_go_on(cluster: Any) -> None:
    from sweeps.executors.ray import RayExecutor

    node = cluster.add_node(num_cpus=1, resources={"doomed": 1})
    with RayExecutor(WORK, address=cluster.address) as executor:
        assert executor.num_workers == 3
        waiting, at_work, finished, lost, removed = [str(number) for number in range(12)], 0, {}, [], False
        while waiting or at_work:
            while waiting and at_work < executor.num_workers:
                executor.submit(Job(waiting[0], {"do": "climb", "steps": 20, "seconds": 0.05}))
                waiting.pop(0)
                at_work += 1
            for event in executor.poll(60.0):
                if isinstance(event, Finished):
                    assert event.key not in finished
                    finished[event.key] = event.result
                    at_work -= 1
                elif isinstance(event, Lost):
                    lost.append(event.key)
                    waiting.append(event.key)
                    at_work -= 1
            if finished and not removed and all(worker.pid for worker in executor.workers):
                cluster.remove_node(node, allow_graceful=False)
                removed = True
    assert removed
    assert len(lost) == 1
    assert finished == {str(number): {"ended": "done", "step": 20} for number in range(12)}


@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:1", "can be reached at '127.0.0.1:1'"), ("nowhere", "can be reached"), ("ray://x:1", "HOST:PORT")],
)
def test_an_address_without_a_cluster_is_refused(address: str, message: str) -> None:
    from sweeps.executors.ray import RayExecutor

    with pytest.raises(ExecutorError, match=message):
        RayExecutor(WORK, address=address)


def test_more_than_the_cluster_has_and_less_than_one_are_refused(cluster: Any) -> None:
    from sweeps.executors.ray import RayExecutor

    with pytest.raises(ExecutorError, match="`workers >= 1` must hold"):
        RayExecutor(WORK, address=cluster.address, workers=0)
    with pytest.raises(ExecutorError, match="A worker needs 1 GPU, but the cluster has 0 in all"):
        RayExecutor(WORK, address=cluster.address, device="cuda")
