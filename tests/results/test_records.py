"""Run folders as records: typed, complete, in one order, and strict about what they take."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from results.errors import RecordError, ResultsError
from results.records import load_records
from results.schema import COLUMNS


def test_a_run_becomes_one_row_with_its_values_typed(runs):
    runs.add(changed={"family.width": 128}, seed=3)
    frame = load_records(runs.path)
    row = frame.iloc[0]
    assert len(frame) == 1
    assert (row["task"], row["seed"], row["num_parameters"], row["seconds"]) == ("digits", 3, 5210, 1.9)
    assert (row["val_score"], row["test_score"], row["test/loss"]) == (0.97, 0.96, 0.12)
    assert json.loads(row["changed"]) == {"family.width": 128}
    assert json.loads(row["spec"])["family"] == {"name": "mlp", "width": 64}
    assert row["finished_at"] == pd.Timestamp("2026-01-01T00:00:02Z")
    assert frame.attrs == {"protocol": 1, "num_unfinished": 0, "notes": []}


def test_every_column_has_its_type_with_and_without_runs(runs):
    empty = load_records(runs.path)
    runs.add()
    runs.add(seed=1, status="lost", scores=None, selection=None, cost=None, digests=None, environment_id=None)
    full = load_records(runs.path)
    for column in COLUMNS:
        assert str(empty[column.name].dtype) == column.dtype
        assert str(full[column.name].dtype) == column.dtype


def test_a_folder_without_a_result_counts_as_unfinished(runs):
    runs.add()
    (runs.path / "digits-mlp-s7-cut-off").mkdir()
    (runs.path / ".staging").mkdir()
    (runs.path / "notes.txt").write_text("no run")
    frame = load_records(runs.path)
    assert len(frame) == 1
    assert frame.attrs["num_unfinished"] == 1


@settings(max_examples=25, deadline=None)
@given(
    keys=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from("12"), st.integers(0, 20)),
        unique=True,
        min_size=1,
        max_size=12,
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_order_in_which_folders_were_made_changes_nothing(make_runs, keys, order):
    frames = []
    shuffled = list(keys)
    order.shuffle(shuffled)
    for sequence in (keys, shuffled):
        runs = make_runs()
        for task, family, config_id, seed in sequence:
            runs.add(task=task, family=family, config_id=config_id, seed=seed)
        frames.append(load_records(runs.path))
    assert_frame_equal(*frames)
    found = list(frames[0][["task", "family", "config_id", "seed"]].itertuples(index=False, name=None))
    assert found == sorted(keys)


def test_the_order_on_disk_changes_nothing(runs, monkeypatch):
    for seed in range(12):
        runs.add(seed=seed)
    expected = load_records(runs.path)
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = list(entries)
            random.Random(1).shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("results.folders.os.scandir", Shuffled)
    assert_frame_equal(load_records(runs.path), expected)


@pytest.mark.parametrize("scores", [None, {}, {"val/accuracy": None}])
def test_a_failed_run_may_lack_its_scores(runs, scores):
    folder = runs.add(status="diverged", scores=scores)
    if scores is None:
        runs.change(folder, lambda result: result.pop("scores"))
    frame = load_records(runs.path)
    assert frame[["val_score", "test_score"]].isna().all(axis=None)
    assert frame.loc[0, "status"] == "diverged"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": 1, "floor": NaN}', b'{"schema": 1} {"schema": 1}', b"[" * 100_000],
)
def test_a_result_that_is_no_json_mapping_is_named(runs, content):
    runs.add()
    damaged = runs.add(seed=1) / "result.json"
    damaged.write_bytes(content)
    with pytest.raises(RecordError, match="doctor") as caught:
        load_records(runs.path)
    assert str(damaged) in str(caught.value)


@pytest.mark.parametrize("schema", [0, 2, "1", True, None])
def test_another_schema_is_refused(runs, schema):
    folder = runs.add()
    runs.change(folder, lambda result: result.update(schema=schema))
    with pytest.raises(RecordError, match=r"`schema` in .* must be 1, but it is .*doctor"):
        load_records(runs.path)


TOP_LEVEL = {column.section or column.name for column in COLUMNS if column.section or not column.may_lack}
REQUIRED = sorted(TOP_LEVEL | {"schema", "protocol", "scores"})
REQUIRED_WITHIN = [column.field for column in COLUMNS if column.section and not column.may_lack]


@pytest.mark.parametrize("field", REQUIRED + REQUIRED_WITHIN)
def test_a_missing_field_is_named_with_its_file(runs, field):
    runs.add()
    folder = runs.add(seed=1)
    section, _, key = field.rpartition(".")
    runs.change(folder, lambda result: (result[section] if section else result).pop(key))
    with pytest.raises(RecordError, match="doctor") as caught:
        load_records(runs.path)
    assert f"`{field}` in {folder / 'result.json'} must be" in str(caught.value)
    assert "it is missing" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1.5),
        ("seed", True),
        ("seed", 2**64),
        ("seed", "1"),
        ("status", "done"),
        ("direction", "up"),
        ("determinism", "verified"),
        ("floor", None),
        ("floor", "0.1"),
        ("ceiling", 10**400),
        ("changed", []),
        ("spec", {}),
        ("scores", []),
        ("cost", None),
        ("started_at", "yesterday"),
        ("task", 3),
        ("config_id", None),
        ("protocol", "1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_file(runs, field, value):
    folder = runs.add()
    runs.change(folder, lambda result: result.update({field: value}))
    with pytest.raises(RecordError) as caught:
        load_records(runs.path)
    assert f"`{field}" in str(caught.value)
    assert str(folder / "result.json") in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(REQUIRED), JSON, min_size=1), removed=st.sets(st.sampled_from(REQUIRED)))
def test_a_damaged_result_is_read_or_refused_and_never_breaks_the_reader(make_runs, changes, removed):
    runs = make_runs()
    folder = runs.add()
    content = json.loads((folder / "result.json").read_text()) | changes
    runs.write(folder, {key: value for key, value in content.items() if key not in removed})
    refusal = ""
    try:
        load_records(runs.path)
    except RecordError as error:
        refusal = str(error)
    # A run is complete unless it says otherwise, so that every removed field is missed.
    completed = content["status"] == "completed"
    assert str(folder) in refusal or not (refusal or (completed and removed))


@pytest.mark.parametrize("score", ["0.9", True, [0.9]])
def test_a_score_that_is_no_number_is_refused(runs, score):
    runs.add(scores={"test/accuracy": score})
    with pytest.raises(RecordError, match=r"`scores.test/accuracy`"):
        load_records(runs.path)


def test_a_number_too_large_for_a_float_is_refused(runs):
    path = runs.add() / "result.json"
    path.write_text(path.read_text().replace("0.96", "1e999"))
    with pytest.raises(RecordError, match=r"`scores.test/accuracy` .* finite"):
        load_records(runs.path)


@pytest.mark.parametrize("value", [2**70, "\ud800"], ids=["integer", "surrogate"])
def test_a_setting_that_few_decoders_take_is_read_as_it_stands(runs, value):
    folder = runs.add()
    runs.change(folder, lambda result: result["spec"]["task"].update(odd=value))
    # The number beside it fits into no fast decoder, whatever the value is.
    runs.change(folder, lambda result: result["spec"].update(large=10**400))
    assert json.loads(load_records(runs.path)["task_settings"].iloc[0])["odd"] == value


def test_a_score_named_like_a_column_is_refused(runs):
    runs.add(scores={"seed": 1.0})
    with pytest.raises(RecordError, match=r"must be split/metric.*'seed'"):
        load_records(runs.path)


def test_two_protocols_in_one_folder_are_refused(runs):
    one, other = runs.add(), runs.add(seed=1, protocol=2)
    with pytest.raises(RecordError, match="one `protocol`") as caught:
        load_records(runs.path)
    assert str(one) in str(caught.value)
    assert str(other) in str(caught.value)


def test_a_copied_run_does_not_count_twice(runs):
    folder = runs.add()
    runs.write(runs.path / "copy", json.loads((folder / "result.json").read_text()))
    with pytest.raises(RecordError, match=r"`run_id` in .*copy.* the name of its folder"):
        load_records(runs.path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="`boltbench run` makes"):
        load_records(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("grade", "weights", "level"),
    [
        ("bit-exact", "w0", "verified"),
        ("bit-exact", "of an older run", "deterministic"),
        ("within-1e-6", "w0", "deterministic"),
    ],
)
def test_only_a_bit_exact_replay_of_the_same_weights_verifies(runs, grade, weights, level):
    folder = runs.add(determinism="deterministic")
    (folder / "replay.json").write_text(json.dumps({"grade": grade, "weights": weights}))
    assert load_records(runs.path).loc[0, "determinism"] == level


def test_a_damaged_replay_is_named(runs):
    folder = runs.add()
    (folder / "replay.json").write_text('{"grade": "bit-exact"}')
    with pytest.raises(RecordError, match=r"`weights` in .*replay\.json"):
        load_records(runs.path)


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({}, "digits"),
        ({"family.width": 3, "optimization.task.x": 1}, "digits"),
        ({"task.full_train": True, "task.a": "task.b"}, "digits(a=task.b, full_train=true)"),
        ({"task.shifts": [1, 2], "task.limit": None}, "digits(limit=none, shifts=[1, 2])"),
    ],
)
def test_the_label_of_a_task_holds_its_own_settings_only(runs, changed, label):
    runs.add(changed=changed)
    assert load_records(runs.path).loc[0, "task_label"] == label


def test_reading_records_imports_no_plotting_and_no_torch():
    code = "import sys, results.records; print(*{m.split('.')[0] for m in sys.modules})"
    root = Path(__file__).parents[2]
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "results" in loaded.split()
    assert not {"matplotlib", "rich", "torch", "lightning", "suite"} & set(loaded.split())
