"""Colours of texts that are readable on the ground of napari's theme, be it dark or light.

Each has a contrast of at least 4.5 to 1 on the grounds of napari's own themes, and more on black.
People who do not tell red from green tell these apart; what a colour says is said in words too.
"""

from __future__ import annotations

from enum import StrEnum

import napari
from napari.settings import get_settings
from napari.utils.theme import get_theme

MIDDLE = 128
"""The brightness from which a ground is light."""


class Tone(StrEnum):
    """What a colour is for."""

    FAINT = "faint"
    """Less important than other texts."""
    LINK = "link"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    PAUSED = "paused"


_ON_DARK = {
    Tone.FAINT: "#a3a8b1",
    Tone.LINK: "#6db1f0",
    Tone.RUNNING: "#8fb4ff",
    Tone.DONE: "#4fd0a0",
    Tone.FAILED: "#ff8a5c",
    Tone.PAUSED: "#ecd06f",
}
_ON_LIGHT = {
    Tone.FAINT: "#55595f",
    Tone.LINK: "#0b58a8",
    Tone.RUNNING: "#1040d0",
    Tone.DONE: "#00685e",
    Tone.FAILED: "#7a1010",
    Tone.PAUSED: "#705800",
}


def colour(tone: Tone) -> str:
    """Return a colour on the ground of the present theme.

    Parameters
    ----------
    tone
        What it is for.
    """
    return (_ON_LIGHT if _is_light() else _ON_DARK)[tone]


def _is_light() -> bool:
    viewer = napari.current_viewer()
    theme = get_settings().appearance.theme if viewer is None else viewer.theme
    red, green, blue = get_theme(theme).background.as_rgb_tuple(alpha=False)
    return bool(0.299 * red + 0.587 * green + 0.114 * blue >= MIDDLE)
