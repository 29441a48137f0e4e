"""Sealed records decoded straight into typed values, in one pass: the way of what is all as it must be.

What does not pass is no error here. `results.checked` takes it, which reads all that a record may be, and says what is
wrong where something is. Of what both take, both make the same values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from results.files import Files
from results.schema import COLUMNS, DIGEST, IS_TRIAL, SCHEMA, SCORES, SECTIONS, TASK_SETTINGS, Column, is_score_name
from results.seal import digest_of_sealed
from results.text import compact_text

_INTEGER = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_ANYTHING: Final = msgspec.defstruct("_ANYTHING", [])
"""A mapping, whatever it holds."""


def _type_of(column: Column) -> Any:
    kind: Any
    if column.choices:
        kind = Literal[column.choices]
    elif dict in column.types:
        kind = msgspec.Raw
    elif float in column.types:
        kind = _INTEGER | float
    else:
        kind = _INTEGER if int in column.types else str
    return kind | None if column.nullable else kind


def _struct(name: str, columns: Sequence[Column], **more: Any) -> type[msgspec.Struct]:
    fields = [
        (column.key or column.name, _type_of(column), *([None] if column.may_lack else []))  # the last is a default
        for column in columns
    ]
    return msgspec.defstruct(name, [*fields, *more.items()], kw_only=True, gc=False)


_TOP: Final = [column for column in COLUMNS if not column.section]
_WITHIN: Final = {name: [column for column in COLUMNS if column.section == name] for name in SECTIONS}
_RECORD: Final = _struct(
    "_RECORD",
    _TOP,
    schema=Literal[SCHEMA],
    **{name: _struct(name, columns) if columns else _ANYTHING for name, columns in _WITHIN.items() if name != SCORES},
    **{SCORES: dict[str, _INTEGER | float | None]},
)
_EVALUATION: Final = msgspec.defstruct("_EVALUATION", [("test", bool | None, None)])
_SPEC: Final = msgspec.defstruct("_SPEC", [("task", msgspec.Raw), ("evaluation", _EVALUATION | None, None)])
_decode_record: Final = msgspec.json.Decoder(_RECORD).decode
_decode_spec: Final = msgspec.json.Decoder(_SPEC).decode


def typed_columns(runs: Sequence[Files]) -> tuple[dict[str, list[Any]], list[Files], list[Files]]:
    """Return the values of the records that are as they must be, the runs they are of, and the other runs.

    The values are those of `results.checked.checked_columns`.
    """
    texts = _Texts()
    taken, rest, records, derived = [], [], [], []
    for files in runs:
        try:
            # Where no letter is beyond ASCII, what is passed over is sound text too.
            digest = digest_of_sealed(files.result) if files.result.isascii() else None
            if digest is None:
                raise ValueError
            record: Any = _decode_record(files.result)
            spec: Any = _decode_spec(record.spec)
            if record.run_id != files.name or not texts.are_score_names(record.scores):
                raise ValueError
            is_trial = spec.evaluation is not None and spec.evaluation.test is False
            changed, task = texts.compact(record.changed), texts.ordered(spec.task)
            made = (_compact(bytes(record.spec)), changed, task, is_trial, digest)
        except (ValueError, RecursionError):  # what msgspec raises is a ValueError too
            rest.append(files)
            continue
        taken.append(files)
        records.append(record)
        derived.append(made)
    columns = _columns(_TOP, records)
    for section, within in _WITHIN.items():
        if section != SCORES and within:
            columns |= _columns(within, [getattr(record, section) for record in records])
    columns[SCORES] = [record.scores for record in records]
    for index, name in enumerate(("spec", "changed", TASK_SETTINGS, IS_TRIAL, DIGEST)):
        columns[name] = [made[index] for made in derived]
    return columns, taken, rest


def _columns(columns: Sequence[Column], records: Sequence[msgspec.Struct]) -> dict[str, list[Any]]:
    # In the order in which the struct was made; what came after its columns is left away.
    values = zip(*map(msgspec.structs.astuple, records), strict=True) if records else ([] for _ in columns)
    return {column.name: list(found) for column, found in zip(columns, values, strict=False)}


class _Texts:
    """What seeds of one configuration share, made once: the same bytes give the same text."""

    def __init__(self) -> None:
        self._compact: dict[bytes, str] = {}
        self._ordered: dict[bytes, str] = {}
        self._names: dict[tuple[str, ...], bool] = {}

    def compact(self, raw: msgspec.Raw) -> str:
        """Return a mapping as text without spaces."""
        key = bytes(raw)
        if key not in self._compact:
            self._compact[key] = _compact(key)
        return self._compact[key]

    def ordered(self, raw: msgspec.Raw) -> str:
        """Return a mapping as text without spaces, its keys in order."""
        key = bytes(raw)
        if key not in self._ordered:
            self._ordered[key] = compact_text(json.loads(_compact(key)), in_order=True)
        return self._ordered[key]

    def are_score_names(self, scores: dict[str, Any]) -> bool:
        """Return whether scores are named as they must be."""
        names = tuple(scores)
        if names not in self._names:
            self._names[names] = all(map(is_score_name, names))
        return self._names[names]


def _compact(mapping: bytes) -> str:
    if not mapping.startswith(b"{"):
        raise ValueError
    return msgspec.json.format(mapping, indent=-1).decode()
