"""Each file registers what its name says, and nothing that is registered escapes the tests of this folder."""

import dataclasses
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import suite.compression
import suite.explanation
import suite.families
import suite.formats
import suite.regularization
import tasks
from suite.compressor import COMPRESSORS, Compressor
from suite.explainer import EXPLAINERS, Explainer
from suite.family import FAMILIES, Family
from suite.fields import Settings, fields_of
from suite.format import FORMATS, Format
from suite.registry import Registry, classes_in
from suite.regularizer import REGULARIZERS, Regularizer
from suite.spec import settings_groups
from suite.task import TASKS, Card, Task

KINDS = [
    pytest.param(FAMILIES, Family, suite.families, "family_name", id="families"),
    pytest.param(REGULARIZERS, Regularizer, suite.regularization, "regularizer_name", id="regularizers"),
    pytest.param(COMPRESSORS, Compressor, suite.compression, "method_name", id="compression"),
    pytest.param(EXPLAINERS, Explainer, suite.explanation, "explainer_name", id="explanation"),
    pytest.param(FORMATS, Format, suite.formats, "format_name", id="formats"),
    pytest.param(TASKS, Task, tasks, "task_name", id="tasks"),
]


def folder_of(package: ModuleType) -> Path:
    return Path(package.__path__[0])


@pytest.mark.parametrize(("registry", "base", "package", "argument"), KINDS)
def test_each_file_registers_exactly_what_its_name_says(
    registry: Registry[Any], base: type, package: ModuleType, argument: str
) -> None:
    files = sorted(path for path in folder_of(package).glob("*.py") if not path.stem.startswith("_"))
    assert files
    for path in files:
        name = path.stem.replace("_", "-")
        cls = registry.get(name)
        assert cls.name == name
        assert Path(inspect.getfile(cls)) == path
        registered = [c for c in classes_in(inspect.getmodule(cls)) if issubclass(c, base) and "name" in c.__dict__]
        assert registered == [cls], f"{path.name} must hold one {registry.what} only"
        assert cls.__name__.lower() == path.stem.replace("_", "")


@pytest.mark.parametrize(("registry", "base", "package", "argument"), KINDS)
def test_nothing_registered_escapes_the_conformance_tests(
    registry: Registry[Any], base: type, package: ModuleType, argument: str, collected: dict[str, dict[str, set[Any]]]
) -> None:
    """Each test that takes a registered name was collected for every name of the registry."""
    covered = {test: values[argument] for test, values in collected.items() if argument in values}
    if not covered:
        pytest.skip("the other files of this folder were not collected")
    for test, names in covered.items():
        assert set(registry.names()) <= names, test


def test_every_test_of_a_pair_meets_every_family(collected: dict[str, dict[str, set[Any]]]) -> None:
    covered = {test: values["pair"] for test, values in collected.items() if "pair" in values}
    if not covered:
        pytest.skip("the other files of this folder were not collected")
    for test, pairs in covered.items():
        assert {family for family, _ in pairs} == set(FAMILIES.names()), test


def settings_classes() -> list[type[Settings]]:
    registered = [registry.get(name) for registry in (FAMILIES, REGULARIZERS, TASKS) for name in registry.names()]
    return [*registered, *settings_groups().values()]


@pytest.mark.parametrize("cls", settings_classes(), ids=lambda cls: cls.__name__)
def test_a_condition_names_a_field_beside_it_and_values_that_it_can_have(cls: type[Settings]) -> None:
    # Regularisers share one group.
    group = settings_groups()["regularization"] if issubclass(cls, Regularizer) else cls
    fields = {field.name: field for field in fields_of(group)}
    for field in fields_of(cls):
        for condition in field.conditions:
            assert condition.name in fields, f"{field.name} depends on {condition.name}, and there is no such field"
            assert condition.name != field.name
            for value in condition.values:
                assert fields[condition.name].parse(condition.name, value) == value
        for need in field.needs_on_card:
            assert need.attribute in {item.name for item in dataclasses.fields(Card)}


def test_shapes_in_signatures_are_checked_while_tests_run() -> None:
    from suite.layers import Dropout

    with pytest.raises(TypeError, match=r"suite\.layers\.Dropout\.forward"):
        Dropout()("no tensor")
