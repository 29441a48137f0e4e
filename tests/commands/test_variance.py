"""`boltbench variance`: each source set apart, runs that count once, and no trace in the leaderboard."""

import json

import pytest

from tests.commands.front import QUICK, Front


def shares(text: str) -> dict[str, float]:
    rows = json.loads(text[text.index("{\n") :])["rows"]
    return {row["source"]: row["share"] for row in rows}


@pytest.fixture
def fast() -> tuple[str, ...]:
    return (*QUICK, "--data.train_fraction", "0.05")


def test_sources_that_a_run_does_not_have_share_nothing(front: Front, fast: tuple[str, ...]) -> None:
    outcome = front("variance", "digits", "mlp", *fast, "--rounds", "2", "--data.shuffle", "false", "--format", "json")
    assert outcome.code == 0, outcome.err
    found = shares(outcome.out)
    assert found["order"] == found["noise"] == 0
    assert found["initialization"] > 0
    assert len(front.folders()) == 8


def test_each_source_has_its_share_and_the_runs_are_made_once(front: Front, fast: tuple[str, ...]) -> None:
    assert front("run", "digits", "mlp", *fast, "--seeds", "0-1", "--regularization.dropout", "0.5").code == 0
    arguments = ("digits", "mlp", *fast, "--rounds", "2", "--regularization.dropout", "0.5", "--format", "json")
    outcome = front("variance", *arguments)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("was done already") == 2, "the first runs of the rounds are plain seeds"
    found = shares(outcome.out)
    assert all(found[source] > 0 for source in ("order", "initialization", "noise"))
    again = front("variance", *arguments)
    assert again.out.count("was done already") == 8
    assert shares(again.out) == found
    board = front("leaderboard", "--format", "markdown").out
    assert board.count("| mlp |") == 1
    assert "6 runs with a seed set apart not ranked." in board


def test_a_seed_set_apart_moves_its_own_source_only(front: Front, fast: tuple[str, ...]) -> None:
    def digests(*flags: str) -> dict[str, str]:
        before = {folder.run_id for folder in front.folders()}
        assert front("run", "digits", "mlp", *fast, "--regularization.dropout", "0.5", *flags).code == 0
        (made,) = [folder for folder in front.folders() if folder.run_id not in before]
        result = made.result()
        assert result is not None
        digests: dict[str, str] = result["digests"]
        return digests

    plain = digests("--seeds", "7")
    own = ("--randomness.order", "7", "--randomness.initialization", "7", "--randomness.noise", "7")
    assert digests("--seeds", "0", *own) == plain
    assert digests("--seeds", "7", "--randomness.noise", "8") != plain


def test_a_failed_run_leaves_its_round_out(front: Front, fast: tuple[str, ...]) -> None:
    outcome = front(
        "variance",
        "digits",
        "mlp",
        *fast,
        "--rounds",
        "2",
        "--optimization.optimizer",
        "sgd",
        "--optimization.lr",
        "1e18",
    )
    assert outcome.code == 1
    assert "at least two complete rounds" in outcome.err
    assert "Traceback" not in outcome.text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["digits", "mlp", "--rounds", "1"], "`2 <= rounds <= 1000` must hold"),
        (["digits", "mlp", "--rounds", "many"], "--rounds"),
        (["digit", "mlp"], "Did you mean 'digits'"),
        (["digits", "mlp", "--randomness.noise", "3"], "sets the seeds of --randomness itself"),
        (["digits", "mlp", "--family.widht", "3"], "Did you mean"),
        (["digits", "mlp", "--format", "parquet"], "--output"),
        (["digits"], "family"),
    ],
)
def test_bad_input_makes_no_run(front: Front, arguments: list[str], part: str) -> None:
    outcome = front("variance", *arguments)
    assert outcome.code == 2
    assert part in outcome.err
    assert front.folders() == []
