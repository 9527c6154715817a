"""What a user prefers who works in a window: resources that a run takes unless it names its own.

A library whose window has preferences is asked only where it is in use; nothing else needs it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from napari_tilewise.executors.selection import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable

PREFERENCE_ROOMS = {"napari.viewer": ("napari_tilewise._napari.widgets.settings", "preferences")}
"""The function that returns the preferences of a window, by the module that must be imported."""


@dataclass(frozen=True)
class Preferences:
    """Resources of runs; see `napari_tilewise.run`."""

    memory: int | None = None
    workers: int | None = None
    executor: str = AUTO


def preferences() -> Preferences:
    """Return the preferences of the window that this process shows; none without a window.

    Raises
    ------
    InvalidParameter
        If what the user typed is not valid.
    """
    for module, (room, name) in PREFERENCE_ROOMS.items():
        if module in sys.modules:
            return cast("Callable[[], Preferences]", getattr(import_module(room), name))()
    return Preferences()
