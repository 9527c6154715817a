"""How the shell names the options that errors mark by their names in Python."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping

_OTHER_NAMES = {
    "inputs": "--input",
    "n_jobs": "--jobs",
    "resume=False": "--no-resume",
    "pyramid=False": "--no-pyramid",
    "overwrite=True": "--overwrite",
    "allow_outside=True": "--allow-outside",
    "overwrite='skip'": "--skip",
}
"""Options whose names in the shell differ from those in Python, with their value if it matters."""


def shell_option(name: str, value: str | None) -> str:
    """Return an option as a command has it.

    Parameters
    ----------
    name
        Its name in Python.
    value
        The expression of its value there; None for the option as such.
    """
    if f"{name}={value}" in _OTHER_NAMES:
        return _OTHER_NAMES[f"{name}={value}"]
    option = _OTHER_NAMES.get(name, f"--{name.replace('_', '-')}")
    return option if value is None else f"{option} {_text(value)}"


def _text(expression: str) -> str:
    """Return a value as it is typed in the shell."""
    try:
        value = literal_eval(expression)
    except (ValueError, SyntaxError):
        return expression
    if isinstance(value, Mapping):
        return " ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple | list):
        return ",".join(":" if item is None else str(item) for item in value)
    return str(value)
