"""RunSpec: precedence, identity, and what leaves an identity alone."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.errors import UserError
from suite.fields import fields_of
from suite.registry import load_module
from suite.regularizer import REGULARIZERS
from suite.spec import MAX_SEED, RunSpec, merge, settings_groups

BASE: dict[str, Any] = {"task": "digits", "family": "mlp"}
IDS = {"data_sha256": "d" * 64, "code_sha256": "c" * 64}

PLUGIN = '''"""A regulariser that does nothing yet."""
import dataclasses
from typing import ClassVar
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise(Regularizer):
    """Add noise."""

    name: ClassVar[str] = "noise"

    noise: float = 0.0
    """Strength; 0 is off."""

    def attach(self, learner):
        """Do nothing."""
'''


def spec_of(**changes: Any) -> RunSpec:
    return RunSpec.from_mapping(merge(BASE, changes))


@pytest.fixture
def noise_plugin(tmp_path: Path) -> Iterator[None]:
    path = tmp_path / "noise_plugin.py"
    path.write_text(PLUGIN)
    REGULARIZERS.add(load_module(path).Noise)
    yield
    REGULARIZERS.remove("noise")


def test_defaults_are_filled_in_and_plain_values_give_the_spec_back() -> None:
    spec = spec_of()
    assert (spec.family.width, spec.optimization.lr, spec.budget.epochs, spec.seed) == (64, 1e-3, 20, 0)
    assert RunSpec.from_mapping(yaml.safe_load(yaml.safe_dump(spec.to_mapping()))) == spec
    assert list(spec.to_mapping()) == ["task", "family", *settings_groups(), "seed"]


@settings(max_examples=25)
@given(
    width=st.integers(1, 512),
    lr=st.floats(1e-6, 1.0),
    schedule=st.sampled_from(["constant", "step", "cosine"]),
    dropout=st.floats(0, 0.9),
    patience=st.none() | st.integers(1, 9),
    batch_size=st.integers(1, 300),
    steps=st.none() | st.integers(1, 99),
    seed=st.integers(0, MAX_SEED),
)
def test_any_spec_goes_through_yaml_with_its_id(
    width: int,
    lr: float,
    schedule: str,
    dropout: float,
    patience: int | None,
    batch_size: int,
    steps: int | None,
    seed: int,
) -> None:
    spec = spec_of(
        family={"name": "mlp", "width": width},
        optimization={"lr": lr, "schedule": schedule},
        regularization={"dropout": dropout, "early_stopping": patience},
        data={"batch_size": batch_size},
        budget={"steps": steps},
        seed=seed,
    )
    again = RunSpec.from_mapping(yaml.safe_load(yaml.safe_dump(spec.to_mapping())))
    assert again == spec
    assert again.run_id(**IDS) == spec.run_id(**IDS)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({**BASE, "optimisation": {}}, r"Unknown key 'optimisation'\. Did you mean 'optimization'\?"),
        ({**BASE, "optimization": {"learning_rate": 1}}, r"Unknown key 'optimization\.learning_rate'\."),
        ({**BASE, "family": {"name": "mlp", "widht": 3}}, r"Unknown key 'family\.widht'\. Did you mean 'width'\?"),
        ({**BASE, "family": "mpl"}, r"Unknown family 'mpl'\. Did you mean 'mlp'\? Known: "),
        ({**BASE, "task": "digit"}, r"Unknown task 'digit'\. Did you mean 'digits'\?"),
        ({**BASE, "task": {}}, "`task` must be a name, or a mapping with a name and settings, but got {}"),
        ({"family": "mlp"}, "`task` must be a name, .* but got None"),
        ({**BASE, "data": 3}, "`data` must be a mapping of settings, but got 3"),
        ({**BASE, "seed": -1}, "`0 <= seed <= 4294967295` must hold, but got seed=-1"),
        ({**BASE, "seed": MAX_SEED + 1}, "must hold, but got seed=4294967296"),
        ({**BASE, "seed": 1.5}, "`seed` must be an int, but got 1.5"),
    ],
)
def test_the_first_thing_that_is_wrong_is_named(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RunSpec.from_mapping(mapping)


def test_later_layers_win_field_by_field_and_leave_their_input_alone() -> None:
    plan = {"optimization": {"lr": 0.1, "momentum": 0.5}, "seed": 1}
    flags = {"optimization": {"lr": 0.2}}
    merged = merge(BASE, plan, flags)
    assert merged == {**BASE, "optimization": {"lr": 0.2, "momentum": 0.5}, "seed": 1}
    assert plan == {"optimization": {"lr": 0.1, "momentum": 0.5}, "seed": 1}
    assert "optimization" not in BASE


def test_default_yields_to_file_and_file_to_flag() -> None:
    assert spec_of().optimization.lr == 1e-3
    assert RunSpec.from_mapping(merge(BASE, {"optimization": {"lr": 0.1}})).optimization.lr == 0.1
    both = merge(BASE, {"optimization": {"lr": 0.1}}, {"optimization": {"lr": "0.2"}})
    assert RunSpec.from_mapping(both).optimization.lr == 0.2


def test_settings_of_the_same_family_stay_and_those_of_another_go() -> None:
    base = {"family": {"name": "mlp", "width": 8}}
    assert merge(base, {"family": "mlp"})["family"] == {"name": "mlp", "width": 8}
    assert merge(base, {"family": {"num_layers": 3}})["family"] == {"name": "mlp", "width": 8, "num_layers": 3}
    assert merge(base, {"family": "rnn"})["family"] == {"name": "rnn"}
    assert merge(base, {"family": {"name": "rnn", "cell": "gru"}})["family"] == {"name": "rnn", "cell": "gru"}
    assert merge({"family": "mlp"}, {"family": {"width": 8}})["family"] == {"name": "mlp", "width": 8}


def test_equal_specs_have_equal_ids_however_they_were_written() -> None:
    one = spec_of(optimization={"lr": 1e-3}, budget={"epochs": 20})
    other = RunSpec.from_mapping({"family": {"name": "mlp", "width": "64"}, "task": {"name": "digits"}, "seed": "0"})
    assert one.run_id(**IDS) == other.run_id(**IDS) == spec_of().run_id(**IDS)
    assert spec_of().run_id(**IDS).startswith("digits-mlp-s0-")


def another_value(field: Any) -> Any:
    """Return a valid value that is not the default."""
    if isinstance(field.default, bool):
        return not field.default
    if hasattr(field.type, "__args__") and isinstance(field.type.__args__[0], str):
        return next(choice for choice in field.type.__args__ if choice != field.default)
    text = field.type_text()
    if text == "list of str":
        return ("output",)
    if text.startswith("list of"):
        return (7,)
    return 7 if text.startswith("int") else 0.37


@pytest.mark.parametrize("group", [*settings_groups(), "family"])
def test_any_changed_field_changes_the_id(group: str) -> None:
    cls = type(spec_of().family) if group == "family" else settings_groups()[group]
    ids = {spec_of().run_id(**IDS): "the defaults"}
    for field in fields_of(cls):
        changes = {group: {**({"name": "mlp"} if group == "family" else {}), field.name: another_value(field)}}
        run_id = spec_of(**changes).run_id(**IDS)
        assert run_id not in ids, f"{group}.{field.name} and {ids[run_id]} share an id"
        ids[run_id] = field.name
    assert len(ids) == 1 + len(fields_of(cls))


def test_task_settings_data_and_code_are_part_of_the_id() -> None:
    mnist1d = RunSpec.from_mapping({"task": "mnist1d", "family": "mlp"})
    full = RunSpec.from_mapping({"task": {"name": "mnist1d", "full_train": True}, "family": "mlp"})
    ids = {
        mnist1d.run_id(**IDS),
        full.run_id(**IDS),
        mnist1d.run_id(**{**IDS, "data_sha256": "e" * 64}),
        mnist1d.run_id(**{**IDS, "code_sha256": "e" * 64}),
    }
    assert len(ids) == 4


def test_seeds_of_one_configuration_share_its_id_and_no_run_id() -> None:
    spec = spec_of()
    assert spec.with_seed(5).config_id(**IDS) == spec.config_id(**IDS)
    assert len({spec.with_seed(seed).run_id(**IDS) for seed in range(50)}) == 50
    assert spec.with_seed(5).seed == 5
    assert spec.seed == 0


def test_changed_names_what_differs_from_the_defaults_and_no_seed() -> None:
    spec = spec_of(family={"name": "mlp", "width": 8}, optimization={"lr": 1e-3, "beta1": 0.8}, seed=3)
    assert spec.changed() == {"family.width": 8, "optimization.beta1": 0.8}


def test_a_new_regulariser_that_is_off_leaves_every_run_id_as_it_was(request: pytest.FixtureRequest) -> None:
    mapping = {"regularization": {"dropout": 0.1}}
    before = spec_of(**mapping)
    request.getfixturevalue("noise_plugin")
    after = spec_of(**mapping)
    assert "noise" in after.to_mapping()["regularization"]
    assert "noise" not in before.to_mapping()["regularization"]
    assert after.run_id(**IDS) == before.run_id(**IDS)
    on = spec_of(regularization={"dropout": 0.1, "noise": 0.2})
    assert on.run_id(**IDS) != before.run_id(**IDS)
    assert [item.name for item in on.regularization.regularizers()] == ["dropout", "noise"]


@pytest.mark.usefixtures("noise_plugin")
def test_a_field_of_a_plug_in_keeps_its_help() -> None:
    field = next(field for field in fields_of(settings_groups()["regularization"]) if field.name == "noise")
    assert (field.help, field.default) == ("Strength; 0 is off.", 0.0)


def test_a_spec_is_a_value() -> None:
    assert hash(spec_of()) == hash(spec_of())
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec_of().seed = 3  # type: ignore[misc]
