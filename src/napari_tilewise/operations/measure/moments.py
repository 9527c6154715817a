"""`skimage.measure`, image moments: sums of pixels times powers of their coordinates.

The sums of a tile use absolute coordinates in double precision and add up to the image's. Central
moments, centroid and inertia are computed from these few numbers by scikit-image's own code.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.measure.property_units import inertia
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deprecated_parameters import only
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths, coordinates
from napari_tilewise.operations.spec.measuring.quantities import (
    NUMBER,
    SQUARE,
    Quantity,
    along_axes,
)
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
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
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import Array, Number
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import Parameters


def _powers(call: Call, center: Sequence[Any], order: int) -> list[np.ndarray]:
    """Return, per axis, the powers of every pixel's distance from the center.

    The expressions are scikit-image's, because they decide the dtype of the result.
    """
    dtype = as_float(call)
    spacing = call["spacing"]
    if spacing is None:
        spacing = np.ones(call.ndim, dtype=dtype)
    orders = np.arange(order + 1, dtype=dtype)
    powers = []
    for axis, length in enumerate(call.shape):
        delta = np.arange(length, dtype=dtype) * spacing[axis] - center[axis]
        powers.append(delta[:, np.newaxis] ** orders)
    return powers


def _reduce_moments(call: Call, center: Sequence[Any], order: int) -> Passes[np.ndarray]:
    """Return all moments up to an order, in scikit-image's dtype."""
    powers = _powers(call, center, order)
    dtype = np.result_type(as_float(call), *powers)

    def tile_moments(block: Block) -> np.ndarray:
        sums = block.data.astype(float)
        for axis, span in enumerate(block.tile):
            sums = np.tensordot(sums, powers[axis][span].astype(float), axes=(0, 0))
        return np.asarray(sums)

    total = yield Reduce(tile_moments, np.add, description="moments")
    return np.asarray(total).astype(dtype)


def _raw(call: Call, order: int) -> Passes[np.ndarray]:
    return (yield from _reduce_moments(call, (0,) * call.ndim, order))


def _central(call: Call, order: int) -> Passes[np.ndarray]:
    raw = yield from _raw(call, order)
    central: np.ndarray = reach("measure._moments_analytical", "moments_raw_to_central")(raw)
    return central


def _moments(call: Call) -> Plan:
    return Value((yield from _raw(call, call["order"])))


def _moments_central(call: Call) -> Plan:
    if call["center"] is None:
        return Value((yield from _central(call, call["order"])))
    return Value((yield from _reduce_moments(call, call["center"], call["order"])))


def _centroid(call: Call) -> Plan:
    raw = yield from _raw(call, 1)
    return Value(raw[tuple(np.eye(call.ndim, dtype=int))] / raw[(0,) * call.ndim])


def _inertia(call: Call) -> Plan:
    """Pass the central moments to scikit-image's function, which then reads no pixels."""
    keywords = dict(call.keywords)
    if keywords["mu"] is None and keywords.get("T") is None:
        keywords["mu"] = yield from _central(call, 2)
    pixel = np.zeros((1,) * call.ndim, call.dtype)
    return Value(call.operation.raw_function(pixel, **keywords))


def _check(call: Call) -> None:
    if call.params.get("mu") is not None or call.params.get("T") is not None:
        return  # spacing and center are not used then
    for name in ("spacing", "center"):
        value = call.params.get(name)
        if value is not None and np.ndim(value) == 0:
            raise InvalidParameter(
                f"{call.operation.name}: {shown(name, value)}: expected {call.ndim} numbers, "
                "one per axis."
            )


def _check_central(call: Call) -> None:
    _check(call)
    steps = (int(call["order"]) + 1) ** (2 * call.ndim)
    if call["center"] is None and steps > STEPS:
        raise InvalidParameter(
            f"{call.operation.name}: order={call['order']} with center=None, for which "
            f"scikit-image adds up {steps} terms one by one: expected at most {STEPS}. Give the "
            "center, such as that of measure.centroid."
        )


def _powers_shape(call: Call) -> tuple[int, ...]:
    return (int(call["order"]) + 1,) * call.ndim


def _largest(call: Call) -> int:
    """Return the pixels that the powers of all coordinates take, and the moments themselves."""
    count = int(call["order"]) + 1
    return 2 * count * sum(call.shape) + int(count**call.ndim)


def _moments_dtype(call: Call) -> DTypeLike:
    """Return scikit-image's dtype, which depends on those of the spacing and the center."""
    center = call.params.get("center")
    center = (0,) * call.ndim if center is None else center
    single_pixel = Call(call.operation, call.params, (1,) * call.ndim, call.dtype)
    return np.result_type(as_float(call), *_powers(single_pixel, center, 0))


def _inertia_dtype(call: Call) -> DTypeLike:
    return _moments_dtype(call) if call["mu"] is None else call.image_dtype("mu")


def _moment_columns(params: Parameters, ndim: int) -> dict[str, Quantity]:
    orders = range(int(params["order"]) + 1)
    return {
        "-".join(map(str, powers)): along_axes(powers) for powers in product(orders, repeat=ndim)
    }


def _tensor(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return what an inertia tensor measures; moments that are given are in an unknown unit."""
    pairs = product(range(ndim), repeat=2)
    is_known = params["mu"] is None
    return {f"{i}-{j}": inertia((i, j), ndim) if is_known else NUMBER for i, j in pairs}


def _eigenvalues(params: Parameters, ndim: int) -> dict[str, Quantity]:
    tensor = params["T"]
    quantity = SQUARE if params["mu"] is None and tensor is None else NUMBER
    return {str(number): quantity for number in range(ndim if tensor is None else len(tensor))}


def _in_units(columns: Callable[[Parameters, int], dict[str, Quantity]]) -> AsStep:
    """Return the declaration of a row of numbers that count pixels, unless spacing is given."""
    return AsStep(calibration=PixelLengths(columns=columns, rows=True, spacing="spacing"))


STEPS = 2**24
"""Terms that scikit-image adds up to turn raw into central moments in less than a minute."""
ORDER = Number(integer=True, minimum=0, usual=(0, 4))
SPACING = Number(per_axis=True, optional=True, usual=(0.5, 3), advanced=True, pixel_size=True)
CENTER = Number(per_axis=True, optional=True, usual=(0, 40))

SHARED: dict[str, Any] = {"kind": Kind.STATISTIC}
LIMITS = Limits(ndim=(1, 4), check=_check)
COST = Cost(memory=4.0, at_once=AtOnce(function=IN_MEMORY))
OF_ANY_ORDER = replace(COST, largest_region=_largest)

RELATIVE = """\
scikit-image computes the sums by BLAS, in the image's own dtype (with a rounding error, relative to
the largest moment, of a few units in the last place times the root of the number of pixels), and
derives central moments from raw ones about the image's corner: for an object far from the corner,
or an image whose pixels cancel out, scikit-image itself loses digits."""

# For a pixel n pixels from the corner, scikit-image's central moments of order 3 lose a factor of
# n**3 in precision: for n = 100 this factor of 1e6 turns 1e-15 into 1e-9, and leaves almost nothing
# of single precision. The declared tolerances also allow for spacings and a third dimension.
OPERATIONS = (
    Operation(
        name="measure.moments",
        family=families.WHOLE_IMAGE,
        specs={"order": ORDER, "spacing": SPACING},
        accuracy=Accuracy(tolerance=1e-9, single=1e-1, pixels=2**34),
        result=ResultSpec(output=Output.VALUES, shape=_powers_shape, dtype=_moments_dtype),
        plan_of=_moments,
        step=_in_units(_moment_columns),
        cost=OF_ANY_ORDER,
        note=RELATIVE,
        limits=LIMITS,
        **SHARED,
    ),
    Operation(
        name="measure.moments_central",
        title="Central moments",
        family=families.WHOLE_IMAGE,
        specs={"center": CENTER, "order": ORDER, "spacing": SPACING},
        accuracy=Accuracy(tolerance=1e-7, single=1e-1),
        result=ResultSpec(output=Output.VALUES, shape=_powers_shape, dtype=_moments_dtype),
        plan_of=_moments_central,
        step=_in_units(_moment_columns),
        cost=OF_ANY_ORDER,
        adapter=Adapter(modernize=only("center", "order", "spacing")),
        note=f"{RELATIVE} Other keywords have no effect, as in scikit-image.",
        limits=Limits(ndim=(1, 4), check=_check_central),
        **SHARED,
    ),
    Operation(
        name="measure.centroid",
        family=families.WHOLE_IMAGE,
        specs={"spacing": SPACING},
        accuracy=Accuracy(tolerance=1e-7, single=1e-1),
        result=ResultSpec(
            output=Output.VALUES, shape=lambda call: (call.ndim,), dtype=_moments_dtype
        ),
        plan_of=_centroid,
        step=_in_units(coordinates),
        note=RELATIVE,
        limits=LIMITS,
        cost=COST,
        **SHARED,
    ),
    Operation(
        name="measure.inertia_tensor",
        family=families.WHOLE_IMAGE,
        specs={"mu": Array(optional=True, advanced=True, longest=4), "spacing": SPACING},
        accuracy=Accuracy(tolerance=1e-7, single=1e-1),
        result=ResultSpec(
            output=Output.VALUES,
            shape=lambda call: (call.ndim, call.ndim),
            dtype=_inertia_dtype,
        ),
        plan_of=_inertia,
        step=_in_units(_tensor),
        note=RELATIVE,
        limits=LIMITS,
        cost=COST,
        **SHARED,
    ),
    Operation(
        name="measure.inertia_tensor_eigvals",
        family=families.WHOLE_IMAGE,
        specs={
            "mu": Array(optional=True, advanced=True, longest=4),
            "T": Array(ndim=2, optional=True, advanced=True),
            "spacing": SPACING,
        },
        accuracy=Accuracy(tolerance=1e-7, single=1e-1),
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_inertia,
        step=_in_units(_eigenvalues),
        note=RELATIVE,
        limits=LIMITS,
        cost=COST,
        **SHARED,
    ),
)
