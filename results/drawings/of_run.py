"""All pictures of one run by name: what there is to see depends on what the run kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from results.drawings.attention import attention_of
from results.drawings.confusion import confusion_of
from results.drawings.examples import Kept, read_kept
from results.drawings.explanation import explanation_of
from results.drawings.reconstructions import reconstructions_of
from results.drawings.samples import samples_of
from results.plots import learning_curve

Drawing = tuple[str, Callable[[Kept], bytes | None]]

OF_KIND: Final[dict[str, Drawing]] = {
    "generation": ("samples", samples_of),
    "reconstruction": ("reconstructions", reconstructions_of),
}
OTHERWISE: Final = ("confusion_matrix", confusion_of)
ATTENTION: Final = ("attention", attention_of)


def pictures_of_run(run_folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the PNG bytes of each picture; equal run folders give equal bytes.

    Raises:
        RecordError: There is no such run, or its files are damaged.
    """
    folder = Path(run_folder)
    metrics = folder / "metrics.jsonl"
    if metrics.is_file() and metrics.stat().st_size > 0:
        yield "learning_curve", learning_curve(folder)
    explained = explanation_of(folder)
    if explained is not None:
        yield "explanation", explained
    kept = read_kept(folder)
    if kept is not None:
        yield from _drawn(kept, (OF_KIND.get(kept.kind, OTHERWISE), ATTENTION))


def examples_of_run(run_folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield those pictures of `pictures_of_run` that show examples: samples, reconstructions and attention.

    Raises:
        RecordError: The run's files are damaged.
    """
    kept = read_kept(Path(run_folder))
    if kept is not None:
        yield from _drawn(kept, [*([OF_KIND[kept.kind]] if kept.kind in OF_KIND else []), ATTENTION])


def _drawn(kept: Kept, drawings: Sequence[Drawing]) -> Iterator[tuple[str, bytes]]:
    for name, draw in drawings:
        drawn = draw(kept)
        if drawn is not None:
            yield name, drawn
