"""Units as text: pixels and others, with exponents."""

from __future__ import annotations

PIXEL = "px"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def with_power(unit: str, power: int) -> str:
    """Return a unit raised to a power, as text.

    Parameters
    ----------
    unit
        Its symbol.
    power
        The exponent; 1 is not written.
    """
    return unit if power == 1 else unit + str(power).translate(SUPERSCRIPTS)
