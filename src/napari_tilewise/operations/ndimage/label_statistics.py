"""`scipy.ndimage`, measurements over labels: sums, means, extrema, medians, histograms.

Sums of integers are exact, whatever the tiles. Sums of floats are those of the tiles, added up in
their order, where SciPy adds pixel after pixel, or in pairs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.ndimage.label_groups import (
    GROUPED,
    POSITIONED,
    Column,
    Grouping,
    Selected,
    check_labels,
    gather_groups,
    is_grouped,
    is_one_group,
    is_several,
    lowest_and_highest,
    output_of,
    refuse_empty,
    shape_of,
)
from napari_tilewise.operations.ndimage.nd_parameters import check_precision, checked
from napari_tilewise.operations.shared.finite_results import all_are_counted, sum_is_finite
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.accuracy import IDENTICAL
from napari_tilewise.operations.spec.measuring.calibration import IN_PIXELS, PixelLengths
from napari_tilewise.operations.spec.measuring.quantities import NUMBER, Quantity, position
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    Accuracy,
    Adapter,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import Parameters

SUMS = Accuracy(tolerance=1e-10, single=1e-5, half=2e-3)


# -- sums ------------------------------------------------------------------------------------------


def _sum_type(call: Call) -> Any:
    """Return the data type in which NumPy adds up all pixels of an image."""
    return np.empty(0, call.dtype).sum().dtype


def _gather_sums(
    call: Call, grouping: Grouping, *, wraps: bool = True
) -> Passes[dict[str, np.ndarray]]:
    """Compute the number of pixels and the sum of each group; a sum of integers as NumPy wraps it.

    A mean is of sums that do not.
    """
    exact = call.dtype.kind != "f" and not grouping.several and wraps
    dtype = _sum_type(call) if exact else np.float64

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        pixels = selected.pixels
        if grouping.several or dtype is np.float64:
            sums = selected.summed(pixels.astype(np.float64))
        else:
            sums = np.array([pixels.sum(dtype=dtype)])
        return {"count": selected.summed(), "sum": sums}

    columns = {"count": Column(np.add, np.int64), "sum": Column(np.add, dtype)}
    table: dict[str, np.ndarray] = yield gather_groups(grouping, columns, measure, "sums")
    if wraps:
        table["sum"] = _rounded(call, grouping, table["sum"])
    return table


def _rounded(call: Call, grouping: Grouping, sums: np.ndarray) -> np.ndarray:
    """Return sums as NumPy holds them: that of an image of half precision is one, too."""
    if call.dtype != np.float16 or grouping.several:
        return sums
    with np.errstate(over="ignore"):  # beyond 65504 it is infinite
        return sums.astype(np.float16).astype(np.float64)


def _sum(call: Call) -> Plan:
    grouping = Grouping(call)
    table = yield from _gather_sums(call, grouping)
    return Value(grouping.arranged(table["sum"].astype(_sum_result_type(call), copy=False)))


def _sum_result_type(call: Call) -> DTypeLike:
    return np.float64 if is_several(call) else _sum_type(call)


def _divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerator / denominator)


def _mean(call: Call) -> Plan:
    grouping = Grouping(call)
    table = yield from _gather_sums(call, grouping)
    return Value(grouping.arranged(_divided(table["sum"], table["count"].astype(np.float64))))


def _variances(call: Call, grouping: Grouping) -> Passes[np.ndarray]:
    """Compute the mean square of the differences from each group's mean."""
    table = yield from _gather_sums(call, grouping, wraps=False)
    means = _divided(table["sum"], table["count"])
    if not grouping.several and call.dtype == np.float16:
        means = means.astype(np.float16)  # and so are the squares

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        offsets = selected.pixels - means[selected.groups][selected.members]
        with np.errstate(over="ignore"):
            return {"square": selected.summed(offsets * offsets)}

    columns = {"square": Column(np.add, np.float64)}
    squares = yield gather_groups(grouping, columns, measure, "squares")
    total = _rounded(call, grouping, squares["square"])
    return _divided(total, table["count"].astype(np.float64))


def _variance(call: Call) -> Plan:
    grouping = Grouping(call)
    return Value(grouping.arranged((yield from _variances(call, grouping))))


def _standard_deviation(call: Call) -> Plan:
    grouping = Grouping(call)
    return Value(np.sqrt(grouping.arranged((yield from _variances(call, grouping)))))


def _center_of_mass(call: Call) -> Plan:
    grouping = Grouping(call)
    names = [f"axis {axis}" for axis in range(call.ndim)]

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        weights = selected.pixels.astype(np.float64)
        sums = {"sum": selected.summed(weights)}
        shape = [s.stop - s.start for s in block.tile]
        for name, positions, span in zip(
            names, np.unravel_index(selected.positions, shape), block.tile, strict=True
        ):
            sums[name] = selected.summed(weights * (positions + span.start))
        return sums

    columns = {name: Column(np.add, np.float64) for name in ("sum", *names)}
    table = yield gather_groups(grouping, columns, measure, "centres")
    total = _rounded(call, grouping, table["sum"])
    centres = [grouping.arranged(_divided(table[name], total)) for name in names]
    if not grouping.several:
        return Value(tuple(centres))
    return Value([tuple(centre) for centre in np.array(centres).T])


# -- extrema ---------------------------------------------------------------------------------------


def _gather_extrema(
    call: Call, grouping: Grouping, *, with_positions: bool
) -> Passes[dict[str, np.ndarray]]:
    """Compute each group's smallest and largest values, and the first pixels that have them."""
    lowest, highest = lowest_and_highest(call.dtype)
    # Among several groups SciPy sorts the pixels, NaN last: it is larger than all others.
    smaller = np.fmin if grouping.several else np.minimum
    start = np.nan if grouping.several and call.dtype.kind == "f" else highest

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        low = np.full(len(selected.groups), start, call.dtype)
        high = np.full(len(selected.groups), lowest, call.dtype)
        with np.errstate(invalid="ignore"):  # NumPy warns of NaN in `ufunc.at` only
            smaller.at(low, selected.members, selected.pixels)
            np.maximum.at(high, selected.members, selected.pixels)
        return {"count": selected.summed(), "min": low, "max": high}

    columns = {
        "count": Column(np.add, np.int64),
        "min": Column(smaller, call.dtype, start),
        "max": Column(np.maximum, call.dtype, lowest),
    }
    table: dict[str, np.ndarray] = yield gather_groups(grouping, columns, measure, "extrema")
    refuse_empty(call, table["count"])
    missing = table["count"] == 0
    table["min"][missing] = table["max"][missing] = 0
    if with_positions:
        # NaN equals nothing: SciPy finds no position, or that of any NaN
        if np.isnan(table["max"]).any():
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN, which has no order among the values: "
                "expected numbers. Replace NaN first, for example with numpy.nan_to_num."
            )
        table |= yield from _positions(call, grouping, table)
    return table


def _positions(
    call: Call, grouping: Grouping, table: dict[str, np.ndarray]
) -> Passes[dict[str, np.ndarray]]:
    """Compute the raster index of the first pixel that has each group's extreme value."""
    beyond = np.iinfo(np.int64).max

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        shape = [s.stop - s.start for s in block.tile]
        index = np.zeros(len(selected.positions), np.int64)
        axes = zip(np.unravel_index(selected.positions, shape), block.tile, call.shape, strict=True)
        for positions, span, length in axes:
            index = index * length + positions + span.start
        first = {}
        for name in ("min", "max"):
            extreme = table[name][selected.groups][selected.members]
            matches = selected.pixels == extreme
            first[f"{name} position"] = np.full(len(selected.groups), beyond)
            np.minimum.at(first[f"{name} position"], selected.members[matches], index[matches])
        return first

    columns = {f"{name} position": Column(np.minimum, np.int64, beyond) for name in ("min", "max")}
    indices: dict[str, np.ndarray] = yield gather_groups(grouping, columns, measure, "positions")
    return {name: np.where(index == beyond, 0, index) for name, index in indices.items()}


def _extreme(name: str) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        grouping = Grouping(call)
        table = yield from _gather_extrema(call, grouping, with_positions=False)
        return Value(grouping.arranged(table[name]))

    return plan


def _coordinates(call: Call, grouping: Grouping, index: np.ndarray) -> Any:
    """Return raster indices as SciPy returns positions: a tuple, or a list of tuples."""
    coordinates = np.stack(np.unravel_index(index, call.shape), axis=-1)
    if not grouping.several:
        return tuple(coordinates[0])
    return [tuple(row) for row in grouping.arranged(coordinates)]


def _position(name: str) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        grouping = Grouping(call)
        table = yield from _gather_extrema(call, grouping, with_positions=True)
        return Value(_coordinates(call, grouping, table[f"{name} position"]))

    return plan


def _extrema(call: Call) -> Plan:
    grouping = Grouping(call)
    table = yield from _gather_extrema(call, grouping, with_positions=True)
    values = [grouping.arranged(table[name]) for name in ("min", "max")]
    places = [_coordinates(call, grouping, table[f"{name} position"]) for name in ("min", "max")]
    return Value((*values, *places))


# -- histograms ------------------------------------------------------------------------------------


def _bins(call: Call) -> int:
    """Return the bins of all groups' histograms."""
    return Grouping(call).count * int(call["bins"])


def _histogram(call: Call) -> Plan:
    grouping = Grouping(call)
    bins = call["bins"]
    if call["labels"] is None and call["index"] is not None:
        raise InvalidParameter("ndimage.histogram: index is given without labels: expected both.")
    edges = np.linspace(call["min"], call["max"], bins + 1)

    def measure(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        numbers = np.searchsorted(edges, selected.pixels, side="right") - 1
        numbers[selected.pixels == edges[-1]] = bins - 1
        inside = (numbers >= 0) & (numbers < bins)
        cells = selected.members[inside] * bins + numbers[inside]
        counts = np.bincount(cells, minlength=len(selected.groups) * bins)
        return {
            "count": selected.summed(),
            "histogram": counts.reshape(len(selected.groups), bins),
        }

    columns = {
        "count": Column(np.add, np.int64),
        "histogram": Column(np.add, np.dtype((np.int64, (bins,)))),
    }
    table = yield gather_groups(grouping, columns, measure, "histograms")
    if call["index"] is None or call["labels"] is None:
        return Value(table["histogram"][0])
    rows = np.empty(grouping.count, object)
    for number, (row, count) in enumerate(zip(table["histogram"], table["count"], strict=True)):
        rows[number] = row if count else None
    return Value(grouping.arranged(rows))


# -- declarations ----------------------------------------------------------------------------------


AT_ONCE = AtOnce(function=IN_MEMORY, finite=True, when=is_one_group)
OF_SUM = AT_ONCE._replace(shown=sum_is_finite)
OF_GROUPS = AT_ONCE._replace(when=is_grouped)
COST = Cost(numbers=PER_PIXEL, memory=8.0, at_once=AT_ONCE)
COST_OF_GROUPS = replace(COST, at_once=OF_GROUPS)
# The kernel, of several labels, stands in for the function where that gets the image.
COST_OF_SUMS = replace(COST, at_once=OF_GROUPS._replace(kernel=0, shown=sum_is_finite))


def _measurement(
    name: str,
    plan: Callable[[Call], Plan],
    result: ResultSpec,
    specs: dict[str, Spec] | None = None,
    accuracy: Accuracy = IDENTICAL,
    note: str = "",
) -> Operation:
    cost = COST if specs is POSITIONED else COST_OF_GROUPS
    kernels: tuple[str, ...] = ()
    if accuracy is SUMS and result is not VALUES:
        cost, kernels = COST_OF_SUMS, (f"scipy.ndimage.{name}",)
    return Operation(
        name=f"ndimage.{name}",
        family=families.REGIONS,
        kind=Kind.STATISTIC,
        specs=specs or GROUPED,
        result=result,
        plan_of=plan,
        accuracy=accuracy,
        limits=Limits(check=checked(check_precision, check_labels)),
        adapter=Adapter(kernels=kernels),
        cost=cost,
        note=note,
    )


def _position_columns(prefix: str, ndim: int) -> dict[str, Quantity]:
    return {f"{prefix}-{axis}": position(axis, ndim) for axis in range(ndim)}


def _extrema_columns(params: Parameters, ndim: int) -> dict[str, Quantity]:
    values = dict.fromkeys(("minimum", "maximum"), NUMBER)
    positions = (_position_columns(f"{name} position", ndim) for name in values)
    return {**values, **next(positions), **next(positions)}


def _numbers(dtype: Callable[[Call], DTypeLike]) -> ResultSpec:
    return ResultSpec(output=Output.SCALAR, output_of=output_of, dtype=dtype, shape=shape_of)


def _real(call: Call) -> DTypeLike:
    return np.float64


def _has_short_products(call: Call) -> bool:
    """Return whether SciPy's products of pixels and positions, which are integers, stay exact."""
    return is_one_group(call) and (call.dtype.kind == "f" or call.dtype.itemsize <= 4)


VALUES = ResultSpec(output=Output.VALUES, shape=lambda call: None)
EXACT_FOR_INTEGERS = (
    "Exact for integers (below 2**53); for floats, pixels are added up tile by tile."
)
FIRST = (
    "The first pixel in raster order. Among several labels SciPy's own choice between equal pixels "
    "follows from an unstable sort. NaN is refused."
)

OPERATIONS = (
    _measurement("sum", _sum, _numbers(_sum_result_type), accuracy=SUMS, note=EXACT_FOR_INTEGERS),
    replace(
        _measurement(
            "sum_labels", _sum, _numbers(_sum_result_type), accuracy=SUMS, note=EXACT_FOR_INTEGERS
        ),
        title="Sum of labels (SciPy)",
    ),
    _measurement("mean", _mean, _numbers(_real), accuracy=SUMS, note=EXACT_FOR_INTEGERS),
    _measurement("variance", _variance, _numbers(_real), accuracy=SUMS),
    _measurement("standard_deviation", _standard_deviation, _numbers(_real), accuracy=SUMS),
    _measurement("minimum", _extreme("min"), _numbers(lambda call: call.dtype)),
    _measurement("maximum", _extreme("max"), _numbers(lambda call: call.dtype)),
    *(
        replace(
            _measurement(f"{name}_position", _position(key), VALUES, POSITIONED, note=FIRST),
            step=AsStep(calibration=IN_PIXELS),
        )
        for name, key in (("minimum", "min"), ("maximum", "max"))
    ),
    replace(
        _measurement("extrema", _extrema, VALUES, POSITIONED, note=FIRST),
        step=AsStep(calibration=PixelLengths(columns=_extrema_columns)),
    ),
    replace(
        _measurement(
            "center_of_mass", _center_of_mass, VALUES, accuracy=SUMS, note=EXACT_FOR_INTEGERS
        ),
        step=AsStep(calibration=IN_PIXELS),
        cost=replace(COST, at_once=OF_SUM._replace(when=_has_short_products)),
    ),
    replace(
        _measurement(
            "histogram",
            _histogram,
            VALUES,
            {
                "min": Number(intensity=True, usual=(-1, 10), start=0),
                "max": Number(intensity=True, usual=(11, 200), start=1),
                "bins": Number(integer=True, minimum=1, usual=(1, 20)),
                **GROUPED,
            },
        ),
        cost=replace(COST, largest_region=_bins, at_once=OF_GROUPS._replace(shown=all_are_counted)),
    ),
)
