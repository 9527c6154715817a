"""`skimage.measure`, colocalization of two channels: a few sums over all pixels or over a mask.

Sums of integers are exact; sums of floats are merged along NumPy's own tree, bit for bit. Only
Pearson's coefficient, whose last sum scikit-image computes by BLAS, is close instead.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special, stats

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.global_numbers import largest_cut, sums
from napari_tilewise.operations.shared.selected_sums import selected_sums
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import ADDED_IN_ORDER
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    Accuracy,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes

# -- pixels and masks ------------------------------------------------------------------------------


def _pair(call: Call, block: Block, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both images' pixels."""
    image = block.images[name]
    if image.shape != block.data.shape:
        raise InvalidImage(
            f"{call.operation.name}: {name} does not have the image's axes: expected an array of "
            "the same shape."
        )
    return block.data, image


def _binary(call: Call, name: str, values: np.ndarray) -> np.ndarray:
    """Return a mask as bool; values other than 0 and 1 raise `InvalidImage`."""
    if values.dtype != bool and np.any((values != 1) & (values != 0)):
        raise InvalidImage(
            f"{call.operation.name}: {name} has dtype {values.dtype} and values other than 0 and "
            f"1: expected a mask, such as {name} > 0."
        )
    return values.astype(bool, copy=False)


def _mask(call: Call, block: Block) -> np.ndarray | None:
    """Return the mask of the pixels to measure; None: all pixels."""
    return _given_mask(call, block) if "mask" in block.images else None


def _given_mask(call: Call, block: Block) -> np.ndarray:
    mask = _binary(call, "mask", block.images["mask"])
    if mask.shape != block.data.shape:
        raise InvalidImage(
            f"{call.operation.name}: the mask does not have the image's axes: expected an array of "
            "the same shape."
        )
    return mask


def _select(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return values.ravel() if mask is None else values[mask]


def _reduce_sums(
    call: Call, arrays_of: Callable[[Block], Sequence[np.ndarray]], count: int, *, exact: bool
) -> Passes[list[Any]]:
    """Return ``[array[mask].sum(), ...]`` of arrays over the image, as NumPy adds them up."""
    if exact:

        def tile_sums(block: Block) -> list[Any]:
            mask = _mask(call, block)
            return [np.sum(_select(array, mask)) for array in arrays_of(block)]

        def merge(a: list[Any], b: list[Any]) -> list[Any]:
            with np.errstate(over="ignore"):  # NumPy's sums wrap around, too
                return [x + y for x, y in zip(a, b, strict=True)]

        return list((yield Reduce(tile_sums, merge, description="sums")))
    if call["mask"] is None:
        return (yield from sums(call, lambda block: iter(arrays_of(block))))

    return (
        yield from selected_sums(call, arrays_of, lambda block: _given_mask(call, block), count)
    )


def _reduce_count(call: Call, other_name: str, *, positive: Sequence[str] = ()) -> Passes[int]:
    """Return the number of pixels to measure; images that scikit-image rejects raise."""

    def count_pixels(block: Block) -> int:
        image, other_image = _pair(call, block, other_name)
        mask = _mask(call, block)
        images = {"image": image, other_name: other_image}
        for name in positive:
            selected = _select(images[name], mask)
            if selected.size and selected.min() < 0:
                raise InvalidImage(
                    f"{call.operation.name}: {name} contains negative values: expected "
                    "intensities of at least 0. Subtract its minimum first."
                )
        return image.size if mask is None else int(np.count_nonzero(mask))

    count: int = yield Reduce(count_pixels, lambda a, b: a + b, description="number of pixels")
    if count == 0:
        raise InvalidImage(
            f"{call.operation.name}: the mask is empty: expected at least one pixel."
        )
    return count


# -- the coefficients ------------------------------------------------------------------------------


def _manders_coloc(call: Call) -> Plan:
    count = yield from _reduce_count(call, "image1_mask", positive=["image"])

    def products(block: Block) -> list[np.ndarray]:
        image, mask_image = _pair(call, block, "image1_mask")
        return [image, image * _binary(call, "image1_mask", mask_image)]

    exact = call.dtype.kind in "bui"
    total, shared = yield from _reduce_sums(call, products, count, exact=exact)
    return Value(0 if total == 0 else shared / total)


def _manders_overlap(call: Call) -> Plan:
    count = yield from _reduce_count(call, "image1", positive=["image", "image1"])

    def products(block: Block) -> list[np.ndarray]:
        a, b = _pair(call, block, "image1")
        return [np.square(a), np.square(b), np.multiply(a, b)]

    exact = call.dtype.kind in "bui" and call.image_dtype("image1").kind in "bui"
    square_sum_1, square_sum_2, shared = yield from _reduce_sums(call, products, count, exact=exact)
    return Value(shared / (square_sum_1 * square_sum_2) ** 0.5)


def _intersection(call: Call) -> Plan:
    def mask_counts(block: Block) -> np.ndarray:
        image, other_image = _pair(call, block, "image1_mask")
        mask = _mask(call, block)
        a = _select(_binary(call, "image0_mask", image), mask)
        b = _select(_binary(call, "image1_mask", other_image), mask)
        return np.array([np.count_nonzero(a), np.count_nonzero(a & b)])

    total, shared = yield Reduce(mask_counts, np.add, description="pixels of the masks")
    number = type(np.count_nonzero(()))  # Python's own with NumPy 2.0, which decides about ours
    return Value(0 if total == 0 else number(shared) / number(total))


# -- Pearson's coefficient -------------------------------------------------------------------------

FEW = 3
"""Up to this number of pixels SciPy computes the result: with three, the p-value rises like the
root of 1 - r."""


def _is_half(call: Call) -> bool:
    return call.dtype == np.float16 == call.image_dtype("image1")


def _pearson(call: Call) -> Plan:
    if _is_half(call):  # means and norms are rounded as they are summed: no sum of tiles is theirs
        return (yield from whole(call))
    dtype = np.result_type(call.dtype, call.image_dtype("image1"))
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    count = yield from _reduce_count(call, "image1")
    if count <= FEW:
        x, y = yield _reduce_pixels(call)
        return Value(tuple(float(v) for v in stats.pearsonr(x, y)))

    def moments(block: Block) -> np.ndarray:
        """Return (image, smallest and largest and sum)."""
        mask = _mask(call, block)
        images = [_select(image, mask).astype(float) for image in _pair(call, block, "image1")]
        return np.array([[i.min(initial=np.inf), i.max(initial=-np.inf), i.sum()] for i in images])

    def merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        columns = [np.minimum, np.maximum, np.add]
        return np.stack([join(a[:, k], b[:, k]) for k, join in enumerate(columns)], axis=1)

    statistics = yield Reduce(moments, merge, description="means")
    low, high, total = statistics.T
    if (low == high).any():
        message = "An input array is constant; the correlation coefficient is not defined."
        warnings.warn(stats.ConstantInputWarning(message), stacklevel=2)
        return Value((float("nan"), float("nan")))
    means = total / count
    scales = np.maximum(high - means, means - low)

    def products(block: Block) -> np.ndarray:
        mask = _mask(call, block)
        a, b = (
            (_select(image, mask) - mean) / scale
            for image, mean, scale in zip(_pair(call, block, "image1"), means, scales, strict=True)
        )
        return np.array([np.sum(a * a), np.sum(b * b), np.sum(a * b)])

    aa, bb, ab = yield Reduce(products, np.add, description="covariance")
    r = np.clip(dtype.type(ab / np.sqrt(aa) / np.sqrt(bb)), -1.0, 1.0)
    half = dtype.type(dtype.type(count) / 2 - 1)
    p = 2 * special.betaincc(half, half, (np.abs(r) + dtype.type(1)) / dtype.type(2))
    return Value((float(r), float(p)))


def _reduce_pixels(call: Call) -> Reduce:
    """Return the reduction to the pixels themselves, in raster order."""

    def tile_pixels(block: Block) -> list[tuple[int, Any, Any]]:
        mask = _mask(call, block)
        indices = np.nonzero(np.ones(block.data.shape, bool) if mask is None else mask)
        a, b = _pair(call, block, "image1")
        coordinates = [p + s.start for p, s in zip(indices, block.tile, strict=True)]
        index = np.ravel_multi_index(coordinates, call.shape)
        return list(zip(index.tolist(), a[indices], b[indices], strict=True))

    def finish(pixels: list[tuple[int, Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
        pixels = sorted(pixels, key=lambda item: item[0])
        return np.array([a for _, a, _ in pixels]), np.array([b for _, _, b in pixels])

    return Reduce(tile_pixels, lambda a, b: a + b, finish=finish, description="pixels")


# --------------------------------------------------------------------------------------------------

HALF = "float16 images may differ in the last place."

MASK = AlignedImage()
SECOND_MASK = AlignedImage(role="mask", optional=False)
SECOND_IMAGE = AlignedImage(role="image", optional=False, like=True)


def _dtype(call: Call) -> DTypeLike:
    """Return the dtype of a quotient of sums."""
    other = call.params.get("image1")
    kinds = [call.dtype] if other is None else [call.dtype, other.dtype]
    common = np.result_type(*kinds)
    return common if common.kind == "f" else np.float64


AT_ONCE = AtOnce(function=IN_MEMORY, when=lambda call: call["mask"] is None)
"""scikit-image itself has another answer to a mask without pixels."""

# dtype_varies: the result is an integer 0 if the divisor is 0.
QUOTIENT = ResultSpec(output=Output.SCALAR, dtype=_dtype, shape=lambda call: (), dtype_varies=True)

OPERATIONS = (
    Operation(
        name="measure.pearson_corr_coeff",
        family=families.COLOCALIZATION,
        # scikit-image's r is a dot product of unit vectors by BLAS, in the images' own dtype, with
        # an error of some units in the last place times the root of the number of pixels. Near
        # r = 0 the p-value amplifies the error by that root once more.
        accuracy=Accuracy(tolerance=1e-8, single=1.0, pixels=2**34),
        specs={"image1": SECOND_IMAGE, "mask": MASK},
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_pearson,
        cost=Cost(
            largest_region=largest_cut,
            memory=10.0,
            at_once=AT_ONCE,
            numbers=lambda call: PER_PIXEL if _is_half(call) else 0,
        ),
        note="In single precision scikit-image's own p-value of a large image is mostly rounding "
        "error. Two images in half precision are taken whole.",
    ),
    Operation(
        name="measure.manders_coloc_coeff",
        family=families.COLOCALIZATION,
        specs={"image1_mask": SECOND_MASK, "mask": MASK},
        kind=Kind.STATISTIC,
        accuracy=Accuracy(deviations=(ADDED_IN_ORDER,)),
        result=QUOTIENT,
        plan_of=_manders_coloc,
        note=HALF,
        cost=Cost(memory=6.0, at_once=AT_ONCE),
    ),
    Operation(
        name="measure.manders_overlap_coeff",
        family=families.COLOCALIZATION,
        specs={"image1": SECOND_IMAGE, "mask": MASK},
        kind=Kind.STATISTIC,
        result=QUOTIENT,
        accuracy=Accuracy(deviations=(ADDED_IN_ORDER,)),
        plan_of=_manders_overlap,
        note=HALF,
        cost=Cost(memory=6.0, at_once=AT_ONCE),
    ),
    Operation(
        name="measure.intersection_coeff",
        family=families.COLOCALIZATION,
        specs={"image1_mask": SECOND_MASK, "mask": MASK},
        kind=Kind.STATISTIC,
        result=replace(QUOTIENT, dtype=lambda call: np.float64),
        plan_of=_intersection,
        cost=Cost(memory=6.0, at_once=AT_ONCE),
    ),
)
