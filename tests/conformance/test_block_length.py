"""The length of a block changes no bit, whatever drives the steps."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from suite.engine.optimization import OptimizerName
from suite.engine.schedules import ScheduleName
from suite.task import Task
from tests.small import settings_of, small

pytestmark = pytest.mark.usefixtures("registered_toys")

# Each reacts within the few steps of these runs.
QUICK = {"decay_every_steps": 2, "plateau_patience": 0, "warmup_fraction": 0.4, "final_lr_fraction": 0.1}
VARIANTS: list[dict[str, Any]] = [
    *({"optimization": {"optimizer": name, "lr": 0.05}} for name in get_args(OptimizerName)),
    *({"optimization": {"schedule": name, "lr": 0.05, **QUICK}} for name in get_args(ScheduleName)),
    {"optimization": {"precision": "bf16"}, "regularization": {"dropout": 0.4, "label_smoothing": 0.1}},
    {"optimization": {"optimizer": "sgd"}, "regularization": {"weight_decay": 0.5, "gradient_clipping": 0.1}},
    {"data": {"batch_size": 20, "drop_last": True}},
    {"data": {"batch_size": 25, "shuffle": False}},
    {"evaluation": {"every_steps": 4, "selection": "last"}},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_block_length_changes_no_bit_under(variant: dict[str, Any], run_quickly: Callable[..., Any]) -> None:
    mapping = {"task": "toy-vector", "family": "mlp", "evaluation": {"every_steps": 3}, **variant}
    results = [run_quickly(mapping, steps=9, block_steps=length)[0] for length in (1, 50)]
    assert [result["status"] for result in results] == ["completed"] * 2
    assert results[0]["digests"] == results[1]["digests"]


@pytest.mark.dear
def test_block_length_changes_no_bit_in_bf16(
    family_name: str, toys: dict[str, type[Task]], run_quickly: Callable[..., Any]
) -> None:
    misfit, family = small(family_name).misfit, settings_of(family_name)
    task = next(name for name, cls in sorted(toys.items()) if misfit(cls().card()) is None)
    results = [
        run_quickly(
            {"task": task, "family": family, "optimization": {"precision": precision}}, steps=3, block_steps=length
        )[0]
        for precision, length in (("bf16", 1), ("bf16", 50), ("fp32", 50))
    ]
    assert [result["status"] for result in results] == ["completed"] * 3
    assert results[0]["digests"] == results[1]["digests"]
    assert results[1]["digests"] != results[2]["digests"], "bf16 must round otherwise than fp32"
