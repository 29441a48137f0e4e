"""How threads of torch wait for each other, which must be said before torch is there."""

import os
import subprocess
import sys

import pytest

ASK = """
import os, sys
from suite.cli import main
main(["--version"])
assert "torch" not in sys.modules
print(os.environ["GOMP_SPINCOUNT"])
"""


@pytest.mark.parametrize(("given", "found"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_waiting_threads_soon_leave_the_core_to_others_unless_the_user_says_otherwise(
    given: dict[str, str], found: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env={**kept, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == found
