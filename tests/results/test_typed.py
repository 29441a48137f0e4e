"""The fast way of a record and the careful one: what the fast one takes, the careful one reads as the same values."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.checked import checked_columns
from results.errors import RecordError
from results.files import Files
from results.schema import COLUMNS
from results.seal import sealed
from results.typed import typed_columns
from tests.results.conftest import RESULT

FULL = copy.deepcopy(RESULT) | {"run_id": "digits-mlp-s0-9c1d02ab44", "scorer_sha256": "a" * 64, "ceiling": 1}
FULL["cost"] |= {"flops_per_example": 1e-08, "energy_joules": 12.5}
FULL["spec"] |= {"evaluation": {"test": False, "every_steps": None}}
FULL["changed"] = {"optimization.lr": 1e-05, "task.classes": [1, 2], "task.name_of": "Größe"}


def files_of(record, content=None):
    content = sealed(record).encode() if content is None else content
    return Files("runs/" + FULL["run_id"], FULL["run_id"], content)


def test_a_sealed_record_takes_the_fast_way_and_gives_the_values_of_the_careful_one():
    runs = [files_of(FULL), files_of(FULL | {"seed": 1, "scores": {"test/accuracy": 1, "val/loss": None}})]
    columns, taken, rest = typed_columns(runs)
    assert (taken, rest) == (runs, [])
    assert repr(columns) == repr({name: checked_columns(runs)[name] for name in columns})
    assert columns.keys() == checked_columns(runs).keys()


def test_a_failed_run_without_sections_takes_the_careful_way():
    failed = FULL | {"status": "failed", "scores": None, "cost": None, "selection": None, "digests": None}
    runs = [files_of(failed), files_of(FULL)]
    assert typed_columns(runs)[1:] == ([runs[1]], [runs[0]])


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(FULL).encode(),
        sealed(FULL).encode().replace(b"0.97", b"0.98"),
        sealed(FULL).encode()[:-2],
        sealed(FULL).encode().replace(b'"message": ""', b'"message": "\xc3\xa4"'),
    ],
    ids=["unsealed", "edited", "cut", "beyond ASCII"],
)
def test_what_carries_no_sound_seal_never_takes_the_fast_way(content):
    run = files_of(FULL, content)
    assert typed_columns([run])[1:] == ([], [run])


PATHS = [(column.section, column.key or column.name) for column in COLUMNS]
PATHS += [("", "schema"), ("", "scores"), ("", "files"), ("spec", "task"), ("spec", "evaluation")]
PATHS += [("scores", "test/accuracy"), ("scores", "accuracy"), ("scores", "a/b\nc")]
PATHS += [("spec", "x"), ("changed", "x"), ("", "x")]
ODD = st.sampled_from(
    [None, True, 0, 1, -1, 1.5, 1e-05, 1e300, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, "", "x", "ä\ud800", [], {}]
) | st.just({"test": False, "name": {"b": [1], "a": 1e16}})


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), ODD | st.just("(gone)")), min_size=1, max_size=3))
def test_whatever_the_fast_way_takes_the_careful_one_takes_with_the_same_values(changes):
    record = copy.deepcopy(FULL)
    for (section, key), value in changes:
        holder = record[section] if section and isinstance(record.get(section), dict) else record
        if value == "(gone)":
            holder.pop(key, None)
        else:
            holder[key] = value
    run = files_of(record)
    columns, taken, _ = typed_columns([run])
    if taken:
        assert repr(columns) == repr({name: checked_columns([run])[name] for name in columns})
        return
    try:
        checked_columns([run])
    except RecordError:
        return
    # What the careful way reads and the fast one leaves: no complete run, or odd values that no column reads.
    assert record["status"] != "completed" or any(value in (10**400, "ä\ud800") for _, value in changes)
