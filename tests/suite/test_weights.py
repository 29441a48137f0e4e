import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from suite.errors import UserError
from suite.weights import KEPT, VALUES, pack, read_tensors, unpack, write_tensors

SPARSE = torch.zeros(40, 25).index_put_((torch.arange(40), torch.arange(40) % 25), torch.tensor(1.5))


def shapes_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


@given(
    seed=st.integers(0, 10_000),
    zeros=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    shape=st.lists(st.integers(1, 40), min_size=0, max_size=3),
    dtype=st.sampled_from([torch.float32, torch.int8, torch.uint8, torch.int64]),
)
def test_what_is_packed_comes_back_whatever_is_zero(
    seed: int, zeros: float, shape: list[int], dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(1, 100, shape, generator=generator)
    tensors = {"w": (values * (torch.rand(shape, generator=generator) >= zeros)).to(dtype), "b": torch.ones(3)}
    back = unpack(pack(tensors), shapes_of(tensors))
    assert all(torch.equal(back[name], tensor) and back[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_a_tensor_that_is_mostly_zeros_takes_its_values_and_one_bit_for_each_place(tmp_path: Path) -> None:
    packed = pack({"w": SPARSE})
    assert {name: tensor.numel() for name, tensor in packed.items()} == {f"w{KEPT}": 125, f"w{VALUES}": 40}
    write_tensors(tmp_path / "sparse", packed)
    write_tensors(tmp_path / "dense", {"w": SPARSE})
    assert (tmp_path / "sparse").stat().st_size < 0.15 * (tmp_path / "dense").stat().st_size


def test_a_tensor_that_would_grow_is_left_as_it_is() -> None:
    small, full = torch.zeros(8), torch.ones(40, 25)
    assert set(pack({"small": small, "full": full})) == {"small", "full"}


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        ({}, "must hold 'w'"),
        ({"w": torch.ones(25, 40)}, r"must have the shape \[40, 25\], but have \[25, 40\]"),
        ({"w": torch.ones(40, 25), "v": torch.ones(1)}, "no weights 'v'"),
        ({f"w{KEPT}": pack({"w": SPARSE})[f"w{KEPT}"], f"w{VALUES}": torch.ones(39)}, "do not fit the shape"),
        ({f"w{KEPT}": torch.zeros(3, dtype=torch.uint8), f"w{VALUES}": torch.ones(0)}, "do not fit the shape"),
        ({f"w{KEPT}": pack({"w": SPARSE})[f"w{KEPT}"]}, "must hold 'w'"),
    ],
)
def test_weights_of_another_model_are_refused(packed: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(UserError, match=said):
        unpack(packed, {"w": SPARSE.shape})


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "executed"))


@pytest.mark.parametrize("form", ["pickle", "torch", "noise", "empty", "truncated"])
def test_a_file_that_is_no_safetensors_is_refused_and_nothing_in_it_is_executed(tmp_path: Path, form: str) -> None:
    trap = Trap(tmp_path / "sprung")
    buffer = io.BytesIO()
    torch.save({"w": trap}, buffer)
    content = {
        "pickle": pickle.dumps(trap),
        "torch": buffer.getvalue(),
        "noise": b"\xff" * 64,
        "empty": b"",
        "truncated": safetensors.torch.save({"w": SPARSE})[:-1],
    }[form]
    path = tmp_path / "selected.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="must be a safetensors file"):
        read_tensors(path)
    assert not trap.path.exists()
