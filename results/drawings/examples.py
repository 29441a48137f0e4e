"""What a run kept of its test examples, as arrays; absent where a run ended before it was tested."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.errors import RecordError
from results.files import read_bytes, read_result
from results.schema import WAY_OUT

Array = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Kept:
    """The arrays of a tested run."""

    run_id: str
    kind: str
    scores: dict[str, float]
    metric: str
    predictions: Array
    targets: Array
    inputs: Array | None = None
    """Those of a few test examples."""
    indices: Array | None = None
    """Which test examples those are."""
    attention: Array | None = None
    """(example, layer, head, query, key) of those examples."""
    class_names: tuple[str, ...] = ()

    @property
    def score_text(self) -> str:
        """The primary score on test, as a heading has it."""
        score = self.scores.get(f"test/{self.metric}")
        return "" if score is None else f"test {self.metric} {score:.4g}"

    def answer_to(self, index: int) -> str:
        """Return what was asked and answered, as ``3, answered 5``; the number alone where that is no class."""
        prediction, target = self.predictions[index], self.targets[index]
        if prediction.ndim != 1 or target.ndim != 0 or not np.issubdtype(target.dtype, np.integer):
            return f"test example {index}"
        names = self.class_names or tuple(map(str, range(len(prediction))))
        answer = int(prediction.argmax())
        return f"{names[int(target)]}" + ("" if answer == target else f", answered {names[answer]}")


def read_kept(run_folder: Path) -> Kept | None:
    """Return what the run kept, or None where it was not tested.

    Raises:
        RecordError: A file is damaged.
    """
    result = read_result(run_folder)
    arrays = arrays_of(run_folder / "predictions.npz")
    if result is None or result.get("status") != "completed" or arrays is None:
        return None
    extra = arrays_of(run_folder / "examples.npz") or {}
    return Kept(
        run_id=str(result["run_id"]),
        kind=str(result["kind"]),
        scores=dict(result["scores"]),
        metric=str(result["metric"]),
        predictions=arrays["predictions"],
        targets=arrays["targets"],
        inputs=extra.get("inputs"),
        indices=extra.get("indices"),
        attention=extra.get("attention"),
        class_names=tuple(map(str, extra.get("class_names", ()))),
    )


def arrays_of(path: Path) -> dict[str, Array] | None:
    """Return the arrays of a file by name, or None where there is none; raise `RecordError` where it is damaged."""
    content = read_bytes(path)
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path} must be an archive of arrays, but: {error}. {WAY_OUT}") from error
