"""Asks for a file to write, and suggests a name for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

_NOT_IN_NAMES = re.compile(r'[\s.\\/:*?"<>|]+')
"""What is no part of a suggested name: a dot would begin another suffix."""


def ask_path(parent: QWidget, title: str, name: str, filters: str) -> Path | None:
    """Return a file that the user chooses; None if the user cancels.

    Parameters
    ----------
    parent
        The widget that asks.
    title
        The dialog's title.
    name
        What the file will hold, such as a layer's name; the suggested name is made from it.
    filters
        Qt's filters of files; a name without a suffix gets the first one of the chosen filter.
    """
    chosen, chosen_filter = QFileDialog.getSaveFileName(
        parent, title, _NOT_IN_NAMES.sub("_", name).strip("_"), filters
    )
    if not chosen or Path(chosen).suffix:
        return Path(chosen) if chosen else None
    suffix = re.search(r"\(\*(\.\S+?)[ )]", chosen_filter or filters)
    return Path(f"{chosen}{suffix[1] if suffix else ''}")
