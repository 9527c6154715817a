"""Grey reconstruction by sweeps: each tile is reconstructed from the current state around it.

The mask limits the values everywhere, so a tile whose surroundings are not final is too low, never
too high. Sweeps raise it until nothing changes, which is the unique state that scikit-image's
function reaches too. h-maxima and h-minima are differences to a reconstruction.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.morphology import reconstruction

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import format_region
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import Deviation
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Sweep,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChoiceSpec,
    Footprint,
    Number,
)
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import DTypeLike

    from napari_tilewise.types import Parameters

FOOTPRINT = Footprint(optional=True, sequences=False, advanced=True)
STATE = "reconstructed"
RECONSTRUCTION = "skimage.morphology.reconstruction"
COST = Cost(memory=20.0, at_once=AtOnce(function=IN_MEMORY, kernel=IN_MEMORY, finite=True))


def _reach(call: Call) -> HaloLike:
    """Return the halo of one step: the longer side of the footprint, which may be asymmetric."""
    footprint = call["footprint"]
    if footprint is None:
        return 1
    offset = call.params.get("offset")
    centre = [n // 2 for n in footprint.shape] if offset is None else np.ravel(offset).tolist()
    return [max(int(c), n - 1 - int(c)) for c, n in zip(centre, footprint.shape, strict=True)]


def _check(call: Call) -> None:
    """Let scikit-image check the footprint and its offset, on an image of a single pixel."""
    pixel = np.zeros((1,) * call.ndim, np.float32)
    try:
        reconstruction(pixel, pixel, footprint=call["footprint"], offset=call.params.get("offset"))
    except Exception as error:
        raise InvalidParameter(f"{call.operation.name}: {error}") from error


def _sweep_reconstruction(
    call: Call,
    seed: Callable[[Block], np.ndarray],
    mask: Callable[[Block], np.ndarray],
    method: str,
    dtype: Any,
) -> Generator[Sweep, Any, None]:
    """Reconstruct a mask from a seed; later passes see the result as the image `STATE`."""

    def start(block: Block) -> np.ndarray:
        seeds, limit = seed(block), mask(block)
        is_beyond = seeds > limit if method == "dilation" else seeds < limit
        if is_beyond.any():
            side = "larger" if method == "dilation" else "smaller"
            raise InvalidImage(
                f"{call.operation.name}: the seed is {side} than the mask at a pixel in "
                f"{format_region(block.tile)}: expected no {side} pixel with method={method!r}."
            )
        if np.isnan(seeds).any() or np.isnan(limit).any():
            # Infinity less `h` and its margin is NaN too.
            has_nan = np.isnan(block.data).any() or np.isnan(limit).any()
            raise InvalidImage(
                f"{call.operation.name}: the image contains {'NaN' if has_nan else 'infinity'}: "
                "expected numbers that have an order. Replace it first, for example with "
                "numpy.nan_to_num."
            )
        return seeds.astype(dtype)

    def compute(block: Block) -> np.ndarray:
        state = block.images[STATE]
        limit = mask(block).astype(dtype)
        if np.array_equal(state, limit):
            return state
        return np.asarray(
            run_fastest(
                RECONSTRUCTION,
                reconstruction,
                state,
                limit,
                method=method,
                footprint=call["footprint"],
                offset=call.params.get("offset"),
            )
        )

    yield Sweep(compute, dtype, start, halo=_reach(call), name=STATE, description="reconstruction")


def _float_type(call: Call, dtype: Any) -> DTypeLike:
    """Return scikit-image's float dtype: single for half and single precision, otherwise double."""
    native = np.dtype(dtype).newbyteorder("=")
    return np.float32 if native in (np.float16, np.float32) else np.float64


def _is_unordered(image: np.ndarray, params: Parameters) -> bool:
    """Return whether the seed or the mask holds NaN, or infinity of which `h` is taken."""
    images = [image] if "h" in params else [image, np.asarray(params["mask"])]
    is_number = np.isfinite if "h" in params else lambda pixels: ~np.isnan(pixels)
    return any(x.dtype.kind == "f" and not is_number(x).all() for x in images)


UNORDERED = Accuracy(
    deviations=(
        Deviation(
            calls="an image or mask that holds NaN; for `h_maxima` and `h_minima` infinity too",
            library="sorts its pixels, but NaN, and infinity less `h`, have no place in an order",
            ours="a refusal in one sentence, or the answer where no comparison needs those pixels",
            versions="0.26",
            applies=_is_unordered,
            answered=False,
        ),
    )
)


# -- reconstruction --------------------------------------------------------------------------------


def _mask_type(call: Call) -> DTypeLike:
    mask = call["mask"]
    return _float_type(call, call.dtype if mask is None else mask.dtype)


def _reconstruction(call: Call) -> Plan:
    yield from _sweep_reconstruction(
        call,
        lambda block: block.data,
        lambda block: block.images["mask"],
        call["method"],
        _mask_type(call),
    )
    return Tiles(lambda block: block.images[STATE])


# -- h-maxima and h-minima -------------------------------------------------------------------------


def _check_h(call: Call) -> None:
    if call["h"] == 0:
        raise InvalidParameter(
            f"{call.operation.name}: h=0 is ambiguous: expected h > 0. Without a height use "
            "local_maxima or local_minima."
        )


def _extrema(sign: int) -> Callable[[Call], Plan]:
    method = "dilation" if sign > 0 else "erosion"

    def plan(call: Call) -> Plan:
        low, high = yield from global_numbers.extremes(call)
        h = call["h"]
        if h > np.ptp(np.array([low, high])):
            return Tiles(lambda block: np.zeros(block.data.shape, np.uint8))
        _check(call)  # scikit-image too checks the footprint only after comparing h
        is_fractional = isinstance(h, float | np.floating) and call.dtype.kind in "ui"
        if is_fractional and h % 1 == 0:
            h, is_fractional = call.dtype.type(h), False
        if is_fractional:
            warnings.warn(
                "possible precision loss converting image to floating point. To silence this "
                "warning, ensure image and h have same data type.",
                stacklevel=2,
            )

        def image(block: Block) -> np.ndarray:
            return block.data.astype(float) if is_fractional else block.data

        dtype = _float_type(call, np.float64 if is_fractional else call.dtype)
        yield from _sweep_reconstruction(
            call, lambda b: _shifted(image(b), -sign, h), image, method, dtype
        )

        def compute(block: Block) -> np.ndarray:
            pixels, state = image(block), block.images[STATE]
            residue = pixels - state if sign > 0 else state - pixels
            return np.asarray((residue >= h).astype(np.uint8))

        return Tiles(compute)

    return plan


def _shifted(image: np.ndarray, sign: int, h: Any) -> np.ndarray:
    """Return the image raised or lowered by h, with scikit-image's margin for rounding errors."""
    if image.dtype.kind == "f":
        margin = 2 * np.finfo(image.dtype).resolution * np.abs(image)
        with np.errstate(invalid="ignore"):  # infinity less itself: refused where it is found
            return np.asarray(image + h + margin if sign > 0 else image - h - margin)
    name = "_add_constant_clip" if sign > 0 else "_subtract_constant_clip"
    return np.asarray(reach("morphology.extrema", name)(image, h))


def _h_operation(name: str, title: str, sign: int) -> Operation:
    return Operation(
        name=f"morphology.{name}",
        title=title,
        family=families.MORPHOLOGY_BY_AREA,
        kind=Kind.ITERATIVE,
        specs={
            "h": Number(minimum=0, difference=True, usual=(0, 3), start=0.1),
            "footprint": FOOTPRINT,
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.uint8),
        neighbourhood=Neighbourhood(halo=_reach),
        plan_of=_extrema(sign),
        accuracy=UNORDERED,
        limits=Limits(check=_check_h, dtypes="uif"),
        adapter=Adapter(kernels=(f"skimage.morphology.{name}", RECONSTRUCTION)),
        cost=COST,
    )


OPERATIONS = (
    Operation(
        name="morphology.reconstruction",
        title="Morphological reconstruction",
        family=families.MORPHOLOGY_BY_AREA,
        kind=Kind.ITERATIVE,
        specs={
            "mask": AlignedImage(role="limit", like=True, optional=False),
            "method": ChoiceSpec(choices=("dilation", "erosion")),
            "footprint": FOOTPRINT,
            "offset": Array(ndim=1, integer=True, optional=True, longest=3, advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_reach),
        result=ResultSpec(dtype=_mask_type),
        plan_of=_reconstruction,
        accuracy=UNORDERED,
        limits=Limits(check=_check),
        adapter=Adapter(kernels=(RECONSTRUCTION,)),
        cost=COST,
    ),
    _h_operation("h_maxima", "H-maxima", 1),
    _h_operation("h_minima", "H-minima", -1),
)
