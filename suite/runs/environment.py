"""The fingerprint of where and with what a run was made: two runs of one fingerprint must agree bit for bit."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import inspect
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from suite.engine.devices import usable_cores
from suite.sources import COMPRESSION_SOURCES, CORE_SOURCES, ROOT, TRANSFER_SOURCES, pinned
from suite.spec import RunSpec

PACKAGES = (
    "boltbench",
    "torch",
    "lightning",
    "torchmetrics",
    "numpy",
    "scikit-learn",
    "mnist1d",
    "pillow",
    "safetensors",
)
"""Packages that can change a bit of a result."""
TOOLS = ("pandas", "optuna", "mlflow", "matplotlib", "rich")
"""Packages that only handle what is there."""


def fingerprint(
    spec: RunSpec,
    device: torch.device,
    *,
    data_sha256: str,
    scorer_sha256: str | None = None,
    num_devices: int = 1,
) -> dict[str, Any]:
    """Return the environment of a run about to start: JSON values, grouped by whether they decide its bits."""
    decisive = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": package_versions(
            (*PACKAGES, *spec.family.packages, *(spec.compression.packages if spec.compression else ()))
        ),
        "data_sha256": data_sha256,
        "scorer_sha256": scorer_sha256,
        "code_sha256": code_sha256(spec),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "num_devices": num_devices,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model(),
        "driver": _driver() if device.type == "cuda" else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "flags": {
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "matmul_precision": torch.get_float32_matmul_precision(),
            "tf32": torch.backends.cudnn.allow_tf32 if device.type == "cuda" else None,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "mkldnn": torch.backends.mkldnn.is_available(),
        },
    }
    return {
        "environment_id": hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:10],
        "decisive": decisive,
        "host": {"cores": usable_cores(), "kernel": platform.release(), "name": platform.node()},
        "tools": package_versions(TOOLS),
        "lock_sha256": lock_sha256(),
        **git_state(),
    }


def differing_fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the decisive fields in which two fingerprints differ, by dotted path."""
    flat_one, flat_other = _flat(one["decisive"]), _flat(other["decisive"])
    return {
        key: (flat_one.get(key), flat_other.get(key))
        for key in sorted({*flat_one, *flat_other})
        if flat_one.get(key) != flat_other.get(key)
    }


def code_sha256(spec: RunSpec, *, also: Iterable[type] = ()) -> str:
    """Return the digest of the code that decides this spec's result: core, family, task and active regularisers.

    ``also`` names further classes, such as the regularisers that a search may switch on.
    """
    suite = ROOT / "suite"
    paths = {path for pattern in CORE_SOURCES for path in suite.glob(pattern)}
    owners = [type(spec.task), type(spec.family), *(type(item) for item in spec.regularization.regularizers()), *also]
    if spec.compression is not None:
        owners.append(type(spec.compression))
        paths |= {suite / name for name in COMPRESSION_SOURCES}
    if spec.origin is not None or spec.transfer.is_on:
        paths |= {suite / name for name in TRANSFER_SOURCES}
    # Bases of their own too (how a published data set is split, what two families share); the bases of the frame in
    # suite/ are core sources where they decide a result.
    homes = ("tasks.", "suite.families.", "suite.regularization.", "suite.compression.")
    bases = [base for owner in owners for base in owner.__mro__[1:] if base.__module__.startswith(homes)]
    own = {Path(inspect.getfile(owner)) for owner in (*owners, *bases)}
    # How data is decoded and split: the sha256 of a card may be that of files before either.
    paths |= own | {helper for path in own for helper in _helpers(path)}
    # Sorted by what is hashed, not by path: where a plug-in or the checkout lies on disk is no part of a run.
    lines = sorted(f"{path.name} {_source_digest(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _helpers(path: Path) -> set[Path]:
    """Return the files of tasks/sources that a file imports, at once or within a function, and what those import."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        imported = _imported_sources(pinned(item := waiting.pop()) or item.read_bytes())
        named = {ROOT / "tasks" / "sources" / f"{name}.py" for name in imported}
        new = {file for file in named if file.is_file()} - found
        found |= new
        waiting += new
    return found


@functools.cache
def _imported_sources(source: bytes) -> frozenset[str]:
    """Return the modules of `tasks.sources` that a source imports, in either form of ``from ... import``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "tasks.sources":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tasks.sources."):
            names.add((node.module or "").removeprefix("tasks.sources."))
    return frozenset(names)


def _source_digest(path: Path) -> str:
    """Return a digest of the file as it was pinned, or as it is now."""
    content = pinned(path)
    if content is not None:
        return _digest_of(content)
    about = path.stat()
    return _digest_of_version(path, about.st_mtime_ns, about.st_size)


@functools.cache
def _digest_of_version(path: Path, _modified: int, _size: int) -> str:
    return _digest_of(path.read_bytes())


@functools.cache
def _digest_of(source: bytes) -> str:
    """Return a digest of the syntax tree: a comment, a docstring or a line break changes no result and no identity."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """Return whether the statement is a bare string, as docstrings are."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)


@functools.cache
def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed version of each package."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@functools.cache
def cpu_model() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


@functools.cache
def lock_sha256() -> str | None:
    """Return the digest of the lock files of this checkout, or None where there are none."""
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in locks)).hexdigest() if locks else None


@functools.cache
def git_state() -> dict[str, Any]:
    """Return the commit of this checkout and whether tracked files differ from it; None outside a checkout."""
    if not (ROOT / ".git").exists():
        return {"git_commit": None, "git_dirty": None}
    try:
        commit = _output("git", "-C", str(ROOT), "rev-parse", "HEAD")
        dirty = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": None, "git_dirty": None}
    return {"git_commit": commit, "git_dirty": bool(dirty)}


def _driver() -> str | None:
    try:
        return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout.strip()


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
