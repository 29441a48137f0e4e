"""Published numbers that were measured again here: one row for each claim that has a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from markupsafe import Markup

import results
from results.claims.definition import Claim, parse_claims
from results.claims.markdown import cells_of, summary
from results.report.columns import Cell, Column
from results.report.figures.svg import element
from results.report.tables import Table

PUBLISHED: Final = Path(results.__file__).parent / "published"
COLUMNS: Final = (
    ("method", "claim", "The claim; results/published holds its source and setup."),
    ("published", "published", "What the source says."),
    ("condition", "reproduced where", "Where the interval must lie for the claim to hold."),
    ("measured", "measured", "Mean ± standard deviation here, and the number of seeds."),
    ("interval", "90 % interval", "Of the mean measured here: two one-sided tests at 5 % each."),
    ("verdict", "verdict", "What the interval says."),
    ("date", "on", "When it was measured."),
    ("remarks", "notes", "What a reader must know."),
)


@dataclasses.dataclass(frozen=True)
class ClaimsView:
    """The section on claims."""

    summary: str
    table: Table


def published_claims() -> list[Claim]:
    """Return every published claim, file by file.

    Raises:
        ClaimError: A file breaks the form.
    """
    paths = sorted(PUBLISHED.glob("*.yaml"))
    return [claim for path in paths for claim in parse_claims(yaml.safe_load(path.read_text("utf-8")), str(path))]


def claims_view(verdicts: Mapping[str, Mapping[str, Any]]) -> ClaimsView | None:
    """Return the section, or None where no published claim has a verdict.

    Args:
        verdicts: What `results.claims.verdicts.read_verdicts` returns.
    """
    if not verdicts:
        return None
    claims = published_claims()
    rows = [
        (verdict, cells_of(claim, verdict, verdict["environments"]))
        for claim in claims
        if (verdict := verdicts.get(claim.name)) is not None
    ]
    if not rows:
        return None
    columns = []
    for index, (key, header, meaning) in enumerate(COLUMNS):
        texts = [str(verdict["measured_on"]) if key == "date" else cells[index] for verdict, cells in rows]
        cells = [Cell(_verdict(text) if key == "verdict" else text, text) for text in texts]
        columns.append(Column(key, header, meaning, cells, is_text=True))
    others = len(verdicts) - len(rows)
    more = f" {others} verdicts on claims of other files are not shown." if others else ""
    return ClaimsView(f"{summary(claims, verdicts)}{more}", Table("Claims", columns, more="boltbench verify"))


def _verdict(text: str) -> Markup:
    return element("span", text, class_=f"verdict-{text.lower().replace(' ', '-')}")
