"""Work functions for tests: plain Python, so that a worker starts in a tenth of a second."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.executors.base import Channel


def work(payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Do what ``payload["do"]`` names."""
    name: str = payload["do"]
    result: dict[str, Any] = globals()[name](payload, channel)
    return result


def add(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    return {"sum": payload["one"] + payload["other"]}


def echo(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    return {"payload": payload}


def describe(_payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Tell what this worker has."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "device": channel.device,
        "threads": channel.threads,
        "cores": sorted(os.sched_getaffinity(0)),
        "visible": os.environ["CUDA_VISIBLE_DEVICES"],
    }


def climb(payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Report step after step until told to end."""
    for step in range(payload["steps"]):
        if channel.report(step, step / 10):
            return {"ended": "pruned", "step": step}
        if channel.should_stop():
            return {"ended": "stopped", "step": step}
        time.sleep(payload.get("seconds", 0.0))
    return {"ended": "done", "step": payload["steps"]}


def wait_to_stop(_payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    while not channel.should_stop():
        time.sleep(0.005)
    return {"ended": "stopped"}


def hang(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    """Be deaf to everything."""
    if "started" in payload:
        Path(payload["started"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def fail(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    raise ValueError(payload["message"])


def leave(_payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    raise SystemExit(3)


def not_json(_payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    return {"value": object()}


def crash(_payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def speak(_payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    print("to standard output")  # noqa: T201  # what a worker prints is the point
    os.write(2, b"to standard error\n")
    return {}


def start_a_child(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    """Leave a process behind, and hang."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    Path(payload["started"]).write_text(str(pid))
    time.sleep(600)
    return {}


def write_folder(payload: Mapping[str, Any], _channel: Channel) -> dict[str, Any]:
    """Write files under the root, beside those that are there already, and name the folder."""
    root = Path(payload["root"])
    folder = root / payload["folder"]
    before = sorted(path.name for path in folder.rglob("*")) if folder.exists() else []
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "checkpoints" / "weights.bin").write_bytes(bytes(range(256)))
    (folder / ".lock").write_text("mine")
    (folder / "result.json").write_text("{}")
    return {"folders": [payload["folder"]], "root": str(root), "before": before}


def count_once(payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Append one line to a file of the job's own, in a few steps; what a kill at any moment must not double."""
    value = 0
    for step in range(10):
        value = value * 31 + payload["number"]
        channel.report(step, float(value))
        time.sleep(0.002)
    return {"value": value}
