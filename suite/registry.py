"""Name -> class, found by folder, by entry point and by plug-in file; nothing is listed by hand.

A thing named ``fashion-mnist`` lives in ``fashion_mnist.py`` of its folder as the class whose ``name`` is
``"fashion-mnist"``. Looking one name up imports that one file only.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from suite.errors import UserError, unknown_name
from suite.sources import pin_plugin

T = TypeVar("T")


PLUGIN_PREFIX = "boltbench_plugin_"
"""What the names of the modules begin with that --plugin has loaded."""


class Registry(Generic[T]):
    """The classes of one kind (tasks, families, regularisers): those in ``package`` and those that outsiders add.

    Args:
        what: What a thing is called in error messages, such as ``"family"``.
        package: The dotted package whose files hold one thing each.
        entry_point_group: Where installed distributions register theirs, such as ``"boltbench.families"``.
    """

    def __init__(self, what: str, *, package: str, entry_point_group: str) -> None:
        self.what = what
        self.package = package
        self.entry_point_group = entry_point_group
        self._plugins: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """Return every known name, sorted, without importing what it stands for."""
        return sorted({*self._folder_names(), *self._entry_points, *self._plugins})

    def check(self, name: str) -> None:
        """Raise `UserError` with the nearest name where ``name`` is not known; nothing is imported."""
        if name not in self.names():
            raise unknown_name(self.what, name, self.names())

    def get(self, name: str) -> type[T]:
        """Return the class registered as ``name``; raise `UserError` with the nearest name otherwise."""
        if name in self._plugins:
            return self._plugins[name]
        if name in self._folder_names():
            module = importlib.import_module(f"{self.package}.{name.replace('-', '_')}")
            return self._class_in(module, name)
        if name in self._entry_points:
            found: type[T] = self._entry_points[name].load()
            return found
        raise unknown_name(self.what, name, self.names())

    def add(self, cls: type[T]) -> None:
        """Register a plug-in class; raise `UserError` when its name is taken by another file's class."""
        name: str = cls.name  # type: ignore[attr-defined]  # every registered base declares `name`
        before = self._plugins.get(name)
        # A second command of one process (a notebook) names the same file again, and gets its classes anew.
        is_same_file = before is not None and inspect.getfile(before) == inspect.getfile(cls)
        if name in self.names() and not is_same_file:
            raise UserError(f"The {self.what} name {name!r} is taken already; give the plug-in another name.")
        self._plugins[name] = cls

    def remove(self, name: str) -> None:
        """Forget a plug-in (tests do; a process that loaded a plug-in keeps it)."""
        self._plugins.pop(name, None)

    def _folder_names(self) -> tuple[str, ...]:
        folders = tuple(importlib.import_module(self.package).__path__)
        return _names_in(tuple((folder, Path(folder).stat().st_mtime_ns) for folder in folders))

    @functools.cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        # Every look reads the metadata of all distributions, and a run asks for names some twenty times.
        return {entry.name: entry for entry in entry_points(group=self.entry_point_group)}

    def _class_in(self, module: ModuleType, name: str) -> type[T]:
        found = [cls for cls in classes_in(module) if cls.__dict__.get("name") == name]
        assert len(found) == 1, f"{module.__name__} must define exactly one class with name = {name!r}"
        return found[0]


@functools.lru_cache(maxsize=64)
def _names_in(folders: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """Return the names that the files of some folders stand for; each folder comes with the time of its last change.

    A search asks for the regularisers with every trial, and listing the folder fourteen times took 15 ms.
    """
    return tuple(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules([folder for folder, _ in folders])
        if not module.ispkg and not module.name.startswith("_")
    )


def classes_in(module: ModuleType) -> list[type]:
    """Return the classes that ``module`` itself defines."""
    return [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]


def load_module(path: Path) -> ModuleType:
    """Import a plug-in file given by path; raise `UserError` when it is missing or does not import."""
    if not path.is_file():
        raise UserError(f"--plugin needs a Python file, but {str(path)!r} is none.")
    # Two files of one name in two folders are two modules.
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    module_name = f"{PLUGIN_PREFIX}{path.stem}_{place}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before execution: dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise UserError(f"The plug-in {str(path)!r} does not import: {type(error).__name__}: {error}") from error
    pin_plugin(path)
    return module
