"""Every published claim can be run as it stands: its file parses, its specs resolve, its score exists."""

import pytest

from results.claims.definition import Claim
from results.claims.markdown import to_markdown
from results.claims.verdicts import FOLDER as VERDICTS_FOLDER
from results.claims.verdicts import read_verdicts
from suite.claims import FOLDER, published_claims, read_claims, resolve

CLAIMS = published_claims()
VERDICTS = read_verdicts(FOLDER / VERDICTS_FOLDER)
OWN_SCORES = {"vae": {"elbo"}}
"""Family -> the scores that its learners give beside the task's metrics."""


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_resolves_to_runs_that_fit_and_have_its_score(name: str) -> None:
    claim: Claim = CLAIMS[name]
    resolved = resolve(claim)
    assert len(resolved.seeds) >= 2, "one seed has no interval"
    card = resolved.specs[0].task.card()
    split, _, metric = claim.metric.partition("/")
    assert card.split_sizes[split] > 0  # type: ignore[index]  # any text
    family = resolved.specs[0].family.name
    assert metric in {card.metric, *card.extra_metrics, *OWN_SCORES.get(family, ())}
    anchor = resolved.anchor()
    assert (anchor is None) == (not isinstance(claim.comparison.reference, str))


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_says_where_it_comes_from_why_its_margin_and_what_it_costs(name: str) -> None:
    claim = CLAIMS[name]
    assert claim.statement.endswith(".")
    assert claim.comparison.reason.endswith((".", ";"))
    assert claim.cpu_seconds > 0


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_file_holds_claims_of_one_source(path: object) -> None:
    from pathlib import Path

    assert isinstance(path, Path)
    claims = read_claims(path)
    assert len({claim.source for claim in claims}) == 1
    assert {claim.name for claim in claims} <= set(CLAIMS)


@pytest.mark.parametrize("name", VERDICTS)
def test_a_published_verdict_is_on_the_claim_as_it_stands(name: str) -> None:
    assert name in CLAIMS, "the claim is gone: remove its verdict"
    assert VERDICTS[name]["claim_sha256"] == CLAIMS[name].digest(), "the claim has changed: measure it anew"


def test_the_published_table_is_made_from_the_published_verdicts() -> None:
    assert (FOLDER / "README.md").read_text() == to_markdown(list(CLAIMS.values()), VERDICTS)
