"""A page as tests read it: its elements, ids, addresses and headings, and runs that make a hard page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np

VOID = {"meta", "input", "br", "hr", "img", "link"}
ADDRESSES = ("href", "src", "xlink:href", "action", "poster", "srcset", "data")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@dataclasses.dataclass(frozen=True)
class Element:
    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...]


class Page(HTMLParser):
    """Collects what a document holds; an element that is closed by another's tag is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>, line {self.getpos()[0]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of one tag with these attributes, of which a class may be one of several."""
        return [element for element in self.elements if element.tag == tag and _has(element, attributes)]

    def text_of(self, tag: str) -> list[str]:
        """Return the texts that stand directly in an element of this tag."""
        return [text for path, text in self.texts if path and path[-1] == tag]

    @property
    def text(self) -> str:
        return " ".join(text for path, text in self.texts if not {"script", "style"} & set(path))


def _has(element: Element, wanted: dict[str, str]) -> bool:
    for name, value in wanted.items():
        found = element.attributes.get(name.rstrip("_").replace("_", "-"))
        if found is None or (value not in found.split() if name == "class_" else value != found):
            return False
    return True


def rows(*, blocks: int = 8, height: float = 0.9, metric: str = "accuracy") -> list[dict[str, Any]]:
    """Return lines of metrics.jsonl of a run that learns."""
    return [
        {
            "step": 50 * block,
            "epoch": float(block),
            "seconds": 0.1 * block,
            "train/loss": [2.0 * math.exp(-step / 200) + 0.1 for step in range(50 * block - 49, 50 * block + 1)],
            f"val/{metric}": height * (1 - 0.8 * math.exp(-block / 3)),
        }
        for block in range(1, blocks + 1)
    ]


def _with(digest: str, **cost: float) -> Callable[[dict[str, Any]], object]:
    def edit(result: dict[str, Any]) -> None:
        result["files"]["metrics.jsonl"] = digest
        result["cost"].update(cost)

    return edit


def fill(runs: Any) -> None:
    """Write what a page must show: two tasks, curves, failures, one seed alone, hostile words."""
    for family, width, scores in (
        ("cnn", 32, (0.97, 0.96, 0.98)),
        ("mlp", 64, (0.93, 0.94, 0.95)),
        ("mlp", 128, (0.94,)),
    ):
        for seed, score in enumerate(scores):
            folder = runs.add(
                test=score,
                val=score + 0.01,
                family=family,
                seed=seed,
                config_id=f"{family}{width}",
                changed={"family.width": width, "budget.epochs": 8},
                spec={
                    "task": {"name": "digits"},
                    "family": {"name": family, "width": width},
                    "budget": {"epochs": 8},
                    "seed": seed,
                },
            )
            digest = runs.write_metrics(folder, rows(blocks=8 - seed, height=score))
            runs.change(folder, _with(digest, seconds=1.5 + seed, num_parameters=100 * width))
    runs.add(family="rnn", status="diverged", message="the loss was NaN at step 31", scores=None, selection=None)
    runs.add(family=HOSTILE, config_id="h0", run_id="digits-hostile", changed={"family.note": HOSTILE}, test=0.5)
    runs.add(family="cnn", config_id="h1", run_id="digits-failed", status="failed", message=HOSTILE, scores=None)
    for seed, score in enumerate((0.02, 0.03)):
        folder = runs.add(
            task="digits-reconstruction",
            kind="reconstruction",
            family="autoencoder",
            seed=seed,
            metric="squared-error",
            direction="minimize",
            floor=0.07,
            scores={"val/squared-error": score, "test/squared-error": score},
        )
        pictures = np.linspace(0, 1, 6 * 64).reshape(6, 1, 8, 8).astype(np.float32)
        np.savez(folder / "predictions.npz", predictions=pictures * (1 - score), targets=pictures)
        np.savez(folder / "examples.npz", indices=np.arange(4), inputs=pictures[:4])
