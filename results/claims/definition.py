"""What a claim is: a published number, the setup that should give it, and when it counts as reproduced."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from results.claims.judgement import Region, Sample
from results.errors import ClaimError, did_you_mean

Kind = Literal["equivalence", "below", "above"]
KINDS: Final[tuple[Kind, ...]] = ("equivalence", "below", "above")

_FILE_KEYS: Final = ("source", "table", "defects", "settings", "claims")
_CLAIM_KEYS: Final = (
    "name",
    "statement",
    "published",
    "setup",
    "pretraining",
    "seeds",
    "metric",
    "comparison",
    "deviations",
    "cpu_seconds",
    "needs_gpu",
)
_PUBLISHED_KEYS: Final = ("value", "sd", "standard_error", "runs")
_COMPARISON_KEYS: Final = ("kind", "to", "than", "margin", "is_relative", "reason")


@dataclasses.dataclass(frozen=True)
class Published:
    """The number as its source gives it; what the source does not say is None."""

    value: float
    sd: float | None
    standard_error: float | None
    runs: int | None

    def sample(self) -> Sample | None:
        """Return the source's runs as a sample, where it gives spread and number of them."""
        if self.runs is None or self.runs < 2 or (self.sd is None and self.standard_error is None):
            return None
        sd = self.sd if self.standard_error is None else self.standard_error * math.sqrt(self.runs)
        assert sd is not None
        return Sample(self.value, sd, self.runs)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What our scores are held against, and how near or on which side they must lie."""

    kind: Kind
    reference: float | str | Mapping[str, Any]
    """A number; the name of an anchor that the task computes; or settings that make another setup of ours."""
    margin: float
    """For an equivalence: the largest difference that counts as none."""
    is_relative: bool
    """Whether the margin is a share of the reference."""
    reason: str
    """Why this margin, or this threshold."""

    def region(self, reference: float) -> Region:
        """Return the differences from ``reference`` under which the claim holds."""
        if self.kind == "below":
            return Region(high=0.0)
        if self.kind == "above":
            return Region(low=0.0)
        margin = self.margin * abs(reference) if self.is_relative else self.margin
        return Region(-margin, margin)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One published number and how it is measured again."""

    name: str
    statement: str
    source: str
    table: str
    defects: str
    """What is known to be wrong or unsaid in the source."""
    deviations: str
    """Where our setup differs from the source's."""
    published: Published | None
    """None where the source states no number, as with an order of two setups or a closed form."""
    setup: Mapping[str, Any]
    """A run spec without its seed, as `boltbench run --config` takes it."""
    pretraining: Mapping[str, Any] | None
    """The same for the run that each seed begins with; None where weights are drawn from the seed."""
    seeds: Any
    """Seeds as a plan writes them, such as ``0-4``."""
    metric: str
    """Name of the score, such as ``test/accuracy``."""
    comparison: Comparison
    cpu_seconds: float
    """Estimate of what all runs of the claim take on one core."""
    needs_gpu: bool

    @property
    def other_setup(self) -> Mapping[str, Any] | None:
        """The settings that make the other setup, where two of ours are compared."""
        reference = self.comparison.reference
        return reference if isinstance(reference, Mapping) else None

    def digest(self) -> str:
        """Return the sha256 of what a verdict rests on: the setups, the seeds, the number and the comparison.

        Words, estimates of cost, and where the source stands leave it as it is.
        """
        reference = self.comparison.reference
        parts = {
            "published": None if self.published is None else dataclasses.asdict(self.published),
            "setup": self.setup,
            "pretraining": self.pretraining,
            "seeds": self.seeds,
            "metric": self.metric,
            "comparison": [self.comparison.kind, reference, self.comparison.margin, self.comparison.is_relative],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def parse_claims(content: object, where: str) -> list[Claim]:
    """Return the claims of one file from its plain values.

    Args:
        content: What the YAML file holds.
        where: Names the file in errors.

    Raises:
        ClaimError: A key is unknown, missing or not what it must be.
    """
    file = _mapping(content, where, _FILE_KEYS, needed=("source", "table", "claims"))
    shared = file.get("settings") or {}
    if not isinstance(shared, Mapping):
        raise ClaimError(f"`settings` of {where} must be a mapping, but got {shared!r}.")
    entries = file["claims"]
    if not isinstance(entries, list) or not entries:
        raise ClaimError(f"`claims` of {where} must be a list with at least one claim, but got {entries!r}.")
    return [_claim(entry, file, shared, f"{where}, claims[{index}]") for index, entry in enumerate(entries)]


def _claim(entry: object, file: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> Claim:
    needed = ("name", "statement", "setup", "seeds", "metric", "comparison", "cpu_seconds")
    values = _mapping(entry, where, _CLAIM_KEYS, needed=needed)
    where = f"{where} ({values['name']})"
    metric = _text(values, "metric", where)
    split, slash, _ = metric.partition("/")
    if not slash or split not in ("val", "test"):
        raise ClaimError(f"`metric` of {where} must be val/NAME or test/NAME, but got {metric!r}.")
    setup = values["setup"]
    if not isinstance(setup, Mapping) or not {"task", "family"} <= {*setup, *shared}:
        raise ClaimError(f"`setup` of {where} must be a mapping with a task and a family, but got {setup!r}.")
    if "seed" in setup:
        raise ClaimError(f"`setup` of {where} may not hold 'seed': `seeds` says it.")
    if "origin" in setup:
        raise ClaimError(f"`setup` of {where} may not hold 'origin': `pretraining` says it.")
    pretraining = values.get("pretraining")
    if pretraining is not None and (
        not isinstance(pretraining, Mapping)
        or not {"task", "family"} <= {*pretraining, *shared}
        or {"seed", "origin"} & set(pretraining)
    ):
        raise ClaimError(
            f"`pretraining` of {where} must be a mapping with a task and a family, and without seed and origin, "
            f"but got {pretraining!r}."
        )
    published = None if values.get("published") is None else _published(values["published"], where)
    return Claim(
        name=_text(values, "name", where),
        statement=_text(values, "statement", where),
        source=_text(file, "source", where),
        table=_text(file, "table", where),
        defects=_text(file, "defects", where, default=""),
        deviations=_text(values, "deviations", where, default=""),
        published=published,
        setup=_with_shared(shared, setup),
        pretraining=None if pretraining is None else _with_shared(shared, pretraining),
        seeds=values["seeds"],
        metric=metric,
        comparison=_comparison(values["comparison"], published, where),
        cpu_seconds=_number(values, "cpu_seconds", where),
        needs_gpu=_flag(values, "needs_gpu", where),
    )


def _with_shared(shared: Mapping[str, Any], setup: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a claim's setup over the settings of its file, group by group."""
    merged = dict(shared)
    for key, value in setup.items():
        before = merged.get(key)
        merged[key] = {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _published(content: object, where: str) -> Published:
    where = f"`published` of {where}"
    values = _mapping(content, where, _PUBLISHED_KEYS, needed=("value",))
    runs = values.get("runs")
    if runs is not None and (type(runs) is not int or runs < 1):
        raise ClaimError(f"`runs` of {where} must be a whole number from 1 on, but got {runs!r}.")
    spreads = {key: _number(values, key, where) for key in ("sd", "standard_error") if values.get(key) is not None}
    if len(spreads) > 1 or (spreads and runs is None) or any(spread < 0 for spread in spreads.values()):
        raise ClaimError(f"{where} must give one spread from 0 on, with runs, but got {dict(values)!r}.")
    return Published(_number(values, "value", where), spreads.get("sd"), spreads.get("standard_error"), runs)


def _comparison(content: object, published: Published | None, where: str) -> Comparison:
    where = f"`comparison` of {where}"
    values = _mapping(content, where, _COMPARISON_KEYS, needed=("kind", "reason"))
    kind = values["kind"]
    if kind not in KINDS:
        raise ClaimError(f"`kind` of {where} must be one of {', '.join(KINDS)}, but got {kind!r}.")
    word, other = ("to", "than") if kind == "equivalence" else ("than", "to")
    if other in values:
        raise ClaimError(f"{where} is of kind {kind}, which is {word!r} something, but got {other!r}.")
    reference = values.get(word)
    if reference is None and kind == "equivalence" and published is not None:
        reference = published.value
    if isinstance(reference, str):
        reference = _as_number(reference)
    if reference is None or isinstance(reference, bool) or not isinstance(reference, int | float | str | Mapping):
        raise ClaimError(
            f"`{word}` of {where} must be a number, the name of an anchor or the settings of another setup, "
            f"but got {reference!r}."
        )
    margin, is_relative = math.nan, _flag(values, "is_relative", where)
    if kind == "equivalence":
        margin = _number(values, "margin", where)
        if margin <= 0:
            raise ClaimError(f"`margin > 0` must hold in {where}, but got {margin}.")
    elif "margin" in values or is_relative:
        raise ClaimError(f"{where} is of kind {kind}, which has no margin.")
    return Comparison(kind, reference, margin, is_relative, _text(values, "reason", where))


def _as_number(text: str) -> float | str:
    """Return the number that YAML took for text, as it takes 1e-3 without a dot; else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _mapping(content: object, where: str, known: Sequence[str], *, needed: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise ClaimError(f"{where[:1].upper()}{where[1:]} must be a mapping, but got {content!r}.")
    for key in content:
        if key not in known:
            raise ClaimError(
                f"Unknown key {key!r} in {where}.{did_you_mean(str(key), known)} Known: {', '.join(known)}."
            )
    for key in needed:
        if content.get(key) is None:
            raise ClaimError(f"{where[:1].upper()}{where[1:]} must have the key {key!r}, but it is missing.")
    return content


def _text(values: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    value = values.get(key, default)
    if not isinstance(value, str) or (not value.strip() and default is None):
        raise ClaimError(f"`{key}` of {where} must be text, but got {value!r}.")
    return " ".join(value.split())


def _flag(values: Mapping[str, Any], key: str, where: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise ClaimError(f"`{key}` of {where} must be true or false, but got {value!r}.")
    return value


def _number(values: Mapping[str, Any], key: str, where: str) -> float:
    value = values.get(key)
    value = _as_number(value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ClaimError(f"`{key}` of {where} must be a finite number, but got {value!r}.")
    return float(value)
