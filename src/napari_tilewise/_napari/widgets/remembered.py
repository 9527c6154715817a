"""What panels remember from one session to the next: a small file in the user's settings."""

from __future__ import annotations

import json
from typing import Any

from qtpy.QtCore import QSettings


def recall(key: str, default: Any) -> Any:
    """Return a remembered value; the default if there is none, or it is of another type.

    Parameters
    ----------
    key
        A name such as ``"operations/preview"``.
    default
        Returned if nothing is remembered.
    """
    text = _settings().value(key)
    if not isinstance(text, str):
        return default
    try:
        value = json.loads(text)
    except ValueError:
        return default
    return value if default is None or isinstance(value, type(default)) else default


def remember(key: str, value: Any) -> None:
    """Remember a value.

    Parameters
    ----------
    key
        A name.
    value
        Plain data: numbers, texts, lists and dictionaries of them.
    """
    settings = _settings()
    settings.setValue(key, json.dumps(value))


def _settings() -> QSettings:
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "napari-tilewise", "panels"
    )
