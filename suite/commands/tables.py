"""How a verb that makes tables prints them or writes them to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from suite.console import say, show
from suite.errors import UserError, did_you_mean, shown

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_FORMATS = ("markdown", "csv")


def formats_of(given: str | None, output: Path | None) -> list[str]:
    """Return the formats to write; none where a table is for the terminal.

    Args:
        given: The formats as named by a flag, or None.
        output: The folder or file to write to, or None.

    Raises:
        UserError: A format is unknown, or cannot go where it should.
    """
    from results.export import BINARY, SUFFIXES

    if given is None:
        by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
        if output is None:
            return []
        return [by_suffix[output.suffix[1:]]] if _is_file(output) else list(DEFAULT_FORMATS)
    formats = [name.strip() for name in given.split(",")]
    for name in formats:
        if name not in SUFFIXES:
            raise UserError(
                f"--format must be among {', '.join(SUFFIXES)}, but got {shown(name)}.{did_you_mean(name, SUFFIXES)}"
            )
        if name in BINARY and output is None:
            raise UserError(f"--format {name} is for files; name one with --output.")
    if output is not None and _is_file(output) and len(formats) > 1:
        raise UserError(f"--output {str(output)!r} is one file, but there are {len(formats)} formats. Name a folder.")
    return formats


def print_tables(tables: dict[str, pd.DataFrame], formats: list[str], columns: list[str] | None = None) -> None:
    """Print tables, for the terminal or in formats."""
    from results.export import export
    from results.terminal import render

    rendered = [
        *(render(table, columns) for table in tables.values() if not formats),
        *(export(table, name, columns).decode() for table in tables.values() for name in formats),
    ]
    for item in rendered:  # all made before the first is shown: an error leaves no half of the output behind
        if isinstance(item, str):
            say(item.rstrip("\n"))
        else:
            show(item)


def write_tables(
    output: Path, tables: dict[str, pd.DataFrame], formats: list[str], columns: list[str] | None = None
) -> None:
    """Write tables to a folder, one file per table and format, or one table to one file.

    Raises:
        UserError: There are several tables for one file, or it cannot be written.
    """
    from results.export import SUFFIXES, export, file_names
    from suite.atomic import write_bytes

    if _is_file(output):
        if len(tables) > 1:
            raise UserError(f"--output {str(output)!r} is one file, but there are {len(tables)} tables. Name a folder.")
        paths = {(name, formats[0]): output for name in tables}
    else:
        names = file_names(list(tables))
        paths = {(name, kind): output / f"{names[name]}.{SUFFIXES[kind]}" for name in tables for kind in formats}
    contents = {path: export(tables[name], kind, columns) for (name, kind), path in paths.items()}
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        except OSError as error:
            raise UserError(f"--output must be writable, but {str(path)!r}: {error.strerror}.") from error
        say(f"wrote {path}")


def _is_file(output: Path) -> bool:
    from results.export import SUFFIXES

    return not output.is_dir() and output.suffix[1:] in SUFFIXES.values()
