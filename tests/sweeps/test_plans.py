from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.documents import DocumentError, read_document
from sweeps.plans import PlanError, load_plan, parse_seeds, plan_names


def load(tmp_path: Path, text: str) -> list[tuple[str, str, tuple[int, ...], bool]]:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    cells = load_plan(str(path)).cells(tasks=["a", "b"], families=["x", "y"])
    return [(cell.task["name"], cell.family["name"], cell.seeds, cell.is_explicit) for cell in cells]


def test_a_plan_is_tasks_times_families_in_order(tmp_path: Path) -> None:
    text = "runs:\n- {tasks: [b, a], families: [y, x], seeds: 0-2}\n- {tasks: a, families: x, seeds: 7}\n"
    assert load(tmp_path, text) == [
        ("b", "y", (0, 1, 2), True),
        ("b", "x", (0, 1, 2), True),
        ("a", "y", (0, 1, 2), True),
        ("a", "x", (0, 1, 2), True),
        ("a", "x", (7,), True),
    ]


def test_all_stands_for_every_registered_name_and_may_meet_pairs_that_do_not_fit(tmp_path: Path) -> None:
    assert load(tmp_path, "runs: [{tasks: all, families: [x]}]") == [("a", "x", (0,), False), ("b", "x", (0,), False)]


def test_all_of_a_kind_stands_for_its_tasks(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("runs: [{tasks: all generation, families: [x]}]")
    plan = load_plan(str(path))
    assert plan.asks_for_kinds
    cells = plan.cells(tasks=["a", "b", "c"], families=["x"], kinds={"generation": ["b", "c"], "other": ["a"]})
    assert [(cell.task["name"], cell.is_explicit) for cell in cells] == [("b", False), ("c", False)]
    with pytest.raises(PlanError, match=r"Unknown kind 'generation' in `tasks` of plan 'own'.*Known: gener"):
        plan.cells(tasks=["a"], families=["x"], kinds={"generations": ["a"]})


def test_cells_do_not_share_their_settings(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("runs: [{tasks: [a, b], families: [x], settings: {budget: {epochs: 3}}}]")
    one, other = load_plan(str(path)).cells(tasks=[], families=[])
    one.settings["budget"]["epochs"] = 4
    assert other.settings == {"budget": {"epochs": 3}}


@pytest.mark.parametrize("name", plan_names())
def test_every_plan_that_ships_names_what_is_registered(name: str) -> None:
    from suite.family import FAMILIES
    from suite.task import KINDS, TASKS

    kinds = {kind: ["ring"] for kind in KINDS}
    cells = load_plan(name).cells(tasks=TASKS.names(), families=FAMILIES.names(), kinds=kinds)
    assert cells
    assert load_plan(name).description
    assert {cell.task["name"] for cell in cells} <= set(TASKS.names())
    assert {cell.family["name"] for cell in cells} <= set(FAMILIES.names())


@pytest.mark.parametrize(
    ("value", "seeds"),
    [
        ("0-4", [0, 1, 2, 3, 4]),
        ("0,3,7", [0, 3, 7]),
        ("5", [5]),
        (5, [5]),
        ([1, 2], [1, 2]),
        (["0-1", 9], [0, 1, 9]),
        ("3,1,3", [3, 1]),
        (" 1 , 2 ", [1, 2]),
        ("7-7", [7]),
    ],
)
def test_seeds_come_in_order_and_each_once(value: object, seeds: list[int]) -> None:
    assert parse_seeds(value) == seeds


@given(seeds=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20, unique=True))
def test_any_list_of_seeds_comes_back(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == seeds
    assert parse_seeds(seeds) == seeds


@given(low=st.integers(0, 10**6), count=st.integers(1, 500))
def test_a_range_holds_both_of_its_ends(low: int, count: int) -> None:
    assert parse_seeds(f"{low}-{low + count - 1}") == list(range(low, low + count))


@pytest.mark.parametrize("value", ["", "a", "-1", "2-1", "1.5", [], [True], [1.5], [None], None, "0-100000", "9" * 30])
def test_what_is_no_seed_is_an_error_with_the_value(value: object) -> None:
    with pytest.raises(PlanError, match=r"eed|range"):
        parse_seeds(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "'a' may be given once"),
        ("a: {b: 1, c: 2, b: 3}\n", "'b' may be given once"),
        ("- {a: 1, a: 1}\n", "'a' may be given once"),
        ("? [1]\n: 2\n", "unhashable key"),
        ("a: 2020-13-01\n", "month"),
        ("a: [", "expected"),
        ("[" * 3000 + "]" * 3000, "deep"),
        ("!!python/name:os.system ''", "constructor"),
    ],
)
def test_a_document_that_yaml_alone_would_bend_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(DocumentError, match=said) as caught:
        read_document(tmp_path / "own.yaml")
    assert "\n" not in str(caught.value)


def test_anchors_and_merges_are_read(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "base: &base {a: 1, b: 2}\nown: &own {<<: *base, b: 3}\nmore: {<<: *own, a: 4}\nlist: &x [1]\nagain: *x\n"
    )
    assert read_document(tmp_path / "own.yaml") == {
        "base": {"a": 1, "b": 2},
        "own": {"a": 1, "b": 3},
        "more": {"a": 4, "b": 3},
        "list": [1],
        "again": [1],
    }
