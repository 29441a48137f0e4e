"""Ways of compressing in one table, and which of them are on a front."""

from typing import Any

from results.compressed import way_of, ways


def result(run_id: str, parent: str, *, val: float, size: int, one: float, share: float | None) -> dict[str, Any]:
    changed = {"compression.method": "prune", "budget.epochs": 3}
    return {
        "run_id": run_id,
        "parent": parent,
        "metric": "accuracy",
        "direction": "maximize",
        "scores": {"val/accuracy": val, "test/accuracy": val - 0.01},
        "changed": changed | ({} if share is None else {"compression.share": share}),
        "spec": {"compression": {"share": 0.9 if share is None else share, "scope": "global"}},
        "compression": {
            "bytes": size,
            "original_bytes": 1000,
            "latency_one_seconds": one,
            "original_latency_one_seconds": 2.0,
            "latency_batch_seconds": 3.0,
            "original_latency_batch_seconds": 3.0,
        },
    }


def original(run_id: str, val: float) -> dict[str, Any]:
    return {"run_id": run_id, "scores": {"val/accuracy": val, "test/accuracy": val}}


def test_runs_of_one_way_are_a_row_and_val_scores_decide_the_fronts() -> None:
    table = ways(
        [
            result("a0", "r0", val=0.90, size=200, one=1.0, share=None),
            result("a1", "r1", val=0.94, size=220, one=3.0, share=None),
            result("b0", "r0", val=0.80, size=300, one=1.0, share=0.5),
        ],
        [original("r0", 0.95), original("r1", 0.97)],
        ["compression.share"],
    )
    assert list(table["way"]) == ["prune (share=0.9)", "prune (share=0.5)", "original"], "the smallest first"
    assert list(table["num_runs"]) == [2, 1, 2]
    assert list(table["val"].round(4)) == [0.92, 0.80, 0.96]
    assert list(table["bytes"]) == [210, 300, 1000]
    assert list(table["latency_one"]) == [1.0, 0.5, 1.0]
    assert list(table["fronts"]) == [
        ("bytes",),  # as slow as the original, and worse
        ("latency_one",),
        ("bytes", "latency_one", "latency_batch"),
    ]


def test_a_way_is_called_by_what_is_varied_and_by_what_is_not_its_default() -> None:
    run = result("a", "r", val=0.9, size=1, one=1.0, share=None)
    assert way_of(run) == "prune"
    assert way_of(run, ["compression.scope", "compression.share"]) == "prune (scope=global, share=0.9)"
    run["changed"]["compression.share"] = 0.5
    run["spec"]["compression"]["share"] = 0.5
    assert way_of(run) == "prune (share=0.5)"
