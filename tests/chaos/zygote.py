"""A process that has imported everything and forks a child per command: a kill costs 0.1 s in place of 5 s of imports.

Run as a script it reads one JSON order per line and answers with one JSON line. The children are its own, so that it
alone can say how they ended.
"""

import dataclasses
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Self

from tests.commands.front import Outcome, environment

WAIT_SECONDS = 120.0
"""Far more than any child takes; the tests measure nothing."""
RUN_SECONDS = 1800.0
"""A whole sweep beside other work takes minutes; what ends by itself is not held to a time here."""


@dataclasses.dataclass(frozen=True)
class Child:
    """One command at work in a process of its own."""

    zygote: "Zygote"
    pid: int
    log: Path

    def wait(self, seconds: float = WAIT_SECONDS) -> Outcome:
        """Return how the child ended; a negative code is the signal that killed it."""
        code = self.zygote.ask({"order": "wait", "pid": self.pid, "seconds": seconds})["code"]
        if code is None:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"no end within {seconds} s:\n{self.log.read_text()}")
        # A child that is killed in its first moments has no log yet.
        out, err = (path.read_text() if path.exists() else "" for path in (self.log.with_suffix(".out"), self.log))
        return Outcome(int(code), out, err)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def is_alive(self) -> bool:
        return bool(self.zygote.ask({"order": "wait", "pid": self.pid, "seconds": 0.0})["code"] is None)


class Zygote:
    """The other end of the pipe."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.count = 0

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
            cwd=self.logs,
            start_new_session=True,
        )
        assert self.ask({"order": "hello"}) == {"ready": True}
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=WAIT_SECONDS)
        self.process.stdout.close()

    def start(self, *words: object) -> Child:
        """Start ``boltbench *words`` in a process of its own."""
        self.count += 1
        log = self.logs / f"{self.count}.err"
        pid = self.ask({"order": "start", "words": [str(word) for word in words], "log": str(log)})["pid"]
        return Child(self, int(pid), log)

    def run(self, *words: object) -> Outcome:
        """Run ``boltbench *words`` to its end."""
        return self.start(*words).wait(RUN_SECONDS)

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer


def serve() -> None:
    """Import what a run needs, then obey until the orders end."""

    gc.freeze()  # or the first collection of every child would touch, and so copy, all that is imported
    ended: dict[int, int] = {}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Not `for line in sys.stdin`: it reads ahead, and a child would inherit what it holds.
    while line := sys.stdin.readline():
        order = json.loads(line)
        if order["order"] == "hello":
            answer({"ready": True})
        elif order["order"] == "start":
            pid = os.fork()
            if pid == 0:
                work(order["words"], Path(order["log"]))
            answer({"pid": pid})
        elif order["order"] == "wait":
            answer({"code": wait(order["pid"], order["seconds"], ended)})


def answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def wait(pid: int, seconds: float, ended: dict[int, int]) -> int | None:
    deadline = time.monotonic() + seconds
    while pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= deadline:
            return None
        else:
            time.sleep(0.005)
    return ended[pid]


def work(words: list[str], log: Path) -> None:
    """Be the command, and end."""
    from suite.cli import main

    code = 70
    try:
        os.setsid()
        for number, path in ((0, Path(os.devnull)), (1, log.with_suffix(".out")), (2, log)):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(handle, number)
            os.close(handle)
        code = main(words)
    except BaseException:  # the child must not go on as a second zygote, whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
