"""What result.json says of a run, also of one that no worker could bring to an end."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from results.seal import sealed
from suite.atomic import write_text
from suite.runs.environment import code_sha256
from suite.runs.folder import RESULT, SPEC, RunFolder
from suite.spec import PROTOCOL, RunSpec

SCHEMA = 1
"""Version of result.json's layout."""


def describe_run(
    spec: RunSpec,
    folder: RunFolder,
    result: Mapping[str, Any],
    *,
    ids: tuple[str, str],
    is_deterministic: bool,
    environment: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the content of result.json.

    Args:
        spec: What was run.
        folder: Where; its other files are vouched for as they are now.
        result: Status, message and scores, and what a training adds to them.
        ids: Run id and config id.
        is_deterministic: Whether deterministic algorithms were on.
        environment: The fingerprint, or None of a run that never began.
    """
    card = spec.card()
    same_place = environment is not None and not environment["earlier_environment_ids"]
    return {
        "schema": SCHEMA,
        "protocol": PROTOCOL,
        "run_id": ids[0],
        "config_id": ids[1],
        "status": result["status"],
        "message": result["message"],
        "task": spec.task.name,
        "kind": card.kind,
        "family": spec.family.name,
        "seed": spec.seed,
        "spec": spec.to_mapping(with_places=False),
        "changed": spec.changed(),
        "parent": None if spec.parent is None else spec.parent.run_id,
        "compression": result.get("compression"),
        "origin": None if spec.origin is None else spec.origin.run_id,
        "transfer": result.get("transfer"),
        "metric": card.metric,
        "direction": card.direction,
        "floor": card.floor,
        "ceiling": card.ceiling,
        "scores": result["scores"],
        "selection": result.get("selection"),
        "cost": result.get("cost"),
        "determinism": "deterministic" if is_deterministic and same_place else "seeded",
        "digests": result.get("digests", {}),
        "data_sha256": card.sha256,
        "scorer_sha256": None if environment is None else environment["decisive"]["scorer_sha256"],
        "environment_id": None if environment is None else environment["environment_id"],
        "started_at": now() if environment is None else environment["started_at"],
        "finished_at": now(),
        "files": folder.file_digests(),
    }


def give_up(spec: RunSpec, folder: RunFolder, spec_yaml: str, *, status: str, message: str) -> None:
    """Record the end of a run whose worker could not: it was lost, hung, or refused what it was given.

    A run that has come to an end already keeps it.

    Raises:
        RunBusyError: A process is at work on it.
    """
    with folder.hold():
        if folder.result() is not None and not folder.can_go_on():
            return
        folder.plan(spec_yaml)
        assert (folder.path / SPEC).is_file()
        result = {"status": status, "message": message, "scores": {}}
        environment = folder.environment()
        hashed = {"data_sha256": spec.card().sha256, "code_sha256": code_sha256(spec)}
        ids = spec.run_id(**hashed), spec.config_id(**hashed)
        record = describe_run(spec, folder, result, ids=ids, is_deterministic=True, environment=environment)
        write_text(folder.path / RESULT, sealed(record))


def now() -> str:
    """Return the time as records hold it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
