"""Unit names: whatever a file calls them, here they are the ones of OME-Zarr."""

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

_LOOKUP = {alias: name for name, aliases in _NAMES.items() for alias in (name, *aliases)}


def unit_name(unit: object) -> str | None:
    r"""Return the OME-Zarr name of a unit, or None where it is none (``"pixel"``, ``""``).

    Parameters
    ----------
    unit
        What a file says: ``"um"``, ``"micron"``, ``"\\u00B5m"`` (ImageJ), ``"micrometer"``.
    """
    if not isinstance(unit, str):
        return None
    text = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    if text == "Å":
        return "angstrom"
    lowered = text.lower()
    name = _LOOKUP.get(text) or _LOOKUP.get(lowered) or _LOOKUP.get(lowered.rstrip("s"))
    return name
