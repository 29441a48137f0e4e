"""Published numbers, measured again through the command."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from results.claims.markdown import to_markdown
from results.claims.verdicts import read_verdicts, to_json
from suite.claims import FOLDER, published_claims, read_claims
from sweeps.plans import parse_seeds
from tests.commands.front import Front, read_json, snapshot

CLAIM: dict[str, Any] = {
    "name": "tiny-linear",
    "statement": "Logistic regression on digits learns something.",
    "published": {"value": 0.9, "runs": 1},
    "setup": {"task": "digits", "family": "linear", "budget": {"epochs": 2}},
    "seeds": "0-2",
    "metric": "test/accuracy",
    "comparison": {"kind": "above", "than": "floor", "reason": "Chance is 10 %."},
    "cpu_seconds": 2,
}
CPU = ("--execution.device", "cpu")


def claims_file(path: Path, *claims: dict[str, Any], **changes: Any) -> Path:
    """Write a file of claims: those given, or the tiny one with changes."""
    content = {"source": "A source", "table": "A table", "claims": list(claims) or [{**CLAIM, **changes}]}
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_claim_from_a_file_is_run_judged_stored_and_not_run_again(front: Front, tmp_path: Path) -> None:
    path = claims_file(tmp_path / "tiny.yaml")
    first = front("verify", path, *CPU)
    assert first.code == 0, first.text
    assert "REPRODUCED" in first.out
    assert len(front.folders()) == 3
    assert len(front.mlflow_runs()) == 3
    stored = read_json(front.root / "verdicts" / "tiny-linear.json")
    assert stored["verdict"] == "REPRODUCED"
    assert stored["reference"] == 0.1
    scores = {str(f.result()["seed"]): f.result()["scores"]["test/accuracy"] for f in front.folders()}  # type: ignore[index]
    assert stored["scores"] == scores
    before = snapshot(front.root)
    again = front("verify", path, *CPU)
    assert again.code == 0
    assert "[1/3]" in first.out
    assert "[1/3]" not in again.out
    assert snapshot(front.root) == before


def test_what_was_cut_off_goes_on_and_the_rest_is_made(front: Front, tmp_path: Path) -> None:
    assert front("verify", claims_file(tmp_path / "tiny.yaml"), *CPU, "--seeds", "0,1").code == 0
    first, second = front.folders()
    (second.path / "result.json").unlink()
    outcome = front("verify", tmp_path / "tiny.yaml", *CPU)
    assert outcome.code == 0
    assert "was done already" in outcome.out
    assert len(front.folders()) == 3
    assert {folder.status() for folder in front.folders()} == {"completed"}
    assert first.run_id in outcome.out


def test_two_setups_are_both_run_and_compared(front: Front, tmp_path: Path) -> None:
    comparison = {"kind": "above", "than": {"budget": {"epochs": 1}}, "reason": "Longer is better."}
    outcome = front("verify", claims_file(tmp_path / "two.yaml", comparison=comparison), *CPU, "--seeds", "0-1")
    assert outcome.code in (0, 1)
    stored = read_json(front.root / "verdicts" / "tiny-linear.json")
    assert len(front.folders()) == 4
    assert (len(stored["scores"]), len(stored["other_scores"])) == (2, 2)
    assert "budget.epochs=1" in outcome.out


def test_a_claim_may_begin_with_a_pretraining_which_is_made_first_for_each_seed(front: Front, tmp_path: Path) -> None:
    setup = {"task": "digits", "family": {"name": "cnn", "channels": [4], "dense": []}, "budget": {"steps": 30}}
    pretraining = {**setup, "family": {**setup["family"], "name": "simclr"}, "budget": {"steps": 3}}  # type: ignore[dict-item]
    path = claims_file(
        tmp_path / "begun.yaml", setup={**setup, "transfer": {"train": "head"}}, pretraining=pretraining, seeds="0-1"
    )
    assert "skipped, none of its runs is there" in front("verify", path, "--no-runs").out
    first = front("verify", path, *CPU)
    assert first.code == 0, first.text
    results = {folder.run_id: folder.result() for folder in front.folders()}
    begun = {run_id: result["origin"] for run_id, result in results.items() if result and result["origin"]}
    assert len(results) == 4
    assert len(begun) == 2
    assert all("-simclr-" in origin and results[origin] is not None for origin in begun.values())
    assert all(origin.split("-")[2] == run_id.split("-")[2] for run_id, origin in begun.items()), "of its own seed"
    stored = read_json(front.root / "verdicts" / "tiny-linear.json")
    assert {results[run_id]["scores"]["test/accuracy"] for run_id in begun} == set(stored["scores"].values())  # type: ignore[index]
    before = snapshot(front.root)
    assert front("verify", path, *CPU).code == 0
    assert snapshot(front.root) == before


def test_a_claim_that_does_not_hold_is_said_and_ends_with_1(front: Front, tmp_path: Path) -> None:
    comparison = {"kind": "below", "than": 0.2, "reason": "Wrong on purpose."}
    outcome = front("verify", claims_file(tmp_path / "wrong.yaml", comparison=comparison), *CPU)
    assert outcome.code == 1
    assert "NOT REPRODUCED" in outcome.out


def test_one_seed_settles_nothing_and_says_so(front: Front, tmp_path: Path) -> None:
    outcome = front("verify", claims_file(tmp_path / "tiny.yaml"), *CPU, "--seeds", "3")
    assert outcome.code == 0
    assert "WITHIN NOISE" in outcome.out
    assert read_json(front.root / "verdicts" / "tiny-linear.json")["notes"] == ["one seed has no interval"]


@pytest.mark.parametrize("cost", [{"cpu_seconds": 4000}, {"cpu_seconds": 7200, "needs_gpu": True}])
def test_a_claim_too_dear_is_skipped_by_name_with_its_cost(front: Front, tmp_path: Path, cost: dict[str, Any]) -> None:
    before = snapshot(front.root)
    outcome = front("verify", claims_file(tmp_path / "dear.yaml", **cost), *CPU)
    assert outcome.code == 0
    assert "tiny-linear: skipped, it " in outcome.out
    assert ("67 minutes of a core" if cost["cpu_seconds"] == 4000 else "needs a GPU: about 2 hours") in outcome.out
    assert snapshot(front.root) == before


def test_all_runs_what_is_too_dear_and_then_it_costs_nothing_more(front: Front, tmp_path: Path) -> None:
    path = claims_file(tmp_path / "dear.yaml", cpu_seconds=1e6, needs_gpu=True)
    assert "REPRODUCED" in front("verify", path, *CPU, "--all").out
    again = front("verify", path, *CPU)
    assert "skipped" not in again.out
    assert "REPRODUCED" in again.out


def test_no_runs_judges_what_is_there_and_makes_nothing(front: Front, tmp_path: Path) -> None:
    path = claims_file(tmp_path / "tiny.yaml")
    nothing = front("verify", path, "--no-runs")
    assert nothing.code == 0
    assert "tiny-linear: skipped, none of its runs is there." in nothing.out
    assert front.folders() == []
    assert front("verify", path, *CPU, "--seeds", "0-1").code == 0
    partly = front("verify", path, "--no-runs")
    assert partly.code == 0
    assert len(front.folders()) == 2
    assert read_json(front.root / "verdicts" / "tiny-linear.json")["notes"] == ["2 of 3 seeds"]


def test_the_table_holds_every_claim_and_is_byte_stable(front: Front, tmp_path: Path) -> None:
    path, output = claims_file(tmp_path / "tiny.yaml"), tmp_path / "table.md"
    assert front("verify", path, *CPU, "--output", output).code == 0
    first = output.read_bytes()
    assert front("verify", path, "--no-runs", "--output", output).code == 0
    assert output.read_bytes() == first
    text = first.decode()
    assert all(f"| {name} |" in text for name in published_claims())
    assert "| tiny-linear | 90 % (1) | above floor = 10.00 % |" in text


def test_published_verdicts_stay_when_others_come_and_those_on_another_claim_are_left_out(
    front: Front, tmp_path: Path
) -> None:
    published = published_claims()
    there, missing, changed, partly = [name for name, claim in published.items() if claim.other_setup is None][:4]
    place = tmp_path / "published"
    (place / "verdicts").mkdir(parents=True)
    (front.root / "verdicts").mkdir(parents=True)
    path = claims_file(tmp_path / "tiny.yaml")
    assert front("verify", path, *CPU, "--seeds", "0-1").code == 0
    measured = read_json(front.root / "verdicts" / "tiny-linear.json")
    assert measured["claim_sha256"] == read_claims(path)[0].digest()

    def verdict(name: str, digest: str) -> str:
        seeds = parse_seeds(published[name].seeds)
        return to_json(
            {**measured, "claim": name, "claim_sha256": digest, "seeds": seeds[: 1 if name == partly else None]}
        )

    (place / "verdicts" / f"{there}.json").write_text(verdict(there, published[there].digest()))
    (front.root / "verdicts" / f"{missing}.json").write_text(verdict(missing, published[missing].digest()))
    (front.root / "verdicts" / f"{changed}.json").write_text(verdict(changed, "0" * 64))
    (front.root / "verdicts" / f"{partly}.json").write_text(verdict(partly, published[partly].digest()))
    outcome = front("verify", "--no-runs", "--publish", place)
    assert outcome.code == 0, outcome.text
    assert sorted(item.stem for item in (place / "verdicts").glob("*")) == sorted([there, missing])
    assert outcome.err.count("not published, its verdict is on another form of the claim, or on other seeds") == 2
    assert (place / "README.md").read_text() == to_markdown(list(published.values()), read_verdicts(place / "verdicts"))


def test_a_run_that_breaks_keeps_the_claim_open_and_ends_with_1(front: Front, tmp_path: Path) -> None:
    setup = {**CLAIM["setup"], "optimization": {"optimizer": "sgd", "lr": 1e38}}
    outcome = front("verify", claims_file(tmp_path / "broken.yaml", setup=setup), *CPU, "--seeds", "0-1")
    assert outcome.code == 1
    assert "diverged" in outcome.out
    assert "needs a completed run, but none of 2 is" in outcome.err
    assert not (front.root / "verdicts").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnist1d-cn"], "Unknown claim 'mnist1d-cn'. Did you mean 'mnist1d-cnn'?"),
        (["none.yaml"], "There is no file of claims 'none.yaml'."),
        (["mnist1d-cnn", "--seeds", "4-0"], "--seeds: `first <= last` must hold"),
        (["mnist1d-cnn", "--output", "none/table.md"], "--output must lie in a folder"),
        (["mnist1d-cnn", "--publish", "none"], "--publish must be a folder"),
        (["mnist1d-cnn", "--family.width", "3"], "Unknown argument '--family.width'"),
    ],
)
def test_bad_words_end_with_2_before_anything_is_created(front: Front, words: list[str], message: str) -> None:
    before = snapshot(front.root)
    outcome = front("verify", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert snapshot(front.root) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: [", "cannot be read: "),
        ("source: a\nsource: b\n", "the key 'source' may be given once, but comes again in line 2"),
        ("[]", "Claims.yaml must be a mapping"),
    ],
)
def test_broken_yaml_ends_with_2(front: Front, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    outcome = front("verify", path)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"setup": {"task": "digits", "family": "mpl"}},
            "The claim 'tiny-linear' cannot be run: Unknown family 'mpl'.",
        ),
        ({"setup": {"task": "digits", "family": "gan"}}, "the family 'gan' cannot take on the task 'digits'"),
        ({"seeds": "x"}, "The claim 'tiny-linear' cannot be run: Seeds must be numbers from 0 on"),
        (
            {"comparison": {"kind": "above", "than": "flor", "reason": "x"}},
            "held against 'flor', which the task 'digits' does not know. Did you mean 'floor'?",
        ),
        (
            {"comparison": {"kind": "above", "than": {"seed": 0}, "reason": "x"}},
            "cannot be run: the two setups are the same",
        ),
    ],
)
def test_a_claim_that_cannot_be_run_ends_with_2_before_anything_is_created(
    front: Front, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    before = snapshot(front.root)
    outcome = front("verify", claims_file(tmp_path / "bad.yaml", **changes), *CPU)
    assert outcome.code == 2
    assert message in outcome.err
    assert snapshot(front.root) == before


def test_two_claims_of_one_name_are_refused(front: Front, tmp_path: Path) -> None:
    path = claims_file(tmp_path / "twice.yaml", CLAIM, CLAIM)
    outcome = front("verify", path)
    assert (outcome.code, "'tiny-linear' is there twice" in outcome.err) == (2, True)


def test_missing_data_of_a_named_claim_ends_with_2(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOLTBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("BOLTBENCH_CACHE", str(tmp_path))
    setup = {"task": "shakespeare-char", "family": "transformer", "budget": {"steps": 1}}
    path = claims_file(tmp_path / "text.yaml", setup=setup, metric="test/cross-entropy")
    outcome = front("verify", path, *CPU)
    assert outcome.code == 2
    assert "boltbench data fetch shakespeare-char" in outcome.err


def test_missing_data_of_a_claim_that_nobody_named_skips_it_and_the_others_go_on(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOLTBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("BOLTBENCH_CACHE", str(tmp_path))
    text = {"task": "shakespeare-char", "family": "transformer", "budget": {"steps": 1}}
    claims = [{**CLAIM, "name": "text", "setup": text, "metric": "test/cross-entropy"}, CLAIM]
    folder = tmp_path / "published"
    folder.mkdir()
    claims_file(folder / "both.yaml", *claims)
    monkeypatch.setattr("suite.claims.FOLDER", folder)
    outcome = front("verify", *CPU)
    assert outcome.code == 0
    assert "text: skipped, its data is missing." in outcome.err
    assert "REPRODUCED" in outcome.out
    assert [path.stem for path in (front.root / "verdicts").iterdir()] == ["tiny-linear"]


def test_a_damaged_verdict_is_found_before_anything_runs(front: Front, tmp_path: Path) -> None:
    (front.root / "verdicts").mkdir()
    (front.root / "verdicts" / "x.json").write_text(json.dumps({"schema": 0}))
    outcome = front("verify", claims_file(tmp_path / "tiny.yaml"), *CPU)
    assert outcome.code == 2
    assert "x.json must hold a verdict of schema 1" in outcome.err
    assert front.folders() == []


def test_claims_are_listed_with_their_cost(front: Front) -> None:
    listed = front("list", "claims")
    assert listed.code == 0
    assert "mnist1d-cnn" in listed.out
    assert "of a core" in listed.out
    assert len(listed.out.splitlines()) == len(published_claims())


def test_adding_a_claim_is_one_new_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, front: Front) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    for path in FOLDER.glob("mnist1d.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    claims_file(folder / "new.yaml")
    monkeypatch.setattr("suite.claims.FOLDER", folder)
    assert "tiny-linear" in front("list", "claims").out
    assert front("verify", "tiny-linear", *CPU).code == 0
