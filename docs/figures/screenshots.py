"""Takes the pictures of docs/browsing.md in a headless Chromium, from the runs under a root.

Run by hand after the quick plan, from the project's folder: ``python -m docs.figures.screenshots ROOT``. It writes
beside itself. `boltbench ui --port 5000` must run over the same root.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

from suite.cli import main
from tests.browser import Browser, browser

HERE = Path(__file__).parent
MLFLOW = "http://127.0.0.1:5000/"
TASK = "mnist1d"
SETTLE_SECONDS = 8.0
"""MLflow's pages draw for a while after they are loaded."""


def report(tab: Browser, root: Path) -> None:
    """Take the page of one task, light with a row open, and dark on a phone."""
    page = root / "report.html"
    assert main(["report", str(page), "--root", str(root)]) == 0
    for name, width, height, dark in (("report", 1280, 860, False), ("report-phone", 390, 780, True)):
        tab.open(page.as_uri(), width=width, height=height, dark=dark)
        heading = f"[...document.querySelectorAll('h2')].find(h => h.textContent === '{TASK}')"
        section = tab.js(f"{heading}.closest('section').id")
        if not dark:
            tab.click(f"#{section}-2 .expand")
        tab.js(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
        time.sleep(1)
        tab.screenshot(HERE / f"{name}.png")


def mlflow(tab: Browser) -> None:
    """Take MLflow's list of runs, its charts and its comparison, without the panel of its assistant."""
    experiment = experiment_id()
    tab.open(MLFLOW, width=1280, height=800)
    tab.js("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    tab.js("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")
    runs = [run["info"]["run_id"] for run in ask("runs/search", experiment_ids=[experiment])["runs"]][:6]
    place, kind = f"{MLFLOW}#/experiments/{experiment}/runs", "workflowType=machine_learning"
    compared = f"runs={json.dumps(runs)}&experiments={json.dumps([experiment])}"
    for name, url in (
        ("mlflow-runs", f"{place}?{kind}"),
        ("mlflow-charts", f"{place}?{kind}&compareRunsMode=CHART"),
        ("mlflow-compare", f"{MLFLOW}#/compare-runs?{compared}&{kind}"),
    ):
        tab.open("about:blank")
        tab.open(url, width=1280, height=800)
        if name == "mlflow-charts":
            tab.wait_for("document.querySelectorAll('.barlayer').length > 1")
        time.sleep(SETTLE_SECONDS)
        tab.screenshot(HERE / f"{name}.png")


def experiment_id() -> str:
    """Return the id of the task's experiment."""
    found = ask("experiments/search", max_results=100)["experiments"]
    return str(next(item["experiment_id"] for item in found if item["name"] == TASK))


def ask(path: str, **body: object) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Ask MLflow's server."""
    request = urllib.request.Request(
        f"{MLFLOW}ajax-api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


if __name__ == "__main__":
    with browser() as opened:
        report(opened, Path(sys.argv[1]))
        mlflow(opened)
