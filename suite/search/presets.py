"""Which fields a search chooses, by the name of a preset."""

from __future__ import annotations

from suite.errors import unknown_name

PRESETS = {
    "regularization": ("regularization",),
    "optimizer": ("optimization",),
    "architecture": ("family",),
    "all": ("family", "optimization", "regularization", "data.batch_size"),
    "none": (),
}
"""Preset -> groups (every field that has a range) and single fields."""


def fields_of_presets(text: str) -> list[str]:
    """Return the groups and fields that ``text`` names, several presets with commas between them."""
    found: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        if name not in PRESETS:
            raise unknown_name("preset", name, PRESETS)
        found += [item for item in PRESETS[name] if item not in found]
    return found
