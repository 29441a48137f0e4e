"""A folder of the user's own images: what is in it, how it is split, what its content is."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from suite.errors import DataMissingError, UserError
from suite.task import SplitName

LabelRule = Literal["folders", "file-names"]

MIN_IMAGES_PER_CLASS = 7
"""Fewest images of a class for which 15 percent are one image."""


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """One file as the listing sees it: nothing of its content is read."""

    path: str
    """Relative to the folder, with forward slashes."""
    label: str
    size: int
    changed: int
    """Time of the last change, in nanoseconds."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a folder, sorted by path."""

    root: Path
    files: tuple[ImageFile, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, sorted."""
        return tuple(sorted({file.label for file in self.files}))

    def key(self) -> str:
        """Return a digest of names, sizes and times: while it stays, the content is taken to be the same."""
        lines = [f"{file.path}\0{file.label}\0{file.size}\0{file.changed}" for file in self.files]
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

    def content_sha256(self) -> list[str]:
        """Read every file and return the sha256 of each; raise `UserError` naming those that cannot be read."""
        digests, faults = [], []
        for file in self.files:
            try:
                digests.append(hashlib.sha256((self.root / file.path).read_bytes()).hexdigest())
            except OSError as error:
                faults.append(f"{file.path} ({error.strerror})")
        _refuse(faults, "Every image must be readable", self.root)
        return digests

    def splits(self) -> dict[SplitName, list[int]]:
        """Return the rows of each split, ascending: of every class 15 % test, 15 % val (rounded down), the rest train.

        Within a class the files are ranked by a digest of their path, so that neither dates nor the file system's
        order matter.
        """
        rows: dict[SplitName, list[int]] = {"train": [], "val": [], "test": []}
        for name in self.class_names:
            members = [row for row, file in enumerate(self.files) if file.label == name]
            members.sort(key=lambda row: hashlib.sha256(self.files[row].path.encode(errors="surrogateescape")).digest())
            share = len(members) * 15 // 100
            rows["test"] += members[:share]
            rows["val"] += members[share : 2 * share]
            rows["train"] += members[2 * share :]
        return {name: sorted(members) for name, members in rows.items()}


def scan(folder: str, rule: LabelRule) -> Listing:
    """List the images below ``folder``; names that begin with a dot are no images.

    Raises:
        UserError: The folder is missing; something in it is no file, such as a link to nothing; a file has no class;
            there are fewer than two classes; or one of them is empty or too small.
    """
    if not folder:
        raise DataMissingError("The task image-folder needs a folder of images: give `--task.folder PATH`.")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"`task.folder` must be a folder that exists, but got {folder!r}.")
    paths = sorted(_walk(root))
    if rule == "folders":
        stray = [path for path in paths if "/" not in path]
        if stray:
            raise UserError(
                f"With task.labels=folders every image must lie in a folder that names its class, but {named(stray)} "
                f"directly in {folder!r}. Move them, or use task.labels=file-names (class = name before the first dot)."
            )
    _refuse(
        [f"{path} ({_kind(root / path)})" for path in paths if not (root / path).is_file()],
        "Images must be files that are there",
        root,
    )
    files = []
    for path in paths:
        status = (root / path).stat()
        label = path.split("/")[0] if rule == "folders" else Path(path).name.split(".")[0]
        files.append(ImageFile(path, label, status.st_size, status.st_mtime_ns))
    counts = Counter(file.label for file in files)
    if rule == "folders":
        counts.update({name: 0 for name in _folders(root)})
    _check_classes(counts, folder)
    return Listing(root, tuple(files))


def named(paths: Sequence[str], *, most: int = 10) -> str:
    """Return ``3 files lie`` with the first names, as the middle of an error message."""
    more = ", ..." if len(paths) > most else ""
    return f"{len(paths)} {'file lies' if len(paths) == 1 else 'files lie'} ({', '.join(paths[:most])}{more})"


def _refuse(faults: Sequence[str], law: str, root: Path) -> None:
    if faults:
        more = "; ..." if len(faults) > 10 else ""
        raise UserError(
            f"{law}, but {len(faults)} in {str(root)!r} {'is' if len(faults) == 1 else 'are'} not: "
            f"{'; '.join(faults[:10])}{more}. Mend or remove {'it' if len(faults) == 1 else 'them'}."
        )


def _kind(path: Path) -> str:
    return "a link to nothing" if path.is_symlink() and not path.exists() else "no regular file"


def _folders(root: Path) -> list[str]:
    """Return the folders that name classes, those without any image too."""
    return [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _check_classes(counts: Counter[str], folder: str) -> None:
    if len(counts) < 2:
        raise UserError(f"A classification task needs at least 2 classes, but {folder!r} has {sorted(counts)}.")
    small = [f"{name} ({count})" for name, count in sorted(counts.items()) if count < MIN_IMAGES_PER_CLASS]
    if small:
        raise UserError(
            f"Each class must have at least {MIN_IMAGES_PER_CLASS} images, so that val and test get one, "
            f"but {folder!r} has too few in {', '.join(small[:10])}{', ...' if len(small) > 10 else ''}."
        )


def _raise_unreadable(error: OSError) -> None:
    raise UserError(f"Every folder below task.folder must be readable, but {error.filename!r}: {error.strerror}.")


def _walk(root: Path) -> list[str]:
    paths, seen = [], set()
    # Links to folders are followed (shared data often is one), but a folder is entered once: links can form rings.
    for directory, folders, names in os.walk(root, followlinks=True, onerror=_raise_unreadable):
        real = os.path.realpath(directory)
        if real in seen:
            raise UserError(f"The folder {directory!r} is linked twice below {str(root)!r}; remove one of the links.")
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [(Path(directory) / name).relative_to(root).as_posix() for name in names if not name.startswith(".")]
    return paths
