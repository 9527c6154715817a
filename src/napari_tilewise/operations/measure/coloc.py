"""`skimage.measure`, colocalization of two channels: a few sums over all pixels, or over a mask's.

The sums of integers add up exactly; those of floats are joined along NumPy's own tree, with its
bits. Only Pearson's coefficient, whose last sum scikit-image leaves to BLAS, is close instead.
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
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Accuracy,
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
    from collections.abc import Callable, Generator, Sequence

# -- the pixels that count -------------------------------------------------------------------------


def _pair(call: Call, block: Block, other: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both images' pixels."""
    image = block.images[other]
    if image.shape != block.data.shape:
        raise InvalidImage(
            f"{call.operation.name}: {other} has other axes than the image: expected an array of "
            "the same shape."
        )
    return block.data, image


def _binary(call: Call, name: str, values: np.ndarray) -> np.ndarray:
    """Return a mask as bool; anything but 0 and 1 is refused."""
    if values.dtype != bool and np.any((values != 1) & (values != 0)):
        raise InvalidImage(
            f"{call.operation.name}: {name} is of type {values.dtype} and holds values other than "
            f"0 and 1: expected a mask, such as {name} > 0."
        )
    return values.astype(bool, copy=False)


def _mask(call: Call, block: Block) -> np.ndarray | None:
    """Return which pixels count; None: all."""
    if "mask" not in block.images:
        return None
    mask = _binary(call, "mask", block.images["mask"])
    if mask.shape != block.data.shape:
        raise InvalidImage(
            f"{call.operation.name}: the mask has other axes than the image: expected an array of "
            "the same shape."
        )
    return mask


def _chosen(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return values.ravel() if mask is None else values[mask]


def _totals(
    call: Call, of: Callable[[Block], Sequence[np.ndarray]], count: int, *, exact: bool
) -> Generator[Reduce, Any, list[Any]]:
    """Compute ``[array[mask].sum(), ...]`` of arrays over the image, as NumPy adds them up."""
    if exact:

        def tile(block: Block) -> list[Any]:
            mask = _mask(call, block)
            return [np.sum(_chosen(array, mask)) for array in of(block)]

        def merge(a: list[Any], b: list[Any]) -> list[Any]:
            with np.errstate(over="ignore"):  # NumPy's sums wrap around, too
                return [x + y for x, y in zip(a, b, strict=True)]

        return list((yield Reduce(tile, merge, description="sums")))
    if call["mask"] is None:
        return (yield from sums(call, lambda block: iter(of(block))))

    def selected(block: Block) -> np.ndarray:
        mask = _mask(call, block)
        assert mask is not None
        return mask

    return (yield from selected_sums(call, of, selected, count))


def _counted(
    call: Call, other: str, *, positive: Sequence[str] = ()
) -> Generator[Reduce, Any, int]:
    """Find how many pixels count, refusing what scikit-image's function refuses."""

    def of(block: Block) -> int:
        first, second = _pair(call, block, other)
        mask = _mask(call, block)
        images = {"image": first, other: second}
        for name in positive:
            chosen = _chosen(images[name], mask)
            if chosen.size and chosen.min() < 0:
                raise InvalidImage(
                    f"{call.operation.name}: {name} contains negative values: expected "
                    "intensities of at least 0. Subtract its minimum first."
                )
        return first.size if mask is None else int(np.count_nonzero(mask))

    count: int = yield Reduce(of, lambda a, b: a + b, description="pixels that count")
    if count == 0:
        raise InvalidImage(f"{call.operation.name}: the mask leaves no pixel to measure.")
    return count


# -- the coefficients ------------------------------------------------------------------------------


def _manders_coloc(call: Call) -> Plan:
    count = yield from _counted(call, "image1_mask", positive=["image"])

    def of(block: Block) -> list[np.ndarray]:
        image, other = _pair(call, block, "image1_mask")
        return [image, image * _binary(call, "image1_mask", other)]

    exact = call.dtype.kind in "bui"
    total, shared = yield from _totals(call, of, count, exact=exact)
    return Value(0 if total == 0 else shared / total)


def _manders_overlap(call: Call) -> Plan:
    count = yield from _counted(call, "image1", positive=["image", "image1"])

    def of(block: Block) -> list[np.ndarray]:
        a, b = _pair(call, block, "image1")
        return [np.square(a), np.square(b), np.multiply(a, b)]

    exact = call.dtype.kind in "bui" and call["image1"].dtype.kind in "bui"
    first, second, shared = yield from _totals(call, of, count, exact=exact)
    return Value(shared / (first * second) ** 0.5)


def _intersection(call: Call) -> Plan:
    def of(block: Block) -> np.ndarray:
        first, second = _pair(call, block, "image1_mask")
        mask = _mask(call, block)
        a = _chosen(_binary(call, "image0_mask", first), mask)
        b = _chosen(_binary(call, "image1_mask", second), mask)
        return np.array([np.count_nonzero(a), np.count_nonzero(a & b)])

    total, shared = yield Reduce(of, np.add, description="pixels of the masks")
    return Value(0 if total == 0 else shared / total)


# -- Pearson's coefficient -------------------------------------------------------------------------

FEW = 3
"""So few pixels are handed to SciPy: of three, the p-value rises like the root of 1 - r."""


def _pearson(call: Call) -> Plan:
    dtype = np.result_type(call.dtype, call["image1"].dtype)
    dtype = dtype if dtype.kind == "f" else np.dtype(float)
    count = yield from _counted(call, "image1")
    if count <= FEW:
        x, y = yield _gather_values(call)
        return Value(tuple(float(v) for v in stats.pearsonr(x, y)))

    def moments(block: Block) -> np.ndarray:
        """Return (image, smallest and largest and sum)."""
        mask = _mask(call, block)
        images = [_chosen(image, mask).astype(float) for image in _pair(call, block, "image1")]
        return np.array([[i.min(initial=np.inf), i.max(initial=-np.inf), i.sum()] for i in images])

    def merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        columns = [np.minimum, np.maximum, np.add]
        return np.stack([join(a[:, k], b[:, k]) for k, join in enumerate(columns)], axis=1)

    found = yield Reduce(moments, merge, description="means")
    low, high, total = found.T
    if (low == high).any():
        message = "An input array is constant; the correlation coefficient is not defined."
        warnings.warn(stats.ConstantInputWarning(message), stacklevel=2)
        return Value((float("nan"), float("nan")))
    means = total / count
    scales = np.maximum(high - means, means - low)

    def products(block: Block) -> np.ndarray:
        mask = _mask(call, block)
        a, b = (
            (_chosen(image, mask) - mean) / scale
            for image, mean, scale in zip(_pair(call, block, "image1"), means, scales, strict=True)
        )
        return np.array([np.sum(a * a), np.sum(b * b), np.sum(a * b)])

    aa, bb, ab = yield Reduce(products, np.add, description="covariance")
    r = np.clip(dtype.type(ab / np.sqrt(aa) / np.sqrt(bb)), -1.0, 1.0)
    half = dtype.type(dtype.type(count) / 2 - 1)
    p = 2 * special.betaincc(half, half, (np.abs(r) + dtype.type(1)) / dtype.type(2))
    return Value((float(r), float(p)))


def _gather_values(call: Call) -> Reduce:
    """Return the pass that takes the pixels themselves, in raster order."""

    def of(block: Block) -> list[tuple[int, Any, Any]]:
        mask = _mask(call, block)
        places = np.nonzero(np.ones(block.data.shape, bool) if mask is None else mask)
        a, b = _pair(call, block, "image1")
        absolute = [p + s.start for p, s in zip(places, block.tile, strict=True)]
        index = np.ravel_multi_index(absolute, call.shape)
        return list(zip(index.tolist(), a[places], b[places], strict=True))

    def finish(found: list[tuple[int, Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
        found = sorted(found, key=lambda item: item[0])
        return np.array([a for _, a, _ in found]), np.array([b for _, _, b in found])

    return Reduce(of, lambda a, b: a + b, finish=finish, description="pixels")


# --------------------------------------------------------------------------------------------------

HALF = "float16 images may differ in the last place."

MASK = AlignedImage()
SECOND_MASK = AlignedImage(role="mask", optional=False)
SECOND_IMAGE = AlignedImage(role="image", optional=False, like=True)


def _dtype(call: Call) -> Any:
    """Return the dtype of a quotient of sums."""
    other = call.params.get("image1")
    kinds = [call.dtype] if other is None else [call.dtype, other.dtype]
    found = np.result_type(*kinds)
    return found if found.kind == "f" else np.float64


# dtype_varies: 0 where there is nothing to divide by.
QUOTIENT = ResultSpec(output=Output.SCALAR, dtype=_dtype, shape=lambda call: (), dtype_varies=True)

OPERATIONS = (
    Operation(
        name="measure.pearson_corr_coeff",
        family=families.COLOCALIZATION,
        # scikit-image's r is a dot product of unit vectors by BLAS, in the images' own type: some
        # units in the last place per root of the number of pixels. Around r = 0 the p-value
        # amplifies it by the root of that number once more.
        accuracy=Accuracy(tolerance=1e-8, single=1.0, pixels=2**34),
        specs={"image1": SECOND_IMAGE, "mask": MASK},
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_pearson,
        cost=Cost(largest_region=largest_cut, memory=10.0),
        note="In single precision scikit-image's own p-value of a large image is mostly rounding.",
    ),
    Operation(
        name="measure.manders_coloc_coeff",
        family=families.COLOCALIZATION,
        specs={"image1_mask": SECOND_MASK, "mask": MASK},
        kind=Kind.STATISTIC,
        result=QUOTIENT,
        plan_of=_manders_coloc,
        note=HALF,
        cost=Cost(memory=6.0),
    ),
    Operation(
        name="measure.manders_overlap_coeff",
        family=families.COLOCALIZATION,
        specs={"image1": SECOND_IMAGE, "mask": MASK},
        kind=Kind.STATISTIC,
        result=QUOTIENT,
        plan_of=_manders_overlap,
        note=HALF,
        cost=Cost(memory=6.0),
    ),
    Operation(
        name="measure.intersection_coeff",
        family=families.COLOCALIZATION,
        specs={"image1_mask": SECOND_MASK, "mask": MASK},
        kind=Kind.STATISTIC,
        result=replace(QUOTIENT, dtype=lambda call: np.float64),
        plan_of=_intersection,
        cost=Cost(memory=6.0),
    ),
)
