"""A plan's cells, with what ``all`` and ``all KIND`` stand for here, and plans' errors in the user's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.console import complain
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.spec import RunSpec
    from sweeps.plans import Cell


def cells_of(name: str) -> list[Cell]:
    """Return the cells of a plan, their tasks and families known by name; nothing here needs torch."""
    from suite.family import FAMILIES
    from suite.task import TASKS
    from sweeps.plans import PlanError, load_plan

    try:
        plan = load_plan(name)
        kinds = _kinds() if plan.asks_for_kinds else None
        cells = plan.cells(tasks=TASKS.names(), families=FAMILIES.names(), kinds=kinds)
    except PlanError as error:
        raise UserError(str(error)) from error
    for cell in cells:
        TASKS.check(cell.task["name"])
        FAMILIES.check(cell.family["name"])
    return cells


def why_not_meant(spec: RunSpec) -> str | None:
    """Return why ``all`` in a plan does not stand for this pair, or None where it does."""
    if spec.misfit() is not None:
        return "`boltbench list` says why"
    if not spec.family.joins_all(spec.card()):
        return "it does not learn such a task by itself; a plan may name it"
    return None


def leave_out(task: str, reason: Exception) -> None:
    """Say that a task is left out of a plan that did not name it, and why."""
    complain(f"{task} is left out: {reason}")


def _kinds() -> dict[str, list[str]]:
    """Return kind -> tasks; a task that has no card before it is told something is left out by name."""
    from suite.task import KINDS, TASKS

    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in TASKS.names():
        try:
            found.setdefault(TASKS.get(name)().card().kind, []).append(name)
        except UserError as error:
            leave_out(name, error)
    return found
