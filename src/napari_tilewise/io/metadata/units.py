"""Names of units: each file has its own, here they are those of OME-Zarr."""

from __future__ import annotations

_PREFIXES = {
    "yotta": ("Y", 24), "zetta": ("Z", 21), "exa": ("E", 18), "peta": ("P", 15), "tera": ("T", 12),
    "giga": ("G", 9), "mega": ("M", 6), "kilo": ("k", 3), "hecto": ("h", 2), "deca": ("da", 1),
    "deci": ("d", -1), "centi": ("c", -2), "milli": ("m", -3), "micro": ("µ", -6),
    "nano": ("n", -9), "pico": ("p", -12), "femto": ("f", -15), "atto": ("a", -18),
    "zepto": ("z", -21), "yocto": ("y", -24),
}  # fmt: skip
"""The prefixes of units, each with its symbol and its power of ten."""
_COMMON = {
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

_NAMES = {
    **{f"{name}meter": (f"{letter}m",) for name, (letter, _) in _PREFIXES.items()},
    **{f"{name}second": (f"{letter}s",) for name, (letter, _) in _PREFIXES.items()},
    "yard": ("yd", "yards"),
    "mile": ("mi", "miles"),
    "parsec": ("pc", "parsecs"),
    **_COMMON,
}

_METERS = {
    **{f"{name}meter": float(f"1e{power}") for name, (_, power) in _PREFIXES.items()},
    "angstrom": 1e-10,
    "meter": 1.0,
    "inch": 0.0254,
    "foot": 0.3048,
    "yard": 0.9144,
    "mile": 1609.344,
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
