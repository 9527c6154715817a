"""`skimage.filters`, convolution with a given kernel: Gabor filters and sparse kernels.

The kernel's size is the halo. That of a Gabor kernel follows from its scales and its direction.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import BORDER, CVAL, as_float, check_mirroring
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    WIDENED_IN_BANDS,
    Adapter,
    AtOnce,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
    first_axis,
)
from napari_tilewise.operations.spec.parameters import Array, ChoiceSpec, Number
from napari_tilewise.operations.spec.pixel_positions import shifted

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.pixel_positions import Samplings

# -- Gabor -----------------------------------------------------------------------------------------


def _gabor_halo(call: Call) -> tuple[int, int]:
    """Return half the kernel's size, as computed by `gabor_kernel`."""
    sigmas = [call["sigma_x"], call["sigma_y"]]
    if None in sigmas:
        if call["frequency"] == 0:
            raise InvalidParameter(
                "filters.gabor: frequency=0 without sigma_x or sigma_y: expected another "
                "frequency, or both scales, because a missing scale is derived from the frequency."
            )
        narrowest = reach("filters._gabor", "_sigma_prefactor")(call["bandwidth"])
        sigmas = [narrowest / call["frequency"] if s is None else s for s in sigmas]
    along, across = (call["n_stds"] * sigma for sigma in sigmas)
    cosine, sine = math.cos(call["theta"]), math.sin(call["theta"])
    return (
        math.ceil(max(abs(across * cosine), abs(along * sine), 1)),
        math.ceil(max(abs(along * cosine), abs(across * sine), 1)),
    )


def _check_gabor(call: Call) -> None:
    check_mirroring(call, _gabor_halo(call))


def _gabor_dtype(call: Call) -> DTypeLike:
    """Return float32 or float64 for floats; other types are kept, which truncates fractions."""
    return as_float(call) if call.dtype.kind == "f" else call.dtype


def _gabor(call: Call) -> Tiles:
    return Tiles(lambda block: np.stack(call.function(block.data)), halo=_gabor_halo(call))


# -- sparse kernels --------------------------------------------------------------------------------


def _sparse_halo(call: Call) -> HaloLike:
    return [(n // 2, n - 1 - n // 2) for n in call["kernel"].shape]


def _overhanging_axes(call: Call) -> list[int]:
    """Return the axes along which the kernel is longer than the image by more than one pixel."""
    lengths = zip(call["kernel"].shape, call.spatial_shape, strict=True)
    return [axis for axis, (k, n) in enumerate(lengths) if k > n + 1]


def _valid_kernel(call: Call) -> np.ndarray:
    """Return the kernel that ``mode="valid"`` correlates with.

    A kernel of n + 1 elements does not fit into n pixels, and the result is empty. For a kernel of
    k > n + 1 elements, scikit-image's slices end at negative indices, which count from the image's
    end: it then correlates with the first k - n elements, provided that the later ones are zero.
    """
    kernel: np.ndarray = call["kernel"]
    for axis in _overhanging_axes(call):
        length = call.shape[axis]
        kernel = kernel.take(range(kernel.shape[axis] - length), axis)
    return kernel


def _check_sparse(call: Call) -> None:
    shape = call["kernel"].shape
    if call["mode"] == "valid":
        for axis in _overhanging_axes(call):
            length = call.shape[axis]
            last_nonzero = np.nonzero(call["kernel"])[axis].max(initial=0)
            if shape[axis] <= 2 * length and last_nonzero > shape[axis] - 2 - length:
                raise InvalidParameter(
                    f"filters.correlate_sparse: a kernel of shape {shape} does not fit into an "
                    f"image of shape {call.shape}: expected a smaller kernel, or a mode other than "
                    "'valid'."
                )
    elif any(n % 2 == 0 for n in shape):
        raise InvalidParameter(
            f"filters.correlate_sparse: kernel has shape {shape}: expected an odd length along "
            f"every axis for mode={call['mode']!r}."
        )


def _sparse_shape(call: Call) -> tuple[int, ...]:
    if call["mode"] != "valid":
        return call.shape
    sizes = _valid_kernel(call).shape
    return tuple(max(0, n - k + 1) for n, k in zip(call.shape, sizes, strict=True))


def _sparse_sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of the sums, each at the centre of the pixels that the kernel covers."""
    lengths = [0] * len(shape) if call["mode"] != "valid" else [n - 1 for n in call["kernel"].shape]
    return shifted([length / 2 for length in lengths])


def _sparse(call: Call) -> Tiles:
    if call["mode"] != "valid":
        return Tiles(lambda block: np.asarray(call.function(block.data)), halo=_sparse_halo(call))
    kernel = _valid_kernel(call)

    def source(tile: Region) -> Region:
        """Return the pixels that the kernel covers: the result starts at the kernel's corner."""
        return tuple(
            slice(s.start, s.stop + n - 1) for s, n in zip(tile, kernel.shape, strict=True)
        )

    return Tiles(lambda block: np.asarray(call.function(block.data, kernel=kernel)), source=source)


SCALE = Number(minimum=0, exclusive=True, length=True, optional=True, usual=(0.5, 2), advanced=True)

OPERATIONS = (
    Operation(
        name="filters.gabor",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "frequency": Number(usual=(0.25, 0.9), finite=True),
            "theta": Number(usual=(0, 3.2), finite=True),
            "bandwidth": Number(minimum=0, exclusive=True, maximum=1000, usual=(1, 3)),
            "sigma_x": SCALE,
            "sigma_y": SCALE,
            "n_stds": Number(minimum=0, usual=(1, 3), finite=True, advanced=True),
            "offset": Number(usual=(0, 3.2), finite=True, advanced=True),
            "mode": BORDER,
            "cval": CVAL,
        },
        neighbourhood=Neighbourhood(halo=_gabor_halo, border="mode"),
        result=ResultSpec(
            dtype=_gabor_dtype, shape=lambda call: (2, *call.shape), channel=first_axis, split=tuple
        ),
        plan_of=_gabor,
        limits=Limits(check=_check_gabor, ndim=(2, 2)),
        adapter=Adapter(kernels=("skimage.filters.gabor",)),
        cost=Cost(memory=6.0, at_once=WIDENED_IN_BANDS),
        note="The real and the imaginary response. An image of integers gives integers.",
    ),
    Operation(
        name="filters.correlate_sparse",
        title="Sparse correlation",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "kernel": Array(usual=(-1, 1)),
            "mode": ChoiceSpec(
                choices=("reflect", "constant", "nearest", "mirror", "wrap", "valid"), advanced=True
            ),
        },
        neighbourhood=Neighbourhood(halo=_sparse_halo, border="mode", sampling=_sparse_sampling),
        result=ResultSpec(dtype=as_float, shape=_sparse_shape),
        plan_of=_sparse,
        limits=Limits(check=_check_sparse),
        cost=Cost(
            memory=6.0,
            at_once=AtOnce(function=IN_MEMORY, when=lambda call: call["mode"] != "valid"),
        ),
    ),
)
