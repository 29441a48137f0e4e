"""Records from several places, and the cache beside a folder of runs: equal to reading all files anew, always."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from results.errors import RecordError
from results.folders import CACHE
from results.records import load_records
from results.seal import SEAL, check_seal, sealed


def records(*places):
    return load_records(list(places))


@pytest.fixture
def cached(runs, monkeypatch):
    """Return a folder of runs that is small, and cached all the same."""
    monkeypatch.setattr("results.folders.CACHE_FROM", 2)
    runs.add_seeds([0.9, 0.8, 0.7])
    runs.add(config_id="failed", status="diverged", scores=None)
    (runs.path / "unfinished").mkdir()
    return runs


def read_anew(runs):
    """Return the records without the cache, which then comes back as it was."""
    kept = (runs.path / CACHE).read_bytes()
    (runs.path / CACHE).unlink()
    found = load_records(runs.path)
    (runs.path / CACHE).write_bytes(kept)
    return found


def test_the_second_look_is_equal_and_reads_no_result(cached, monkeypatch):
    first = load_records(cached.path)
    monkeypatch.setattr("results.folders.read_stamped", lambda path: pytest.fail(f"{path} was read again"))
    second = load_records(cached.path)
    assert_frame_equal(second, first, check_exact=True)
    assert second.attrs == first.attrs


def test_few_runs_leave_no_cache_behind(runs):
    runs.add()
    load_records(runs.path)
    assert not (runs.path / CACHE).exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda runs, folder: runs.add(config_id="new", test=0.1, scores={"test/accuracy": 0.1, "test/new": 1.0}),
        lambda runs, folder: shutil.rmtree(folder),
        lambda runs, folder: (folder / "result.json").unlink(),
        lambda runs, folder: runs.change(folder, lambda result: result.update(message="changed")),
        lambda runs, folder: runs.change(folder, lambda result: result["scores"].update({"test/extra": 1.0})),
        lambda runs, folder: (folder / "replay.json").write_text('{"grade": "bit-exact", "weights": "w0"}'),
        lambda runs, folder: runs.add_tuning(folder),
    ],
    ids=["new", "gone", "unfinished", "changed", "score", "replayed", "tuned"],
)
def test_what_changed_is_read_again(cached, change):
    load_records(cached.path)
    folder = cached.path / "digits-mlp-s1-9c1d02ab44"
    before = (cached.path / CACHE).read_bytes()
    change(cached, folder)
    found = load_records(cached.path)
    assert (cached.path / CACHE).read_bytes() != before
    assert_frame_equal(found, read_anew(cached), check_exact=True)
    assert_frame_equal(load_records(cached.path), found, check_exact=True)


def test_a_score_that_no_run_has_any_more_leaves_with_its_run(cached):
    folder = cached.add(config_id="odd", scores={"test/odd": 1.0})
    assert "test/odd" in load_records(cached.path)
    shutil.rmtree(folder)
    assert "test/odd" not in load_records(cached.path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:],
        lambda content: b"other" + content[5:],
    ],
)
def test_a_damaged_cache_is_not_believed(cached, damage):
    first = load_records(cached.path)
    path = cached.path / CACHE
    path.write_bytes(damage(path.read_bytes()))
    assert_frame_equal(load_records(cached.path), first, check_exact=True)


def test_a_folder_that_cannot_be_written_goes_without_a_cache(cached, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "no")

    monkeypatch.setattr("results.folders.tempfile.mkstemp", refuse)
    assert len(load_records(cached.path)) == 4
    assert not (cached.path / CACHE).exists()


def test_a_record_that_is_damaged_later_is_refused_in_spite_of_the_cache(cached):
    load_records(cached.path)
    path = cached.path / "digits-mlp-s1-9c1d02ab44" / "result.json"
    path.write_text("{")
    with pytest.raises(RecordError, match="strict JSON"):
        load_records(cached.path)


def test_the_last_record_of_a_run_counts_whatever_the_order_of_places(make_runs):
    one, other = make_runs(), make_runs()
    one.add(test=0.1, finished_at="2026-01-01T00:00:02Z")
    one.add(seed=1, test=0.3)
    other.add(test=0.2, finished_at="2026-01-02T00:00:02Z")
    frames = [records(one.path, other.path), records(other.path, one.path)]
    assert_frame_equal(*frames)
    assert list(frames[0]["test_score"]) == [0.2, 0.3]
    assert frames[0].attrs["notes"] == [
        f"2 runs from 2 places: 2 in {one.path}, 1 in {other.path}.",
        "1 run had 2 records in all (1 with records that differ); the last valid one of each counts.",
    ]


def test_a_final_record_comes_before_a_later_one_that_was_interrupted(make_runs):
    one, other = make_runs(), make_runs()
    one.add(test=0.5)
    other.add(status="interrupted", scores=None, finished_at="2026-02-01T00:00:00Z")
    assert list(records(one.path, other.path)["status"]) == ["completed"]


def test_records_that_finished_at_once_are_told_apart_by_their_content(make_runs):
    places = [make_runs() for _ in range(3)]
    for index, runs in enumerate(places):
        runs.add(test=index / 10)
    found = [records(*(runs.path for runs in order)) for order in (places, places[::-1])]
    assert_frame_equal(*found)


def test_of_equal_records_the_replayed_one_counts(make_runs):
    one, other = make_runs(), make_runs()
    one.add(determinism="deterministic")
    folder = other.add(determinism="deterministic")
    (folder / "replay.json").write_text('{"grade": "bit-exact", "weights": "w0"}')
    for places in ((one, other), (other, one)):
        found = records(*(runs.path for runs in places))
        assert list(found["determinism"]) == ["verified"]
        assert "all equal" in found.attrs["notes"][1]


def test_another_protocol_in_another_place_is_refused(make_runs):
    one, other = make_runs(), make_runs()
    places = one.add(), other.add(seed=1, protocol=2)
    with pytest.raises(RecordError, match="one `protocol`") as caught:
        records(one.path, other.path)
    assert all(str(place) in str(caught.value) for place in places)


@settings(max_examples=20, deadline=None)
@given(
    held=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_merging_is_the_same_in_any_order_and_adds_nothing_the_second_time(make_runs, held, order):
    places = {}
    for seed, place, version in held:
        runs = places.setdefault(place, make_runs())
        runs.add(seed=seed, test=version / 10, finished_at=f"2026-01-0{version + 1}T00:00:00Z")
    paths = [runs.path for runs in places.values()]
    merged = records(*paths)
    order.shuffle(paths)
    assert_frame_equal(records(*paths), merged)
    assert_frame_equal(records(*paths, *paths), merged)
    assert list(merged["seed"]) == sorted({seed for seed, _, _ in held})


def test_a_root_and_its_folder_of_runs_are_the_same_place(make_runs, tmp_path):
    runs = make_runs()
    runs.add()
    shutil.copytree(runs.path, tmp_path / "runs")
    assert_frame_equal(records(tmp_path), records(tmp_path / "runs"))


RECORD = {"schema": 1, "scores": {"test/accuracy": 0.5}, "note": 'a ",\n "record_sha256": "', "task": "ä"}


def test_a_sealed_record_passes_and_its_values_are_as_before():
    content = sealed(RECORD).encode()
    record = json.loads(content)
    check_seal(content, record, "here")
    assert {key: value for key, value in record.items() if key != SEAL} == RECORD


@given(st.data())
def test_any_flipped_bit_or_lost_byte_is_seen(data):
    content = sealed(RECORD).encode()
    at = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 8))
    changed = content[:at] + (b"" if bit == 8 else bytes([content[at] ^ (1 << bit)])) + content[at + 1 :]
    try:
        record = json.loads(changed)
    except ValueError:
        return  # not even JSON, which is refused before the seal is looked at
    if SEAL not in record:
        assert at >= content.index(SEAL.encode(), content.index(b"task"))
        return
    with pytest.raises(RecordError, match="must be as it was written"):
        check_seal(changed, record, "here")
