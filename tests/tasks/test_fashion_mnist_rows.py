"""Fashion-MNIST, row by row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.fashion_mnist import FashionMnist
from tasks.fashion_mnist_rows import FashionMnistRows
from tests.tasks.conftest import tiny


@pytest.fixture
def both(idx_contents: dict[str, bytes], put: Callable[..., Path], bare_machine: Path) -> tuple[Any, Any]:
    put(bare_machine / "data" / "tiny", idx_contents)
    sizes = {"image_shape": (1, 4, 5), "num_train": 60, "num_val": 10, "num_test": 20}
    return tiny(FashionMnist, idx_contents, **sizes), tiny(FashionMnistRows, idx_contents, **sizes)


def test_step_t_is_row_t_of_the_picture(both: tuple[Any, Any]) -> None:
    pictures, rows = (cls().load() for cls in both)
    assert rows.mean.shape == rows.std.shape == (1, 1)
    for name, split in rows.by_name.items():
        assert split.inputs.shape[1:] == (5, 4) == both[1]().card().input_shape
        assert split.inputs.is_contiguous()
        for step in range(4):
            assert torch.equal(split.inputs[:, :, step], pictures[name].inputs[:, 0, step])
        assert torch.equal(split.targets, pictures[name].targets)
    assert torch.equal(rows.mean.flatten(), pictures.mean.flatten())


def test_it_is_a_sequence_task_with_a_digest_of_its_own_over_the_same_files() -> None:
    card, pictures = FashionMnistRows().card(), FashionMnist().card()
    assert card.augmentations == pictures.augmentations - {"flip"}
    assert (card.kind, card.input_shape, card.name) == ("sequence-modelling", (28, 28), "fashion-mnist-rows")
    assert card.sha256 != pictures.sha256
    assert card.split_sizes == pictures.split_sizes
    assert FashionMnistRows.publication is FashionMnist.publication


def test_only_what_is_asked_for_is_read_and_the_digest_is_the_cards(both: tuple[Any, Any], bare_machine: Path) -> None:
    rows = both[1]()
    assert rows.check_data() == rows.card().sha256
    for file in (bare_machine / "data" / "tiny").glob("t10k-*"):
        file.unlink()
    assert set(rows.load(("train", "val")).by_name) == {"train", "val"}
