"""Weights as they lie on disk: as they are, or only what is not zero where that takes fewer bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from suite.atomic import write_bytes
from suite.errors import UserError

KEPT, VALUES = "@kept", "@values"
"""Suffixes of a sparse tensor's two parts: which values are kept, one bit each, and those values."""
HEADER_BYTES = 100
"""What one more tensor costs in a safetensors header, about."""


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``tensors`` with each one that is mostly zeros in two parts; nothing is lost."""
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        kept = flat != 0
        num_kept = int(kept.sum())
        sparse_bytes = (len(flat) + 7) // 8 + num_kept * flat.element_size() + HEADER_BYTES
        if sparse_bytes >= flat.numel() * flat.element_size():
            packed[name] = flat.reshape(tensor.shape)
        else:
            packed[f"{name}{KEPT}"] = torch.from_numpy(np.packbits(kept.numpy()))
            packed[f"{name}{VALUES}"] = flat[kept]
    return packed


def unpack(packed: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return what `pack` was given.

    Args:
        packed: What `pack` returned.
        shapes: The shape of each tensor by name: a sparse one does not hold its own.

    Raises:
        UserError: A name or a shape is not what ``shapes`` says.
    """
    found: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        if name in packed:
            tensor = packed[name]
        elif f"{name}{KEPT}" in packed and f"{name}{VALUES}" in packed:
            tensor = _dense(packed[f"{name}{KEPT}"], packed[f"{name}{VALUES}"], name, shape)
        else:
            raise UserError(f"The weights must hold {name!r}, but they do not. They belong to another model.")
        if tensor.shape != shape:
            raise UserError(
                f"The weights {name!r} must have the shape {list(shape)}, but have {list(tensor.shape)}. "
                "They belong to another model."
            )
        found[name] = tensor
    known = {item for name in shapes for item in (name, f"{name}{KEPT}", f"{name}{VALUES}")}
    surplus = sorted(set(packed) - known)
    if surplus:
        raise UserError(f"The model has no weights {surplus[0]!r}, but the file does. They belong to another model.")
    return found


def _dense(kept: Tensor, values: Tensor, name: str, shape: torch.Size) -> Tensor:
    fits = kept.dtype == torch.uint8 and kept.numel() == (shape.numel() + 7) // 8
    places = torch.from_numpy(np.unpackbits(kept.numpy(), count=shape.numel())).bool() if fits else kept.new_zeros(0)
    if not fits or int(places.sum()) != values.numel():
        raise UserError(f"The weights {name!r} do not fit the shape {list(shape)}. They belong to another model.")
    flat = torch.zeros(shape.numel(), dtype=values.dtype)
    flat[places] = values
    return flat.reshape(shape)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as a safetensors file, atomically; return its sha256."""
    return write_bytes(path, safetensors.torch.save({name: item.cpu().contiguous() for name, item in tensors.items()}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, which holds numbers and no code; raise `UserError` when it is none."""
    try:
        return safetensors.torch.load(path.read_bytes())
    except OSError as error:
        raise UserError(f"The weights {str(path)!r} cannot be read ({error.strerror}).") from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise UserError(
            f"The weights {str(path)!r} must be a safetensors file, but are not ({error}). "
            "Boltbench loads no other form: a pickle executes the code in it."
        ) from error
