"""Pictures of a run: which ones there are, what they show, and that nothing lies outside of the paper."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray

from results.drawings.of_run import pictures_of_run
from results.drawings.samples import SIDE, spread
from results.drawings.sheet import enlarged, grid_of, shaded, tile_of
from results.errors import RecordError

Tested = Callable[..., Path]
Drawn = Callable[[Path], dict[str, NDArray[np.uint8]]]

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(40, 3)).astype(np.float32)
CLASSES = np.arange(40) % 3
PICTURES = rng.uniform(-1, 1, (40, 1, 8, 8)).astype(np.float32)
INDICES = np.array([0, 13, 26, 39])
GENERATION = {"kind": "generation", "task": "digits-generation", "metric": "fid", "scores": {"test/fid": 1.5}}
RECONSTRUCTION = {"kind": "reconstruction", "metric": "squared-error", "scores": {"test/squared-error": 0.02}}


def contains(paper: NDArray[np.uint8], tile: NDArray[np.uint8]) -> bool:
    """Return whether the tile stands somewhere on the paper, pixel for pixel."""
    height, width, _ = tile.shape
    # Where its corners match, which is where few tiles begin; a window for every place would take a minute.
    room = paper[: len(paper) - height + 1, : paper.shape[1] - width + 1]
    matches = np.ones(room.shape[:2], dtype=bool)
    for down, across in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (height // 2, width // 2)):
        corner = paper[down : down + len(room), across : across + room.shape[1]]
        matches &= (corner == tile[down, across]).all(axis=2)
    return any(np.array_equal(paper[y : y + height, x : x + width], tile) for y, x in np.argwhere(matches))


def has_margin(paper: NDArray[np.uint8], pixels: int = 3) -> bool:
    """Return whether nothing is drawn next to the edges, where words that do not fit would be cut off."""
    edges = (paper[:pixels], paper[-pixels:], paper[:, :pixels], paper[:, -pixels:])
    return all(bool((edge == 255).all()) for edge in edges)


def test_a_classification_has_its_curve_and_a_confusion_matrix(tested: Tested, drawn: Drawn) -> None:
    found = drawn(tested(LOGITS, CLASSES))
    assert set(found) == {"learning_curve", "confusion_matrix"}
    assert has_margin(found["confusion_matrix"])


def test_a_perfect_confusion_matrix_is_dark_on_its_diagonal_alone(tested: Tested, drawn: Drawn) -> None:
    def dark(paper: NDArray[np.uint8]) -> int:
        return int((paper.astype(int) == [8, 48, 107]).all(axis=2).sum())

    perfect = drawn(tested(np.eye(4, dtype=np.float32)[np.arange(40) % 4], np.arange(40) % 4))["confusion_matrix"]
    cell = 380 // 4
    assert 4 * (cell - 20) ** 2 < dark(perfect) <= 4 * cell**2
    one_class = np.tile(np.eye(4, dtype=np.float32)[2], (40, 1))
    column = drawn(tested(one_class, np.arange(40) % 4, seed=1))["confusion_matrix"]
    assert 4 * (cell - 20) ** 2 < dark(column) <= 4 * cell**2
    assert not np.array_equal(perfect, column)


@pytest.mark.parametrize("names", [("cat", "dog", "horse"), ("a very long name of a class", "b", "c"), ()])
def test_names_of_classes_fit_on_the_paper(tested: Tested, drawn: Drawn, names: tuple[str, ...]) -> None:
    examples: dict[str, Any] = {"indices": INDICES, "inputs": PICTURES[INDICES]}
    if names:
        examples["class_names"] = np.array(names)
    assert has_margin(drawn(tested(LOGITS, CLASSES, examples=examples))["confusion_matrix"])


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [
        (np.zeros((40, 31), np.float32), CLASSES),
        (np.zeros((40, 12, 5), np.float32), np.zeros((40, 12), int)),
        (np.zeros((40, 1), np.float32), np.zeros((40, 1), np.float32)),
    ],
    ids=["many classes", "an answer at every position", "numbers"],
)
def test_no_matrix_where_there_are_no_classes_or_too_many(
    tested: Tested, drawn: Drawn, predictions: Any, targets: Any
) -> None:
    assert set(drawn(tested(predictions, targets))) == {"learning_curve"}


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_stand_beside_test_pictures_on_one_scale(tested: Tested, drawn: Drawn, channels: int) -> None:
    samples = 1.5 * np.repeat(PICTURES, channels, axis=1)
    paper = drawn(tested(samples, np.repeat(PICTURES, channels, axis=1), **GENERATION))["samples"]
    assert has_margin(paper)
    low, high = float(PICTURES.min()), float(PICTURES.max())
    for picture in (samples[0], samples[39], PICTURES[7]):
        assert contains(paper, tile_of(np.broadcast_to(picture, (channels, 8, 8)), low=low, high=high, scale=6))


def test_test_pictures_come_from_all_parts_of_the_split() -> None:
    chosen = spread(np.arange(1000), SIDE * SIDE)
    assert (chosen[0], chosen[-1], len(set(chosen.tolist()))) == (0, 999, 64)
    assert spread(np.arange(5), 64).tolist() == [0, 1, 2, 3, 4]


def test_points_are_drawn_over_the_data_and_those_far_away_are_counted(
    tested: Tested, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    words: list[str] = []
    text = Figure.text
    monkeypatch.setattr(Figure, "text", lambda self, x, y, s, **k: (words.append(s), text(self, x, y, s, **k))[1])
    data = rng.normal(size=(100, 2)).astype(np.float32)
    samples = data.copy()
    samples[:3] += 100
    folder = tested(samples, data, **GENERATION)
    assert "samples" in dict(pictures_of_run(folder))
    assert any(word.endswith("3 of 100 samples outside") for word in words)


def test_reconstructions_show_inputs_outputs_and_targets(tested: Tested, drawn: Drawn) -> None:
    noisy = np.clip(PICTURES + 0.3, -1, 1)
    examples = {"indices": INDICES, "inputs": noisy[INDICES]}
    paper = drawn(tested(0.5 * PICTURES, PICTURES, examples=examples, **RECONSTRUCTION))["reconstructions"]
    assert has_margin(paper)
    low, high = float(PICTURES.min()), float(PICTURES.max())
    for picture in (noisy[13], 0.5 * PICTURES[13], PICTURES[13]):
        assert contains(paper, tile_of(picture, low=low, high=high, scale=8))


def test_the_target_is_left_out_where_it_is_the_input(tested: Tested, drawn: Drawn) -> None:
    examples = {"indices": INDICES, "inputs": PICTURES[INDICES]}
    same = drawn(tested(0.5 * PICTURES, PICTURES, examples=examples, **RECONSTRUCTION))["reconstructions"]
    noisy = {**examples, "inputs": 0.9 * PICTURES[INDICES]}
    other = drawn(tested(0.5 * PICTURES, PICTURES, examples=noisy, seed=1, **RECONSTRUCTION))["reconstructions"]
    assert len(same) < len(other)


ATTENTION = {
    "picture by rows": (PICTURES[INDICES], np.full((4, 1, 1, 1, 8), 1 / 8)),
    "picture by patches": (PICTURES[INDICES], np.full((4, 2, 2, 16, 16), 1 / 16)),
    "signal": (rng.normal(size=(4, 2, 24)).astype(np.float32), np.full((4, 1, 1, 1, 24), 1 / 24)),
    "vector": (rng.normal(size=(4, 20)).astype(np.float32), np.full((4, 1, 1, 1, 20), 1 / 20)),
    "tokens": (rng.integers(0, 9, (4, 60)), np.full((4, 1, 1, 1, 60), 1 / 60)),
    "tokens, matrices": (rng.integers(0, 9, (4, 12)), np.full((4, 3, 4, 12, 12), 1 / 12)),
    "one example": (PICTURES[INDICES], np.full((1, 1, 1, 1, 8), 1 / 8)),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_drawn_for_every_form_of_input(tested: Tested, drawn: Drawn, name: str) -> None:
    inputs, attention = ATTENTION[name]
    examples = {"indices": INDICES, "inputs": inputs, "attention": attention.astype(np.float16)}
    paper = drawn(tested(LOGITS, CLASSES, examples=examples))["attention"]
    assert has_margin(paper)


def test_a_map_is_as_dark_as_its_weights(tested: Tested, drawn: Drawn) -> None:
    attention = rng.dirichlet(np.ones(16), (4, 1, 1, 16)).astype(np.float16)
    examples = {"indices": INDICES, "inputs": PICTURES[INDICES], "attention": attention}
    paper = drawn(tested(LOGITS, CLASSES, examples=examples))["attention"]
    for weights in attention[:, 0, 0].astype(np.float64):
        assert contains(paper, shaded(weights, most=weights.max(), scale=120 // 16))


def test_a_run_that_was_not_tested_has_its_curve_alone(runs: Any, tested: Tested, drawn: Drawn) -> None:
    folder = runs.add(status="diverged", scores={}, selection=None)
    runs.write_metrics(folder, [{"step": 1, "epoch": 1.0, "train/loss": [0.5]}])
    assert set(drawn(folder)) == {"learning_curve"}


def test_equal_runs_give_equal_bytes_whatever_the_style(tested: Tested) -> None:
    examples = {"indices": INDICES, "inputs": PICTURES[INDICES], "attention": np.full((4, 1, 1, 1, 8), 0.125)}
    folder = tested(LOGITS, CLASSES, examples=examples)
    first = dict(pictures_of_run(folder))
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 20.0, "savefig.dpi": 30, "axes.facecolor": "red"}):
        assert dict(pictures_of_run(folder)) == first
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_damaged_archive_is_named(tested: Tested) -> None:
    folder = tested(LOGITS, CLASSES)
    (folder / "predictions.npz").write_bytes(b"no archive")
    with pytest.raises(RecordError, match=r"predictions\.npz must be an archive of arrays"):
        dict(pictures_of_run(folder))


def test_tiles_are_enlarged_row_by_row_and_cut_off_beyond_the_range() -> None:
    tile = tile_of(np.array([[[-5.0, 0.0], [1.0, 0.5]]]), low=0.0, high=1.0, scale=2)
    assert tile.shape == (4, 4, 3)
    assert tile[::2, ::2, 0].tolist() == [[0, 0], [255, 128]]
    grid = grid_of([tile, tile, tile], columns=2)
    assert grid.shape == (10, 10, 3)
    assert (grid[6:, :4] == tile).all()
    assert (grid[6:, 6:] == 255).all()
    assert enlarged(tile, 1) is not None
