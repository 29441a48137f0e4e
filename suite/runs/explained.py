"""The explanation of a run in MLflow: its scores as metrics, its picture as an artifact, brought up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from suite.atomic import sha256_of
from suite.runs.folder import EXPLANATION, EXPLANATION_PICTURE, RunFolder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPLANATION_TAG = "explanation_sha256"
"""Which explanation MLflow holds; written last, so that what a kill cuts short is logged again."""


def log_explanation(client: MlflowClient, run: str, tags: Mapping[str, str], folder: RunFolder) -> bool:
    """Bring MLflow's copy of a run, which has ``tags``, up to date with the explanation in its folder.

    Returns:
        Whether anything had to be written.
    """
    from mlflow.entities import Metric

    explanation, picture = folder.read_json(EXPLANATION), folder.path / EXPLANATION_PICTURE
    if explanation is None or not picture.is_file():
        return False
    digest = sha256_of(folder.path / EXPLANATION)
    if tags.get(EXPLANATION_TAG) == digest:
        return False
    now = round(time.time() * 1000)
    metrics = [
        Metric(f"explanation/{method}/{name}", value, now, 0)
        for method, about in explanation["methods"].items()
        for name, value in (about["scores"] or {}).items()
    ]
    if explanation["chance"] is not None:
        metrics.append(Metric("explanation/chance", explanation["chance"], now, 0))
    client.log_batch(run, metrics=metrics)
    client.log_artifact(run, str(picture))
    client.set_tag(run, EXPLANATION_TAG, digest)
    return True
