"""The document: whole, alone, escaped, the same bytes for the same records."""

import itertools
import json
import re

import pandas as pd
import pytest

from results.errors import LeaderboardError
from results.records import load_records
from results.report.build import build_report
from results.report.runs import MAX_MESSAGE
from results.report.sources import Sources, from_places
from results.report.tasks import MAX_FAILURES, MAX_ROWS, MAX_RUNS
from tests.results.report.pages import ADDRESSES, HOSTILE, Page, fill


@pytest.fixture(scope="module")
def filled(make_runs):
    runs = make_runs()
    fill(runs)
    return runs


def report(runs, **options):
    return build_report(load_records(runs.path), sources=from_places([runs.path]), **options)


@pytest.fixture(scope="module")
def text(filled):
    return report(filled)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_equal_records_give_equal_bytes_whatever_the_order_on_disk(filled, make_runs, text):
    other = make_runs()
    for folder in sorted(filled.path.iterdir(), reverse=True):
        folder.rename(other.path / folder.name)
    try:
        assert report(other) == text
    finally:
        for folder in other.path.iterdir():
            folder.rename(filled.path / folder.name)


def test_nothing_in_the_page_points_outside(page, text):
    for element in page.elements:
        for name in ADDRESSES:
            if name in element.attributes:
                assert element.attributes[name].startswith(("#", "data:image/")), (element.tag, element.attributes)
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", without_pictures)


def test_the_policy_lets_the_browser_load_nothing_and_run_this_script_alone(page):
    (policy,) = page.all("meta", http_equiv="Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    assert rules["default-src"] == "'none'"
    for kind in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules[kind]), rules[kind]
    # What the policy forbids would fail in silence.
    assert not [element for element in page.elements if "style" in element.attributes]
    assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]


def test_words_of_a_record_are_text_and_never_markup(page, text):
    assert page.text.count(HOSTILE) >= 3, "as a family, as a setting and as a message"
    assert HOSTILE not in text
    assert len(page.all("script")) == 1
    assert page.all("img", src="x") == []


def test_a_title_is_text_too(filled):
    hostile = Page(report(filled, title="<b>all</b>"))
    assert hostile.text_of("h1") == ["<b>all</b>"]
    assert hostile.text_of("title")[0] == "<b>all</b>"


def test_ids_are_unique_and_every_link_and_reference_leads_to_one(page):
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    wanted = [element.attributes["href"][1:] for element in page.all("a")]
    for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
        wanted += [word for element in page.elements for word in element.attributes.get(name, "").split()]
    clips = [element.attributes["clip-path"] for element in page.elements if "clip-path" in element.attributes]
    wanted += [re.fullmatch(r"url\(#(.*)\)", clip)[1] for clip in clips]
    assert wanted
    assert set(wanted) <= set(ids)


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_landmarks_captions_and_scopes_are_there(page):
    for landmark in ("header", "nav", "main", "footer"):
        assert page.all(landmark)
    assert page.all("html", lang="en")
    assert len(page.all("table", class_="board")) == len(page.all("caption"))
    assert all(element.attributes.get("scope") in ("col", "row") for element in page.all("th"))
    assert all(element.attributes["type"] == "button" for element in page.all("button"))
    for scroller in page.all("div", class_="scroll"):
        assert scroller.attributes["tabindex"] == "0"
        assert scroller.attributes["aria-label"]


def test_every_drawing_says_what_it_is(page):
    charts = page.all("svg", class_="chart")
    assert charts
    for svg in page.all("svg"):
        named = svg.attributes.get("aria-label") or svg.attributes.get("aria-labelledby")
        assert svg.attributes.get("aria-hidden") == "true" or (svg.attributes["role"] == "img" and named)
    assert len(page.all("details", class_="data")) == len(charts), "a table says the same"


def test_every_run_has_the_command_that_makes_it_again(filled, page):
    commands = set(page.text_of("code"))
    for run_id in load_records(filled.path)["run_id"]:
        assert f"boltbench replay {run_id}" in commands


def test_failed_and_diverged_runs_stand_there_with_their_message(page):
    assert "the loss was NaN at step 31" in page.text
    assert {"diverged", "failed"} <= set(page.text_of("span"))


def test_a_long_message_is_cut_with_a_word_that_says_so(runs):
    runs.add(test=0.9)
    runs.add(status="failed", config_id="f0", message="x" * 5 * MAX_MESSAGE, scores=None)
    text = report(runs)
    assert "x" * (MAX_MESSAGE + 1) not in text
    assert "… (shortened)" in text


def test_a_row_says_what_it_sets_otherwise_than_the_row_above(page):
    found = list(zip(page.text_of("del"), page.text_of("ins"), strict=True))
    assert ("cnn", "mlp") in found
    between_widths = [pair for pair in found if set(pair) == {"64", "128"}]
    assert len(between_widths) == 1


def test_settings_that_all_rows_share_are_said_once(runs):
    for family in ("cnn", "mlp"):
        runs.add(
            test=0.9, family=family, changed={"budget.epochs": 8, "optimization.lr": {"cnn": 0.1, "mlp": 0.2}[family]}
        )
    page = Page(report(runs))
    assert [text.strip() for text in page.text_of("span") if text.startswith("Every row")] == ["Every row: epochs=8."]
    own = [element for element in page.all("span", class_="own")]
    assert len(own) == 2
    assert "lr=0.1" in page.text_of("span")


def test_a_configuration_without_a_score_comes_last_and_breaks_nothing(runs):
    runs.add(family="mlp", test=0.9)
    runs.add(family="rnn", config_id="d0", status="diverged", message="NaN", scores=None, selection=None)
    page = Page(report(runs))
    assert [element.attributes["data-value"] for element in page.all("td", class_="rank")] == ["1", ""]


def test_only_failures_still_give_a_page(runs):
    runs.add(status="failed", message="no memory", scores=None, selection=None, cost=None)
    page = Page(report(runs))
    assert "no memory" in page.text
    assert page.all("svg", class_="chart") == []


def test_trials_of_a_sweep_are_told_and_not_ranked(runs):
    runs.add(test=0.9)
    spec = json.loads((runs.path / "digits-mlp-s0-9c1d02ab44" / "result.json").read_text())["spec"]
    trial = spec | {"evaluation": {"test": False}}
    runs.add(config_id="t0", spec=trial, scores={"val/accuracy": 0.99})
    page = Page(report(runs))
    assert len(page.all("tbody", class_="config")) == 1
    assert "1 trial of a sweep is not ranked." in page.text
    only_trials = load_records(runs.path)
    with pytest.raises(LeaderboardError, match="trials of sweeps alone"):
        build_report(only_trials[only_trials["purpose"] == "trial"])


def test_a_row_says_how_sure_its_place_is(runs):
    runs.add_seeds([0.91, 0.92, 0.93], family="cnn", config_id="c0")
    runs.add_seeds([0.71, 0.72, 0.73], family="mlp", config_id="c1")
    page = Page(report(runs))
    assert [cell.attributes["data-value"] for cell in page.all("td", class_="group")] == ["a", "b"]
    assert "Told apart from the first row (p < 0.001;" in page.text
    lows = [float(cell.attributes["data-value"]) for cell in page.all("td", class_="interval")]
    assert lows == pytest.approx([0.92 - 4.302653 * 0.01 / 3**0.5, 0.72 - 4.302653 * 0.01 / 3**0.5], abs=1e-6)
    assert "[89.52, 94.48]" in page.text


def test_columns_of_costs_that_no_run_has_are_left_out(runs):
    runs.add(test=0.9)
    keys = {
        item.attributes["class"].split()[-1] for item in Page(report(runs)).all("th") if "aria-sort" in item.attributes
    }
    assert {"score", "num_parameters", "seconds", "peak_memory_mib"} <= keys
    assert not {"energy_joules", "tuning_trials", "failed", "interval"} & keys


def test_one_seed_has_no_interval(runs):
    runs.add(test=0.9)
    page = Page(report(runs))
    assert page.all("circle", class_="dot")
    assert page.all("rect", class_="interval") == []


def test_only_the_tasks_that_were_asked_for_are_shown(filled):
    page = Page(report(filled, tasks=["digits-reconstruction"]))
    assert len(page.all("section", class_="task")) == 1
    assert "boltbench replay digits-hostile" not in page.text


def test_no_runs_and_unknown_tasks_are_refused(runs, filled):
    with pytest.raises(LeaderboardError, match="at least one finished run"):
        report(runs)
    with pytest.raises(LeaderboardError, match="Did you mean 'digits'"):
        report(filled, tasks=["digit"])


def test_a_damaged_curve_is_refused_and_never_drawn(runs):
    folder = runs.add(test=0.9)
    runs.write_metrics(folder, [{"step": "one", "epoch": 1, "train/loss": [0.1]}])
    with pytest.raises(ValueError, match="must be numbers"):
        report(runs)


def test_what_is_too_much_for_a_page_is_capped_with_a_word_that_says_so(runs, monkeypatch):
    for name, value in (("MAX_ROWS", 3), ("MAX_RUNS", 2), ("MAX_FAILURES", 1)):
        monkeypatch.setattr(f"results.report.tasks.{name}", value)
    monkeypatch.setattr("results.report.task_figures.MAX_POINTS", 4)
    assert min(MAX_ROWS, MAX_RUNS, MAX_FAILURES) > 3
    for index in range(5):
        for seed, score in enumerate((0.9, 0.91, 0.92)):
            folder = runs.add(test=score, seed=seed, config_id=f"c{index}", changed={"family.width": index})
            runs.change(folder, lambda result, index=index: result["cost"].update(num_parameters=100 + index))
    for seed in range(2):
        runs.add(config_id="f0", seed=seed, status="failed", message="no", scores=None)
    page = Page(report(runs))
    assert len(page.all("tbody", class_="config")) == 3
    assert "The first 3 of 6 configurations are shown." in page.text
    assert "2 of 3 runs are shown" in page.text
    assert "The last 1 of the leaderboard are not drawn." in page.text
    assert "1 of 2 are shown" in page.text
    assert "boltbench leaderboard --format csv" in page.text_of("code")


def test_methods_are_compared_across_tasks(runs):
    for task in ("digits", "mnist1d"):
        for family, score in (("cnn", 0.9), ("mlp", 0.7), ("rnn", 0.6)):
            runs.add_seeds([score, score + 0.01, score - 0.02], task=task, family=family, config_id=f"{task}{family}")
    page = Page(report(runs))
    assert page.all("section", id="across")
    assert [cell.attributes["data-value"] for cell in page.all("td", class_="mean_rank")] == ["1.0", "2.0", "3.0"]
    assert len(page.all("path", class_="elbow")) == 3
    assert "3 methods with scores on all of digits and mnist1d." in page.text


def test_tasks_without_common_methods_say_why_they_are_not_compared(page):
    assert page.all("section", id="across")
    assert "A comparison needs at least two methods" in page.text


def test_one_task_has_no_section_across_tasks(runs):
    runs.add(test=0.9)
    assert Page(report(runs)).all("section", id="across") == []


def test_searches_are_shown_at_equal_numbers_of_trials(runs):
    runs.add(test=0.9)
    trials = pd.DataFrame(
        {
            "study": "s",
            "task_label": "digits",
            "family": "cnn",
            "metric": "accuracy",
            "direction": "maximize",
            "sampler": "tpe",
            "number": range(6),
            "status": "completed",
            "value": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            "seconds": 60.0,
        }
    )
    text = Page(build_report(load_records(runs.path), sources=Sources(trials=trials))).text
    assert "75.00 (#1)" in text, "the expected best of one trial is their mean"
    assert "Best of k trials" in text
    assert "6 min" in text
