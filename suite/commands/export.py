"""Writes the model of a finished run to a file for use elsewhere, after checking that file on the test split.

  boltbench export digits-cnn-s0 --format onnx
  boltbench export digits-cnn-s0 --format exported-program --output model.pt2

The file takes inputs as the task stores them, in batches of any size, and holds names, shapes, normalisation, the
task's card and the run's id. It is read back, and is left only where its predictions are those of the run.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.console import complain, say
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.runs.export import Check
    from suite.runs.source import Source

TOLERANCE_HELP = "largest difference of an output, as a share of the largest one (default: 1e-4)"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", help="a run id, its beginning, or the path of its folder")
    parser.add_argument("--format", help="the format (`boltbench list formats` names them)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where (default: exports/RUN_ID.SUFFIX)")
    parser.add_argument("--tolerance", type=float, help=TOLERANCE_HELP)
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that the run needs")


def main(arguments: Namespace) -> int:
    """Check everything, then encode, check and write the file."""
    from suite.atomic import WriteError, write_bytes
    from suite.commands.shared import load_plugins, open_store
    from suite.extras import require
    from suite.format import FORMATS
    from suite.runs.export import TOLERANCE, encode_checked
    from suite.runs.source import open_source

    load_plugins(arguments.plugin)
    if arguments.format is None:
        raise UserError(f"--format must be given. Known: {', '.join(FORMATS.names())}.")
    format = FORMATS.get(arguments.format)
    tolerance = TOLERANCE if arguments.tolerance is None else arguments.tolerance
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise UserError(f"`--tolerance >= 0` must hold, and it must be finite, but got {arguments.tolerance}.")
    for package in format.packages:
        require(package, extra="export", purpose=f"--format {format.name}")
    folder = open_store(arguments).find(arguments.run)
    output = arguments.output or arguments.root / "exports" / f"{folder.run_id}{format.suffix}"
    _check_output(output, is_default=arguments.output is None, force=arguments.force)
    source = open_source(folder, purpose="exported")
    content, check = encode_checked(source, format(), tolerance)
    if not check.holds:
        complain(
            f"boltbench: The outputs of the file may differ by {check.allowed:.2g} at most, but differ by "
            f"{check.largest_difference:.2g} on the {check.num_examples} examples of the {check.split} split. "
            "Nothing was written."
        )
        return 1
    try:
        if arguments.output is None:
            output.parent.mkdir(parents=True, exist_ok=True)
        digest = write_bytes(output, content)
    except (WriteError, OSError) as error:
        complain(f"boltbench: The file {str(output)!r} could not be written ({error.strerror}). Give another --output.")
        return 1
    say(f"{folder.run_id} -> {output}")
    say(f"  {'content':<20}{len(content):,} bytes, sha256 {digest[:16]}...")
    _say_check(check, source)
    return 0


def _check_output(output: Path, *, is_default: bool, force: bool) -> None:
    if output.is_dir():
        raise UserError(f"--output must name a file, but {str(output)!r} is a folder.")
    if output.exists() and not force:
        raise UserError(f"{str(output)!r} is there already. Give another --output, or --force to replace it.")
    if not is_default and not output.parent.is_dir():
        raise UserError(f"The folder of --output must be there, but {str(output.parent)!r} is none. Create it first.")


def _say_check(check: Check, source: Source) -> None:
    say(f"  {'checked on':<20}{check.num_examples} examples of the {check.split} split, read back from the file")
    say(f"  {'largest difference':<20}{check.largest_difference:.3g} (allowed {check.allowed:.3g})")
    say(f"  {'equal predictions':<20}{check.equal_share:.2%}")
    metric = source.card.metric
    if check.score is not None:
        recorded = source.result["scores"].get(f"{check.split}/{metric}")
        beside = "" if recorded is None else f" (the run: {recorded:.4f})"
        say(f"  {f'{check.split}/{metric}':<20}{check.score:.4f}{beside}")
