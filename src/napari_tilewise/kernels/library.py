"""The compiled library: one file per instruction set, the best that this processor runs is loaded.

``TILEWISE_KERNELS`` in the environment switches the kernels off (``0``) or names the instruction
set: ``baseline``, ``avx2`` or ``avx512``. It is read once, when the first kernel is asked for.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage as ndi

LEVELS = ("baseline", "avx2", "avx512")
"""Instruction sets, each including the ones before it. On ARM the baseline includes NEON."""

INTERFACE = 18
"""What `tilewise_interface` of a library answers whose functions take what this code passes."""

LATEST: tuple[str, ...] = ("affine", "label_sums")
"""Functions that builds of this interface had not from its beginning: all are there, or none is
called."""

_NO_MEMORY = 1


def _suffix() -> str:
    return {"win32": ".dll", "cygwin": ".dll"}.get(sys.platform, ".so")


def _file_of(level: str) -> Path:
    return Path(__file__).with_name(f"tilewise_{level}{_suffix()}")


@cache
def _load(level: str) -> ctypes.CDLL | None:
    """Return the library for an instruction set, or None where it was not built for this code."""
    try:
        library = ctypes.CDLL(str(_file_of(level)))
    except OSError:
        return None
    interface = getattr(library, "tilewise_interface", None)
    if interface is None or interface() != INTERFACE:
        return None
    return library if all(hasattr(library, f"tilewise_{name}") for name in LATEST) else None


@cache
def levels() -> tuple[str, ...]:
    """Return the instruction sets that are built and that this processor runs."""
    baseline = _load(LEVELS[0])
    if baseline is None:
        return ()
    highest = int(baseline.tilewise_level())
    return tuple(level for level in LEVELS[: highest + 1] if _load(level) is not None)


@cache
def level() -> str | None:
    """Return the instruction set in use, or None where kernels are off.

    Raises
    ------
    ValueError
        When ``TILEWISE_KERNELS`` names an instruction set that does not exist or does not run.
    """
    choice = os.environ.get("TILEWISE_KERNELS", "")
    if choice == "0" or not levels():
        return None
    if choice in ("", "1"):
        return levels()[-1]
    if choice not in levels():
        raise ValueError(
            f"TILEWISE_KERNELS={choice}: expected 0 (off) or an instruction set of this machine, "
            f"one of {', '.join(levels())}."
        )
    return choice


def available() -> bool:
    """Return whether compiled kernels can run."""
    return level() is not None


@cache
def rounds_alike() -> bool:
    """Return whether SciPy rounds every product before it adds it, as the kernels do.

    Where a compiler contracted the two into one instruction (the default of some on ARM), sums of
    products have other bits, and only kernels without them may stand in.
    """
    tiny = 2.0**-30
    # (1 + tiny) squared is 1 + 2 tiny + tiny^2: rounded on its own it loses the last term.
    total = ndi.correlate1d(
        np.array([1.0 + tiny, 1.0]), [1.0 + tiny, -(1.0 + 2 * tiny)], mode="nearest", origin=-1
    )
    return bool(total[0] == 0.0)


def call(name: str, *args: Any) -> None:
    """Call a function of the library; it holds no lock while it runs.

    Parameters
    ----------
    name
        The function's name without the prefix ``tilewise_``.
    *args
        Arrays (C-contiguous; passed as pointers), None (no array), integers and floats.

    Raises
    ------
    MemoryError
        When scratch memory cannot be had.
    RuntimeError
        When kernels are off, or do not know one of the data types.
    """
    chosen = level()
    function = None if chosen is None else _function(chosen, name)
    if function is None:
        raise RuntimeError("Kernels are off: ask Kernel.accepts before calling one.")
    status = function(*map(_argument, args))
    if status == _NO_MEMORY:
        raise MemoryError(f"The kernel {name} could not allocate its scratch memory.")
    if status:
        raise RuntimeError(f"The kernel {name} does not know these data types: status {status}.")


@cache
def _function(level: str, name: str) -> Any:
    """Return a function of a library, or None without the library: looking it up takes time."""
    library = _load(level)
    return None if library is None else library[f"tilewise_{name}"]


_NOTHING = ctypes.c_void_p(None)


def _argument(value: Any) -> Any:
    """Return what C is passed; the types that most arguments have are looked at first."""
    kind = type(value)
    if kind is int:
        return ctypes.c_int64(value)
    if kind is np.ndarray:
        if not value.flags.c_contiguous:
            raise ValueError("A kernel needs C-contiguous arrays.")
        return ctypes.c_void_p(value.__array_interface__["data"][0])
    if kind is float:
        return ctypes.c_double(value)
    if value is None:
        return _NOTHING
    if isinstance(value, np.ndarray):
        return _argument(value.view(np.ndarray))
    if isinstance(value, np.floating):
        return ctypes.c_double(float(value))
    return ctypes.c_int64(int(value))
