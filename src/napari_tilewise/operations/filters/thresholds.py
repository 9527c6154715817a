"""`skimage.filters`, global thresholds: one number from the histogram of the whole image.

A reduction computes the histogram bit for bit; scikit-image's function then receives it instead of
the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage import filters

from napari_tilewise.errors import InvalidImage, InvalidParameterType
from napari_tilewise.operations.filters.li import li_dtype, li_plan
from napari_tilewise.operations.shared.global_numbers import extremes, largest_cut
from napari_tilewise.operations.shared.histograms import (
    BINNING,
    COUNTING,
    Histogram,
    bins_of,
    counted_levels,
    gather_histogram,
    gather_pairwise,
    gather_sum,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import ADDED_IN_ORDER
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    Accuracy,
    Adapter,
    AsStep,
    AtOnce,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Trial,
    Value,
)
from napari_tilewise.operations.spec.parameters import Either, Flag, FunctionSpec, Number, Spec
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


NBINS = Number(integer=True, minimum=1, usual=(1, 300), advanced=True)

MOST_CHOICES = 10**11
"""Multi-Otsu tries every combination of thresholds, about 10**8 per second."""

LARGEST_TABLE = 2**13
"""Beyond this number of gray levels multi-Otsu's lookup table, over 0.5 GB, is avoided."""


ABOVE = "{image} > {call}"
"""The source code of `above` in an exported script."""


def above(image: np.ndarray, threshold: Any) -> np.ndarray:
    """Return the mask of the pixels above a threshold, as in scikit-image's examples."""
    return np.asarray(image > threshold)


@dataclass(frozen=True, kw_only=True)
class HistogramSpec(FunctionSpec):
    """A precomputed histogram: its counts, or its counts and bin centres."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        pair = isinstance(value, tuple | list) and len(value) == 2 and np.ndim(value[0]) == 1
        arrays = tuple(map(np.asarray, value if pair else (value,)))
        numbers = all(array.ndim == 1 and array.dtype.kind in "buif" for array in arrays)
        if not numbers or not arrays[0].size or len({array.size for array in arrays}) > 1:
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        return arrays if pair else arrays[0]

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an array of counts, a pair of counts and bin centres of equal length, or None"


def _centers_dtype(call: Call) -> Any:
    """Return the dtype of a histogram's bin centres."""
    histogram = call.params.get("hist")
    if histogram is not None:
        return histogram[1].dtype if isinstance(histogram, tuple) else np.intp
    if call.dtype.kind in "ui":
        return np.int64
    return np.float64 if call.dtype.kind == "b" else call.dtype


HISTOGRAM = HistogramSpec(
    optional=True,
    advanced=True,
    samples=(
        np.array([0, 5, 9, 2, 1, 7, 12, 3, 0, 0]),
        (np.array([4, 9, 1, 3, 8, 2]), np.linspace(0.1, 0.9, 6)),
    ),
)


def _histogram_plan(threshold_of: Callable[[Call, Histogram], Any]) -> Callable[[Call], Plan]:
    """Return a plan that computes a threshold from the histogram, with errors as `InvalidImage`."""

    def plan(call: Call) -> Plan:
        if call["hist"] is not None:
            # The function then only checks whether the image is constant.
            image = np.array((yield from extremes(call)), call.dtype)
        else:
            histogram = yield from gather_histogram(call, call["nbins"])
        try:
            if call["hist"] is not None:
                return Value(call.function(image))
            return Value(threshold_of(call, histogram))
        except (ValueError, RuntimeError, IndexError) as error:
            raise InvalidImage(f"{call.operation.name}: {error}") from error

    return plan


def _from_histogram(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        # scikit-image trims the empty bins of a histogram passed to it, but not of its own; with
        # a single level the number of pixels makes no difference
        return call.function(np.array([histogram.low], call.dtype))
    items = call.keywords.items()
    keywords = {name: value for name, value in items if name not in ("nbins", "hist")}
    return call.operation.raw_function(hist=(histogram.counts, histogram.centers), **keywords)


def _otsu(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        return call.dtype.type(histogram.low)
    if call.dtype.kind in "ui":
        # An empty level parts the same classes as the level before it, which comes first.
        used = np.flatnonzero(histogram.counts)
        counts, centers = histogram.counts[used], histogram.centers[used]
        histogram = replace(histogram, counts=counts, centers=centers)
    return _from_histogram(call, histogram)


def _multiotsu(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        return _from_histogram(call, histogram)
    shares = histogram.counts / np.sum(histogram.counts)
    classes = call["classes"]
    needs_search = np.count_nonzero(shares) > classes
    if needs_search and comb(len(shares), classes - 1) > MOST_CHOICES:
        raise InvalidImage(
            f"{call.operation.name}: classes={classes} with {len(shares)} gray levels would take "
            "hours, in scikit-image too. Use fewer classes, or rescale the image to uint8."
        )
    if needs_search and len(shares) > LARGEST_TABLE:
        # the function's own fallback when memory is short
        search = reach("filters.thresholding", "_get_multiotsu_thresh_indices")
        return histogram.centers[search(shares.astype(np.float32), classes - 1)]
    return filters.threshold_multiotsu(hist=(shares, histogram.centers), classes=classes)


def _pairs_of_bins(call: Call) -> int:
    """Return what the function's table of pairs of bins takes, in pixels of the image.

    Integers have as many bins as grey levels, of which each may have only one pixel.
    """
    bins = bins_of(call)
    if call.dtype.kind in "ui":
        bins = min(256**call.dtype.itemsize, prod(call.shape))
    return max(bins, min(bins, LARGEST_TABLE) ** 2 // 16)


def _regions(image: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return np.asarray(np.digitize(image, bins=thresholds))


def _triangle_plan(call: Call) -> Plan:
    """Compute the threshold: of an image in a single bin the first pixel, as scikit-image does."""
    histogram = yield from gather_histogram(call, call["nbins"])
    if len(histogram.counts) > 1:
        return Value(_triangle(call, histogram))
    corner = tuple(slice(0, 1) for _ in call.spatial_shape)
    corner_pixel = yield Reduce(lambda block: block.data.flat[0], max, regions=[corner])
    return Value(corner_pixel)


def _triangle(call: Call, histogram: Histogram) -> Any:
    """Return the threshold of `threshold_triangle`, which takes no histogram, for a histogram.

    The steps are scikit-image's (BSD-3-Clause), so that all rounding is the same.
    """
    counts, centers = histogram.counts, histogram.centers
    peak: Any = np.argmax(counts)
    height = counts[peak]
    low, high = np.flatnonzero(counts)[[0, -1]]
    if low == high:
        return call.dtype.type(histogram.low)
    bins = len(counts)
    flip = peak - low < high - peak
    if flip:
        counts = counts[::-1]
        low = bins - high - 1
        peak = bins - peak - 1
    width = peak - low
    x = np.arange(width)
    y = counts[x + low]
    norm = np.sqrt(height**2 + width**2)
    height = height / norm
    width = width / norm
    level = np.argmax(height * x - width * y) + low
    return centers[bins - level - 1 if flip else level]


def _minimum(call: Call, histogram: Histogram) -> Any:
    """Return the threshold of `threshold_minimum`, with its maxima found by array comparisons.

    scikit-image loops over the bins in Python, up to 10000 times: minutes for 16-bit images.
    """
    if histogram.constant:
        return _from_histogram(call, histogram)
    smooth = histogram.counts.astype(np.float32)
    max_steps = call["max_num_iter"]
    steps = 0
    peaks = np.arange(3)
    while len(peaks) >= 3 and steps < max_steps:
        smooth = ndi.uniform_filter1d(smooth, 3)
        peaks = _peaks(smooth)
        steps += 1
    if len(peaks) != 2:
        raise RuntimeError("unable to find two maxima in the smoothed histogram")
    if steps == max_steps:
        raise RuntimeError(f"the histogram is not smooth after max_num_iter={max_steps} iterations")
    return histogram.centers[peaks[0] + np.argmin(smooth[peaks[0] : peaks[1] + 1])]


def _peaks(counts: np.ndarray) -> np.ndarray:
    """Return the last bin of every local maximum, where the counts begin to fall."""
    falls = counts[1:] < counts[:-1]
    turns = np.flatnonzero(falls | (counts[1:] > counts[:-1]))
    falls = falls[turns]
    fell_before = np.append(False, falls[:-1]) if len(falls) else falls
    return np.asarray(turns[falls & ~fell_before])


def _mean_plan(call: Call) -> Plan:
    """Divide the exact sum of integers, or NumPy's pairwise sum of floats, by the pixel count."""
    dtype = np.dtype(_mean_dtype(call))
    if call.dtype.kind == "f":
        total = yield from gather_pairwise(call, lambda pixels: pixels)
        return Value(dtype.type(total / np.intp(prod(call.shape))))
    total = yield from gather_sum(call)
    return Value(dtype.type(total / prod(call.shape)))


def _mean_dtype(call: Call) -> Any:
    return np.float64 if call.dtype.kind in "bui" else call.dtype


def _scalar(call: Call) -> tuple[int, ...]:
    return ()


# dtype_varies: for a constant image, its pixel value is returned unchanged.
THRESHOLD = ResultSpec(output=Output.SCALAR, dtype=_centers_dtype, shape=_scalar, dtype_varies=True)
HIST: Mapping[str, Spec] = {"hist": HISTOGRAM}
MASK_ABOVE = AsStep(apply=above, text=ABOVE)
CHEAP = Cost(
    memory=4.0,
    numbers=counted_levels,
    largest_region=bins_of,
    at_once=AtOnce(function=IN_MEMORY, counted=True, when=lambda call: call.dtype.kind in "bui"),
)
"""Floating-point images go through passes however small: a kernel counts their bins."""


def _threshold(
    name: str,
    plan_of: Callable[[Call], Plan],
    specs: Mapping[str, Spec] | None = None,
    *,
    result: ResultSpec = THRESHOLD,
    step: AsStep = MASK_ABOVE,
    cost: Cost = CHEAP,
) -> Operation:
    """Return a threshold that follows from the histogram."""
    return Operation(
        name=f"filters.threshold_{name}",
        family=families.THRESHOLDS,
        kind=Kind.STATISTIC,
        specs={"nbins": NBINS, **(specs or {})},
        adapter=Adapter(kernels=(BINNING, COUNTING)),
        result=result,
        plan_of=plan_of,
        step=step,
        limits=Limits(finite=True),
        cost=cost,
    )


def _isodata_shape(call: Call) -> tuple[int, ...] | None:
    return None if call["return_all"] else ()


def _above_lowest(image: np.ndarray, thresholds: Any) -> np.ndarray:
    """Return the mask above the first of ISODATA's thresholds, which is the default one."""
    return above(image, np.atleast_1d(thresholds)[0])


ROUNDING = """\
scikit-image computes the means of float pixels on either side by pairwise sums in the image's
dtype, with a relative error of up to (16 + log2(pixels)) units in the last place: 50 for
131072 x 131072 pixels, which is 1e-14, or 6e-6 in single precision. The tiled sums use double
precision."""


OPERATIONS = (
    replace(
        _threshold("otsu", _histogram_plan(_otsu), HIST),
        adapter=Adapter(kernels=("skimage.filters.threshold_otsu", BINNING, COUNTING)),
        cost=replace(CHEAP, at_once=CHEAP.at_once._replace(kernel=2**24, when=None)),
    ),
    _threshold("yen", _histogram_plan(_from_histogram), HIST),
    _threshold(
        "isodata",
        _histogram_plan(_from_histogram),
        {"return_all": Flag(advanced=True), **HIST},
        result=replace(THRESHOLD, shape=_isodata_shape),
        step=AsStep(apply=_above_lowest, text=ABOVE, params={"return_all": False}),
    ),
    Operation(
        name="filters.threshold_li",
        family=families.THRESHOLDS,
        kind=Kind.ITERATIVE,
        result=ResultSpec(dtype_varies=True, output=Output.SCALAR, dtype=li_dtype, shape=_scalar),
        # every iteration compares pixels with a mean; see ROUNDING. Integers are exact.
        accuracy=Accuracy(tolerance=1e-9, single=2e-5),
        specs={
            "tolerance": Number(minimum=0, usual=(0.001, 0.5), optional=True, advanced=True),
            "initial_guess": Either(
                options=(Number(usual=(0.2, 0.8)), FunctionSpec(samples=(np.median, np.mean))),
                optional=True,
                advanced=True,
            ),
            "iter_callback": FunctionSpec(optional=True, samples=(float,), advanced=True),
        },
        plan_of=li_plan,
        adapter=Adapter(kernels=(COUNTING,)),
        cost=Cost(
            numbers=lambda call: PER_PIXEL if call.dtype.itemsize > 2 else 0,
            largest_region=largest_cut,
            memory=5.0,
            at_once=AtOnce(function=IN_MEMORY, finite=True, counted=True),
        ),
        step=MASK_ABOVE,
        note=ROUNDING + " A function as initial_guess receives all pixels of the image at once.",
    ),
    _threshold("triangle", _triangle_plan),
    _threshold(
        "minimum",
        _histogram_plan(_minimum),
        {
            "max_num_iter": Number(integer=True, minimum=1, usual=(100, 10000), advanced=True),
            **HIST,
        },
    ),
    Operation(
        name="filters.threshold_mean",
        family=families.THRESHOLDS,
        kind=Kind.STATISTIC,
        accuracy=Accuracy(deviations=(ADDED_IN_ORDER,)),
        result=ResultSpec(output=Output.SCALAR, dtype=_mean_dtype, shape=_scalar),
        plan_of=_mean_plan,
        cost=Cost(largest_region=largest_cut, memory=3.0, at_once=AtOnce(function=IN_MEMORY)),
        step=MASK_ABOVE,
        note="Results for float16 images, and for integers whose sum exceeds 2**53, may differ in "
        "the last place.",
    ),
    _threshold(
        "multiotsu",
        _histogram_plan(_multiotsu),
        {"classes": Number(integer=True, minimum=2, maximum=5, usual=(2, 3)), **HIST},
        result=replace(THRESHOLD, shape=lambda call: (call["classes"] - 1,)),
        step=AsStep(apply=_regions, output=Output.LABELS, text="np.digitize({image}, bins={call})"),
        cost=replace(CHEAP, trial=Trial(levels=1024), largest_region=_pairs_of_bins),
    ),
)
