"""Medians over labels, percentiles and quantiles of a whole image, without a sort.

The pixels of one group are ranked by a radix search: histograms of the values' bits, pass by pass.
The values of several groups are counted, as often as they occur in each.
"""

from __future__ import annotations

from math import prod
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.label_groups import (
    GROUPED,
    Column,
    Grouping,
    Selected,
    check_labels,
    gather_groups,
    is_one_group,
    output_of,
    shape_of,
)
from napari_tilewise.operations.ndimage.nd_parameters import check_precision, checked, untiled
from napari_tilewise.operations.shared.percentiles import ranked
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Either, Number, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes


def _wide(pixels: np.ndarray) -> np.ndarray:
    """Return values of 16 bits or more, as the radix search takes them."""
    if pixels.dtype.itemsize > 1:
        return pixels
    return pixels.astype(np.int16 if pixels.dtype.kind == "i" else np.uint16)


def _wide_type(call: Call) -> Any:
    return _wide(np.empty(0, call.dtype)).dtype


# -- medians over labels ---------------------------------------------------------------------------


class _Tally:
    """How often each value occurs in each group, and the smallest value of the smallest label."""

    def __init__(
        self,
        groups: np.ndarray,
        values: np.ndarray,
        counts: np.ndarray,
        smallest: tuple[int, np.ndarray],
    ) -> None:
        self.smallest = smallest
        self._parts = [(groups, values, counts)]
        self._rows = self._settled = len(groups)
        self._row_bytes = 16 + values.itemsize

    @property
    def nbytes(self) -> int:
        """What joining takes at its peak."""
        return 4 * self._rows * self._row_bytes

    def add(self, other: _Tally) -> _Tally:
        """Take in another tile's values, and return this object."""
        self._parts += other._parts
        self._rows += other._rows
        self.smallest = _smaller(self.smallest, other.smallest)
        if self._rows > 2 * self._settled + 2**16:
            self.joined()
        return self

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return groups, values and counts, in order of the groups, then of the values."""
        groups, values, counts = (np.concatenate(a) for a in zip(*self._parts, strict=True))
        order = np.lexsort((values, groups))
        groups, values, counts = groups[order], values[order], counts[order]
        begins = np.ones(len(groups), bool)
        both_nan = (values[1:] != values[1:]) & (values[:-1] != values[:-1])
        same_value = (values[1:] == values[:-1]) | both_nan
        begins[1:] = (groups[1:] != groups[:-1]) | ~same_value
        first = np.flatnonzero(begins)
        counts = np.add.reduceat(counts, first) if len(first) else counts
        self._parts = [(groups[first], values[first], counts)]
        self._rows = self._settled = len(first)
        return self._parts[0]

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return what `joined` does, and the smallest value of the smallest label."""
        return (*self.joined(), self.smallest[1])


def _smaller(
    first: tuple[int, np.ndarray], second: tuple[int, np.ndarray]
) -> tuple[int, np.ndarray]:
    """Return the smaller of two labels with its smallest value; NaN is above all numbers."""
    if first[0] != second[0]:
        return min(first, second, key=itemgetter(0))
    return first[0], np.fmin(first[1], second[1])


def _smallest(block: Block) -> tuple[int, np.ndarray]:
    """Return a tile's smallest label, and its smallest value."""
    labels = block.images["labels"][block.core]
    label = labels.min()
    return int(label), np.asarray(np.fmin.reduce(block.data[block.core][labels == label]))


def _median_of_groups(call: Call, grouping: Grouping) -> Passes[np.ndarray]:
    def of(block: Block) -> _Tally:
        selected = grouping.select(block)
        tally = _Tally(
            selected.groups[selected.members],
            selected.pixels,
            np.ones(len(selected.pixels), np.int64),
            _smallest(block),
        )
        tally.joined()
        return tally

    groups, values, counts, smallest = yield Reduce(
        of, _Tally.add, in_groups=True, finish=_Tally.finish, description="values of objects"
    )
    if not len(groups):
        values, counts, groups = np.zeros(1, call.dtype), np.zeros(1, np.int64), np.full(1, -1)
    ends = np.cumsum(counts)
    numbers = np.arange(grouping.count)
    behind = np.searchsorted(groups, numbers, side="right")
    before = np.searchsorted(groups, numbers, side="left")
    low = np.where(before > 0, ends[np.maximum(before - 1, 0)], 0)
    high = np.where(behind > 0, ends[np.maximum(behind - 1, 0)], 0) - 1
    missing = before == behind
    step = (high - low) // 2

    def value_at(rank: np.ndarray) -> np.ndarray:
        value = values[np.minimum(np.searchsorted(ends, rank, side="right"), len(values) - 1)]
        # SciPy gives a missing id the smallest value of the smallest label.
        value = np.where(missing, smallest, value)
        return np.asarray(value if call.dtype.kind == "f" else value.astype(np.float64))

    low, high = np.where(missing, 0, low + step), np.where(missing, 0, high - step)
    return np.asarray((value_at(low) + value_at(high)) / 2.0)


def _median(call: Call) -> Plan:
    grouping = Grouping(call)
    if grouping.several:
        return Value(grouping.arranged((yield from _median_of_groups(call, grouping))))

    def count(selected: Selected, block: Block) -> dict[str, np.ndarray]:
        return {"count": selected.summed()}

    counts = yield gather_groups(grouping, {"count": Column(np.add, np.int64)}, count, "pixels")
    pixels = int(counts["count"][0])
    dtype: Any = _median_type(call)
    if not pixels:
        return Value(dtype.type(np.nan))
    middle = yield from ranked(
        lambda block: _wide(grouping.select(block).pixels),
        [(pixels - 1) // 2, pixels // 2],
        _wide_type(call),
        0,
    )
    return Value(dtype.type(np.nan) if middle is None else np.mean(middle, dtype=dtype))


def _median_type(call: Call) -> DTypeLike:
    return call.dtype if call.dtype.kind == "f" else np.dtype(np.float64)


# -- percentiles -----------------------------------------------------------------------------------


def _quantile(divisor: int) -> Callable[[Call], Plan]:
    """Return the plan of quantiles in units of one over a divisor."""

    def plan(call: Call) -> Plan:
        quantiles = np.ravel(np.true_divide(call["q"], divisor))
        virtual = (prod(call.shape) - 1) * quantiles
        before = np.floor(virtual)
        ranks = [int(rank) for rank in (*before, *np.minimum(before + 1, prod(call.shape) - 1))]
        values = yield from ranked(
            lambda block: _wide(block.data[block.core].ravel()), ranks, _wide_type(call), 0
        )
        if values is None:
            values = np.full(len(ranks), np.nan)
        low, high = np.split(values.astype(call.dtype), 2)
        if divisor == 1 and _is_whole(call):
            result = low
        else:
            result = _interpolated(low, high, virtual - before, weak=_is_weak(call))
        return Value(result.astype(_type_of(divisor)(call)).reshape(np.shape(call["q"]))[()])

    return plan


def _interpolated(
    low: np.ndarray, high: np.ndarray, fractions: np.ndarray, *, weak: bool
) -> np.ndarray:
    """Return values between neighbours in rank as NumPy does, beginning at the nearer one."""
    step = high - low
    parts: Any = float(fractions[0]) if weak else fractions
    return np.asarray(np.where(fractions >= 0.5, high - step * (1 - parts), low + step * parts))


def _is_weak(call: Call) -> bool:
    """Return whether NumPy computes in the image's type: for one plain number."""
    return type(call["q"]) in (int, float)


def _is_whole(call: Call) -> bool:
    """Return whether q is of integers: NumPy then takes quantiles from the pixels as they are."""
    return np.asarray(call["q"]).dtype.kind in "biu"


def _type_of(divisor: int) -> Callable[[Call], DTypeLike]:
    """Return the data type of quantiles in units of one over a divisor."""

    def dtype(call: Call) -> DTypeLike:
        is_kept = call.dtype.kind == "f" and _is_weak(call)
        is_taken = divisor == 1 and _is_whole(call)
        return call.dtype if is_kept or is_taken else np.dtype(np.float64)

    return dtype


def _numbers_of(divisor: int) -> Callable[[Call], None]:
    """Return the refusal of quantiles between the values of a mask."""

    def check(call: Call) -> None:
        if call.dtype.kind == "b" and not (divisor == 1 and _is_whole(call)):
            raise InvalidParameter(
                f"{call.operation.name}: NumPy has no percentiles of masks: expected numbers. "
                "Convert the mask to uint8 first."
            )

    return check


def _percentile(name: str, largest: int) -> Operation:
    number = Number(minimum=0, maximum=largest, usual=(0, largest))
    return Operation(
        name=f"ndimage.{name}",
        family=families.WHOLE_IMAGE,
        kind=Kind.STATISTIC,
        specs={
            "q": Either(options=(number, Numbers(item=number))),
            "method": ChoiceSpec(choices=("linear",), advanced=True),
        },
        result=ResultSpec(
            output=Output.SCALAR,
            output_of=lambda call: Output.SCALAR if np.ndim(call["q"]) == 0 else Output.VALUES,
            dtype=_type_of(largest),
            shape=lambda call: np.shape(call["q"]),
        ),
        plan_of=_quantile(largest),
        limits=Limits(check=checked(check_precision, _numbers_of(largest))),
        adapter=Adapter(
            modernize=untiled(
                axis="Percentiles are those of the whole image.",
                out="Store the result.",
                overwrite_input="Leave it out.",
                keepdims="Leave it out.",
                weights="Leave them out.",
                interpolation="Leave it out.",
            )
        ),
        cost=Cost(memory=6.0, at_once=AtOnce(function=IN_MEMORY, finite=True)),
        note="Exact: from histograms of the values' bits, two passes for 32 bits, four for 64.",
    )


OPERATIONS = (
    Operation(
        name="ndimage.median",
        family=families.REGIONS,
        kind=Kind.STATISTIC,
        specs=GROUPED,
        result=ResultSpec(
            output=Output.SCALAR, output_of=output_of, dtype=_median_type, shape=shape_of
        ),
        plan_of=_median,
        limits=Limits(check=checked(check_precision, check_labels)),
        cost=Cost(
            numbers=PER_PIXEL,
            memory=12.0,
            at_once=AtOnce(function=IN_MEMORY, finite=True, when=is_one_group),
        ),
        note="Exact. Over several labels, memory grows with the number of different values that "
        "each label has: little for integers, as much as the labelled pixels for floats.",
    ),
    _percentile("percentile", 100),
    _percentile("quantile", 1),
)
