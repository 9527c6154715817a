"""`scipy.ndimage`, grey morphology: minima and maxima in windows, flat or with heights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import (
    CVAL,
    MODE,
    NO_ARRAY,
    NO_AXES,
    OPTIONAL_SIZE,
    ORIGIN,
    OUTPUT,
    WINDOW,
    centred,
    check_type,
    check_window,
    checked,
    default_size,
    is_one_window,
    refuse_nan,
    result_type,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    AtOnce,
    Block,
    Call,
    Constraint,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Array

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike


def _lengths(call: Call) -> tuple[int, ...]:
    """Return the window's length along each axis; a size may be far too long for an array."""
    for window in (call["footprint"], call["structure"]):
        if window is not None:
            return np.shape(window)
    if call["size"] is None:
        raise InvalidParameter(
            f"{call.operation.name}: no window is given: expected size=, footprint= or structure=."
        )
    return tuple(map(int, call.per_axis(call["size"])))


def _is_flat_box(call: Call) -> bool:
    footprint = call["footprint"]
    return call["structure"] is None and (footprint is None or bool(np.all(footprint)))


def _check(call: Call) -> None:
    lengths = _lengths(call)
    footprint, structure = call["footprint"], call["structure"]
    if footprint is not None and not np.any(footprint):
        raise InvalidParameter(
            f"{call.operation.name}: the footprint is empty: expected at least one set pixel."
        )
    if structure is not None and structure.shape != lengths:
        raise InvalidParameter(
            f"{call.operation.name}: the footprint has shape {lengths} and the structure "
            f"{structure.shape}: expected the same, or one of the two."
        )
    check_window(call, lengths, separable=_is_flat_box(call))


def _halo(filters: int) -> Callable[[Call], HaloLike]:
    def halo(call: Call) -> HaloLike:
        # A mirrored window of even size has its longer side on the other side.
        return tuple(filters * reach for reach in centred(call, _lengths(call)))

    return halo


def _plan(filters: int) -> Callable[[Call], Tiles]:
    def plan(call: Call) -> Tiles:
        def compute(block: Block) -> np.ndarray:
            if _is_flat_box(call):
                refuse_nan(call, block)
            by_size = call["footprint"] is None and call["structure"] is None
            return np.asarray(call.function(block.data, **({} if by_size else {"size": None})))

        return Tiles(compute, halo=_halo(filters)(call))

    return plan


def _difference_type(call: Call) -> DTypeLike:
    """Return the data type of a difference of two filters, of which neither has `output`."""
    return call.dtype


def _filter(name: str, filters: int, dtype: Callable[[Call], DTypeLike] = result_type) -> Operation:
    specs = {
        "size": OPTIONAL_SIZE,
        "footprint": WINDOW,
        "structure": Array(usual=(-1, 1), optional=True, advanced=True),
        "output": OUTPUT,
        "mode": MODE,
        "cval": CVAL,
        "origin": ORIGIN,
    }
    if dtype is _difference_type:
        del specs["output"]  # SciPy takes an array only, whatever its documentation says
    return Operation(
        name=f"ndimage.{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs=specs,
        neighbourhood=Neighbourhood(halo=_halo(filters), border="mode"),
        plan_of=_plan(filters),
        result=ResultSpec(dtype=dtype),
        constraints=(Constraint(names=("size", "footprint"), satisfy=default_size),),
        limits=Limits(
            dtypes="uif" if dtype is _difference_type else "buif",  # NumPy subtracts no masks
            check=checked(check_type, _check),
        ),
        adapter=NO_AXES if "output" in specs else NO_ARRAY,
        cost=Cost(
            memory=5.0, at_once=AtOnce(function=IN_ONE_CALL, finite=True, when=is_one_window)
        ),
        note="NaN is refused where the window is a full flat box, whose running minima and maxima "
        "carry it on.",
    )


OPERATIONS = (
    _filter("grey_erosion", 1),
    _filter("grey_dilation", 1),
    _filter("grey_opening", 2),
    _filter("grey_closing", 2),
    _filter("morphological_gradient", 1, _difference_type),
    _filter("morphological_laplace", 1, _difference_type),
    _filter("white_tophat", 2),
    _filter("black_tophat", 2),
)
