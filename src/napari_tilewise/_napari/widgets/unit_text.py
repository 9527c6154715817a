"""Units as text: pixels and others, with exponents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.io.metadata.units import symbol, unit_name

if TYPE_CHECKING:
    from pint import Unit

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


def unit_symbol(unit: Unit) -> str:
    """Return the symbol of a layer's unit: ``µm`` also for what pint writes as ``µ``.

    Parameters
    ----------
    unit
        One of the layer's units.
    """
    return symbol(unit_name(str(unit))) or f"{unit:~P}"
