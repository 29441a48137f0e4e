"""Optuna's own plots of a study, as PNG files."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sweeps.records import Trial
from sweeps.samplers import quiet
from sweeps.space import Space
from sweeps.study import frozen, time_of
from sweeps.suggest import distributions

MOST_PARAMETERS = 6
"""Plots of parameters show the most important ones: with all of them nothing could be read."""
MOST_IN_CONTOUR = 2
"""With three there are nine panels, whose labels lie over each other."""
DPI = 100
SIZES = {"slice": (18, 5), "parallel": (12, 7), "importance": (10, 7)}
"""Inches, where a plot needs more room than matplotlib gives it."""


def draw(description: Mapping[str, Any], trials: Sequence[Trial]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return pictures by name, and for each that could not be drawn the reason.

    Not for two threads at once: Optuna draws through pyplot, and changes its style meanwhile.
    """
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    study = _study(description, trials)
    pictures: dict[str, bytes] = {}
    reasons: dict[str, str] = {}
    if not any(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.get_trials(deepcopy=False)):
        return {}, {"all": "no trial completed"}
    # Optuna sets a style for the whole process; the plots of runs are drawn in another.
    with matplotlib.rc_context(), warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        for name, plot in _plots(study, [objective["name"] for objective in description["objectives"]]):
            try:
                pyplot.rcParams["figure.figsize"] = SIZES.get(name, (8, 5))
                plot()
                figure = pyplot.gcf()
                if name in SIZES:
                    figure.set_size_inches(SIZES[name])
                pictures[name] = _png(figure)
            except Exception as error:  # a study may lack what one plot needs; the others are still worth having
                reasons[name] = f"{type(error).__name__}: {error}"
            finally:
                pyplot.close("all")
    return pictures, reasons


def _plots(study: optuna.Study, objectives: Sequence[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield name -> what draws it."""
    from optuna.visualization import matplotlib as plots

    target: dict[str, Any] = {"target": _first_value, "target_name": objectives[0]} if len(objectives) > 1 else {}
    shown = {"target_name": objectives[0], **target}
    ranked = _ranked(study, target)
    few = ranked[:MOST_PARAMETERS]
    yield "history", lambda: plots.plot_optimization_history(study, **shown)
    yield "timeline", lambda: plots.plot_timeline(study)
    if len(objectives) in (2, 3):
        yield "pareto", lambda: plots.plot_pareto_front(study, target_names=list(objectives))
    elif len(objectives) == 1:
        yield "intermediate", lambda: plots.plot_intermediate_values(study)
    if not ranked:
        return
    yield "slice", lambda: plots.plot_slice(study, params=few, **shown)
    if len(ranked) > 1:
        yield "importance", lambda: plots.plot_param_importances(study, **shown)
        yield "parallel", lambda: plots.plot_parallel_coordinate(study, params=few, **shown)
        yield "contour", lambda: plots.plot_contour(study, params=ranked[:MOST_IN_CONTOUR], **shown)


def _ranked(study: optuna.Study, target: Mapping[str, Any]) -> list[str]:
    """Return the parameters that every trial has, the most important ones first."""
    functions = {key: value for key, value in target.items() if key == "target"}
    try:
        return list(optuna.importance.get_param_importances(study, **functions))
    except (ValueError, RuntimeError):  # fewer than two trials, or all of one value
        complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return sorted(set.intersection(*(set(trial.params) for trial in complete)))


def _first_value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _study(description: Mapping[str, Any], trials: Sequence[Trial]) -> optuna.Study:
    """Return the study in memory, as a reader sees it."""
    space = distributions(Space.from_list(description["space"]))
    short = _short_names(list(space))
    known = {short[name]: distribution for name, distribution in space.items()}
    with quiet():
        study = optuna.create_study(
            study_name=description["study"],
            directions=[objective["direction"] for objective in description["objectives"]],
        )
    for trial in trials:
        if trial.is_over:
            params = {short[name]: value for name, value in trial.params.items()}
            row = frozen(dataclasses.replace(trial, params=params), known)
            row.datetime_start, row.datetime_complete = time_of(trial.started_at), time_of(trial.finished_at)
            study.add_trial(row)
    return study


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return names without their groups, where they are still told apart: axes have little room."""
    lasts = [name.partition(".")[2] or name for name in names]
    return {name: last if lasts.count(last) == 1 else name for name, last in zip(names, lasts, strict=True)}


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
    return buffer.getvalue()
