"""Units as text: pixels and others, with exponents."""

from __future__ import annotations

PIXEL = "px"
POWERS = {2: "²", 3: "³"}


def with_power(unit: str, power: int) -> str:
    """Return a unit raised to a power, as text.

    Parameters
    ----------
    unit
        Its symbol.
    power
        The exponent; 1 is not written.
    """
    return f"{unit}{POWERS.get(power, '')}"
