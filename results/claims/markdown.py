"""The verdict table in Markdown: every claim with what was measured, or what measuring it would cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from results.claims.definition import Claim
from results.export import escape
from results.text import MAX_DECIMALS, decimals_for, is_percent, score_text

_HEADERS: Final = ("claim", "published", "reproduced where", "measured", "90 % interval", "verdict", "on", "notes")

Stored = Mapping[str, Mapping[str, Any]]
"""Verdicts by the name of their claim, as `results.claims.verdicts.read_verdicts` returns them."""


def to_markdown(claims: Sequence[Claim], verdicts: Stored) -> str:
    """Return the page of all claims, in their order; equal verdicts give equal bytes."""
    environments: list[Mapping[str, Any]] = []
    for claim in claims:
        for environment in verdicts.get(claim.name, {}).get("environments", ()):
            if environment not in environments:
                environments.append(environment)
    lines = ["# Published numbers, measured again", "", summary(claims, verdicts), ""]
    for (source, table, defects), group in itertools.groupby(claims, lambda c: (c.source, c.table, c.defects)):
        lines += [f"## {escape(source)}", "", f"{escape(table)}.{_known(defects)}", ""]
        lines += [_row(_HEADERS), _row("---" for _ in _HEADERS)]
        members = list(group)
        lines += [_row(escape(cell) for cell in cells_of(c, verdicts.get(c.name), environments)) for c in members]
        lines += ["", *(_details(c) for c in members), ""]
    if environments:
        lines += ["## Where it was measured", ""]
        lines += [f"{number}. {_environment(item)}" for number, item in enumerate(environments, start=1)]
        lines.append("")
    return "\n".join(lines)


def summary(claims: Sequence[Claim], verdicts: Stored) -> str:
    """Return how many claims have which verdict, in a sentence."""
    found = [verdicts[claim.name]["verdict"] for claim in claims if claim.name in verdicts]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in dict.fromkeys(sorted(found, reverse=True))]
    return f"{len(claims)} claims: {', '.join([*counts, f'{len(claims) - len(found)} not measured'])}."


def cells_of(claim: Claim, verdict: Mapping[str, Any] | None, environments: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the row of one claim, a cell for each header."""
    if verdict is None:
        return [claim.name, _published(claim), condition(claim), "", "", "not measured", "", cost_text(claim)]
    places = [str(environments.index(item) + 1) for item in verdict["environments"]]
    return [
        claim.name,
        _published(claim),
        condition(claim, verdict),
        measured_text(claim, verdict),
        interval_text(claim, verdict),
        verdict["verdict"],
        f"{verdict['measured_on']} [{', '.join(places)}]",
        "; ".join(verdict["notes"]),
    ]


def measured_text(claim: Claim, verdict: Mapping[str, Any]) -> str:
    """Return mean, standard deviation and number of seeds."""
    decimals = _decimals(claim, verdict)
    sd = math.nan if verdict["sd"] is None else verdict["sd"]
    return f"{_score(claim, verdict['mean'], decimals, sd)} ({len(verdict['scores'])})"


def interval_text(claim: Claim, verdict: Mapping[str, Any]) -> str:
    """Return the interval of our mean, or nothing where there is none."""
    low, high = verdict["interval"]
    if low is None or high is None:
        return ""
    decimals = _decimals(claim, verdict)
    return f"{_score(claim, low, decimals)} to {_score(claim, high, decimals)}"


def condition(claim: Claim, verdict: Mapping[str, Any] | None = None) -> str:
    """Return where the interval must lie, in words; with the reference's value once that is known."""
    comparison = claim.comparison
    if claim.other_setup is not None:
        name = setting_words(claim.other_setup)
    elif isinstance(comparison.reference, str):
        name = comparison.reference
    else:
        assert isinstance(comparison.reference, int | float)
        name = _short(claim, comparison.reference)
    is_computed = isinstance(comparison.reference, str) or claim.other_setup is not None
    if verdict is not None and is_computed:
        decimals = _decimals(claim, verdict)
        name += f" = {_score(claim, verdict['reference'], decimals)}"
    if comparison.kind != "equivalence":
        return f"{comparison.kind} {name}"
    if comparison.is_relative:
        return f"within {100 * comparison.margin:g} % of {name}"
    return f"{name} ± {_short(claim, comparison.margin)}"


def setting_words(settings: Mapping[str, Any]) -> str:
    """Return nested settings in one line, such as ``family.packing=1``."""
    words = []
    for group, values in settings.items():
        if isinstance(values, Mapping):
            words += [f"{group}.{key}={value}" for key, value in values.items()]
        else:
            words.append(f"{group}={values}")
    return ", ".join(words)


def cost_text(claim: Claim) -> str:
    """Return what measuring a claim costs."""
    minutes = claim.cpu_seconds / 60
    length = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.0f} hours"
    return "about a minute of a core" if minutes < 1.5 else _cost(length, claim.needs_gpu)


def _cost(length: str, needs_gpu: bool) -> str:
    return f"needs a GPU: about {length} of a core without" if needs_gpu else f"about {length} of a core"


def _published(claim: Claim) -> str:
    if claim.published is None:
        return ""
    published = claim.published
    text = _short(claim, published.value)
    if published.sd is not None:
        text += f" ± {_short(claim, published.sd)}"
    if published.standard_error is not None:
        text += f", standard error {_short(claim, published.standard_error)}"
    return text if published.runs is None else f"{text} ({published.runs})"


def _details(claim: Claim) -> str:
    differs = f" Differs from the source: {escape(claim.deviations)}" if claim.deviations else ""
    reason = escape(claim.comparison.reason)
    return f"- `{claim.name}`: {escape(claim.statement)} Score: {escape(claim.metric)}. {reason}{differs}"


def _known(defects: str) -> str:
    return f" Known defects: {escape(defects)}" if defects else ""


def _environment(environment: Mapping[str, Any]) -> str:
    commit = str(environment["commit"] or "unknown")[:10]
    threads = environment["threads"]
    return (
        f"{escape(str(environment['device']))}, {threads} thread{'' if threads == 1 else 's'}, Python "
        f"{environment['python']}, torch {environment['torch']}, lightning {environment['lightning']}, commit {commit}"
    )


def _decimals(claim: Claim, verdict: Mapping[str, Any]) -> int:
    """Return how many decimals show the scores, and two digits of the margin where that is finer."""
    usual = decimals_for(claim.metric, [verdict["mean"], verdict["reference"]])
    low, high = verdict["region"]
    if low is None or high is None or is_percent(claim.metric):
        return usual
    return min(MAX_DECIMALS, max(usual, 1 - math.floor(math.log10((high - low) / 2))))


def _score(claim: Claim, score: float, decimals: int, spread: float = math.nan) -> str:
    text = score_text(claim.metric, score, decimals, spread)
    return f"{text} %" if is_percent(claim.metric) else text


def _short(claim: Claim, value: float) -> str:
    """Return a figure that somebody wrote down, with no more digits than that has."""
    return f"{100 * value:.6g} %" if is_percent(claim.metric) else f"{value:.4g}"


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
