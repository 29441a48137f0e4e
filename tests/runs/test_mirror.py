import json
from pathlib import Path

import pytest

from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import DIGEST_TAG, Mirror, MirrorError, default_tracking_uri
from tests.commands.front import Front, read_json, write_result


def mirror_of(front: Front) -> Mirror:
    store = Store(front.root)
    return Mirror(store, default_tracking_uri(store))


def test_a_second_sync_writes_nothing(done: Front) -> None:
    before = done.mlflow_rows()
    assert not mirror_of(done).sync(done.only())
    assert done.mlflow_rows() == before


def test_a_changed_result_replaces_the_copy(done: Front) -> None:
    path = done.only().path / "result.json"
    result = read_json(path)
    result["scores"]["test/accuracy"] = 0.125
    write_result(path.parent, result)
    assert mirror_of(done).sync(done.only())
    (run,) = done.mlflow_runs()
    assert run.data.metrics["test/accuracy"] == 0.125


def test_a_run_without_a_result_is_not_mirrored(front: Front) -> None:
    folder = RunFolder(front.root / "runs" / "digits-mlp-s0-0")
    folder.path.mkdir(parents=True)
    assert not mirror_of(front).sync(folder)
    assert front.mlflow_runs() == []


def test_curves_longer_than_one_call_takes_are_whole(done: Front) -> None:
    folder = done.only()
    rows = [
        {"step": step, "epoch": 0.0, "seconds": step / 1000, "train/loss": [float(step)]} for step in range(1, 2501)
    ]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = done.result()
    result["files"] = folder.file_digests()
    write_result(folder.path, result)
    assert mirror_of(done).sync(folder)
    ((_info, _params, _tags, curves, _artifacts),) = done.mlflow_content().values()
    assert [(step, value) for step, _, value in curves["train/loss"]] == [(n, float(n)) for n in range(1, 2501)]


def test_the_digest_of_the_result_is_the_last_that_is_written(done: Front) -> None:
    (run,) = done.mlflow_runs()
    assert run.data.tags[DIGEST_TAG]
    assert done.only().run_id in run.data.tags["mlflow.note.content"]


def test_a_store_that_cannot_be_written_is_an_error_of_the_mirror_alone(done: Front, tmp_path: Path) -> None:
    nowhere = Mirror(Store(done.root), f"sqlite:///{tmp_path / 'absent' / 'mlflow.db'}")
    (tmp_path / "absent").write_text("a file, where a folder would have to be")
    with pytest.raises(MirrorError, match="safe in"):
        nowhere.sync(done.only())


def test_counts_name_each_run_once(done: Front) -> None:
    assert mirror_of(done).counts() == {done.only().run_id: 1}
