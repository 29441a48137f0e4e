"""Exports: exact for programs, rounded alike for readers, and the same bytes each time."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from results.across import aggregate, critical_difference
from results.errors import LeaderboardError
from results.export import SUFFIXES, escape, export, file_names
from results.leaderboard import leaderboard
from results.records import load_records
from results.text import decimals_for, score_text


def board(runs, task="digits"):
    return leaderboard(load_records(runs.path), task)


def text(table, format, columns=None):
    return export(table, format, columns).decode()


def test_markdown_shows_accuracy_in_percent_with_two_decimals(runs):
    runs.add_seeds([0.9569, 0.9611, 0.9653], changed={"family.width": 128}, determinism="deterministic")
    runs.add(config_id="bad", family="cnn", status="diverged", scores=None, cost=None, selection=None, digests=None)
    assert text(board(runs), "markdown").splitlines() == [
        "| rank | family | setting | accuracy (%) | interval | group | val | seeds | failed | parameters | seconds "
        "| determinism |",
        "| ---: | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |",
        "| 1 | mlp | family.width=128 | 96.11 ± 0.42 | [95.07, 97.15] |  | 97.00 | 3 | 0 | 5,210 | 1.9 "
        "| deterministic |",
        "|  | cnn | default |  |  |  |  | 0 | 1 |  |  | seeded |",
        "",
        "digits: test accuracy (%), higher is better, floor 10.00. Mean ± sd over 3 seeds. Interval: 95 % for the "
        "mean, Student's t. A single test over 3 seeds finds a difference of 1.94 in four of five cases; "
        "Holm's correction for all pairs asks for more. 1 of 4 runs did not complete.",
    ]


def test_one_seed_says_so_in_the_place_of_its_interval(runs):
    runs.add(test=0.9)
    shown = text(board(runs), "markdown")
    assert "| 90.00 | one seed |  |" in shown
    assert "One seed tells nothing of how sure a place is" in shown


def test_markdown_escapes_what_would_break_a_cell(runs):
    runs.add(changed={"data.order": "a|b\n`c` <b>"})
    shown = text(board(runs), "markdown")
    assert r"data.order=a\|b \`c\` \<b>" in shown
    assert {line.replace(r"\|", "").count("|") for line in shown.splitlines() if line.startswith("|")} == {13}


def test_a_backslash_does_not_undo_the_escape_after_it():
    assert escape("\\|") == "\\\\\\|"


@pytest.fixture
def three(runs):
    for config_id, scores in (("a", [0.95, 0.96, 0.97]), ("b", [0.96, 0.94, 0.95]), ("c", [0.2, 0.21, 0.22])):
        runs.add_seeds(scores, config_id=config_id, family=config_id, changed={"data.order": "50% & <_>"})
    return board(runs)


def test_latex_marks_the_best_and_those_not_told_apart_and_escapes_the_rest(three):
    lines = text(three, "latex", ["family", "setting", "score"]).splitlines()
    assert lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")] == [
        r"a & data.order=50\% \& \textless{}\_\textgreater{} & \textbf{96.00 $\pm$ 1.00} \\",
        r"b & data.order=50\% \& \textless{}\_\textgreater{} & \underline{95.00 $\pm$ 1.00} \\",
        r"c & data.order=50\% \& \textless{}\_\textgreater{} & 21.00 $\pm$ 1.00 \\",
    ]
    assert r"\begin{tabular}{llr}" in lines


class _Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells, self.depth = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.cells.append((self.open[-1], data))


def test_html_is_one_closed_table_with_every_value_escaped(three):
    parser = _Cells()
    parser.feed(text(three, "html", ["family", "setting", "score"]))
    assert parser.open == []
    assert [cell for cell in parser.cells if cell[0] in ("strong", "u")] == [
        ("strong", "96.00 ± 1.00"),
        ("u", "95.00 ± 1.00"),
    ]
    assert ("td", "data.order=50% & <_>") in parser.cells


def test_csv_keeps_full_precision_and_names_what_it_holds(runs):
    runs.add_seeds([1 / 3, 0.7, 2 / 3], changed={"family.channels": [16, 32]})
    runs.add(config_id="bad", status="failed", scores=None)
    table = board(runs)
    first, last = csv.DictReader(io.StringIO(text(table, "csv")))
    assert float(first["mean"]) == table.loc[0, "mean"]
    assert float(first["sd"]) == table.loc[0, "sd"]
    assert (first["task"], first["metric"], first["direction"]) == ("digits", "accuracy", "maximize")
    assert first["setting"] == "family.channels=[16, 32]"
    assert (last["rank"], last["mean"], last["sd"], last["n"], last["failed"]) == ("", "", "", "0", "1")
    assert list(first)[3:] == list(table.columns)
    assert "task" not in table.columns


def test_json_and_parquet_keep_every_value_and_say_what_they_are(three):
    content = json.loads(text(three, "json"))
    rows = pd.DataFrame(content["rows"], columns=content["columns"]).astype(dict(three.dtypes))
    assert_frame_equal(rows, three, check_exact=True)
    file = io.BytesIO(export(three, "parquet"))
    assert_frame_equal(pd.read_parquet(file), three, check_exact=True)
    about = json.loads(pq.read_metadata(file).metadata[b"boltbench"])
    assert about == {key: content[key] for key in content if key not in ("columns", "rows")}
    assert about["task"] == "digits"


@pytest.mark.parametrize("format", SUFFIXES)
def test_equal_records_give_equal_bytes_in_every_view(make_runs, format):
    exports = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        runs = make_runs()
        for seed in order:
            for family in ("mlp", "cnn") if seed else ("cnn", "mlp"):
                for task in ("digits", "mnist1d"):
                    score = 0.1 * seed + (0.11 if family == "cnn" else 0.1)
                    runs.add(family=family, task=task, seed=seed, test=score)
        records = load_records(runs.path)
        tables = [leaderboard(records, "digits"), aggregate(records), critical_difference(records)]
        exports.append([export(table, format) for table in tables])
    assert exports[0] == exports[1]


def test_another_process_gives_the_same_bytes(three, runs):
    """Nothing rests on a process: hashes of texts are seeded anew in each."""
    code = (
        "import hashlib, sys\nfrom pathlib import Path\nfrom results.export import SUFFIXES, export\n"
        "from results.leaderboard import leaderboard\nfrom results.records import load_records\n"
        "table = leaderboard(load_records(Path(sys.argv[1])), 'digits')\n"
        "print(*(hashlib.sha256(export(table, name)).hexdigest() for name in SUFFIXES))"
    )
    command = [sys.executable, "-c", code, str(runs.path)]
    found = {
        subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_an_unknown_column_is_answered_with_the_nearest(three):
    with pytest.raises(LeaderboardError, match=r"no column 'parametres'\. Did you mean 'parameters'"):
        export(three, "markdown", ["family", "parametres"])


def test_all_columns_and_the_cost_read_as_they_should(runs):
    cost = {"seconds": 1.25, "steps": 4, "epochs": 1.0, "num_parameters": 1234567, "flops_per_step": 8}
    cost |= {"flops_per_example": 2.5e6, "peak_memory_mib": 310.5, "energy_joules": None, "device": "cpu"}
    folder = runs.add(cost=cost)
    runs.add_tuning(folder)
    header, _, row, *_ = text(board(runs), "markdown", ["all"]).splitlines()
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["parameters"] == "1,234,567"
    assert cells["flops/example"] == "2.5 M"
    assert (cells["MiB"], cells["joules"]) == ("310", "")
    assert (cells["tuning"], cells["trials"], cells["search s"], cells["device s"]) == ("winner", "8", "60", "90")
    assert "| 8 |" in text(board(runs), "markdown"), "the bill is shown by default where there is one"


def test_no_two_tables_share_a_file():
    names = file_names(["a(b=1)", "a b=1", "a_b=1", "(("])
    assert list(names.values()) == ["a_b=1", "a_b=1-2", "a_b=1-3", "_"]


@pytest.mark.parametrize(
    ("metric", "scores", "decimals"),
    [
        ("accuracy", [0.00001], 2),
        ("loss", [0.1234567, 5.0], 4),
        ("loss", [0.0, float("nan")], 2),
        ("fid", [351.2], 2),
        ("mse", [1.2e-5], 8),
        ("mse", [1e-12], 8),
    ],
)
def test_decimals_keep_four_digits_within_bounds(metric, scores, decimals):
    assert decimals_for(metric, scores) == decimals


def test_a_score_reads_with_its_deviation_where_there_is_one():
    assert score_text("accuracy", 0.9611, 2, 0.0042) == "96.11 ± 0.42"
    assert score_text("loss", 1.5, 3) == "1.500"
    assert score_text("loss", -0.0001, 2) == "0.00"
    assert score_text("loss", math.nan, 3) == ""


def test_a_minimised_metric_says_so(runs):
    for seed, score in enumerate([0.5, 0.25]):
        runs.add(seed=seed, metric="mse", direction="minimize", floor=1.0, test=score, val=0.125)
    shown = text(board(runs), "markdown")
    assert "| mse | interval |" in shown
    assert "test mse, lower is better, floor 1.0000. Mean ± sd over 2 seeds." in shown
    assert "| 0.3750 ± 0.1768 | [-1.2133, 1.9633] |  | 0.1250 |" in shown
