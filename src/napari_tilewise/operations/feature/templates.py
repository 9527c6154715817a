"""`skimage.feature.match_template`: how well a small image fits at every place of a large one.

The window at a place reaches half the template to each side where the result is padded, and the
whole template after it where it is not. NumPy's modes of padding that look along a whole line of
the image are not among the choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.common import as_float
from napari_tilewise.operations.model import (
    Block,
    Call,
    Exactness,
    HaloLike,
    Kind,
    Operation,
    Tiles,
)
from napari_tilewise.operations.parameters import Array, Choice, Flag, Number

if TYPE_CHECKING:
    from napari_tilewise.operations.grid import Region

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _halo(call: Call) -> HaloLike:
    # Where a border mirrors the image it mirrors as many pixels as the template has.
    return [int(n) for n in call["template"].shape]


def _shape(call: Call) -> tuple[int, ...]:
    if call["pad_input"]:
        return call.shape
    return tuple(n - t + 1 for n, t in zip(call.shape, call["template"].shape, strict=True))


def _check(call: Call) -> None:
    template = call["template"]
    if any(n < t for n, t in zip(call.shape, template.shape, strict=True)):
        raise InvalidImage(
            f"{call.operation.name}: the image of shape {call.shape} is smaller than the template "
            f"of shape {template.shape}: expected it to be at least as large along every axis."
        )
    if template.dtype.kind == "c":
        raise InvalidParameter(
            f"{call.operation.name}: template is complex: expected real numbers."
        )


def _plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        # In double precision, whatever the image: see `_Matching`.
        result = call.function(block.data.astype(np.float64, copy=False))
        return np.asarray(result, as_float(call))

    if call["pad_input"]:
        return Tiles(compute, halo=_halo(call))

    def source(tile: Region) -> Region:
        return tuple(
            slice(s.start, s.stop + t - 1)
            for s, t in zip(tile, call["template"].shape, strict=True)
        )

    return Tiles(compute, source=source)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Matching(Operation):
    """An operation whose tolerance grows with the image, as scikit-image's rounding does."""

    def tolerance_for(self, dtype: Any, pixels: int | None = None) -> float:
        """Return the tolerance for a result computed from this data type.

        scikit-image takes the deviation of a window from prefix sums of the whole image, and
        divides by it. Where the image is flat that is a rounding error divided by the root of
        another: about ``sqrt(eps * pixels)``, and, as the root may come close to zero, up to
        ``sqrt(pixels)`` times more at one of so many places. Correlations lie between -1 and 1, so
        that no two differ by more than 2. Sums in single precision have no digit to spare.
        """
        if pixels is None or np.dtype(dtype) in (np.float32, np.float16):
            return self.tolerance
        return min(self.tolerance, 1e-6 + 3e-8 * pixels)


OPERATION = _Matching(
    name="feature.match_template",
    kind=Kind.NEIGHBOURHOOD,
    exactness=Exactness.CLOSE,
    tolerance=2.0,
    specs={
        "template": Array(usual=(0, 1), longest=7),
        "pad_input": Flag(),
        "mode": Choice(choices=MODES, advanced=True),
        "constant_values": Number(usual=(-1, 1), advanced=True),
    },
    halo_of=_halo,
    dtype_of=as_float,
    shape_of=_shape,
    plan_of=_plan,
    border="mode",
    ndim=(2, 3),
    check=_check,
    working=16.0,
    note="Where the image is flat scikit-image divides one rounding error by another: the larger "
    "the image, the more arbitrary, and from float32 images of any size. A tile adds up few pixels "
    "in double precision and gives the better answer. Where the image has texture both agree.",
)
