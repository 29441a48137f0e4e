"""Plans: which tasks, families, seeds and settings to run, from one YAML file."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import itertools
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.documents import DocumentError, read_document

FOLDER = Path(__file__).parent / "plans"
EVERY = "all"
"""In place of a list: every name that is registered; with a kind behind it (``all generation``), those of the kind."""
_KEYS = ("tasks", "families", "seeds", "settings")
shown = reprlib.repr
"""A value as an error shows it: cut, with dots, where a file holds something huge."""


class PlanError(ValueError):
    """A plan that cannot be read; the message names the file and the key."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One configuration of a plan under several seeds, as plain values."""

    task: dict[str, Any]
    family: dict[str, Any]
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    is_explicit: bool
    """Whether task and family are both named; what only ``all`` brought together may not fit, or lack its data."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A named list of what to run."""

    name: str
    description: str
    entries: tuple[Mapping[str, Any], ...]

    @property
    def asks_for_kinds(self) -> bool:
        """Whether an entry takes all tasks of a kind."""
        return any(_kind_of(entry.get("tasks")) is not None for entry in self.entries)

    def cells(
        self, *, tasks: Sequence[str], families: Sequence[str], kinds: Mapping[str, Sequence[str]] | None = None
    ) -> list[Cell]:
        """Return every configuration in the plan's order.

        Args:
            tasks: What ``all`` stands for.
            families: Likewise.
            kinds: What ``all KIND`` stands for, by kind.
        """
        found = []
        for index, entry in enumerate(self.entries):
            where = f"plan {self.name!r}, runs[{index}]"
            seeds = tuple(parse_seeds(entry.get("seeds", 0)))
            kind = _kind_of(entry.get("tasks"))
            if kind is not None:
                entry = {**entry, "tasks": _tasks_of(kind, kinds or {}, where)}
            every = kind is not None or EVERY in (entry.get("tasks"), entry.get("families"))
            chosen = _named(entry, "tasks", tasks, where), _named(entry, "families", families, where)
            found += [
                Cell(task, family, copy.deepcopy(entry.get("settings") or {}), seeds, is_explicit=not every)
                for task, family in itertools.product(*chosen)
            ]
        return found


def plan_names() -> list[str]:
    """Return the names of the plans that ship with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_plan(name: str) -> Plan:
    """Load a plan by name, or from a YAML file given by path.

    Raises:
        PlanError: There is no such plan, or its file breaks the form.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        content = read_document(path)
    except FileNotFoundError:
        near = difflib.get_close_matches(name, plan_names(), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise PlanError(
            f"Unknown plan {shown(name)}.{hint} Known: {', '.join(plan_names())}; or give the path of a YAML file."
        ) from None
    except DocumentError as error:
        raise PlanError(f"The plan {str(path)!r} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise PlanError(f"The plan {str(path)!r} must be a mapping with the key 'runs', but got {shown(content)}.")
    _check_keys(content, ("description", "runs"), f"plan {name!r}")
    entries = content.get("runs")
    if not isinstance(entries, list) or not entries:
        raise PlanError(f"`runs` of plan {name!r} must be a list with at least one entry, but got {shown(entries)}.")
    for index, entry in enumerate(entries):
        where = f"plan {name!r}, runs[{index}]"
        if not isinstance(entry, dict):
            raise PlanError(
                f"{where} must be a mapping of tasks, families, seeds and settings, but got {shown(entry)}."
            )
        _check_keys(entry, _KEYS, where)
        settings = entry.get("settings") or {}
        if not isinstance(settings, dict):
            raise PlanError(f"`settings` of {where} must be a mapping, but got {shown(settings)}.")
        for key in ("task", "family", "seed"):
            if key in settings:
                raise PlanError(f"`settings` of {where} may not hold {key!r}: `tasks`, `families` and `seeds` say it.")
    return Plan(path.stem, str(content.get("description", "")), tuple(entries))


def parse_seeds(value: object) -> list[int]:
    """Return the seeds that ``0-4``, ``0,3,7``, ``5`` or a list of numbers stands for, in order, each once."""
    parts = value if isinstance(value, list) else str(value).split(",")
    seeds: list[int] = []
    for part in parts:
        first, dash, last = str(part).strip().partition("-")
        longest = max(len(first), len(last))  # Python refuses to read an integer of more than 4300 digits
        if isinstance(part, bool) or not first.isdecimal() or (dash and not last.isdecimal()) or longest > 20:
            raise PlanError(f"Seeds must be numbers from 0 on, such as 0-4 or 0,3,7, but got {shown(value)}.")
        low, high = int(first), int(last or first)
        if low > high:
            raise PlanError(f"`first <= last` must hold in a range of seeds, but got {shown(str(part).strip())}.")
        if high - low >= 100_000:
            raise PlanError(f"A range of seeds holds at most 100000, but got {shown(str(part).strip())}.")
        seeds += range(low, high + 1)
    if not seeds:
        raise PlanError("`len(seeds) >= 1` must hold, but got an empty list.")
    return list(dict.fromkeys(seeds))


def _kind_of(value: object) -> str | None:
    """Return the kind in ``all KIND``."""
    return value.removeprefix(f"{EVERY} ") if isinstance(value, str) and value.startswith(f"{EVERY} ") else None


def _tasks_of(kind: str, kinds: Mapping[str, Sequence[str]], where: str) -> list[str]:
    if kind not in kinds:
        near = difflib.get_close_matches(kind, list(kinds), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise PlanError(f"Unknown kind {shown(kind)} in `tasks` of {where}.{hint} Known: {', '.join(sorted(kinds))}.")
    return list(kinds[kind])


def _named(entry: Mapping[str, Any], key: str, every: Sequence[str], where: str) -> list[dict[str, Any]]:
    """Return the tasks or families of an entry as mappings with a name."""
    value = entry.get(key)
    names = list(every) if value == EVERY else [value] if isinstance(value, str | dict) else value
    if not isinstance(names, list) or not names:
        raise PlanError(f"`{key}` of {where} must be a list of names or 'all', but got {shown(value)}.")
    found = []
    for item in names:
        mapping = {"name": item} if isinstance(item, str) else item
        if not isinstance(mapping, dict) or not isinstance(mapping.get("name"), str):
            raise PlanError(f"`{key}` of {where} must hold names, or mappings with a name, but got {shown(item)}.")
        found.append(dict(mapping))
    return found


def _check_keys(mapping: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise PlanError(f"Unknown key {key!r} in {where}.{hint} Known: {', '.join(known)}.")
