"""Every registered format on every family: what a file computes is what the run's model computes."""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.family import FAMILIES
from suite.format import FORMATS
from suite.runs.execute import execute
from suite.runs.export import TOLERANCE, encode_checked
from suite.runs.folder import RunFolder
from suite.runs.prepare import prepare
from suite.runs.source import Source, open_source
from suite.spec import RunSpec
from tests.small import settings_of

pytestmark = pytest.mark.usefixtures("registered_toys")

QUICK_PAIRS = ("cnn-toy-image",)
"""Pictures, which are normalised; the other pairs are slow."""
Make = Callable[..., Source]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Return a function that makes one short run of a pair (and a setting of its family), once for all tests."""
    runs = tmp_path_factory.mktemp("formats") / "runs"

    @functools.cache
    def make(pair: tuple[str, str], setting: tuple[str, str] | None = None) -> Source:
        family = settings_of(pair[0]) | dict([setting] if setting else [])
        spec = RunSpec.from_mapping({"family": family, "task": pair[1], "budget": {"steps": 2}})
        prepared = prepare(spec, Execution(device="cpu", threads=1), runs=runs)
        folder = RunFolder(Path(runs / prepared.run_id))
        assert execute(prepared, folder)[0]["status"] == "completed"
        return open_source(folder, purpose="exported")

    return make


def check(format_name: str, source: Source) -> None:
    format = FORMATS.get(format_name)
    if not all(importlib.util.find_spec(package) for package in format.packages):
        pytest.skip("an extra that `make install` leaves out")
    if source.card.objective == "generation" and format.holds_program:
        with pytest.raises(UserError, match="drawn anew each time"):
            encode_checked(source, format())
        return
    content, found = encode_checked(source, format())
    assert content
    assert found.num_examples == source.card.split_sizes["test"]
    assert found.allowed >= TOLERANCE
    assert found.holds, found
    assert found.equal_share > 0.99
    if found.score is not None:
        assert found.score == pytest.approx(source.result["scores"][f"test/{source.card.metric}"], rel=1e-3)


@pytest.mark.parametrize("name", QUICK_PAIRS)
def test_a_file_computes_what_the_run_computes(format_name: str, name: str, sources: Make) -> None:
    family, _, task = name.partition("-")
    check(format_name, sources((family, task)))


@pytest.mark.slow
def test_every_family_can_be_exported_or_says_why_not(format_name: str, pair: tuple[str, str], sources: Make) -> None:
    check(format_name, sources(pair))


@pytest.mark.parametrize(
    ("chosen", "setting"),
    [
        (("transformer", "toy-tokens"), ("readout", "class-token")),
        (("transformer", "toy-text"), ("positions", "rotary")),
        (("rnn", "toy-signal"), ("cell", "lstm")),
        (("cnn", "toy-signal"), ("norm", "batch")),
        (("mlp", "toy-reconstruction"), ("norm", "layer")),
    ],
    ids=lambda value: "-".join(value),
)
def test_no_setting_fixes_the_number_of_examples(
    chosen: tuple[str, str], setting: tuple[str, str], sources: Make
) -> None:
    check("exported-program", sources(chosen, setting))


def test_each_format_explains_itself(format_name: str) -> None:
    cls = FORMATS.get(format_name)
    assert cls.suffix.startswith(".")
    assert (cls.__doc__ or "").splitlines()[0].endswith(".")


def test_every_family_is_among_the_pairs(collected: dict[str, dict[str, set[tuple[str, str]]]]) -> None:
    pairs = collected["test_every_family_can_be_exported_or_says_why_not"]["pair"]
    assert {family for family, _ in pairs} == set(FAMILIES.names())
