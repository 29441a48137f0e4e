"""RunSpec: the full description of a run, from defaults, YAML and flags to one resolved value."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from suite.compressor import Compressor, Parent, compressor_from
from suite.engine.budget import Budget
from suite.engine.data import Data
from suite.engine.evaluation import Evaluation
from suite.engine.optimization import Optimization
from suite.engine.randomness import Randomness
from suite.errors import UserError, did_you_mean, shown
from suite.family import FAMILIES, Family
from suite.fields import Settings
from suite.regularizer import Regularization, regularization_class
from suite.task import TASKS, Card, Task
from suite.transfer import Origin, Transfer, origin_from
from suite.values import parse_value

PROTOCOL = 1
"""Version of the rules by which runs are made comparable; records of different protocols never share a table."""

MAX_SEED = 2**32 - 1


def settings_groups() -> dict[str, type[Settings]]:
    """Return the groups that every run has, by name, in the order in which they are shown."""
    return {
        "optimization": Optimization,
        "regularization": regularization_class(),
        "data": Data,
        "budget": Budget,
        "evaluation": Evaluation,
        "randomness": Randomness,
        "transfer": Transfer,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides a run's result, and nothing else (devices and block length do not)."""

    task: Task
    family: Family
    optimization: Optimization
    regularization: Regularization
    data: Data
    budget: Budget
    evaluation: Evaluation
    randomness: Randomness = dataclasses.field(default_factory=Randomness)
    seed: int = 0
    compression: Compressor | None = None
    """How the model of a finished run is made smaller; None trains one from the start."""
    parent: Parent | None = None
    """That finished run."""
    transfer: Transfer = dataclasses.field(default_factory=Transfer)
    origin: Origin | None = None
    """The finished run whose weights this one begins with; None draws them from the seed."""

    def __post_init__(self) -> None:
        if self.compression is not None and (self.origin is not None or self.transfer.is_on):
            raise UserError(
                "A compressed model begins with the weights of its parent and trains all its layers, so that neither "
                "`origin` nor settings of `transfer` can stand beside `compression`. Leave them out."
            )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> RunSpec:
        """Build from plain nested values; raise `UserError` with the path of the first thing that is wrong."""
        groups = settings_groups()
        known = ["task", "family", *groups, "seed", "compression", "parent", "origin"]
        for key in mapping:
            if key not in known:
                raise UserError(f"Unknown key '{key}'.{did_you_mean(str(key), known)} Known: {', '.join(known)}.")
        seed = parse_value("seed", int, mapping.get("seed", 0))
        if not 0 <= seed <= MAX_SEED:
            raise UserError(f"`0 <= seed <= {MAX_SEED}` must hold, but got seed={seed}.")
        task_name, task_settings = _named(mapping, "task")
        family_name, family_settings = _named(mapping, "family")
        built: dict[str, Any] = {name: group.from_mapping(_group(mapping, name)) for name, group in groups.items()}
        if mapping.get("compression") is not None or mapping.get("parent") is not None:
            method, settings = _named(mapping, "compression")
            parent = _group(mapping, "parent") or None
            built["compression"], built["parent"] = compressor_from({"name": method, **settings}, parent)
        if mapping.get("origin") is not None:
            built["origin"] = origin_from(_group(mapping, "origin"))
        return cls(
            task=TASKS.get(task_name).from_mapping(task_settings),
            family=FAMILIES.get(family_name).from_mapping(family_settings),
            seed=seed,
            **built,
        )

    def to_mapping(self, *, with_places: bool = True) -> dict[str, Any]:
        """Return plain nested values that `from_mapping` takes back; without places, nothing names this machine."""
        return {
            "task": {"name": self.task.name, **self.task.to_mapping(with_places=with_places)},
            "family": {"name": self.family.name, **self.family.to_mapping(with_places=with_places)},
            **{name: getattr(self, name).to_mapping(with_places=with_places) for name in settings_groups()},
            "seed": self.seed,
            **self._compression_mapping(),
            **({} if self.origin is None else {"origin": self.origin.to_mapping()}),
        }

    def _compression_mapping(self) -> dict[str, Any]:
        if self.compression is None or self.parent is None:
            return {}
        return {
            "compression": {"name": self.compression.name, **self.compression.to_mapping()},
            "parent": self.parent.to_mapping(),
        }

    def changed(self) -> dict[str, Any]:
        """Return what differs from the defaults, by dotted path; the seed is left out."""
        groups: dict[str, Settings] = {"task": self.task, "family": self.family}
        groups |= {name: getattr(self, name) for name in settings_groups()}
        changed: dict[str, Any] = {}
        if self.origin is not None:
            groups["origin"] = self.origin
        if self.compression is not None and self.parent is not None:
            groups["compression"] = self.compression
            changed["compression.method"] = self.compression.name
            if self.compression.has_own_spec:
                changed["compression.teacher"] = self.parent.model
            elif self.parent.steps:
                changed["compression.after"] = self.parent.steps
        return changed | {
            f"{name}.{key}": value for name, group in groups.items() for key, value in group.changed().items()
        }

    @property
    def trains(self) -> bool:
        """Whether there is anything to train: some compressed models are made without."""
        return self.compression is None or self.compression.trains

    def card(self) -> Card:
        """Return what a family has to do with: the task's card, under the settings of the data."""
        return self.data.card(self.task.card())

    def misfit(self) -> str | None:
        """Return why task, data settings and family do not go together, or None when they do."""
        card = self.task.card()
        reason = self.data.misfit(card)
        if reason is not None:
            rate, strategy = self.data.missing_rate, self.data.missing_strategy
            return (
                f"The task {self.task.name!r} cannot have data.missing_rate={rate} with "
                f"data.missing_strategy={strategy!r}: {reason}."
            )
        reason = self.family.misfit(self.data.card(card))
        if reason is not None:
            return f"The family {self.family.name!r} cannot take on the task {self.task.name!r}: {reason}."
        return None

    def check_fits(self) -> None:
        """Raise `UserError` with the reason and the way out where `misfit` has a reason."""
        reason = self.misfit()
        if reason is None:
            return
        try:
            fits_by_default = type(self.family)().misfit(self.task.card()) is None
        except UserError:  # it cannot do without settings
            fits_by_default = False
        way_out = "Under default settings it can." if fits_by_default else "`boltbench list` shows which pairs fit."
        raise UserError(f"{reason} {way_out}")

    def with_seed(self, seed: int) -> RunSpec:
        """Return the same spec under another seed."""
        return dataclasses.replace(self, seed=seed)

    def config_id(self, *, data_sha256: str, code_sha256: str) -> str:
        """Return the hash that the seeds of one configuration share.

        Only what differs from the defaults is hashed (a changed default is changed code), so that a new regulariser,
        off by default, leaves the identity of every earlier run as it was.
        """
        identity: dict[str, Any] = {"task": self.task.name, "family": self.family.name, "changed": self.changed()}
        if self.parent is not None:
            identity["parent"] = self.parent.config_id
        return _digest({"spec": identity, "data": data_sha256, "code": code_sha256, "protocol": PROTOCOL})

    def run_id(self, *, data_sha256: str, code_sha256: str) -> str:
        """Return a readable prefix and the hash of spec, data, code and protocol: equal id, equal result."""
        identity: dict[str, Any] = {
            "config": self.config_id(data_sha256=data_sha256, code_sha256=code_sha256),
            "seed": self.seed,
        }
        name = f"{self.task.name}-{self.family.name}"
        if self.compression is not None and self.parent is not None:
            name += f"-{self.compression.name}"
            identity["parent"] = self.parent.weights
        if self.origin is not None:
            identity["origin"] = [self.origin.run_id, self.origin.weights]
        return f"{name}-s{self.seed}-{_digest(identity)}"


def merge(base: Mapping[str, Any], *overlays: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with each overlay laid over it, group by group; later ones win.

    A task or family of another name brings its own settings: those of the former one are dropped.
    """
    merged = copy.deepcopy(dict(base))
    for overlay in overlays:
        for key, value in overlay.items():
            before = merged.get(key)
            if isinstance(before, str):
                before = {"name": before}
            if isinstance(value, str) and key in ("task", "family"):
                value = {"name": value}
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                renamed = "name" in value and value["name"] != before.get("name", value["name"])
                merged[key] = {**({} if renamed else before), **value}
            else:
                merged[key] = copy.deepcopy(value)
    return merged


def _group(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = mapping.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"`{name}` must be a mapping of settings, but got {shown(value)}.")
    return value


def _named(mapping: Mapping[str, Any], key: str) -> tuple[str, dict[str, Any]]:
    """Return the name under ``key`` and its settings; a bare text is a name."""
    value = mapping.get(key)
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise UserError(f"`{key}` must be a name, or a mapping with a name and settings, but got {shown(value)}.")
    return value["name"], {name: item for name, item in value.items() if name != "name"}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
