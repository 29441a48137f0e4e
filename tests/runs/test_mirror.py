import json
import shutil
from pathlib import Path

import pytest

from results.records import load_records
from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import DIGEST_TAG, OWNER_TAG, Mirror, MirrorError, default_tracking_uri
from tests.commands.front import Front, read_json, read_rows, write_result


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


@pytest.fixture
def shared(migrated_store: Path, tmp_path: Path) -> Path:
    """Return the database of a store that several roots mirror to."""
    return Path(shutil.copytree(migrated_store, tmp_path / "shared")) / "mlflow.db"


def change_score(folder: RunFolder, score: float) -> None:
    result = read_json(folder.path / "result.json")
    result["scores"]["test/accuracy"] = score
    write_result(folder.path, result)


def live_scores(mirror: Mirror) -> list[float]:
    experiments = [experiment.experiment_id for experiment in mirror.client().search_experiments()]
    return sorted(run.data.metrics["test/accuracy"] for run in mirror.runs(experiments))


def test_two_roots_that_made_the_same_run_keep_a_copy_each(done: Front, shared: Path, tmp_path: Path) -> None:
    roots = [done.root, Path(shutil.copytree(done.root, tmp_path / "other"))]
    folders = [Store(root).folders()[0] for root in roots]
    for folder, score in zip(folders, (0.25, 0.5), strict=True):
        change_score(folder, score)

    def mirrors() -> list[Mirror]:
        return [Mirror(Store(root), f"sqlite:///{shared}") for root in roots]

    assert [mirror.sync(folder) for mirror, folder in zip(mirrors(), folders, strict=True)] == [True, True]
    before = read_rows(shared)
    for mirror, folder in zip(mirrors(), folders, strict=True):
        mirror.preload(folder.result() or {})
        assert not mirror.sync(folder)
        assert mirror.counts() == {folder.run_id: 1}
    assert read_rows(shared) == before
    change_score(folders[0], 0.75)
    one, _ = mirrors()
    assert one.sync(folders[0])
    assert live_scores(one) == [0.5, 0.75]
    assert len(load_records(f"sqlite:///{shared}")) == 1


def test_a_root_that_holds_the_very_record_of_another_shares_its_copy(
    done: Front, shared: Path, tmp_path: Path
) -> None:
    other = Store(Path(shutil.copytree(done.root, tmp_path / "other")))
    assert Mirror(Store(done.root), f"sqlite:///{shared}").sync(done.only())
    before = read_rows(shared)
    mirror = Mirror(other, f"sqlite:///{shared}")
    assert not mirror.sync(other.folders()[0])
    assert read_rows(shared) == before


def test_a_copy_that_names_no_root_is_taken_over_where_it_is_of_the_same_record(done: Front, shared: Path) -> None:
    mirror = Mirror(Store(done.root), f"sqlite:///{shared}")
    mirror.sync(done.only())
    client = mirror.client()
    (copy,) = mirror.runs([experiment.experiment_id for experiment in client.search_experiments()])
    client.delete_tag(copy.info.run_id, OWNER_TAG)
    assert mirror.counts() == {}
    again = Mirror(Store(done.root), f"sqlite:///{shared}")
    assert again.sync(done.only())
    assert again.counts() == {done.only().run_id: 1}


def test_the_store_beside_the_runs_needs_no_identity(done: Front) -> None:
    (run,) = done.mlflow_runs()
    assert OWNER_TAG not in run.data.tags
    assert not (done.root / ".boltbench-root").exists()
