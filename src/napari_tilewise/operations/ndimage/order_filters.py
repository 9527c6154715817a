"""`scipy.ndimage`, order statistics of windows: the values themselves, so equal bit for bit."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import (
    ARGUMENTS,
    AXES,
    AXIS,
    AXIS_ORIGIN,
    CVAL,
    MODE,
    OPTIONAL_SIZE,
    ORIGIN,
    OUTPUT,
    WINDOW,
    along_axis,
    centred,
    check_axis,
    check_type,
    check_window,
    checked,
    default_size,
    is_one_window,
    refuse_nan,
    result_type,
    untiled,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_BANDS,
    IN_ONE_CALL,
    Adapter,
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
    Trial,
)
from napari_tilewise.operations.spec.parameters import FunctionSpec, Number

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.parameters import Spec


def _lengths(call: Call) -> tuple[int, ...]:
    """Return the window's length along each axis; a size may be far too long for an array."""
    footprint = call["footprint"]
    if footprint is not None:
        return np.shape(footprint)
    if call["size"] is None:
        raise InvalidParameter(
            f"{call.operation.name}: no window is given: expected size= or footprint=."
        )
    return tuple(map(int, call.per_axis(call["size"])))


EXTREMES = ("maximum_filter", "minimum_filter")


def _pixels(call: Call) -> int:
    """Return the number of the window's set pixels."""
    footprint = call["footprint"]
    return prod(_lengths(call)) if footprint is None else int(np.count_nonzero(footprint))


def _is_box(call: Call) -> bool:
    return _pixels(call) == prod(_lengths(call))


def _check_rank(call: Call) -> None:
    if "rank" in call.params:
        pixels = _pixels(call)
        if not -pixels <= call["rank"] < pixels:
            raise InvalidParameter(
                f"{call.operation.name}: rank={call['rank']}: expected a rank among the window's "
                f"{pixels} pixels, from {-pixels} to {pixels - 1}."
            )


def _check_window(call: Call) -> None:
    if not _pixels(call):
        raise InvalidParameter(
            f"{call.operation.name}: the footprint is empty: expected at least one set pixel."
        )
    extremes = call.operation.name.endswith(EXTREMES)
    check_window(call, _lengths(call), separable=extremes and _is_box(call))


def _halo(call: Call) -> HaloLike:
    return centred(call, _lengths(call))


def _plan(call: Call) -> Tiles:
    running = _is_box(call) or call.ndim == 1

    def compute(block: Block) -> np.ndarray:
        if running:
            refuse_nan(call, block)
        window = {} if call["footprint"] is None else {"size": None}
        return np.asarray(call.function(block.data, **window))

    return Tiles(compute, halo=_halo(call))


def _check_pixels(call: Call) -> None:
    if call.dtype != np.float16 or call.ndim > 1:  # a running median takes half precision
        check_type(call)


def _filter(name: str, first: dict[str, Spec] | None = None, **cost: Any) -> Operation:
    return Operation(
        name=f"ndimage.{name}",
        family=families.RANKS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            **(first or {}),
            "size": OPTIONAL_SIZE,
            "footprint": WINDOW,
            "output": OUTPUT,
            "mode": MODE,
            "cval": CVAL,
            "origin": ORIGIN,
        },
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        plan_of=_plan,
        result=ResultSpec(dtype=result_type),
        constraints=(Constraint(names=("size",), satisfy=default_size),),
        limits=Limits(check=checked(_check_pixels, _check_window, _check_rank)),
        adapter=Adapter(
            kernels=() if name == "generic_filter" else (f"scipy.ndimage.{name}",),
            modernize=untiled(axes=AXES, extra_arguments=ARGUMENTS, extra_keywords=ARGUMENTS),
        ),
        cost=Cost(
            memory=4.0,
            at_once=IN_BANDS._replace(function=IN_ONE_CALL, finite=True, when=is_one_window),
            **cost,
        ),
        note="NaN is refused where the window is a full box, whose running minima and maxima carry "
        "it on.",
    )


def _line_halo(call: Call) -> HaloLike:
    return along_axis(call, call["size"] // 2 + abs(call["origin"]))


def _check_line(call: Call) -> None:
    size, origin = call["size"], call["origin"]
    if not 0 <= size // 2 + origin < size:
        raise InvalidParameter(
            f"{call.operation.name}: origin={origin} moves a window of {size} pixels off its "
            f"centre: expected a value from {-(size // 2)} to {(size - 1) // 2}."
        )


def _line_plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        refuse_nan(call, block)
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_line_halo(call))


def _line(name: str) -> Operation:
    return Operation(
        name=f"ndimage.{name}",
        family=families.RANKS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "size": Number(integer=True, minimum=1, length=True, usual=(1, 7)),
            "axis": AXIS,
            "output": OUTPUT,
            "mode": MODE,
            "cval": CVAL,
            "origin": AXIS_ORIGIN,
        },
        neighbourhood=Neighbourhood(halo=_line_halo, border="mode"),
        plan_of=_line_plan,
        result=ResultSpec(dtype=result_type),
        limits=Limits(check=checked(check_type, check_axis, _check_line)),
        cost=Cost(memory=4.0, at_once=AtOnce(function=IN_ONE_CALL, finite=True)),
        note="NaN is refused: running minima and maxima carry it on.",
    )


OPERATIONS = (
    _filter("maximum_filter"),
    _filter("minimum_filter"),
    _filter("median_filter"),
    _filter("percentile_filter", {"percentile": Number(minimum=-100, maximum=100, usual=(0, 100))}),
    _filter("rank_filter", {"rank": Number(integer=True, usual=(-3, 3))}),
    _filter(
        "generic_filter",
        {"function": FunctionSpec(samples=(np.ptp, np.max))},
        holds_gil=True,
        trial=Trial(length=12),
    ),
    _line("maximum_filter1d"),
    _line("minimum_filter1d"),
)
