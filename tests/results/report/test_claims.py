"""Verdicts on published claims in the report."""

import pytest

from results.claims.verdicts import FOLDER, assess, to_json
from results.records import load_records
from results.report.build import build_report
from results.report.claims import published_claims
from results.report.sources import from_places
from tests.results.report.pages import Page


def verdict_of(claim, scores):
    found = [
        {
            "run_id": f"r{seed}",
            "seed": seed,
            "status": "completed",
            "scores": {claim.metric: score},
            "cost": {"seconds": 2.5},
            "finished_at": "2026-01-02T10:00:00+00:00",
        }
        for seed, score in enumerate(scores)
    ]
    return assess(claim, found, [], seeds=range(len(scores)), anchor=None, environments=[])


@pytest.fixture
def claim():
    return next(
        claim
        for claim in published_claims()
        if claim.other_setup is None and isinstance(claim.comparison.reference, float) and claim.published is not None
    )


def report(runs):
    return build_report(load_records(runs.path), sources=from_places([runs.path]))


def test_a_report_without_verdicts_has_no_section_on_claims(runs):
    runs.add(test=0.9)
    assert Page(report(runs)).all("section", id="claims") == []


def test_a_stored_verdict_stands_in_the_report_with_what_was_measured(runs, claim):
    runs.add(test=0.9)
    far = claim.comparison.reference * 0.5
    verdict = verdict_of(claim, [far, 1.001 * far, 0.999 * far])
    (runs.path / FOLDER).mkdir()
    (runs.path / FOLDER / f"{claim.name}.json").write_text(to_json(verdict))
    page = Page(report(runs))
    assert page.all("section", id="claims")
    assert claim.name in page.text
    assert page.text_of("span").count(verdict["verdict"]) == 1
    assert "2026-01-02" in page.text
    assert f"{len(published_claims())} claims:" in page.text
    assert (
        Page(build_report(load_records(runs.path), sources=from_places([runs.path]), tasks=["digits"])).all(
            "section", id="claims"
        )
        == []
    )
