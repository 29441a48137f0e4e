import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.executors.base import ExecutorError, Finished, Job, Lost, Raised, Reported, Started
from sweeps.executors.local import LocalExecutor
from sweeps.executors.places import Place, places
from tests.sweeps.executors.waiting import WAIT_SECONDS, do, is_end, is_running, until, wait_until, written

WORK = "tests.sweeps.executors.jobs:work"


def make(workers: int = 1, **more: object) -> LocalExecutor:
    return LocalExecutor(WORK, places(workers=workers, device="cpu"), **more)  # type: ignore[arg-type]


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    with make() as one:
        yield one


# -- jobs


def test_a_job_is_started_and_finished_with_what_the_work_returned(executor: LocalExecutor) -> None:
    assert do(executor, "one", "add", one=1, other=2) == [Started("one", 0), Finished("one", {"sum": 3})]


def test_a_worker_does_job_after_job_in_one_process(executor: LocalExecutor) -> None:
    pids = set()
    for number in range(5):
        *_, end = do(executor, f"job-{number}", "describe")
        assert isinstance(end, Finished)
        pids.add(end.result["pid"])
    assert len(pids) == 1


def test_a_payload_arrives_as_it_was_sent(executor: LocalExecutor) -> None:
    payload = {"do": "echo", "text": "ä" * 300_000, "list": [1, None, True, 0.1, [-1e-300]], "inf": float("inf")}
    executor.submit(Job("big", payload))
    *_, end = until(executor, is_end)
    assert end == Finished("big", {"payload": payload})


def test_reports_come_in_order_and_wait_for_nobody_when_nobody_decides(executor: LocalExecutor) -> None:
    events = do(executor, "up", "climb", steps=3)
    assert events[1:] == [
        *(Reported("up", step, step / 10) for step in range(3)),
        Finished("up", {"ended": "done", "step": 3}),
    ]


def test_a_job_that_waits_goes_on_with_each_answer_and_ends_when_told_to_prune(executor: LocalExecutor) -> None:
    executor.submit(Job("up", {"do": "climb", "steps": 100}, waits_for_answers=True))
    for step in range(4):
        *_, reported = until(executor, lambda event: isinstance(event, Reported))
        assert reported == Reported("up", step, step / 10)
        assert executor.poll(0.05) == [], "it waits"
        executor.answer("up", prune=step == 3)
    *_, end = until(executor, is_end)
    assert end == Finished("up", {"ended": "pruned", "step": 3})


def test_an_answer_to_a_job_that_is_gone_is_passed_over(executor: LocalExecutor) -> None:
    executor.answer("nobody", prune=True)
    executor.kill("nobody", "too late")
    assert isinstance(do(executor, "one", "add", one=1, other=2)[-1], Finished)


@pytest.mark.parametrize(
    ("name", "message"), [("fail", "ValueError: no luck"), ("leave", "SystemExit: 3"), ("not_json", "TypeError: ")]
)
def test_work_that_raises_is_told_with_its_traceback_and_the_worker_lives(
    name: str, message: str, executor: LocalExecutor
) -> None:
    pid = executor.workers[0].pid
    *_, end = do(executor, "bad", name, message="no luck")
    assert isinstance(end, Raised)
    assert end.message.startswith(message)
    assert "Traceback" in end.traceback
    assert isinstance(do(executor, "good", "add", one=1, other=2)[-1], Finished)
    assert pid in (None, executor.workers[0].pid)


def test_more_jobs_than_workers_and_one_key_twice_are_mistakes_of_the_caller(executor: LocalExecutor) -> None:
    executor.submit(Job("one", {"do": "hang"}))
    with pytest.raises(AssertionError, match="at most num_workers"):
        executor.submit(Job("two", {"do": "hang"}))
    with pytest.raises(AssertionError, match="a key is at work once"):
        executor.submit(Job("one", {"do": "hang"}))
    executor.close(kill=True)


# -- places


def test_each_worker_has_its_core_and_sees_no_gpu(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    with make(workers=len(cores)) as executor:
        for index in range(len(cores)):
            executor.submit(Job(str(index), {"do": "describe"}))
        ends = until(executor, is_end, len(cores))
    found = {end.key: end.result for end in ends if isinstance(end, Finished)}
    for index, core in enumerate(cores):
        about = found[str(index)]
        assert (about["cores"], about["threads"], about["device"], about["visible"]) == ([core], 1, "cpu", "")
        assert about["session"] != os.getsid(0), "Ctrl-C in the terminal reaches the parent alone"


def test_each_worker_sees_one_gpu_of_its_own() -> None:
    with LocalExecutor(WORK, places(gpus=["3", "7"])) as executor:
        executor.submit(Job("a", {"do": "describe"}))
        executor.submit(Job("b", {"do": "describe"}))
        events = until(executor, is_end, 2)
        labels = [worker.device for worker in executor.workers]
    found = {event.key: event.result for event in events if isinstance(event, Finished)}
    assert [(found[key]["device"], found[key]["visible"]) for key in "ab"] == [("cuda", "3"), ("cuda", "7")]
    assert labels == ["cuda 3", "cuda 7"]


def test_no_place_is_refused() -> None:
    with pytest.raises(ExecutorError, match="`workers >= 1` must hold"):
        LocalExecutor(WORK, [])


# -- deaths


def test_a_job_whose_worker_is_killed_is_lost_and_another_worker_takes_the_place(executor: LocalExecutor) -> None:
    executor.submit(Job("bad", {"do": "hang"}))
    until(executor, lambda event: isinstance(event, Started))
    pid = executor.workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    *_, end = until(executor, is_end)
    assert isinstance(end, Lost)
    assert f"Its worker (process {pid}) was killed by SIGKILL" in end.reason
    assert isinstance(do(executor, "bad", "add", one=1, other=2)[-1], Finished)
    assert executor.workers[0].pid != pid


def test_a_job_that_crashes_its_worker_is_lost(executor: LocalExecutor) -> None:
    *_, end = do(executor, "bad", "crash")
    assert isinstance(end, Lost)
    assert "was killed by SIGSEGV" in end.reason
    assert isinstance(do(executor, "bad", "add", one=1, other=2)[-1], Finished)


def test_a_job_that_hangs_can_be_killed_with_what_it_has_started(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(Job("deaf", {"do": "start_a_child", "started": str(tmp_path / "pid")}))
    wait_until(
        lambda: executor.poll(0.01) is not None and (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()
    )
    executor.kill("deaf", "It took longer than 60 s.")
    assert until(executor, is_end)[-1] == Lost("deaf", "It took longer than 60 s.")
    wait_until(lambda: not is_running(int((tmp_path / "pid").read_text())))


def test_a_job_without_a_sign_of_life_is_lost_and_one_that_asks_is_not() -> None:
    with make(workers=2, silence_seconds=1.5) as executor:
        executor.submit(Job("deaf", {"do": "hang"}))
        executor.submit(Job("busy", {"do": "wait_to_stop"}))
        *_, end = until(executor, is_end)
        assert end == Lost("deaf", "No sign of life for 1.5 s.")
        executor.interrupt()
        assert until(executor, is_end)[-1] == Finished("busy", {"ended": "stopped"})


def test_a_worker_that_dies_idle_costs_no_job_anything(executor: LocalExecutor) -> None:
    do(executor, "first", "add", one=1, other=2)
    pid = executor.workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert do(executor, "next", "add", one=2, other=2) == [Started("next", 0), Finished("next", {"sum": 4})]


def test_the_process_that_starts_workers_can_die_too(executor: LocalExecutor) -> None:
    *_, end = do(executor, "who", "describe")
    assert isinstance(end, Finished)
    executor.submit(Job("hang", {"do": "hang"}))
    until(executor, lambda event: isinstance(event, Started))
    os.kill(end.result["parent"], signal.SIGKILL)
    *_, lost = until(executor, is_end)
    assert isinstance(lost, Lost)
    assert isinstance(do(executor, "hang", "add", one=1, other=2)[-1], Finished)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3))
def test_under_random_kills_every_job_finishes_once_with_its_own_result(seed: int) -> None:
    draw = random.Random(seed)
    waiting, finished, kills, losses = list(range(40)), {}, 0, 0
    with make(workers=2) as executor:
        at_work = 0
        next_kill = time.monotonic() + 0.3
        deadline = time.monotonic() + WAIT_SECONDS
        while (waiting or at_work) and time.monotonic() < deadline:
            while waiting and at_work < executor.num_workers:
                number = waiting.pop(0)
                executor.submit(Job(str(number), {"do": "count_once", "number": number}))
                at_work += 1
            for event in executor.poll(draw.uniform(0, 0.01)):
                if isinstance(event, Finished):
                    assert event.key not in finished, "a job finishes once"
                    finished[event.key] = event.result["value"]
                    at_work -= 1
                elif isinstance(event, Lost):
                    losses += 1
                    at_work -= 1
                    waiting.append(int(event.key))
            victim = draw.choice(executor.workers).pid
            if time.monotonic() > next_kill and victim is not None:
                next_kill = time.monotonic() + draw.uniform(0, 0.06)
                kills += kill(victim)
    expected = {str(number): sum(number * 31**power for power in range(10)) for number in range(40)}
    assert finished == expected
    assert 0 < losses <= kills


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


# -- ends

PARENT = f"""
import signal, sys, time
from sweeps.executors.base import Job, Started
from sweeps.executors.local import LocalExecutor
from sweeps.executors.places import places

with LocalExecutor({WORK!r}, places(workers=2, device="cpu")) as executor:
    signal.signal(signal.SIGINT, lambda *_: executor.interrupt())
    executor.submit(Job("a", {{"do": sys.argv[1], "started": sys.argv[2]}}))
    executor.submit(Job("b", {{"do": "wait_to_stop"}}))
    started, ended = 0, []
    while len(ended) < 2:
        for event in executor.poll(1.0):
            started += isinstance(event, Started)
            if isinstance(event, Started) and started == 2:
                print(*[worker.pid for worker in executor.workers], flush=True)
            if not isinstance(event, Started):
                ended.append(event)
    print(ended, flush=True)
"""


def start_parent(name: str, folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a process with an executor of two workers, both at work, in a session of its own."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, name, str(folder / "pid")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        start_new_session=True,
    )
    assert parent.stdout is not None
    return parent, [int(word) for word in parent.stdout.readline().split()]


def test_a_parent_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    parent, workers = start_parent("start_a_child", tmp_path)
    wait_until(lambda: written(tmp_path / "pid"))
    processes = [*workers, parent_of(workers[0]), int((tmp_path / "pid").read_text())]
    assert all(map(is_running, processes))
    parent.kill()
    parent.communicate()
    wait_until(lambda: not any(map(is_running, processes)))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_ctrl_c_in_the_terminal_reaches_the_parent_alone_which_has_the_work_stopped(tmp_path: Path) -> None:
    parent, workers = start_parent("wait_to_stop", tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    out, _ = parent.communicate(timeout=WAIT_SECONDS)
    assert out.count("'ended': 'stopped'") == 2
    assert parent.returncode == 0


def test_an_interrupt_ends_a_report_that_waits_for_an_answer(executor: LocalExecutor) -> None:
    executor.submit(Job("up", {"do": "climb", "steps": 100}, waits_for_answers=True))
    until(executor, lambda event: isinstance(event, Reported))
    executor.interrupt()
    assert until(executor, is_end)[-1] == Finished("up", {"ended": "stopped", "step": 0})
    events = do(executor, "next", "climb", steps=2)
    assert events[-1] == Finished("next", {"ended": "done", "step": 2}), "the wish was the former job's"


def test_leaving_gives_jobs_at_work_the_time_to_stop() -> None:
    with make() as executor:
        executor.submit(Job("up", {"do": "climb", "steps": 1_000_000, "seconds": 0.001}))
        until(executor, lambda event: isinstance(event, Reported))
        pid = executor.workers[0].pid
    assert pid is not None
    assert not is_running(pid)


def test_leaving_by_an_exception_ends_the_workers_at_once() -> None:
    pids = []

    def leave_by_an_exception() -> None:
        with make() as executor:
            executor.submit(Job("deaf", {"do": "hang"}))
            until(executor, lambda event: isinstance(event, Started))
            pids.append(executor.workers[0].pid)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        leave_by_an_exception()
    assert [is_running(pid) for pid in pids if pid is not None] == [False]


def test_closing_again_does_nothing() -> None:
    with make() as executor:
        do(executor, "one", "add", one=1, other=2)
    executor.close()
    executor.close(kill=True)


def test_an_executor_that_is_left_before_its_workers_came_leaves_none() -> None:
    with make() as executor:
        pass
    assert list(executor.workers) == []


# -- mistakes and logs


@pytest.mark.parametrize(
    ("work", "why"),
    [
        ("no_such_module:work", "ModuleNotFoundError"),
        ("tests.sweeps.executors.jobs:nothing", "AttributeError"),
        ("tests.sweeps.executors.broken:work", "RuntimeError: cannot be imported"),
    ],
)
def test_work_that_cannot_be_imported_is_told_once_with_the_log(work: str, why: str, tmp_path: Path) -> None:
    executor = LocalExecutor(work, places(workers=2, device="cpu"), log_directory=tmp_path / "logs")
    with executor, pytest.raises(ExecutorError, match=why) as caught:
        until(executor, is_end)
    assert str(tmp_path / "logs") in str(caught.value)
    assert "Traceback" in (tmp_path / "logs" / "worker-main.log").read_text()


def test_workers_that_never_get_ready_end_in_an_error_and_not_in_a_circle() -> None:
    def kill_it_again_and_again(executor: LocalExecutor) -> None:
        while True:
            executor.poll(0.01)
            nursery = executor._crew._nursery
            assert nursery is not None
            kill(nursery.pid)

    with make() as executor, pytest.raises(ExecutorError, match="die before they are ready"):
        kill_it_again_and_again(executor)


def test_what_a_worker_prints_goes_to_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with make(log_directory=tmp_path) as executor:
        do(executor, "loud", "speak")
    assert (tmp_path / "worker-0.log").read_text() == "to standard output\nto standard error\n"
    assert capfd.readouterr() == ("", "")


def test_a_place_names_its_device() -> None:
    assert Place("cpu", (0, 1), 2).label == "cpu cores 0,1"
