"""The snippets of docs/export.md predict with files that the command has written."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.front import Front, environment
from tests.docs.pages import FENCE, ROOT

SNIPPETS = [
    block["code"] for block in FENCE.finditer((ROOT / "docs/export.md").read_text()) if block["language"] == "python"
]


def test_there_is_a_snippet_for_each_kind_of_file_that_holds_a_graph() -> None:
    assert ["model.pt2" in code for code in SNIPPETS] == [True, False]
    assert ["model.onnx" in code for code in SNIPPETS] == [False, True]


@pytest.mark.parametrize(
    ("snippet", "kind", "file"),
    [(SNIPPETS[0], "exported-program", "model.pt2"), (SNIPPETS[1], "onnx", "model.onnx")],
    ids=["exported-program", "onnx"],
)
def test_a_snippet_predicts_without_boltbench(snippet: str, kind: str, file: str, front: Front, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    front("run", "digits", "mlp", "--budget.steps", 20, "--execution.device", "cpu")
    exported = front("export", "digits-mlp", "--format", kind, "--output", tmp_path / file)
    assert exported.code == 0, exported.text
    # -P: the checkout is not where the snippet looks for modules.
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"{snippet}\nimport sys; assert 'suite' not in sys.modules"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    digits = ran.stdout.replace("tensor(", "").strip("[]() \n").replace(",", " ").split()
    assert len(digits) == 5
    assert all(0 <= int(digit) <= 9 for digit in digits)
