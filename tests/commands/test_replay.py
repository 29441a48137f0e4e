import pytest

from tests.commands.front import Front, read_json, snapshot, write_result
from tests.commands.interrupting import interrupt


def test_a_replay_is_bit_exact_and_the_leaderboard_says_verified(done: Front) -> None:
    before = done.result()["digests"]
    assert "verified" not in done("leaderboard").out
    outcome = done("replay", done.only().run_id)
    assert outcome.code == 0
    assert "bit-exact" in outcome.out
    assert "the fingerprints are the same" in outcome.out
    verdict = read_json(done.only().path / "replay.json")
    assert verdict["grade"] == "bit-exact"
    assert verdict["weights"] == before["weights"]
    assert verdict["differing_fields"] == {}
    assert "verified" in done("leaderboard").out


def test_a_replay_changes_no_file_of_the_run_and_leaves_nothing_beside_it(done: Front) -> None:
    before = snapshot(done.root)
    done("replay", done.only().run_id)
    after = snapshot(done.root)
    assert {name for name in after if before.get(name) != after[name]} == {f"runs/{done.only().run_id}/replay.json"}
    assert set(before) <= set(after)


def test_a_run_is_found_by_the_beginning_of_its_id_and_by_its_path(done: Front) -> None:
    assert done("replay", "digits-m").code == 0
    assert done("replay", done.only().path).code == 0


@pytest.mark.parametrize(
    "name", ["spec.yaml", "environment.json", "metrics.jsonl", "predictions.npz", "checkpoints/selected.safetensors"]
)
def test_a_run_with_one_flipped_bit_is_not_replayed(done: Front, name: str) -> None:
    path = done.only().path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = done("replay", done.only().run_id)
    assert outcome.code == 2
    assert name in outcome.err
    assert "--force" in outcome.err
    assert "Traceback" not in outcome.err
    assert not (done.only().path / "replay.json").exists()


def test_a_run_whose_result_is_no_json_is_not_replayed(done: Front) -> None:
    (done.only().path / "result.json").write_text('{"status": "comp')
    outcome = done("replay", done.only().run_id)
    assert outcome.code == 2
    assert "result.json" in outcome.err


def test_a_run_that_was_cut_off_is_not_replayed(front: Front) -> None:
    folder = interrupt(front)
    outcome = front("replay", folder.run_id)
    assert outcome.code == 2
    assert "interrupted" in outcome.err
    assert "boltbench resume" in outcome.err


def test_other_results_under_the_same_fingerprint_break_the_promise(done: Front) -> None:
    folder = done.only()
    result = read_json(folder.path / "result.json")
    result["digests"]["weights"] = "0" * 64
    write_result(folder.path, result)
    outcome = done("replay", folder.run_id)
    assert outcome.code == 1
    assert "equal within 1e-6" in outcome.out
    assert "must give the same bits" in outcome.err
    assert read_json(folder.path / "replay.json")["grade"] == "equal within 1e-6"
    assert "verified" not in done("leaderboard").out


def test_force_takes_an_earlier_verdict_away(done: Front) -> None:
    done("replay", done.only().run_id)
    done("run", "digits", "mlp", "--budget.epochs", "2", "--execution.device", "cpu", "--force")
    assert not (done.only().path / "replay.json").exists()


def test_a_run_that_the_clock_ended_is_replayed_to_the_step_that_it_reached(front: Front) -> None:
    assert front("run", "digits", "mlp", "--budget.seconds", "0.2", "--execution.device", "cpu").code == 0
    outcome = front("replay", front.only().run_id)
    assert outcome.code == 0
    assert "bit-exact" in outcome.out


def test_an_ambiguous_beginning_names_the_runs(front: Front) -> None:
    interrupt(front)
    interrupt(front, seed=1)
    outcome = front("replay", "digits")
    assert outcome.code == 2
    assert all(folder.run_id in outcome.err for folder in front.folders())
