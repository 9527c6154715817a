"""`skimage.filters.rank`: local histograms of 8- and 16-bit images, without pixels outside.

Other types are converted to 8 bits by a rule that uses the whole image's maximum, and filters such
as autolevel use as many levels as that maximum has: a reduction computes it before the tiles.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.util import img_as_ubyte

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.narrowing import narrow, needs_maximum
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import docstrings, families
from napari_tilewise.operations.spec.adapter import DIRECT
from napari_tilewise.operations.spec.deviation import SWAPPED_LEVELS
from napari_tilewise.operations.spec.operation import (
    IN_BANDS,
    SLOW,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Footprint, Number, Spec
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import Parameters

SHIFT = Number(integer=True, usual=(-1, 1), advanced=True)
SHIFTS_2D = {"shift_x": SHIFT, "shift_y": SHIFT}
SHIFTS = {**SHIFTS_2D, "shift_z": SHIFT}
SHARE = Number(minimum=0, maximum=1, usual=(0, 1))
SPREAD = Number(minimum=0, integer=True, usual=(0, 60))


def footprint_halo(
    footprint: np.ndarray | None, ndim: int, shifts: Sequence[int] = ()
) -> tuple[tuple[int, int], ...]:
    """Return how far a footprint extends around its centre, half its size, moved by the shifts."""
    sizes = (3,) * ndim if footprint is None else np.asarray(footprint).shape
    offsets = (*shifts, *(0,) * ndim)[:ndim]
    return tuple(
        (max(0, n // 2 + offset), max(0, n - 1 - n // 2 - offset))
        for n, offset in zip(sizes, offsets, strict=True)
    )


def _shifts(params: Parameters, ndim: int) -> tuple[int, ...]:
    """Return the shifts per axis: y, x for images with two axes, but x, y, z with three."""
    names = ("shift_y", "shift_x") if ndim == 2 else ("shift_x", "shift_y", "shift_z")
    return tuple(params.get(name, 0) for name in names)


def rank_halo(call: Call) -> HaloLike:
    """Return how far the call's footprint extends around a pixel."""
    return footprint_halo(call["footprint"], call.ndim, _shifts(call.params, call.ndim))


def check_rank(call: Call) -> None:
    """Raise `InvalidImage` for images that no rank filter takes."""
    if not 2 <= call.ndim <= 3:
        raise InvalidImage(
            f"{call.operation.name}: rank filters work on 2 or 3 spatial axes; the image has "
            f"{call.ndim}."
        )
    if call.dtype.kind == "b" and call.ndim == 2:
        raise InvalidImage(f"{call.operation.name} does not take 2D bool images: convert to uint8.")


def check_footprint(call: Call) -> None:
    """Raise for images that no rank filter takes, and for shifts out of the footprint."""
    check_rank(call)
    sizes = (3,) * call.ndim if call["footprint"] is None else call["footprint"].shape
    for size, shift in zip(sizes, _shifts(call.params, call.ndim), strict=True):
        if not 0 <= size // 2 + shift < size:
            raise InvalidParameter(
                f"{call.operation.name}: a shift of {shift} moves the centre out of a footprint "
                f"of {size} pixels: expected {-(size // 2)} to {size - 1 - size // 2}."
            )


def rank_dtype(call: Call) -> DTypeLike:
    """Return the dtype that the rank filters work in."""
    return call.dtype if call.dtype in (np.uint8, np.uint16) else np.uint8


# -- plans -----------------------------------------------------------------------------------------


def rank_plan(
    call: Call, function: str, params: dict[str, Any], *, levels: bool = False
) -> Passes[Tiles]:
    """Plan a rank filter: the whole image's maxima if they matter, then the tiles.

    Parameters
    ----------
    call
        The bound operation.
    function
        The rank filter's dotted path.
    params
        Its parameters, without the mask.
    levels
        Whether the result depends on the number of gray levels of a 16-bit image.
    """
    is_deep = levels and call.dtype == np.uint16
    maxima = yield from reduce_maxima(call, of_image=is_deep)
    run = docstrings.resolve(function)
    path = f"skimage.{function}"
    if path in call.operation.adapter.kernels:
        run = partial(run_fastest, path, run)
    pinned = int(max(3, maxima[0])) + 1 if is_deep else None

    def compute(block: Block) -> np.ndarray:
        image, inside = narrowed(block, maxima)
        if pinned is None:
            return np.asarray(run(image, **params, **inside))
        return with_levels(function, image, inside.get("mask"), params, pinned)

    halo = footprint_halo(params["footprint"], call.ndim, _shifts(params, call.ndim))
    return Tiles(compute, halo=halo)


def reduce_maxima(call: Call, *, of_image: bool = False) -> Passes[list[Any]]:
    """Return the largest pixel of the image and of the mask, 0 if their conversion ignores it.

    Parameters
    ----------
    call
        The bound operation.
    of_image
        Whether to compute the image's maximum even if its conversion does not need it.
    """
    mask = call.params.get("mask")
    of_image = of_image or (call.dtype != np.uint16 and needs_maximum(call.dtype, 8))
    of_mask = mask is not None and needs_maximum(mask.dtype, 8)
    if not (of_image or of_mask):
        return [0, 0]

    def largest(block: Block) -> list[Any]:
        image = block.data.max() if of_image else 0
        return [image, block.images["mask"].max() if of_mask else 0]

    maxima: list[Any] = yield Reduce(
        of=largest,
        merge=lambda a, b: [np.maximum(*pair) for pair in zip(a, b, strict=True)],
        description="largest pixel",
    )
    return maxima


def narrowed(block: Block, maxima: Sequence[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the block's pixels and its mask, by name, converted as the rank filters do."""
    image = block.data
    if image.dtype not in (np.uint8, np.uint16):
        image = narrow(image, 8, maxima[0])
    return image, {name: narrow(array, 8, maxima[1]) for name, array in block.images.items()}


def with_levels(
    function: str,
    image: np.ndarray,
    mask: np.ndarray | None,
    params: Parameters,
    levels: int,
    depth: int | None = None,
) -> np.ndarray:
    """Run a kernel with the number of levels of the whole image instead of the array's.

    Parameters
    ----------
    function
        The rank filter's dotted path.
    image
        Of 8 or 16 bits.
    mask
        Of 8 bits.
    params
        The filter's parameters, without the mask.
    levels
        The number of gray levels, the whole image's maximum plus one.
    depth
        The length of the result's last axis; None: no such axis, and the image's dtype.
    """
    name = function.rpartition(".")[2]
    kernel, limits = _kernel(name, image.ndim, params)
    shifts = ["shift_x", "shift_y", "shift_z"][: image.ndim]
    if mask is None and image.ndim == 3:
        mask = np.ones(image.shape, np.uint8)
    footprint = params["footprint"] > 0
    if name == "noise_filter":
        footprint[_centre(footprint.shape, params)] = False
    out = np.empty((*image.shape, depth or 1), np.float64 if depth else image.dtype)
    kernel(
        image,
        np.ascontiguousarray(img_as_ubyte(footprint)),
        mask=mask,
        out=out,
        n_bins=levels,
        **limits,
        **{shift: params[shift] for shift in shifts},
    )
    return out if depth else out[..., 0]


def _kernel(name: str, ndim: int, params: Parameters) -> tuple[Any, dict[str, Any]]:
    """Return a filter's kernel and the percentile limits that it takes, if any."""
    if name.endswith("_percentile"):
        limits = {"p0": params["p0"], "p1": params.get("p1", 0)}
        return reach("filters.rank.percentile_cy", f"_{name[: -len('_percentile')]}"), limits
    inner = {"windowed_histogram": "windowed_hist"}.get(name, name)
    return reach("filters.rank.generic_cy", f"_{inner}" + ("" if ndim == 2 else "_3D")), {}


def _centre(shape: tuple[int, ...], params: Parameters) -> tuple[int, ...]:
    """Return the pixel that `noise_filter` omits, in the order y, x, z, as scikit-image does."""
    names = ("shift_y", "shift_x", "shift_z")
    return tuple(n // 2 + params[name] for n, name in zip(shape, names, strict=False))


# -- declarations ----------------------------------------------------------------------------------


def _rank(
    name: str,
    *,
    optional: bool = False,
    levels: bool = False,
    dtype: Any = None,
    specs: Mapping[str, Spec] | None = None,
    adapter: Adapter = DIRECT,
) -> Operation:
    """Declare a filter; filters with further parameters work on two axes only."""

    def plan(call: Call) -> Plan:
        return (yield from rank_plan(call, call.operation.name, call.keywords, levels=levels))

    return Operation(
        name=f"filters.rank.{name}",
        family=families.RANKS,
        kind=Kind.STATISTIC if levels else Kind.NEIGHBOURHOOD,
        specs={
            "footprint": Footprint(optional=optional, sequences=False),
            "mask": AlignedImage(advanced=True),
            **(SHIFTS if specs is None else SHIFTS_2D),
            **(specs or {}),
        },
        neighbourhood=Neighbourhood(halo=rank_halo),
        result=ResultSpec(dtype=rank_dtype if dtype is None else lambda call: dtype),
        plan_of=plan,
        limits=Limits(check=check_footprint, ndim=(2, 3) if specs is None else (2, 2)),
        adapter=adapter,
        accuracy=Accuracy(deviations=(SWAPPED_LEVELS,) if dtype is None else ()),
        cost=Cost(memory=4.0, at_once=IN_BANDS._replace(function=SLOW, passes=SLOW, finite=True)),
    )


def _fast(name: str, *, optional: bool = False) -> Operation:
    """Declare a filter that a kernel stands in for."""
    adapter = Adapter(kernels=(f"skimage.filters.rank.{name}",))
    return _rank(name, optional=optional, adapter=adapter)


def _percentile(name: str, *, levels: bool = False, both: bool = True) -> Operation:
    specs = {"p0": SHARE, "p1": SHARE} if both else {"p0": SHARE}
    return _rank(f"{name}_percentile" if name else "percentile", levels=levels, specs=specs)


def _bilateral(name: str) -> Operation:
    return _rank(f"{name}_bilateral", specs={"s0": SPREAD, "s1": SPREAD})


OPERATIONS = (
    _fast("median", optional=True),
    _fast("mean"),
    _rank("geometric_mean"),
    _fast("minimum"),
    _fast("maximum"),
    replace(_rank("modal"), title="Mode (rank)"),
    _rank("majority"),
    _fast("gradient"),
    _rank("entropy", dtype=np.float64),
    replace(_rank("otsu"), title="Otsu threshold (rank)"),
    _fast("threshold"),
    _fast("enhance_contrast"),
    _rank("autolevel", levels=True),
    _rank("equalize", levels=True),
    _rank("subtract_mean", levels=True),
    _rank("noise_filter", levels=True),
    replace(_fast("pop"), title="Population (rank)"),
    _rank("sum"),
    _percentile("", both=False),
    _percentile("mean"),
    _percentile("sum"),
    _percentile("pop"),
    # with p1=1 the highest level is that of the image, not of the neighbourhood
    _percentile("gradient", levels=True),
    _percentile("enhance_contrast"),
    _percentile("autolevel", levels=True),
    _percentile("subtract_mean", levels=True),
    replace(
        _percentile("threshold", levels=True, both=False), title="Threshold at a percentile (rank)"
    ),
    _bilateral("mean"),
    _bilateral("sum"),
    _bilateral("pop"),
)
