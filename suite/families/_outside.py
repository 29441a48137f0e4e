"""The base of families whose weights come from outside: a folder of safetensors, checked and made part of a run."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from suite.atomic import sha256_of
from suite.errors import UserError, shown
from suite.family import Family
from suite.fields import Place
from suite.task import Card

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Forms of weights that execute the code in them when they are read; none is ever opened."""
ELSEWHERE = ("model.safetensors.index.json", "adapter_config.json")
"""Files by which a library finds further weights, which the digest would not be taken over."""
UNTOLD = ("auto_map", "transformers_weights", "quantization_config", "model_args")
"""Keys of a configuration that name code or weights of other places, or make another model than its name says."""
SHOWN_DIGITS = 12
"""Of a sha256, in tables and identities: run ids have ten."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outside(Family):
    """A model of a library of models; its weights lie in a folder, or in the local cache of the Hugging Face hub.

    What lies there is part of a run's identity, by sha256; where it lies is not. Nothing is downloaded: a run makes no
    network call. Nothing that lies there is executed.
    """

    not_searched: ClassVar[tuple[str, ...]] = ("folder", "hub_name", "weights_sha256")
    needed: ClassVar[tuple[str, ...]] = (CONFIG, WEIGHTS)
    """Files that the folder must hold, and that the digest is taken over."""

    folder: Annotated[str, Place()] = ""
    """Folder with the model as `save_pretrained` writes it: config.json and model.safetensors."""
    hub_name: str = ""
    """Name of a model of the Hugging Face hub that was downloaded before, in place of a folder."""
    weights_sha256: str = ""
    """The digest of what lies there; filled in where it is left out, and checked where it is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folder and self.hub_name:
            raise UserError("Give family.folder or family.hub_name, not both.")
        source = self.source()
        if source is None:
            if self.weights_sha256:
                raise UserError(
                    f"family.weights_sha256={self.weights_sha256[:SHOWN_DIGITS]}... says what lies in family.folder, "
                    "but none is given. Name the folder, or leave the digest out."
                )
            return
        found = digest_of(source, self.needed)
        if self.weights_sha256 not in ("", found):
            raise UserError(
                f"What lies in {str(source)!r} must have the sha256 {self.weights_sha256[:SHOWN_DIGITS]}..., but has "
                f"{found[:SHOWN_DIGITS]}...: it is another model, or was changed. Name the folder of the one that is "
                "meant, or leave family.weights_sha256 out to train from what is there."
            )
        object.__setattr__(self, "weights_sha256", found)

    def changed(self) -> dict[str, Any]:
        """Return what differs from the defaults; the digest stands for the weights, wherever they lie."""
        changed = super().changed()
        for name in ("hub_name", "weights_sha256"):
            changed.pop(name, None)
        if self.weights_sha256:
            changed["weights"] = f"{self.title()}@{self.weights_sha256[:SHOWN_DIGITS]}"
        return changed

    def own_weights(self) -> str | None:
        """Return the model and its digest, where weights are named."""
        found: str | None = self.changed().get("weights")
        return found

    def joins_all(self, card: Card) -> bool:
        """Return that plans must name this family: which model is meant is the user's to say."""
        return False

    def source(self) -> Path | None:
        """Return the folder of the weights, or None where none is named.

        Raises:
            UserError: It is not there, or lacks a file.
        """
        if not self.hub_name and not self.folder:
            return None
        folder = _cached(self.hub_name, self.extra, self.needed) if self.hub_name else Path(self.folder)
        if not folder.is_dir():
            raise UserError(f"family.folder must be a folder, but there is none at {self.folder!r}.")
        missing = [name for name in self.needed if not (folder / name).is_file()]
        if missing:
            pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
            refused = (
                f" {pickles[0]!r} is a pickle, which executes the code in it: Boltbench opens none."
                if WEIGHTS in missing and pickles
                else ""
            )
            raise UserError(
                f"{str(folder)!r} must hold {', '.join(self.needed)}, but has no {' and no '.join(missing)}.{refused} "
                "`save_pretrained` of the library writes such a folder."
            )
        others = [name for name in ELSEWHERE if (folder / name).exists()]
        if others:
            raise UserError(
                f"{str(folder)!r} must hold its weights in {WEIGHTS} alone, but {others[0]!r} names further files. "
                "Save the whole model in one file."
            )
        return folder

    def config(self) -> dict[str, Any]:
        """Return what config.json says; empty where no weights are named.

        Raises:
            UserError: It is no mapping, or names code that would have to be executed.
        """
        source = self.source()
        if source is None:
            return {}
        try:
            found = json.loads((source / CONFIG).read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{str(source / CONFIG)!r} must hold a model's configuration, but: {error}") from error
        if not isinstance(found, dict):
            raise UserError(f"{str(source / CONFIG)!r} must hold a mapping, but holds {shown(found)}.")
        untold = [name for name in UNTOLD if found.get(name)]
        if untold:
            raise UserError(
                f"{str(source / CONFIG)!r} must describe a model of the library as it is, with all of its weights in "
                f"one file and no code of its own, but it has {untold[0]!r}. Boltbench takes no such model."
            )
        return found

    def title(self) -> str:
        """Return what kind of model the configuration says it is.

        Not `_name_or_path`: a model that was fine-tuned names the one that it was made from there.
        """
        config = self.config()
        return str(config.get("architecture") or config.get("model_type") or "model")


def digest_of(folder: Path, names: tuple[str, ...]) -> str:
    """Return the sha256 over names and contents of files of a folder."""
    total = hashlib.sha256()
    for path in (folder / name for name in sorted(names)):
        about = path.stat()
        total.update(f"{path.name} {_file_digest(path, about.st_mtime_ns, about.st_size)}\n".encode())
    return total.hexdigest()


@functools.lru_cache(maxsize=64)
def _file_digest(path: Path, _modified: int, _size: int) -> str:
    return sha256_of(path)


def _cached(name: str, extra: str, patterns: tuple[str, ...]) -> Path:
    """Return the folder of a model in the hub's local cache."""
    from suite.extras import require

    require("huggingface_hub", extra=extra, purpose="family.hub_name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, local_files_only=True, allow_patterns=list(patterns))
    except HFValidationError as error:
        raise UserError(f"family.hub_name must be a name such as 'owner/model', but got {shown(name)}.") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"family.hub_name={name!r} must be in the hub's local cache, but is not: a run makes no network call. "
            f"`hf download {name}` brings it."
        ) from error
    return Path(found)
