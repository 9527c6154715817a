"""Amounts as people write them: ``"2 GiB"``, ``"512MB"``, ``1.5e9`` and back; ``1 tile``."""

from __future__ import annotations

import math
import re
from numbers import Real

from napari_tilewise.errors import InvalidParameter, InvalidParameterType

_PREFIXES = "kmgtp"
_SIZE = re.compile(
    r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(?:([kmgtp])(i?))?b?\s*", re.IGNORECASE
)
_EXPECTED = "expected a positive number of bytes, such as '2 GiB', '512MB' or 2000000000."


def parse_size(size: str | float) -> int:
    """Return an amount of memory in bytes.

    Parameters
    ----------
    size
        A number of bytes, or text: a number and a unit. ``KiB``, ``MiB``, ``GiB``, ``TiB`` and
        ``PiB`` are powers of 1024; ``kB``, ``MB``, ``GB``, ``TB`` and ``PB`` powers of 1000; the
        ``B`` and the space are optional, and upper or lower case does not matter.

    Raises
    ------
    InvalidParameter
        If the text is not a size, or the amount is not positive.
    """
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        if match is None:
            raise InvalidParameter(f"Invalid size {size!r}: {_EXPECTED}")
        number, prefix, binary = match.groups()
        base = 1024 if binary else 1000
        power = _PREFIXES.index(prefix.lower()) + 1 if prefix else 0
        amount = float(number) * float(base**power)
    elif isinstance(size, Real) and not isinstance(size, bool):
        amount = float(size)
    else:
        raise InvalidParameterType(f"The size {size!r} is not a number: {_EXPECTED}")
    if not math.isfinite(amount) or amount < 1:
        raise InvalidParameter(f"The size {size!r} is out of range: {_EXPECTED}")
    return round(amount)


def format_size(size: float) -> str:
    """Return an amount of bytes as a short text: ``"1.5 GiB"``, ``"340 MiB"``, ``"12 bytes"``."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024 or unit == "TiB":
            break
        amount /= 1024
    digits = 0 if unit == "bytes" or abs(amount) >= 100 else 1
    if unit == "bytes" and round(amount) == 1:
        return "1 byte"
    return f"{amount:.{digits}f} {unit}"


def duration(seconds: float) -> str:
    """Return a time as a short text: ``"1.5 s"``, ``"40 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``"1 tile"``, ``"2 tiles"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
