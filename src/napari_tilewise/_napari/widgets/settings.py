"""The settings of this plugin in napari's preferences; the manifest lists them from here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import napari
from napari.settings import get_plugin_settings

from napari_tilewise._napari.widgets.panel_titles import PLUGIN
from napari_tilewise.errors import DestinationUnwritable, InvalidParameter
from napari_tilewise.executors.selection import AUTO, DISTRIBUTED, PROCESSES, SERIAL, THREADS
from napari_tilewise.runs.preferences import Preferences
from napari_tilewise.sizes import parse_size

LOCATION = f"Preferences > {PLUGIN}"
LAST_TIME, ON, OFF = "as last time", "on", "off"
"""Whether a panel starts with its preview."""
EXECUTORS = MappingProxyType(
    {
        "automatic": AUTO,
        "threads": THREADS,
        "processes": PROCESSES,
        "one after another": SERIAL,
        "a dask cluster of this computer": DISTRIBUTED,
    }
)
"""Where tiles are computed, by the names that the preferences show."""
MOST_WORKERS = 1024
COMPUTING: dict[str, dict[str, Any]] = {
    "memory": {
        "title": "Memory limit",
        "type": "string",
        "default": "",
        "description": "Such as 4 GiB. Empty: half of the free memory.",
    },
    "workers": {
        "title": "Tiles at the same time",
        "type": "integer",
        "default": 0,
        "minimum": 0,
        "maximum": MOST_WORKERS,
        "description": "0: one per processor.",
    },
    "executor": {
        "title": "Compute with",
        "type": "string",
        "default": next(iter(EXECUTORS)),
        "enum": list(EXECUTORS),
        "description": "Whichever it is, the result is the same.",
    },
    "folder": {
        "title": "Folder for large results",
        "type": "string",
        "default": "",
        "description": "Results that Apply stores until napari is closed. Empty: the system's "
        "temporary folder.",
    },
}
PANELS: dict[str, dict[str, Any]] = {
    "preview": {
        "title": "Live preview of a new panel",
        "type": "string",
        "default": LAST_TIME,
        "enum": [LAST_TIME, ON, OFF],
    },
}
CONFIGURATIONS = {
    "computing": {"title": "Computing", "properties": COMPUTING},
    "panels": {"title": "Panels", "properties": PANELS},
}
"""What the manifest contributes to napari's preferences."""


def _setting(group: str, name: str) -> Any:
    """Return a setting; its default where napari does not know the plugin, as in a script."""
    try:
        return getattr(getattr(get_plugin_settings(PLUGIN), group), name)
    except KeyError:
        return CONFIGURATIONS[group]["properties"][name]["default"]  # type: ignore[index]  # plain data


def prepare() -> None:
    """Let napari read the plugins' settings once; called in a thread.

    It parses the manifests of all plugins for that, half a second's work.
    """
    _setting("panels", "preview")


def preferences() -> Preferences:
    """Return what runs may use, if napari shows a window.

    Raises
    ------
    InvalidParameter
        If the memory limit is not a size.
    """
    if napari.current_viewer() is None:
        return Preferences()
    return Preferences(memory(), workers(), EXECUTORS[_setting("computing", "executor")])


def memory() -> int | None:
    """Return the limit in bytes; None if there is none.

    Raises
    ------
    InvalidParameter
        If it is not a size.
    """
    text = memory_text()
    try:
        return parse_size(text) if text else None
    except InvalidParameter as error:
        raise InvalidParameter(f"{LOCATION}, memory limit: {error}") from None


def memory_text() -> str:
    """Return the limit as the user typed it; may be empty."""
    return str(_setting("computing", "memory")).strip()


def workers() -> int | None:
    """Return how many tiles are computed at the same time; None: one per processor."""
    return int(_setting("computing", "workers")) or None


def results_folder() -> Path:
    """Return the folder for results that are stored until napari is closed.

    Raises
    ------
    DestinationUnwritable
        If nothing can be written there.
    """
    text = str(_setting("computing", "folder")).strip()
    if not text:
        return Path(tempfile.gettempdir())
    folder = Path(text).expanduser()
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DestinationUnwritable(
            f"{LOCATION}, folder for large results: {text!r} is not a folder that can be written "
            "to. Choose another one."
        )
    return folder


def preview_is_on(last: bool) -> bool:
    """Return whether a new panel starts with its preview.

    Parameters
    ----------
    last
        Whether it was on last time.
    """
    return {ON: True, OFF: False}.get(_setting("panels", "preview"), last)
