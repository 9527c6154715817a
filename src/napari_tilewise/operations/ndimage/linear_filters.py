"""`scipy.ndimage`, linear filters: every pixel from its neighbours in the reach of a kernel.

SciPy adds up a kernel's products in one order wherever a pixel lies, so that tiles have the whole
image's bits. `uniform_filter` alone adds what enters a window and subtracts what leaves it: its
rounding depends on where a line begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import (
    ARGUMENTS,
    AXES,
    AXIS,
    AXIS_ORIGIN,
    CVAL,
    MODE,
    NO_AXES,
    ORIGIN,
    OUTPUT,
    SIZE,
    along_axis,
    centred,
    check_axis,
    check_type,
    check_window,
    checked,
    result_type,
    untiled,
)
from napari_tilewise.operations.shared.common import (
    gaussian_radius,
    kernel_length,
    require_finite,
)
from napari_tilewise.operations.shared.finite_results import line_ends_are_finite
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    IN_ONE_CALL,
    WIDENED_IN_BANDS,
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
    ResultSpec,
    Tiles,
    normal_halo,
)
from napari_tilewise.operations.spec.parameters import Array, FunctionSpec, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.families import Family
    from napari_tilewise.operations.spec.parameters import Spec

SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0, 4))
ORDER = Number(integer=True, minimum=0, per_axis=True, usual=(0, 2), advanced=True)
TRUNCATE = Number(minimum=0, finite=True, usual=(1, 5), advanced=True)
RADIUS = Number(
    integer=True, minimum=0, per_axis=True, optional=True, length=True, usual=(0, 6), advanced=True
)
NO_KEYWORDS = Adapter(modernize=untiled(axes=AXES, kwargs="Leave them out."))
BORDER: dict[str, Spec] = {"mode": MODE, "cval": CVAL}


def _filter(
    name: str,
    family: Family,
    specs: dict[str, Spec],
    halo: Callable[[Call], HaloLike],
    check: Callable[[Call], None] = check_type,
    adapter: Adapter | None = None,
) -> Operation:
    # Kernels of several axes take longer than handing out tiles; lines do not.
    whole = 2**16 if check is _check_kernel else IN_MEMORY
    return Operation(
        name=f"ndimage.{name}",
        family=family,
        kind=Kind.NEIGHBOURHOOD,
        specs=specs,
        neighbourhood=Neighbourhood(halo=halo, border="mode"),
        result=ResultSpec(dtype=result_type),
        limits=Limits(check=check),
        adapter=adapter or NO_AXES,
        cost=Cost(
            memory=6.0,
            largest_region=kernel_length,
            at_once=WIDENED_IN_BANDS._replace(function=whole),
        ),
    )


# -- Gaussians -------------------------------------------------------------------------------------


def _gaussian_halo(call: Call) -> HaloLike:
    radius = call.params.get("radius")
    if radius is not None:
        return tuple(int(r) for r in call.per_axis(radius))
    truncate = call.params.get("truncate", 4.0)
    return tuple(gaussian_radius(s, truncate) for s in call.per_axis(call["sigma"]))


def _line_halo(call: Call) -> HaloLike:
    radius = call["radius"]
    reach = gaussian_radius(call["sigma"], call["truncate"]) if radius is None else int(radius)
    return along_axis(call, reach)


# -- kernels ---------------------------------------------------------------------------------------


def _check_kernel(call: Call) -> None:
    check_type(call)
    check_window(call, call["weights"].shape, separable=False)


def _weights_halo(call: Call) -> HaloLike:
    return centred(call, call["weights"].shape)


def _check_line(call: Call) -> None:
    length, origin = len(call["weights"]), call["origin"]
    if not 0 <= length // 2 + origin < length:
        raise InvalidParameter(
            f"{call.operation.name}: origin={origin} moves {length} weights off their centre: "
            f"expected a value from {-(length // 2)} to {(length - 1) // 2}."
        )


def _weights_line_halo(call: Call) -> HaloLike:
    return along_axis(call, len(call["weights"]) // 2 + abs(call["origin"]) + 1)


# -- derivatives -----------------------------------------------------------------------------------


def _check_derivative(call: Call) -> None:
    if call["derivative"] not in (ndi.sobel, ndi.prewitt):
        raise InvalidParameter(
            f"{call.operation.name}: derivative={call['derivative']!r}: expected "
            "scipy.ndimage.sobel or scipy.ndimage.prewitt, whose reach is known."
        )


# -- means -----------------------------------------------------------------------------------------


def _mean(halo: Callable[[Call], HaloLike]) -> Callable[[Call], Tiles]:
    def plan(call: Call) -> Tiles:
        def compute(block: Block) -> np.ndarray:
            require_finite(call, block.data, "stay in the running sums of scipy.ndimage")
            _require_exact(call, block.data)
            return np.asarray(call.function(block.data))

        return Tiles(compute, halo=halo(call))

    return plan


def _require_exact(call: Call, data: np.ndarray) -> None:
    """Refuse integers whose sums over a window float64 may round, which depends on the line."""
    if data.dtype.kind not in "iu" or data.dtype.itemsize < 8:
        return
    largest = max(abs(int(data.min())), int(data.max()))
    if largest * max(map(int, call.per_axis(call["size"]))) > 2**53:
        raise InvalidImage(
            f"{call.operation.name}: the image holds {largest}, of which the sum over a window is "
            "beyond 2**53 and rounded as it runs along a line: expected smaller integers. Convert "
            "the image to float64 first."
        )


def _uniform_halo(call: Call) -> HaloLike:
    halo = centred(call, call.per_axis(call["size"]))
    return _from_line_starts(call, halo) if _truncates(call) else halo


def _check_sizes(call: Call) -> None:
    check_window(call, call.per_axis(call["size"]), separable=True)


def _uniform_line_halo(call: Call) -> HaloLike:
    halo = along_axis(call, call["size"] // 2 + abs(call["origin"]))
    return _from_line_starts(call, halo) if _truncates(call) else halo


def _truncates(call: Call) -> bool:
    """Return whether running sums that are rounded become integers: one unit is lost or not."""
    if np.dtype(result_type(call)).kind == "f":
        return False
    is_padded = call["mode"] == "constant" and not float(call["cval"]).is_integer()
    return call.dtype.kind == "f" or is_padded


def _from_line_starts(call: Call, halo: HaloLike) -> HaloLike:
    """Return a halo that reaches to where lines begin, as the rounding of their sums does."""
    pairs = normal_halo(halo, call.ndim)
    return [(n, after) for n, (_, after) in zip(call.spatial_shape, pairs, strict=True)]


def _check_size(call: Call) -> None:
    size, origin = call["size"], call["origin"]
    if not 0 <= size // 2 + origin < size:
        raise InvalidParameter(
            f"{call.operation.name}: origin={origin} moves a window of {size} pixels off its "
            f"centre: expected a value from {-(size // 2)} to {(size - 1) // 2}."
        )


def _line_of_window(call: Call) -> int:
    """Return the pixels of a line as SciPy copies it, with half a window at both ends."""
    size = call["size"]
    longest = max(size) if isinstance(size, tuple) else int(size)
    return longest // 6 + 1  # a pixel takes as much as 6 of the line


def _uniform(name: str, specs: dict[str, Spec], halo: Callable[[Call], HaloLike]) -> Operation:
    one_axis = "axis" in specs
    return Operation(
        name=f"ndimage.{name}",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs=specs,
        neighbourhood=Neighbourhood(halo=halo, border="mode"),
        plan_of=_mean(halo),
        result=ResultSpec(dtype=result_type),
        accuracy=Accuracy(tolerance=1e-12, single=3e-7),
        limits=Limits(
            check=checked(check_type, *((check_axis, _check_size) if one_axis else (_check_sizes,)))
        ),
        adapter=NO_AXES,
        cost=Cost(
            memory=6.0,
            largest_region=_line_of_window,
            at_once=AtOnce(
                function=IN_MEMORY if one_axis else IN_ONE_CALL,
                finite=True,
                shown=line_ends_are_finite if one_axis else None,
            ),
        ),
        note="Integers give the whole image's bits; those of which a window's sum may exceed 2**53 "
        "are refused. "
        "Means of floats come from running sums, whose rounding depends on where a line begins; "
        "NaN and infinity, which would stay in them, are refused.",
    )


LINE = Number(integer=True, minimum=1, length=True, usual=(1, 7))

OPERATIONS = (
    _filter(
        "gaussian_filter",
        families.SMOOTHING,
        {
            "sigma": SIGMA,
            "order": ORDER,
            "output": OUTPUT,
            **BORDER,
            "truncate": TRUNCATE,
            "radius": RADIUS,
        },
        _gaussian_halo,
        adapter=replace(NO_AXES, kernels=("scipy.ndimage.gaussian_filter",)),
    ),
    _filter(
        "gaussian_filter1d",
        families.SMOOTHING,
        {
            "sigma": Number(minimum=0, exclusive=True, length=True, usual=(0, 4)),
            "axis": AXIS,
            "order": Number(integer=True, minimum=0, usual=(0, 2), advanced=True),
            "output": OUTPUT,
            **BORDER,
            "truncate": TRUNCATE,
            "radius": Number(
                integer=True, minimum=0, optional=True, length=True, usual=(0, 6), advanced=True
            ),
        },
        _line_halo,
        checked(check_type, check_axis),
        Adapter(kernels=("scipy.ndimage.gaussian_filter1d",)),
    ),
    _uniform(
        "uniform_filter",
        {"size": SIZE, "output": OUTPUT, **BORDER, "origin": ORIGIN},
        _uniform_halo,
    ),
    _uniform(
        "uniform_filter1d",
        {"size": LINE, "axis": AXIS, "output": OUTPUT, **BORDER, "origin": AXIS_ORIGIN},
        _uniform_line_halo,
    ),
    _filter(
        "laplace",
        families.EDGES,
        {"output": OUTPUT, **BORDER},
        lambda call: 1,
        adapter=replace(NO_AXES, kernels=("scipy.ndimage.laplace",)),
    ),
    replace(
        _filter(
            "gaussian_laplace",
            families.EDGES,
            {"sigma": SIGMA, "output": OUTPUT, **BORDER},
            _gaussian_halo,
            adapter=replace(NO_KEYWORDS, kernels=("scipy.ndimage.gaussian_laplace",)),
        ),
        title="Laplacian of Gaussian (SciPy)",
    ),
    _filter(
        "gaussian_gradient_magnitude",
        families.EDGES,
        {"sigma": SIGMA, "output": OUTPUT, **BORDER},
        _gaussian_halo,
        adapter=replace(NO_KEYWORDS, kernels=("scipy.ndimage.gaussian_gradient_magnitude",)),
    ),
    *(
        _filter(
            name,
            families.EDGES,
            {"axis": AXIS, "output": OUTPUT, **BORDER},
            lambda call: 1,
            checked(check_type, check_axis),
            Adapter(kernels=(f"scipy.ndimage.{name}",)),
        )
        for name in ("sobel", "prewitt")
    ),
    _filter(
        "generic_gradient_magnitude",
        families.EDGES,
        {
            "derivative": FunctionSpec(samples=(ndi.sobel, ndi.prewitt)),
            "output": OUTPUT,
            **BORDER,
        },
        lambda call: 1,
        checked(check_type, _check_derivative),
        Adapter(modernize=untiled(axes=AXES, extra_arguments=ARGUMENTS, extra_keywords=ARGUMENTS)),
    ),
    *(
        _filter(
            name,
            families.SMOOTHING,
            {"weights": Array(usual=(-1, 1)), "output": OUTPUT, **BORDER, "origin": ORIGIN},
            _weights_halo,
            _check_kernel,
            replace(NO_AXES, kernels=(f"scipy.ndimage.{name}",)),
        )
        for name in ("correlate", "convolve")
    ),
    *(
        _filter(
            name,
            families.SMOOTHING,
            {
                "weights": Array(ndim=1, usual=(-1, 1)),
                "axis": AXIS,
                "output": OUTPUT,
                **BORDER,
                "origin": AXIS_ORIGIN,
            },
            _weights_line_halo,
            checked(check_type, check_axis, _check_line),
            Adapter(kernels=(f"scipy.ndimage.{name}",)),
        )
        for name in ("correlate1d", "convolve1d")
    ),
)
