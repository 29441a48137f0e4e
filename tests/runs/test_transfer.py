"""Runs that begin with the weights of another: what stays, what trains, and that they are made again bit for bit."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.runs.execute import execute
from suite.runs.folder import WEIGHTS, RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec

pytestmark = pytest.mark.usefixtures("registered_toys")

BATCH_NORM = {"name": "mlp", "width": 16, "norm": "batch"}


def prepared(runs: Path, mapping: dict[str, Any], **execution: Any) -> Prepared:
    defaults = {"task": "toy-image", "family": BATCH_NORM, "budget": {"steps": 12}, "data": {"batch_size": 16}}
    how = Execution(**{"device": "cpu", "threads": 1, "block_steps": 50, **execution})
    return prepare(RunSpec.from_mapping({**defaults, **mapping}), how, runs=runs)


def made(runs: Path, mapping: dict[str, Any], **execution: Any) -> tuple[RunFolder, dict[str, Any]]:
    item = prepared(runs, mapping, **execution)
    folder = RunFolder(runs / item.run_id)
    result, _ = execute(item, folder, force=True)
    assert result["status"] == "completed", result["message"]
    return folder, result


def origin_of(folder: RunFolder) -> dict[str, Any]:
    result = folder.result()
    assert result is not None
    return {"run_id": folder.run_id, "config_id": result["config_id"], "weights": result["digests"]["weights"]}


def weights_of(folder: RunFolder) -> dict[str, Tensor]:
    return safetensors.torch.load((folder.path / WEIGHTS).read_bytes())


@pytest.fixture
def source(tmp_path: Path) -> RunFolder:
    """A finished run whose layers have norms with running statistics."""
    return made(tmp_path / "runs", {})[0]


@pytest.mark.parametrize(
    ("transfer", "optimizer"),
    [
        ({}, "adamw"),
        ({"train": "head"}, "adamw"),
        ({"freeze": ["hidden.0"], "layer_decay": 0.3}, "sgd"),
        ({"train": "gradual", "thaw_every_steps": 5, "layer_decay": 0.5}, "adamw"),
        ({"train": "gradual", "freeze_layers": 1}, "rmsprop"),
        ({"train": "gradual", "thaw_every_steps": 5}, "sgd"),
    ],
    ids=lambda item: item if isinstance(item, str) else "-".join(item) or "all",
)
def test_a_run_is_the_same_in_blocks_of_any_length_and_when_it_was_cut_off(
    source: RunFolder, transfer: dict[str, Any], optimizer: str
) -> None:
    runs = source.path.parent
    mapping = {
        "transfer": transfer,
        "origin": origin_of(source),
        "seed": 1,
        "optimization": {"optimizer": optimizer, "lr": 0.01},
        "regularization": {"weight_decay": 0.1, "dropout": 0.2, "weight_averaging": 0.9},
    }
    folder, whole = made(runs, mapping)
    assert made(runs, mapping, block_steps=1)[1]["digests"] == whole["digests"]
    edges: list[int] = []
    cut, _ = execute(
        prepared(runs, mapping, block_steps=3, checkpoint_seconds=0),
        folder,
        force=True,
        should_stop=lambda: len(edges) >= 2,
        on_edge=lambda state, _: edges.append(state.step),
    )
    assert (cut["status"], edges) == ("interrupted", [3, 6, 9])
    resumed, _ = execute(prepared(runs, mapping), folder)
    assert resumed["digests"] == whole["digests"]


@pytest.mark.parametrize(
    ("transfer", "still"),
    [
        ({"train": "head"}, ("hidden.0", "hidden.1")),
        ({"freeze": ["hidden.0.0.*", "output"]}, ("hidden.0.0", "output")),
        ({"freeze_layers": 1}, ("hidden.0",)),
        ({"train": "gradual", "thaw_every_steps": 7}, ("hidden.0",)),
        ({}, ()),
    ],
)
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_trains(
    source: RunFolder, transfer: dict[str, Any], still: tuple[str, ...]
) -> None:
    """Running statistics included, and under a weight decay that shrinks what is not frozen."""
    mapping = {
        "transfer": transfer,
        "origin": origin_of(source),
        "regularization": {"weight_decay": 0.1},
        "evaluation": {"selection": "last"},
    }
    before, after = weights_of(source), weights_of(made(source.path.parent, mapping)[0])
    for name, tensor in after.items():
        is_still = any(name.startswith(f"{item}.") for item in still)
        assert torch.equal(before[name], tensor) == is_still, name


def test_the_first_step_begins_with_the_weights_of_the_source(source: RunFolder) -> None:
    item = prepared(source.path.parent, {"origin": origin_of(source), "seed": 5})
    found = item.build_learner().state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in weights_of(source).items())
    alone = dataclasses.replace(item, origin=None).build_learner().state_dict()
    assert not torch.equal(alone["output.weight"], found["output.weight"])


def test_a_layer_is_taken_over_whole_or_not_at_all(source: RunFolder) -> None:
    """The output's bias would fit four classes, its weights do not fit a narrower layer."""
    family = {"name": "mlp", "widths": [16, 8], "norm": "batch"}
    item = prepared(source.path.parent, {"origin": origin_of(source), "family": family})
    assert item.transfer is not None
    assert item.transfer["matched"] == ["hidden.0.0", "hidden.0.1"]
    assert item.transfer["fresh"] == item.transfer["unused"] == ["hidden.1.0", "hidden.1.1", "output"]


def test_a_compressed_model_of_a_run_that_began_with_another_can_be_begun_with_too(source: RunFolder) -> None:
    """A pruned model lies on disk without its zeros."""
    runs = source.path.parent
    folder, result = made(runs, {"origin": origin_of(source), "transfer": {"freeze_layers": 1}})
    parent = {**origin_of(folder), "model": "mlp"}
    pruned, _ = made(runs, {"compression": {"name": "prune", "share": 0.9}, "parent": parent})
    item = prepared(runs, {"origin": origin_of(pruned)})
    weight = item.build_learner().state_dict()["hidden.0.0.weight"]
    assert 0.5 < float((weight == 0).float().mean()) < 1
    assert result["origin"] == source.run_id


def test_an_origin_is_part_of_the_id_and_its_seed_of_the_configuration_only_where_it_is_shared(
    source: RunFolder,
) -> None:
    runs = source.path.parent
    other, _ = made(runs, {"seed": 1})
    own = [
        prepared(runs, {"origin": {**origin_of(item), "each_seed": True}, "seed": seed})
        for seed, item in enumerate((source, other))
    ]
    shared = [prepared(runs, {"origin": origin_of(item), "seed": 1}) for item in (source, other)]
    assert own[0].config_id == own[1].config_id
    assert len({own[0].config_id, *(item.config_id for item in shared)}) == 3
    assert len({item.run_id for item in (*own, *shared, prepared(runs, {"seed": 1}))}) == 5
    with pytest.raises(UserError, match="begins with one of its own seed"):
        prepared(runs, {"origin": {**origin_of(other), "each_seed": True}, "seed": 0})
    with pytest.raises(UserError, match="must be that of"):
        prepared(runs, {"origin": {**origin_of(other), "config_id": "0" * 10}})


def test_an_origin_beside_a_compression_is_refused(source: RunFolder) -> None:
    parent = {**origin_of(source), "model": "mlp"}
    for extra in ({"origin": origin_of(source)}, {"transfer": {"train": "head"}}):
        with pytest.raises(UserError, match="begins with the weights of its parent"):
            prepared(source.path.parent, {"compression": "prune", "parent": parent, **extra})
