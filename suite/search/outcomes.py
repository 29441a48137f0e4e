"""Ends of trials that no training could record: a refused point of the space, or a worker that never came back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def give_up_run(payload: Mapping[str, Any], mapping: Mapping[str, Any], *, status: str, message: str) -> str | None:
    """Record a run as ended, unless it has an end already; return its id, or None where the spec itself is none."""
    import yaml

    from suite.errors import UserError
    from suite.runs.environment import code_sha256
    from suite.runs.folder import RunFolder
    from suite.runs.record import give_up
    from suite.runs.study_mirror import TRIAL
    from suite.spec import RunSpec

    try:
        spec = RunSpec.from_mapping(mapping)
    except UserError:
        return None
    run_id = spec.run_id(data_sha256=spec.card().sha256, code_sha256=code_sha256(spec))
    folder = RunFolder(Path(payload["root"]) / "runs" / run_id)
    text = yaml.safe_dump({**spec.to_mapping(), "execution": dict(payload["execution"])}, sort_keys=False)
    folder.path.mkdir(parents=True, exist_ok=True)
    if payload["trial"] is not None:
        folder.write_json(TRIAL, dict(payload["trial"]))
    give_up(spec, folder, text, status=status, message=message)
    return run_id
