"""`skimage.filters.rank`: local histograms of 8- and 16-bit images; outside pixels do not count.

Other types are converted to 8 bits by a rule that looks at the whole image's maximum, and autolevel
spreads over as many levels as that maximum has: both are gathered and pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.util import img_as_ubyte

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations import docs
from napari_tilewise.operations.model import (
    Block,
    Call,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Plan,
    Tiles,
)
from napari_tilewise.operations.narrowing import narrow, needs_maximum
from napari_tilewise.operations.parameters import AlignedImage, Footprint, Number
from napari_tilewise.operations.private import reach

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

SHIFT = Number(integer=True, usual=(-1, 1), advanced=True)
SHIFTS = {"shift_x": SHIFT, "shift_y": SHIFT, "shift_z": SHIFT}


def footprint_halo(
    footprint: np.ndarray | None, ndim: int, shifts: Sequence[int] = ()
) -> tuple[tuple[int, int], ...]:
    """Return the reach of a footprint around its centre, half its size, moved by the shifts."""
    sizes = (3,) * ndim if footprint is None else np.asarray(footprint).shape
    moved = (*shifts, *(0,) * ndim)[:ndim]
    return tuple(
        (max(0, n // 2 + move), max(0, n - 1 - n // 2 - move))
        for n, move in zip(sizes, moved, strict=True)
    )


def _shifts(params: Mapping[str, Any], ndim: int) -> tuple[int, ...]:
    """Return the shifts per axis: y, x for images of two axes, but x, y, z for those of three."""
    names = ("shift_y", "shift_x") if ndim == 2 else ("shift_x", "shift_y", "shift_z")
    return tuple(params.get(name, 0) for name in names)


def _halo(call: Call) -> HaloLike:
    return footprint_halo(call["footprint"], call.ndim, _shifts(call.params, call.ndim))


def check_rank(call: Call) -> None:
    """Raise for images that no rank filter takes."""
    if not 2 <= call.ndim <= 3:
        raise InvalidImage(
            f"{call.operation.name}: rank filters work on 2 or 3 spatial axes; the image has "
            f"{call.ndim}."
        )
    if call.dtype.kind == "b" and call.ndim == 2:
        raise InvalidImage(
            f"{call.operation.name} does not take a bool image of two axes: convert it to uint8."
        )


def _check(call: Call) -> None:
    check_rank(call)
    sizes = (3,) * call.ndim if call["footprint"] is None else call["footprint"].shape
    for size, shift in zip(sizes, _shifts(call.params, call.ndim), strict=True):
        if not 0 <= size // 2 + shift < size:
            raise InvalidParameter(
                f"{call.operation.name}: a shift of {shift} moves the centre out of a footprint "
                f"{size} pixels long: expected {-(size // 2)} to {size - 1 - size // 2}."
            )


def rank_dtype(call: Call) -> Any:
    """Return the dtype that the rank filters work in."""
    return call.dtype if call.dtype in (np.uint8, np.uint16) else np.uint8


# -- plans -----------------------------------------------------------------------------------------


def rank_plan(
    call: Call, function: str, params: dict[str, Any], *, levels: bool = False
) -> Generator[Gather, Any, Tiles]:
    """Plan a rank filter: the whole image's maxima where they count, then the tiles.

    Parameters
    ----------
    call
        The bound operation.
    function
        The rank filter's dotted path.
    params
        Its parameters but the mask.
    levels
        Whether the kernel spreads its result over the levels of a 16-bit image.
    """
    mask = call.params.get("mask")
    wide = call.dtype not in (np.uint8, np.uint16) and needs_maximum(call.dtype, 8)
    wide_mask = mask is not None and needs_maximum(mask.dtype, 8)
    deep = levels and call.dtype == np.uint16
    maxima: list[Any] = [0, 0]
    if wide or wide_mask or deep:

        def largest(block: Block) -> list[Any]:
            image = block.data.max() if wide or deep else 0
            return [image, block.images["mask"].max() if wide_mask else 0]

        maxima = yield Gather(
            of=largest,
            merge=lambda a, b: [max(pair) for pair in zip(a, b, strict=True)],
            what="largest pixel",
        )
    run = docs.resolve(function)
    name = function.rpartition(".")[2]
    pinned = int(max(3, maxima[0])) + 1 if deep else None

    def compute(block: Block) -> np.ndarray:
        image = block.data
        if image.dtype not in (np.uint8, np.uint16):
            image = narrow(image, 8, maxima[0])
        inside = {n: narrow(array, 8, maxima[1]) for n, array in block.images.items()}
        if pinned is None:
            return np.asarray(run(image, **params, **inside))
        return _with_levels(name, image, inside.get("mask"), params, pinned)

    halo = footprint_halo(params["footprint"], call.ndim, _shifts(params, call.ndim))
    return Tiles(compute, halo=halo)


def _with_levels(
    name: str, image: np.ndarray, mask: np.ndarray | None, params: dict[str, Any], levels: int
) -> np.ndarray:
    """Run a kernel with the number of levels of the whole image instead of the array's."""
    suffix = "" if image.ndim == 2 else "_3D"
    kernel = reach("filters.rank.generic_cy", f"_{name}{suffix}")
    shifts = ["shift_x", "shift_y", "shift_z"][: image.ndim]
    if mask is None and image.ndim == 3:
        mask = np.ones(image.shape, np.uint8)
    out = np.empty((*image.shape, 1), image.dtype)
    kernel(
        image,
        np.ascontiguousarray(img_as_ubyte(params["footprint"] > 0)),
        mask=mask,
        out=out,
        n_bins=levels,
        **{shift: params[shift] for shift in shifts},
    )
    return out[..., 0]


def _rank(
    name: str, *, optional: bool = False, levels: bool = False, dtype: Any = None
) -> Operation:
    def plan(call: Call) -> Plan:
        return (yield from rank_plan(call, call.operation.name, call.keywords, levels=levels))

    return Operation(
        name=f"filters.rank.{name}",
        kind=Kind.STATISTIC if levels else Kind.NEIGHBOURHOOD,
        specs={
            "footprint": Footprint(optional=optional, sequences=False),
            "mask": AlignedImage(advanced=True),
            **SHIFTS,
        },
        halo_of=_halo,
        dtype_of=rank_dtype if dtype is None else lambda call: dtype,
        plan_of=plan,
        check=_check,
        ndim=(2, 3),
        working=4.0,
    )


OPERATIONS = (
    _rank("median", optional=True),
    _rank("mean"),
    _rank("minimum"),
    _rank("maximum"),
    _rank("entropy", dtype=np.float64),
    _rank("autolevel", levels=True),
)
