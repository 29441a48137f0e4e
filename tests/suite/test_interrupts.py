"""What a process does that is asked to stop and comes to no safe point."""

import subprocess
import sys

import pytest

from suite.interrupts import LAST_SECONDS, STOP_SECONDS
from tests.commands.front import environment

SCRIPT = """
import os, signal, sys, time
import suite.interrupts
suite.interrupts.LAST_SECONDS = 0.3
with suite.interrupts.Interrupts() as interrupts:
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    while not (interrupts.should_stop() and sys.argv[2] == "ends"):
        time.sleep(0.01)
time.sleep(0.6)
print("went on")
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=environment(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_process_that_comes_to_no_safe_point_is_ended(name: str, code: int) -> None:
    ended = run(name, "never ends")
    assert ended.returncode == code
    assert "`boltbench resume` goes on from what is saved." in ended.stderr
    assert "went on" not in ended.stdout


def test_one_that_ends_in_time_is_left_alone_afterwards() -> None:
    ended = run("SIGTERM", "ends")
    assert (ended.returncode, ended.stdout) == (0, "went on\n")
    assert "boltbench resume" not in ended.stderr


def test_the_end_comes_after_a_clean_one_would_have_and_within_ten_seconds() -> None:
    assert STOP_SECONDS < LAST_SECONDS < 10.0
