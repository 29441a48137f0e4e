"""Verdicts as they are stored: one JSON file per claim, made from the results of its runs alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from results.claims.definition import Claim
from results.claims.judgement import VERDICTS, Judgement, Region, Sample, judge, seeds_to_settle
from results.errors import ClaimError, did_you_mean
from results.files import decode, read_bytes

SCHEMA: Final = 1
FOLDER: Final = "verdicts"
"""Where verdicts lie, beside the folder of runs."""

Result = Mapping[str, Any]
"""What a run's result.json holds."""


def assess(
    claim: Claim,
    results: Sequence[Result],
    others: Sequence[Result],
    *,
    seeds: Sequence[int],
    anchor: float | None,
    environments: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the verdict on a claim as plain values, ready to be stored.

    Args:
        claim: What is claimed.
        results: Of the claim's own setup, one per seed that was run.
        others: Of the other setup, where the claim compares two; else empty.
        seeds: The seeds that were asked for.
        anchor: What the task computes, where the claim is held against an anchor.
        environments: Fingerprints of the runs.

    Raises:
        ClaimError: No run completed, or the runs have no such score.
    """
    scores = _scores(claim, results)
    other_scores = _scores(claim, others) if claim.other_setup is not None else {}
    ours = Sample.of(list(scores.values()))
    reference: float | Sample
    if claim.other_setup is not None:
        reference = Sample.of(list(other_scores.values()))
    elif isinstance(claim.comparison.reference, str):
        assert anchor is not None, "whoever calls computes the anchor"
        reference = anchor
    else:
        assert isinstance(claim.comparison.reference, int | float)
        is_published = claim.published is not None and claim.comparison.reference == claim.published.value
        sample = claim.published.sample() if claim.published is not None and is_published else None
        reference = float(claim.comparison.reference) if sample is None else sample
    centre = reference.mean if isinstance(reference, Sample) else reference
    region = claim.comparison.region(centre)
    judgement = judge(ours, reference, region)
    every = [*results, *others]
    num_failed = sum(result["status"] != "completed" for result in every)
    verdict = judgement.verdict
    if num_failed and verdict == "REPRODUCED":
        verdict = "WITHIN NOISE"  # a mean over the runs that went well is not what was claimed
    finished = sorted(str(result["finished_at"]) for result in every)
    return {
        "schema": SCHEMA,
        "claim": claim.name,
        "claim_sha256": claim.digest(),
        "verdict": verdict,
        "metric": claim.metric,
        "reference": centre,
        "mean": ours.mean,
        "sd": _or_none(ours.sd),
        "scores": {str(seed): score for seed, score in scores.items()},
        "other_scores": {str(seed): score for seed, score in other_scores.items()},
        "difference": judgement.difference,
        "interval": [_or_none(centre + judgement.low), _or_none(centre + judgement.high)],
        "region": [_or_none(centre + region.low), _or_none(centre + region.high)],
        "p": _or_none(judgement.p),
        "notes": _notes(judgement, ours, reference, region, num_failed, len(every), len(seeds)),
        "seeds": list(seeds),
        "run_ids": [str(result["run_id"]) for result in every],
        "seconds": round(sum((result.get("cost") or {}).get("seconds", 0.0) for result in every), 1),
        "measured_on": finished[-1][:10],
        "environments": _distinct([_environment(item) for item in environments]),
    }


def read_verdicts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every stored verdict by the name of its claim.

    Raises:
        ClaimError: A file is damaged or of another schema.
    """
    found = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        content = decode(read_bytes(path) or b"", str(path))
        if content.get("schema") != SCHEMA or content.get("verdict") not in VERDICTS:
            raise ClaimError(
                f"{path} must hold a verdict of schema {SCHEMA}, but does not. Remove it, and verify anew."
            )
        found[str(content["claim"])] = content
    return found


def to_json(verdict: Mapping[str, Any]) -> str:
    """Return a verdict as strict JSON."""
    return json.dumps(verdict, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _scores(claim: Claim, results: Sequence[Result]) -> dict[int, float]:
    found: dict[int, float] = {}
    for result in results:
        if result["status"] != "completed":
            continue
        scores = result["scores"]
        if claim.metric not in scores:
            raise ClaimError(
                f"The claim {claim.name!r} is about {claim.metric}, but its runs have no such score."
                f"{did_you_mean(claim.metric, scores)} They have: {', '.join(sorted(scores))}."
            )
        found[int(result["seed"])] = float(scores[claim.metric])
    if not found:
        raise ClaimError(
            f"A verdict on {claim.name!r} needs a completed run, but none of {len(results)} is. "
            "`boltbench list runs` says how they ended."
        )
    return found


def _notes(
    judgement: Judgement,
    ours: Sample,
    reference: float | Sample,
    region: Region,
    num_failed: int,
    num_runs: int,
    num_seeds: int,
) -> list[str]:
    notes = []
    if num_failed:
        notes.append(f"{num_failed} of {num_runs} runs did not complete, so that nothing counts as reproduced")
    elif ours.n < num_seeds:
        notes.append(f"{ours.n} of {num_seeds} seeds")
    if math.isnan(judgement.low):
        notes.append("one seed has no interval")
    elif judgement.low == judgement.high:
        notes.append("all seeds agree, so that the interval is a point")
    elif judgement.verdict == "WITHIN NOISE":
        needed = seeds_to_settle(ours, reference, region)
        notes.append(
            f"about {needed} seeds would settle it at this spread" if needed else "more seeds would not settle it"
        )
    return notes


def _environment(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader of the table needs to know of a fingerprint."""
    decisive = fingerprint["decisive"]
    packages = decisive["packages"]
    return {
        "device": decisive["device_name"],
        "threads": decisive["threads"],
        "python": decisive["python"],
        "torch": packages["torch"],
        "lightning": packages["lightning"],
        "commit": fingerprint.get("git_commit"),
    }


def _distinct(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for index, item in enumerate(items) if item not in items[:index]]


def _or_none(number: float) -> float | None:
    """Return what strict JSON has for a number: null where it is not finite."""
    return number if math.isfinite(number) else None
