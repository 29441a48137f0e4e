"""From the runs that --init-from or a plan names to the origin that a spec holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.errors import UserError, shown
from suite.runs.folder import Store
from suite.runs.source import Source, open_source
from suite.transfer import Origin


def origins(names: Sequence[str], runs: Path) -> dict[int | None, Origin]:
    """Return the origin for each seed: that under None is for every seed.

    Args:
        names: One run, for every seed; or several of one configuration, each for its own seed. The beginning of a run
            id is enough.
        runs: Where finished runs lie.

    Raises:
        UserError: A run is not there, not completed, damaged or elsewhere; or several do not go together.
    """
    sources = [_open(name, runs) for name in names]
    if len(sources) == 1:
        return {None: origin_of(sources[0], each_seed=False)}
    configurations = {source.result["config_id"] for source in sources}
    seeds = [source.spec.seed for source in sources]
    if len(configurations) > 1 or len(set(seeds)) < len(seeds):
        raise UserError(
            f"Several runs to begin with must be seeds of one configuration, but {', '.join(names)} have the "
            f"configurations {', '.join(sorted(configurations))} and the seeds {', '.join(map(str, seeds))}. "
            "Name one run for all seeds, or one for each."
        )
    return {source.spec.seed: origin_of(source, each_seed=True) for source in sources}


def with_origin(mapping: Mapping[str, Any], found: Mapping[int | None, Origin], seed: object) -> dict[str, Any]:
    """Return the spec ``mapping`` with the origin for ``seed``, and that seed, which may come from a file unchecked.

    Raises:
        UserError: No run is named for this seed.
    """
    origin = found.get(None)
    if origin is None and isinstance(seed, int):
        origin = found.get(seed)
    if found and origin is None:
        seeds = ", ".join(str(item) for item in found)
        raise UserError(
            f"Each seed must have a run to begin with, but there is none for seed={seed}: the runs that are named have "
            f"{seeds}. Take these --seeds, or name one run for all."
        )
    return {**mapping, "seed": seed} | ({} if origin is None else {"origin": origin.to_mapping()})


def read_names(text: str) -> list[str]:
    """Return the runs that a flag or a plan names, with commas between."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UserError(f"--init-from must name a run, or several with commas between, but got {shown(text)}.")
    return names


def named_in(mapping: dict[str, Any], runs: Path) -> dict[int | None, Origin]:
    """Take the bare names under ``origin`` out of a spec's mapping; return what they stand for, nothing where none is.

    A mapping under ``origin`` is what a spec holds already, and stays.
    """
    named = mapping.get("origin")
    if not isinstance(named, str):
        return {}
    del mapping["origin"]
    return origins(read_names(named), runs)


def _open(name: str, runs: Path) -> Source:
    folder = Store(runs.parent).find(name)
    if folder.path.parent.resolve() != runs.resolve():
        raise UserError(
            f"A run lies beside the one that it begins with, but {str(folder.path)!r} is not under {str(runs)!r}. "
            f"Give --root {folder.path.parent.parent}."
        )
    return open_source(folder, purpose="begun with")


def origin_of(source: Source, *, each_seed: bool) -> Origin:
    """Return what a spec says of the run that it begins with."""
    return Origin(
        run_id=source.folder.run_id,
        config_id=source.result["config_id"],
        weights=source.weights_sha256,
        each_seed=each_seed,
    )
