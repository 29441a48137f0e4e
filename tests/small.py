"""Every family at the size of a test: its defaults, or what it names for tests where it needs files of its user's."""

import atexit
import functools
import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from suite.family import FAMILIES, Family


def lacks(name: str) -> str | None:
    """Return the first package of a family that is not installed, or None."""
    return next((item for item in FAMILIES.get(name).packages if importlib.util.find_spec(item) is None), None)


@functools.cache
def settings_of(name: str) -> dict[str, Any]:
    """Return the family as a spec has it; skip where a package of it is an extra that is not installed."""
    missing = lacks(name)
    if missing is not None:
        pytest.skip(f"{missing} is an extra that is not installed")
    return {"name": name, **FAMILIES.get(name).test_settings(_folder(name))}


def small(name: str) -> Family:
    """Return the family under these settings."""
    settings = dict(settings_of(name))
    return FAMILIES.get(settings.pop("name")).from_mapping(settings)


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"boltbench-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
