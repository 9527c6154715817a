"""Names of units: each file has its own, here they are those of OME-Zarr."""

from __future__ import annotations

_NAMES = {
    "angstrom": ("å", "ångström", "ångstrom"),
    "nanometer": ("nm", "nanometre"),
    "micrometer": ("um", "µm", "μm", "micron", "microns", "micrometre"),
    "millimeter": ("mm", "millimetre"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "kilometer": ("km", "kilometre"),
    "picometer": ("pm", "picometre"),
    "inch": ("in", "inches"),
    "foot": ("ft", "feet"),
    "nanosecond": ("ns",),
    "microsecond": ("us", "µs", "μs"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec"),
    "minute": ("min",),
    "hour": ("h", "hr"),
    "day": ("d",),
}

_METERS = {
    "angstrom": 1e-10,
    "picometer": 1e-12,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
    "kilometer": 1e3,
    "inch": 0.0254,
    "foot": 0.3048,
}

_LOOKUP = {alias: name for name, aliases in _NAMES.items() for alias in (name, *aliases)}


def unit_name(unit: object) -> str | None:
    r"""Return the OME-Zarr name of a unit, or None for no unit (``"pixel"``, ``""``).

    Parameters
    ----------
    unit
        The text in a file: ``"um"``, ``"micron"``, ``"\\u00B5m"`` (ImageJ), ``"micrometer"``.
    """
    if not isinstance(unit, str):
        return None
    text = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if text == "Å":
        return "angstrom"
    lowered = text.lower()
    name = _LOOKUP.get(text) or _LOOKUP.get(lowered) or _LOOKUP.get(lowered.rstrip("s"))
    return name


def symbol(unit: str | None, *, ascii_only: bool = False) -> str | None:
    """Return the symbol of a unit in OME-XML, or None where there is no unit.

    Parameters
    ----------
    unit
        OME-Zarr's name of the unit.
    ascii_only
        Whether to write ``"um"`` for ``"µm"``, as ImageJ does.
    """
    if unit is None:
        return None
    symbols = {"angstrom": "Å", "micrometer": "µm", "microsecond": "µs"}
    short = symbols.get(unit) or _NAMES.get(unit, (unit,))[0]
    if not ascii_only or short.isascii():
        return short
    return unit if unit == "angstrom" else short.replace("µ", "u")


def converted(size: float, unit: str | None, to: str | None) -> float | None:
    """Return a length in another unit, or None if a unit is unknown or not a length.

    Parameters
    ----------
    size
        The length.
    unit
        Its unit, by OME-Zarr's name.
    to
        The other unit.
    """
    if unit == to:
        return size
    if unit not in _METERS or to not in _METERS:
        return None
    return float(f"{size * _METERS[unit] / _METERS[to]:.12g}")  # 0.8, not 0.8000000000000002
