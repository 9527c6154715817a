"""The names of the operations' commands."""

from __future__ import annotations

from napari_tilewise._napari.widgets.panel_titles import PLUGIN


def attribute(name: str) -> str:
    """Return the name of an operation's command in `manifest.commands`.

    Parameters
    ----------
    name
        The operation's key, such as ``"filters.gaussian"``.
    """
    return name.replace(".", "_")


def command_id(name: str) -> str:
    """Return the id of an operation's command.

    Parameters
    ----------
    name
        The operation's key.
    """
    return f"{PLUGIN}.{attribute(name)}"
