"""The plots of a finished study, in its folder."""

from __future__ import annotations

from collections.abc import Callable

from suite.atomic import write_bytes
from suite.runs.study_mirror import PLOTS
from sweeps.records import StudyFolder


def draw_plots(folder: StudyFolder, complain: Callable[[str], None]) -> None:
    """Draw every plot that the study allows; one that cannot be drawn is told, and harms nothing."""
    from sweeps.plots import draw

    description = folder.description()
    assert description is not None
    pictures, reasons = draw(description, folder.trials())
    (folder.path / PLOTS).mkdir(exist_ok=True)
    for name, content in pictures.items():
        write_bytes(folder.path / PLOTS / f"{name}.png", content)
    for name, reason in reasons.items():
        complain(f"{folder.name}: the plot {name!r} cannot be drawn ({reason}).")
