import dataclasses
import hashlib
import json
import re

import pytest
import torch

from suite.runs import environment
from suite.runs.environment import (
    PACKAGES,
    code_sha256,
    differing_fields,
    fingerprint,
    package_versions,
)
from suite.spec import RunSpec

SPEC = RunSpec.from_mapping({"task": "digits", "family": "mlp"})
CPU = torch.device("cpu")


def test_a_fingerprint_is_strict_json_and_the_same_twice() -> None:
    one, other = fingerprint(SPEC, CPU, data_sha256="0" * 64), fingerprint(SPEC, CPU, data_sha256="0" * 64)
    assert json.loads(json.dumps(one, allow_nan=False)) == other
    assert differing_fields(one, other) == {}


def test_the_id_is_that_of_the_decisive_fields_alone() -> None:
    found = fingerprint(SPEC, CPU, data_sha256="0" * 64)
    text = json.dumps(found["decisive"], sort_keys=True)
    assert found["environment_id"] == hashlib.sha256(text.encode()).hexdigest()[:10]


def test_another_number_of_threads_is_another_environment() -> None:
    one = fingerprint(SPEC, CPU, data_sha256="0" * 64)
    torch.set_num_threads(2)
    other = fingerprint(SPEC, CPU, data_sha256="0" * 64)
    assert differing_fields(one, other) == {"threads": (1, 2)}
    assert one["environment_id"] != other["environment_id"]


def test_nested_and_missing_fields_are_told_by_their_path() -> None:
    one = {"decisive": {"packages": {"torch": "2.13", "numpy": "2"}, "device": "cpu"}}
    other = {"decisive": {"packages": {"torch": "2.11", "numpy": "2"}, "device": "cpu", "driver": "5"}}
    assert differing_fields(one, other) == {"packages.torch": ("2.13", "2.11"), "driver": (None, "5")}


def test_every_package_has_a_version() -> None:
    assert set(package_versions(PACKAGES)) == set(PACKAGES)
    assert package_versions(PACKAGES)["torch"] == torch.__version__


def test_the_code_of_another_family_and_of_an_active_regulariser_counts() -> None:
    linear = RunSpec.from_mapping({"task": "digits", "family": "linear"})
    dropped = RunSpec.from_mapping({"task": "digits", "family": "mlp", "regularization": {"dropout": 0.5}})
    assert len({code_sha256(SPEC), code_sha256(linear), code_sha256(dropped)}) == 3


def test_settings_that_change_no_code_leave_its_digest() -> None:
    wider = RunSpec.from_mapping({"task": "digits", "family": {"name": "mlp", "width": 7}, "seed": 3})
    assert code_sha256(wider) == code_sha256(SPEC)
    assert re.fullmatch("[0-9a-f]{64}", code_sha256(SPEC))


@pytest.mark.parametrize("change", [{"data_sha256": "other"}, {"code_sha256": "other"}])
def test_other_data_or_code_is_another_run(change: dict[str, str]) -> None:
    digests = {"data_sha256": "data", "code_sha256": "code"}
    assert SPEC.run_id(**digests) != SPEC.run_id(**{**digests, **change})
    assert SPEC.config_id(**digests) != SPEC.config_id(**{**digests, **change})


def test_the_seeds_of_a_configuration_share_its_id_and_not_their_own() -> None:
    digests = {"data_sha256": "data", "code_sha256": "code"}
    other = dataclasses.replace(SPEC, seed=4)
    assert other.config_id(**digests) == SPEC.config_id(**digests)
    assert other.run_id(**digests) != SPEC.run_id(**digests)
    assert other.run_id(**digests).startswith("digits-mlp-s4-")


@pytest.mark.parametrize(("task", "helper"), [("fashion-mnist", "splitting.py"), ("image-folder", "pictures.py")])
def test_how_data_is_decoded_and_split_is_part_of_the_code(
    task: str, helper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec.from_mapping({"task": task, "family": "linear"})
    digest = environment._source_digest
    reads_none = RunSpec.from_mapping({"task": "copy-memory", "family": "linear"})
    before, others = code_sha256(spec), code_sha256(reads_none)
    monkeypatch.setattr(environment, "_source_digest", lambda path: digest(path) + "x" * (path.name == helper))
    assert code_sha256(spec) != before
    assert code_sha256(reads_none) == others
