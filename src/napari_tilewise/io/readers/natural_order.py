"""The order of files as people number them: ``a2`` before ``a10``."""

from __future__ import annotations

import re


def natural(text: str) -> str:
    """Return a sort key that puts ``a2`` before ``a10``.

    Parameters
    ----------
    text
        A path or a name.

    Returns
    -------
    str
        Text too, so that a million paths are sorted quickly.
    """
    return f"{re.sub('[0-9]+', _by_length, text)}\0{text}"


def _by_length(match: re.Match[str]) -> str:
    """Return a number after its length; it sorts before any other character."""
    digits = match[0].lstrip("0")
    return f"\1{len(digits):04}{digits}"
