"""Files of claims: what they must hold, and the words for those that do not."""

import copy
import math
from typing import Any

import pytest

from results.claims.definition import parse_claims
from results.claims.judgement import Region, Sample
from results.errors import ClaimError

FILE: dict[str, Any] = {
    "source": "A paper,\n  2026",
    "table": "Table 1",
    "settings": {"task": "digits", "optimization": {"lr": 0.1, "optimizer": "sgd"}},
    "claims": [
        {
            "name": "digits-mlp",
            "statement": "An MLP reaches 96 %.",
            "published": {"value": 0.96, "standard_error": 0.01, "runs": 4},
            "setup": {"family": {"name": "mlp", "width": 8}, "optimization": {"lr": 0.2}},
            "seeds": "0-2",
            "metric": "test/accuracy",
            "comparison": {"kind": "equivalence", "margin": 0.02, "reason": "Noise."},
            "cpu_seconds": 12,
        }
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    """Return the file with keys of its claim set, or taken out where the value is None."""
    file = copy.deepcopy(FILE)
    for key, value in changes.items():
        if value is None:
            file["claims"][0].pop(key, None)
        else:
            file["claims"][0][key] = value
    return file


def test_a_claim_is_read_with_what_its_file_says_for_all() -> None:
    (claim,) = parse_claims(FILE, "a.yaml")
    assert claim.source == "A paper, 2026"
    assert claim.defects == ""
    assert claim.setup == {
        "task": "digits",
        "family": {"name": "mlp", "width": 8},
        "optimization": {"lr": 0.2, "optimizer": "sgd"},
    }
    assert claim.comparison.reference == 0.96
    assert claim.published is not None
    assert claim.published.sample() == Sample(0.96, 0.02, 4)
    assert not claim.needs_gpu
    assert claim.pretraining is None
    (begun,) = parse_claims(changed(pretraining={"family": "simclr"}), "a.yaml")
    assert begun.pretraining == {**FILE["settings"], "family": "simclr"}


def test_a_lone_value_is_no_sample() -> None:
    for published in ({"value": 0.96}, {"value": 0.96, "runs": 5}, {"value": 0.96, "sd": 0.1, "runs": 1}):
        (claim,) = parse_claims(changed(published=published), "a.yaml")
        assert claim.published is not None
        assert claim.published.sample() is None


@pytest.mark.parametrize(
    ("comparison", "reference", "region"),
    [
        ({"kind": "equivalence", "margin": 0.02}, 0.96, Region(-0.02, 0.02)),
        ({"kind": "equivalence", "to": "pca", "margin": "1e-2", "is_relative": True}, "pca", Region(-0.2, 0.2)),
        ({"kind": "below", "than": "1e-3"}, 1e-3, Region(high=0.0)),
        ({"kind": "above", "than": "floor"}, "floor", Region(low=0.0)),
        ({"kind": "above", "than": {"family": {"width": 9}}}, {"family": {"width": 9}}, Region(low=0.0)),
    ],
)
def test_comparisons_are_regions_around_a_reference(
    comparison: dict[str, Any], reference: object, region: Region
) -> None:
    (claim,) = parse_claims(changed(comparison={**comparison, "reason": "Noise."}), "a.yaml")
    assert claim.comparison.reference == reference
    found = claim.comparison.region(-20.0)
    assert (found.low, found.high) == pytest.approx((region.low, region.high))
    assert (claim.other_setup is not None) == isinstance(reference, dict)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, r"A\.yaml must be a mapping, but got None"),
        ({"source": "x"}, r"A\.yaml must have the key 'table', but it is missing"),
        ({**FILE, "claim": []}, r"Unknown key 'claim' in a\.yaml\. Did you mean 'claims'\?"),
        ({**FILE, "claims": {}}, r"`claims` of a\.yaml must be a list with at least one claim"),
        ({**FILE, "claims": ["x"]}, r"A\.yaml, claims\[0\] must be a mapping, but got 'x'"),
        ({**FILE, "settings": [1]}, r"`settings` of a\.yaml must be a mapping, but got \[1\]"),
        (changed(seed=1), r"Unknown key 'seed'.*Did you mean 'seeds'"),
        (changed(metric=None), "must have the key 'metric', but it is missing"),
        (changed(metric="accuracy"), r"`metric` of .*digits-mlp.* must be val/NAME or test/NAME, but got 'accuracy'"),
        (changed(setup={"task": "digits"}), "`setup` of .* must be a mapping with a task and a family"),
        (changed(setup={"family": "mlp", "seed": 1}), "may not hold 'seed': `seeds` says it"),
        (changed(statement=" "), "`statement` of .* must be text, but got ' '"),
        (changed(cpu_seconds="long"), "`cpu_seconds` of .* must be a finite number, but got 'long'"),
        (changed(cpu_seconds=math.inf), "must be a finite number, but got inf"),
        (changed(needs_gpu="yes"), "`needs_gpu` of .* must be true or false, but got 'yes'"),
        (changed(published={"value": 1, "sd": 0.1}), "must give one spread from 0 on, with runs"),
        (changed(published={"value": 1, "sd": 0.1, "standard_error": 0.1, "runs": 3}), "must give one spread"),
        (changed(published={"value": 1, "runs": 0}), "`runs` of .* must be a whole number from 1 on, but got 0"),
        (changed(published={"value": True}), "`value` of .* must be a finite number, but got True"),
        (changed(comparison={"kind": "equal", "reason": "x"}), "must be one of equivalence, below, above, but got"),
        (changed(comparison={"kind": "below", "to": 1, "reason": "x"}), "is 'than' something, but got 'to'"),
        (changed(comparison={"kind": "below", "reason": "x"}), "`than` of .* must be a number, the name of an anchor"),
        (changed(comparison={"kind": "equivalence", "reason": "x"}), "`margin` of .* must be a finite number"),
        (changed(comparison={"kind": "equivalence", "margin": 0, "reason": "x"}), "`margin > 0` must hold"),
        (changed(comparison={"kind": "below", "than": 1, "margin": 1, "reason": "x"}), "which has no margin"),
        (changed(comparison={"kind": "below", "than": 1}), "must have the key 'reason', but it is missing"),
        (
            changed(published=None, comparison={"kind": "equivalence", "margin": 1, "reason": "x"}),
            "`to` of .* must be a number",
        ),
        (changed(setup={"family": "mlp", "origin": "x"}), "`pretraining` says it"),
        (changed(pretraining={"family": "mlp", "seed": 1}), "without seed and origin"),
        (changed(pretraining={"budget": {"steps": 1}}), "must be a mapping with a task and a family"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(file: object, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        parse_claims(file, "a.yaml")
