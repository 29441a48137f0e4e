"""Where what can be made again is kept on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Return where this project keeps downloads, decoded arrays and receipts; not created here.

    ``$BOLTBENCH_CACHE``, else the platform's place for caches.
    """
    chosen = os.environ.get("BOLTBENCH_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "boltbench" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "boltbench"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path in this variable is to be ignored.
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "boltbench"
