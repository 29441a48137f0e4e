"""Published claims, found by name, with the runs that each of them needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import results
from results.claims.definition import Claim, parse_claims
from results.errors import ClaimError
from suite.engine.devices import Execution
from suite.errors import UserError, did_you_mean, shown, unknown_name
from suite.runs.beginning import origin_of, with_origin
from suite.runs.environment import code_sha256
from suite.runs.folder import RunFolder, Store
from suite.runs.prepare import Prepared, prepare
from suite.runs.source import open_source
from suite.spec import RunSpec, merge
from suite.transfer import Origin
from sweeps.documents import DocumentError, read_document
from sweeps.plans import PlanError, parse_seeds

FOLDER = Path(results.__file__).parent / "published"


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A claim whose runs are known: every spec is built, and fits its task."""

    claim: Claim
    seeds: tuple[int, ...]
    specs: tuple[RunSpec, ...]
    other_specs: tuple[RunSpec, ...]
    """Of the other setup, where the claim compares two."""
    pretraining: tuple[RunSpec, ...] = ()
    """The runs that the others begin with, one for each seed, where there are such."""

    def begun(self, store: Store) -> Resolved | None:
        """Return the claim with the runs that it begins with filled in; None while one of them is not completed."""
        if not self.pretraining:
            return self
        found: dict[int | None, Origin] = {}
        for spec in self.pretraining:
            folder = RunFolder(store.runs / run_id(spec))
            if folder.status() != "completed":
                return None
            found |= {spec.seed: origin_of(open_source(folder, purpose="begun with"), each_seed=True)}
        specs, others = (
            tuple(RunSpec.from_mapping(with_origin(spec.to_mapping(), found, spec.seed)) for spec in group)
            for group in (self.specs, self.other_specs)
        )
        return dataclasses.replace(self, specs=specs, other_specs=others, pretraining=())

    def prepare_pretraining(self, execution: Execution) -> list[Prepared]:
        """Return the runs that the others begin with, ready to start."""
        return [prepare(spec, execution) for spec in self.pretraining]

    def folders(self, store: Store) -> list[RunFolder]:
        """Return where the runs lie, made or not."""
        return [RunFolder(store.runs / run_id(spec)) for spec in (*self.specs, *self.other_specs)]

    def prepare(self, execution: Execution, store: Store) -> list[Prepared]:
        """Return the runs, ready to start, each once."""
        every = (*self.specs, *self.other_specs)
        found = {item.run_id: item for spec in every if (item := prepare(spec, execution, runs=store.runs))}
        return list(found.values())

    def anchor(self) -> float | None:
        """Return what the task computes for the claim to be held against, or None where it is held to another thing.

        Raises:
            UserError: The task has no such anchor.
        """
        name = self.claim.comparison.reference
        if not isinstance(name, str):
            return None
        anchors = self.specs[0].task.anchors()
        if name not in anchors:
            raise UserError(
                f"The claim {self.claim.name!r} is held against {shown(name)}, which the task "
                f"{self.specs[0].task.name!r} does not know.{did_you_mean(name, anchors)} Known: {', '.join(anchors)}."
            )
        return anchors[name]


def run_id(spec: RunSpec) -> str:
    """Return the id of a spec's run under the present code, without loading its data."""
    return spec.run_id(data_sha256=spec.card().sha256, code_sha256=code_sha256(spec))


def read_claims(path: Path) -> list[Claim]:
    """Return the claims of one YAML file.

    Raises:
        UserError: There is no such file, or it breaks the form.
    """
    try:
        return parse_claims(read_document(path), f"{path.name}")
    except FileNotFoundError as error:
        raise UserError(f"There is no file of claims {str(path)!r}.") from error
    except DocumentError as error:
        raise UserError(f"The claims in {str(path)!r} cannot be read: {error}.") from error
    except ClaimError as error:
        raise UserError(str(error)) from error


def published_claims() -> dict[str, Claim]:
    """Return every published claim by name, file by file.

    Raises:
        UserError: A file breaks the form, or two claims share a name.
    """
    found: dict[str, Claim] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        _add(found, read_claims(path))
    return found


def choose(names: Sequence[str]) -> dict[str, Claim]:
    """Return the claims that the names stand for: of claims, or of YAML files with claims; all where there are none.

    Raises:
        UserError: A name is unknown, or a file breaks the form.
    """
    published = published_claims()
    if not names:
        return published
    chosen: dict[str, Claim] = {}
    for name in names:
        if name.endswith((".yaml", ".yml")):
            _add(chosen, read_claims(Path(name)))
        elif name in published:
            chosen[name] = published[name]
        else:
            raise unknown_name("claim", name, published)
    return chosen


def resolve(claim: Claim, seeds: str | None = None) -> Resolved:
    """Build every spec of a claim.

    Raises:
        UserError: A setting is wrong, or the family cannot take on the task; the message names the claim.
    """
    try:
        chosen = tuple(parse_seeds(claim.seeds if seeds is None else seeds))
        specs = _specs(claim.setup, chosen)
        other = claim.other_setup
        other_specs = () if other is None else _specs(merge(claim.setup, other), chosen)
        pretraining = () if claim.pretraining is None else _specs(claim.pretraining, chosen)
        if other_specs and other_specs[0] == specs[0]:
            raise UserError("the two setups are the same")
    except (UserError, PlanError) as error:
        raise UserError(f"The claim {claim.name!r} cannot be run: {error}") from error
    return Resolved(claim, chosen, specs, other_specs, pretraining)


def _specs(setup: Mapping[str, Any], seeds: Sequence[int]) -> tuple[RunSpec, ...]:
    spec = RunSpec.from_mapping(setup)
    reason = spec.family.misfit(spec.card())
    if reason is not None:
        raise UserError(f"the family {spec.family.name!r} cannot take on the task {spec.task.name!r}: {reason}")
    return tuple(spec.with_seed(seed) for seed in seeds)


def _add(found: dict[str, Claim], claims: Sequence[Claim]) -> None:
    for claim in claims:
        if claim.name in found:
            raise UserError(f"Claims must have names of their own, but {claim.name!r} is there twice.")
        found[claim.name] = claim
