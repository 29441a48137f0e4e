"""From results to a stored verdict and to the table: nothing lost, nothing hidden, the same bytes each time."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from results.claims.definition import Claim, parse_claims
from results.claims.markdown import condition, measured_text, to_markdown
from results.claims.verdicts import assess, read_verdicts, to_json
from results.errors import ClaimError
from tests.results.claims.test_definition import changed

FINGERPRINT = {
    "decisive": {
        "device_name": "A processor | of a kind",
        "threads": 1,
        "python": "3.11.9",
        "packages": {"torch": "2.13.0", "lightning": "2.6.6"},
    },
    "git_commit": "0123456789abcdef",
}


def claim_of(**changes: Any) -> Claim:
    (claim,) = parse_claims(changed(published={"value": 0.96}, **changes), "a.yaml")
    return claim


def result_of(seed: int, score: float, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": f"digits-mlp-s{seed}",
        "seed": seed,
        "status": "completed",
        "scores": {"test/accuracy": score},
        "cost": {"seconds": 2.5},
        "finished_at": f"2026-01-0{seed + 1}T10:00:00+00:00",
        **changes,
    }


def verdict_on(scores: list[float], claim: Claim | None = None, **changes: Any) -> dict[str, Any]:
    results = [result_of(seed, score) for seed, score in enumerate(scores)]
    arguments: dict[str, Any] = {"others": [], "seeds": range(3), "anchor": None, "environments": [FINGERPRINT] * 2}
    return assess(claim or claim_of(), results, **{**arguments, **changes})


def test_a_verdict_holds_every_score_its_interval_and_where_it_came_from() -> None:
    found = verdict_on([0.95, 0.96, 0.97])
    assert found["scores"] == {"0": 0.95, "1": 0.96, "2": 0.97}
    assert found["mean"] == pytest.approx(0.96)
    assert found["sd"] == pytest.approx(0.01)
    reach = 2.919986 * 0.01 / math.sqrt(3)  # t(0.95, 2)
    assert found["interval"] == pytest.approx([0.96 - reach, 0.96 + reach], abs=1e-7)
    assert found["region"] == pytest.approx([0.94, 0.98])
    assert found["verdict"] == "REPRODUCED"
    assert (found["seconds"], found["measured_on"]) == (7.5, "2026-01-03")
    assert found["environments"] == [
        {
            "device": "A processor | of a kind",
            "threads": 1,
            "python": "3.11.9",
            "torch": "2.13.0",
            "lightning": "2.6.6",
            "commit": "0123456789abcdef",
        }
    ]


def test_fewer_seeds_than_asked_for_and_a_single_one_are_said() -> None:
    assert verdict_on([0.96, 0.961])["notes"] == ["2 of 3 seeds"]
    alone = verdict_on([0.96])
    assert alone["notes"] == ["1 of 3 seeds", "one seed has no interval"]
    assert alone["interval"] == [None, None]
    assert alone["verdict"] == "WITHIN NOISE"


def test_an_open_verdict_says_how_many_seeds_would_settle_it() -> None:
    assert verdict_on([0.93, 0.96, 0.99])["notes"] == ["about 9 seeds would settle it at this spread"]
    assert verdict_on([0.91, 0.94, 0.97])["notes"] == ["more seeds would not settle it"]


def test_equal_scores_are_said() -> None:
    assert verdict_on([0.96, 0.96, 0.96])["notes"] == ["all seeds agree, so that the interval is a point"]


def test_a_run_that_did_not_complete_keeps_a_claim_from_being_reproduced() -> None:
    results = [result_of(seed, 0.96 + seed / 1000) for seed in range(3)]
    broken = result_of(3, 0.0, status="diverged", scores={}, cost=None)
    found = assess(claim_of(), [*results, broken], [], seeds=range(4), anchor=None, environments=[])
    assert found["verdict"] == "WITHIN NOISE"
    assert found["notes"] == ["1 of 4 runs did not complete, so that nothing counts as reproduced"]
    assert list(found["scores"]) == ["0", "1", "2"]


def test_without_a_completed_run_there_is_no_verdict() -> None:
    with pytest.raises(ClaimError, match="needs a completed run, but none of 1 is"):
        assess(claim_of(), [result_of(0, 0.0, status="failed")], [], seeds=[0], anchor=None, environments=[FINGERPRINT])


def test_a_score_that_the_runs_lack_is_named_with_the_nearest() -> None:
    with pytest.raises(ClaimError, match=r"about test/acuracy.*Did you mean 'test/accuracy'\?"):
        verdict_on([0.9], claim_of(metric="test/acuracy"))


def test_a_published_spread_widens_the_interval() -> None:
    (claim,) = parse_claims(changed(published={"value": 0.96, "sd": 0.05, "runs": 4}), "a.yaml")
    wide, narrow = verdict_on([0.95, 0.96, 0.97], claim), verdict_on([0.95, 0.96, 0.97])
    assert wide["interval"][0] < narrow["interval"][0]
    assert wide["verdict"] == "WITHIN NOISE"


def test_an_anchor_and_another_setup_are_references_too() -> None:
    comparison = {"kind": "equivalence", "to": "pca", "margin": 0.05, "is_relative": True, "reason": "x"}
    anchored = verdict_on([0.95, 0.96, 0.97], claim_of(comparison=comparison), anchor=1.0)
    assert anchored["reference"] == 1.0
    assert anchored["region"] == pytest.approx([0.95, 1.05])
    ordered = claim_of(comparison={"kind": "above", "than": {"family": {"width": 4}}, "reason": "x"})
    others = [result_of(seed, 0.8 + seed / 100) for seed in range(3)]
    found = verdict_on([0.95, 0.96, 0.97], ordered, others=others)
    assert found["verdict"] == "REPRODUCED"
    assert found["other_scores"] == pytest.approx({"0": 0.8, "1": 0.81, "2": 0.82})
    assert found["region"] == [pytest.approx(0.81), None]
    assert len(found["run_ids"]) == 6


def test_scores_are_shown_as_fine_as_the_margin() -> None:
    comparison = {"kind": "equivalence", "to": "pca", "margin": 1e-4, "is_relative": True, "reason": "x"}
    claim = claim_of(metric="test/squared-error", comparison=comparison)
    results = [result_of(seed, 0.0, scores={"test/squared-error": 0.2 + seed * 1e-6}) for seed in range(3)]
    found = assess(claim, results, [], seeds=range(3), anchor=0.2, environments=[])
    assert condition(claim, found) == "within 0.01 % of pca = 0.200000"
    assert measured_text(claim, found) == "0.200001 ± 0.000001 (3)"


def test_verdicts_come_back_as_they_were_stored(tmp_path: Path) -> None:
    verdict = verdict_on([0.96])
    (tmp_path / "digits-mlp.json").write_text(to_json(verdict))
    assert read_verdicts(tmp_path) == {"digits-mlp": verdict}
    assert read_verdicts(tmp_path / "none") == {}


@pytest.mark.parametrize(
    "content", ["{}", '{"schema": 1, "verdict": "TRUE"}', '{"schema": 2, "verdict": "REPRODUCED"}']
)
def test_a_stored_verdict_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ClaimError, match=r"x\.json must hold a verdict of schema 1.*verify anew"):
        read_verdicts(tmp_path)


def test_the_table_holds_measured_and_unmeasured_claims_and_is_the_same_each_time() -> None:
    claims = [
        claim_of(),
        claim_of(
            name="dear", needs_gpu=True, cpu_seconds=100000, comparison={"kind": "above", "than": 0.5, "reason": "x"}
        ),
    ]
    verdicts = {"digits-mlp": json.loads(to_json(verdict_on([0.95, 0.96, 0.97])))}
    page = to_markdown(claims, verdicts)
    assert "2 claims: 1 REPRODUCED, 1 not measured." in page
    assert (
        "| digits-mlp | 96 % | 96 % ± 2 % | 96.00 ± 1.00 % (3) | 94.31 % to 97.69 % | REPRODUCED | 2026-01-03 [1] |  |"
        in page
    )
    assert (
        "| dear | 96 % | above 50 % |  |  | not measured |  | needs a GPU: about 28 hours of a core without |" in page
    )
    assert (
        "1. A processor \\| of a kind, 1 thread, Python 3.11.9, torch 2.13.0, lightning 2.6.6, commit 0123456789\n"
        in page
    )
    assert to_markdown(claims, dict(reversed(verdicts.items()))) == page
