"""Where an operation differs from its library on purpose: the library's answer is not repeatable.

It then depends on something that is not an argument: memory that nobody wrote, an earlier call, the
order in which pixels lie in memory. Ours is the answer that the library documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Deviation:
    """The calls for which the library's answer is not a function of its input."""

    calls: str
    """Which calls, in words."""
    library: str
    """What the library returns."""
    ours: str
    """What we return, through every door: `apply`, recipes, the drop-in."""
    versions: str
    """The library's releases that were seen to do so."""
    applies: Callable[[np.ndarray, Parameters], bool]
    """Whether a call with this image in memory and these parameters, defaults included, is one."""
    answered: bool = True
    """Whether such a call has an answer; otherwise ours is a refusal, and the library must not be
    called: it does not check what it cannot work on."""
    beyond: bool = False
    """Whether the library reads memory beyond its own for its answer: no test calls it either."""


def is_swapped(image: np.ndarray, params: Parameters) -> bool:
    """Return whether an image of 16-bit integers has the other machines' byte order.

    Parameters
    ----------
    image
        The image.
    params
        The call's parameters.
    """
    return image.dtype.kind == "u" and image.dtype.itemsize == 2 and not image.dtype.isnative


SWAPPED_LEVELS = Deviation(
    calls="an image of uint16 whose bytes are swapped (`>u2` on most machines, as TIFF and FITS "
    "files may hold)",
    library="takes the type for an unknown one: up to 255 the result is uint8, above that a "
    "`TypeError`",
    ours="that of the same numbers in the machine's byte order",
    versions="0.26 with NumPy 2",
    applies=is_swapped,
)
"""`skimage.filters.rank` compares data types with those of this machine."""


def is_swapped_single(image: np.ndarray, params: Parameters) -> bool:
    """Return whether an image of float32 has the other machines' byte order.

    Parameters
    ----------
    image
        The image.
    params
        The call's parameters.
    """
    return image.dtype.kind == "f" and image.dtype.itemsize == 4 and not image.dtype.isnative


SWAPPED_SINGLE = Deviation(
    calls="an image of float32 whose bytes are swapped (`>f4` on most machines, as in FITS files)",
    library="PyWavelets takes the type for an unknown one and computes in double precision",
    ours="that of the same numbers in the machine's byte order, in single precision",
    versions="0.26 with PyWavelets 1.8",
    applies=is_swapped_single,
)
"""PyWavelets compares data types with those of this machine."""


def is_out_of_order(image: np.ndarray, params: Parameters) -> bool:
    """Return whether an image of fractions lies in memory in another order than C's.

    Parameters
    ----------
    image
        The image.
    params
        The call's parameters.
    """
    return image.dtype.kind == "f" and not image.flags.c_contiguous


ADDED_IN_ORDER = Deviation(
    calls="an image of floating-point numbers that does not lie in memory in C's order (Fortran's, "
    "or a view of every other pixel)",
    library="NumPy adds numbers up in the order in which they lie in memory: other last bits than "
    "for a copy of the image",
    ours="that of a copy in C's order",
    versions="0.26 with NumPy 2",
    applies=is_out_of_order,
)
"""Sums depend on their order."""
