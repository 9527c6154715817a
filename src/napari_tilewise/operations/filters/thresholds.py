"""`skimage.filters`, global thresholds: one number from the histogram of the whole image.

The histogram is gathered to the bit; scikit-image's own function then sees it instead of an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage import filters

from napari_tilewise.errors import InvalidImage, InvalidParameterType
from napari_tilewise.operations.filters.li import li_dtype, li_plan
from napari_tilewise.operations.shared.global_numbers import extremes, largest_cut
from napari_tilewise.operations.shared.histograms import (
    Histogram,
    gather_histogram,
    gather_pairwise,
    gather_sum,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import (
    Call,
    Exactness,
    Gather,
    Kind,
    Operation,
    Output,
    Plan,
    Value,
)
from napari_tilewise.operations.spec.parameters import Either, Flag, FunctionSpec, Number, Spec
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable

NBINS = Number(integer=True, minimum=1, usual=(1, 300), advanced=True)

MOST_CHOICES = 10**11
"""Multi-Otsu tries every choice of thresholds, some 10**8 a second."""

LARGEST_TABLE = 2**13
"""Beyond this number of gray levels multi-Otsu's lookup table is not made: it would take 0.5 GB."""


ABOVE = "{image} > {call}"
"""`above`, as a script writes it."""


def above(image: np.ndarray, threshold: Any) -> np.ndarray:
    """Return the mask that scikit-image's examples make of a threshold."""
    return np.asarray(image > threshold)


@dataclass(frozen=True, kw_only=True)
class Counted(FunctionSpec):
    """A histogram that was made before: its counts, or its counts and bin centres."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        pair = isinstance(value, tuple | list) and len(value) == 2 and np.ndim(value[0]) == 1
        arrays = tuple(map(np.asarray, value if pair else (value,)))
        numbers = all(array.ndim == 1 and array.dtype.kind in "buif" for array in arrays)
        if not numbers or not arrays[0].size or len({array.size for array in arrays}) > 1:
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        return arrays if pair else arrays[0]

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an array of counts, a pair of counts and bin centres of one length, or None"


def _centers_dtype(call: Call) -> Any:
    """Return the dtype of a histogram's bin centres."""
    given = call.params.get("hist")
    if given is not None:
        return given[1].dtype if isinstance(given, tuple) else np.intp
    if call.dtype.kind in "ui":
        return np.int64
    return np.float64 if call.dtype.kind == "b" else call.dtype


HISTOGRAM = Counted(
    optional=True,
    advanced=True,
    samples=(
        np.array([0, 5, 9, 2, 1, 7, 12, 3, 0, 0]),
        (np.array([4, 9, 1, 3, 8, 2]), np.linspace(0.1, 0.9, 6)),
    ),
)


def _planned(found: Callable[[Call, Histogram], Any]) -> Callable[[Call], Plan]:
    """Return a plan that makes a value of the histogram; what the function refuses is refused."""

    def plan(call: Call) -> Plan:
        if call["hist"] is not None:
            # All that is asked of the image then is whether it is constant.
            image = np.array((yield from extremes(call)), call.dtype)
        else:
            histogram = yield from gather_histogram(call, call["nbins"])
        try:
            if call["hist"] is not None:
                return Value(call.function(image))
            return Value(found(call, histogram))
        except (ValueError, RuntimeError, IndexError) as error:
            raise InvalidImage(f"{call.operation.name}: {error}") from error

    return plan


def _own(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        # scikit-image trims empty bins off a given histogram, but not off the one it makes itself;
        # with one level only, the number of pixels makes no difference
        return call.function(np.array([histogram.low], call.dtype))
    named = call.keywords.items()
    keywords = {name: value for name, value in named if name not in ("nbins", "hist")}
    return call.operation.raw_function(hist=(histogram.counts, histogram.centers), **keywords)


def _otsu(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        return call.dtype.type(histogram.low)
    return _own(call, histogram)


def _multiotsu(call: Call, histogram: Histogram) -> Any:
    if histogram.constant:
        return _own(call, histogram)
    shares = histogram.counts / np.sum(histogram.counts)
    classes = call["classes"]
    searched = np.count_nonzero(shares) > classes
    if searched and comb(len(shares), classes - 1) > MOST_CHOICES:
        raise InvalidImage(
            f"{call.operation.name}: classes={classes} among {len(shares)} gray levels would take "
            "hours, in scikit-image too. Ask for fewer classes, or rescale the image to uint8."
        )
    if searched and len(shares) > LARGEST_TABLE:
        # what the function itself falls back to when memory is short
        search = reach("filters.thresholding", "_get_multiotsu_thresh_indices")
        return histogram.centers[search(shares.astype(np.float32), classes - 1)]
    return filters.threshold_multiotsu(hist=(shares, histogram.centers), classes=classes)


def _regions(image: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return np.asarray(np.digitize(image, bins=thresholds))


def _triangle_plan(call: Call) -> Plan:
    """Return the first pixel where all pixels are in one bin, as scikit-image does."""
    histogram = yield from gather_histogram(call, call["nbins"])
    if len(histogram.counts) > 1:
        return Value(_triangle(call, histogram))
    corner = tuple(slice(0, 1) for _ in call.spatial_shape)
    first = yield Gather(lambda block: block.data.flat[0], max, regions=[corner])
    return Value(first)


def _triangle(call: Call, histogram: Histogram) -> Any:
    """Return what `threshold_triangle`, which takes no histogram, makes of one.

    The steps are scikit-image's (BSD-3-Clause), so that every rounding is its own.
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
    """Return what `threshold_minimum` returns, its maxima found by comparing whole arrays.

    scikit-image walks over the bins in Python, up to 10000 times: minutes for 16-bit images.
    """
    if histogram.constant:
        return _own(call, histogram)
    smooth = histogram.counts.astype(np.float32)
    most = call["max_num_iter"]
    steps = 0
    peaks = np.arange(3)
    while len(peaks) >= 3 and steps < most:
        smooth = ndi.uniform_filter1d(smooth, 3)
        peaks = _peaks(smooth)
        steps += 1
    if len(peaks) != 2:
        raise RuntimeError("unable to find two maxima in the smoothed histogram")
    if steps == most:
        raise RuntimeError(f"the histogram is not smooth after max_num_iter={most} iterations")
    return histogram.centers[peaks[0] + np.argmin(smooth[peaks[0] : peaks[1] + 1])]


def _peaks(counts: np.ndarray) -> np.ndarray:
    """Return where the counts begin to fall, the last bin where they stand still before."""
    falls = counts[1:] < counts[:-1]
    turns = np.flatnonzero(falls | (counts[1:] > counts[:-1]))
    falls = falls[turns]
    before = np.append(False, falls[:-1]) if len(falls) else falls
    return np.asarray(turns[falls & ~before])


def _mean_plan(call: Call) -> Plan:
    """Divide an exact sum of integers, or NumPy's own pairwise sum of floats."""
    dtype = np.dtype(_mean_dtype(call))
    if call.dtype.kind == "f":
        total = yield from gather_pairwise(call, lambda pixels: pixels)
        return Value(dtype.type(total / np.intp(prod(call.shape))))
    total = yield from gather_sum(call)
    return Value(dtype.type(total / prod(call.shape)))


def _mean_dtype(call: Call) -> Any:
    return np.float64 if call.dtype.kind in "bui" else call.dtype


def _threshold(
    name: str,
    found: Callable[[Call, Histogram], Any] = _own,
    specs: dict[str, Spec] | None = None,
    **fields: Any,
) -> Operation:
    takes_histogram = "plan_of" not in fields
    hist = {"hist": HISTOGRAM} if takes_histogram else {}
    return Operation(
        name=f"filters.threshold_{name}",
        kind=Kind.STATISTIC,
        dtype_varies=True,  # a constant image's pixel is returned as it is
        specs={"nbins": NBINS, **(specs or {}), **hist},
        output=Output.SCALAR,
        **{
            "dtype_of": _centers_dtype,
            "shape_of": lambda call: (),
            "plan_of": _planned(found),
            "apply_result": above,
            "step_text": ABOVE,
            "finite": True,
            "working": 4.0,
            **fields,
        },
    )


def _one_or_all(call: Call) -> tuple[int, ...] | None:
    return None if call["return_all"] else ()


def _lowest(image: np.ndarray, thresholds: Any) -> np.ndarray:
    """Return the mask above ISODATA's threshold; of several it is the first, as by default."""
    return above(image, np.atleast_1d(thresholds)[0])


ROUNDING = """\
scikit-image's means of float pixels on either side are pairwise sums in the image's type, with a
relative error of up to (16 + log2(pixels)) units in the last place: 50 for 131072 x 131072 pixels,
that is 1e-14, or 6e-6 in single precision. The tiled sums are taken in double precision."""

OPERATIONS = (
    _threshold("otsu", _otsu),
    _threshold("yen"),
    _threshold(
        "isodata",
        specs={"return_all": Flag(advanced=True)},
        shape_of=_one_or_all,
        apply_result=_lowest,
        step_params={"return_all": False},
    ),
    Operation(
        name="filters.threshold_li",
        kind=Kind.ITERATIVE,
        dtype_varies=True,
        exactness=Exactness.CLOSE,
        # every iteration compares pixels with a mean; see ROUNDING. Integers are exact.
        tolerance=1e-9,
        tolerance32=2e-5,
        specs={
            "tolerance": Number(minimum=0, usual=(0.001, 0.5), optional=True, advanced=True),
            "initial_guess": Either(
                options=(Number(usual=(0.2, 0.8)), FunctionSpec(samples=(np.median, np.mean))),
                optional=True,
                advanced=True,
            ),
            "iter_callback": FunctionSpec(optional=True, samples=(float,), advanced=True),
        },
        output=Output.SCALAR,
        dtype_of=li_dtype,
        shape_of=lambda call: (),
        dtypes="uif",
        plan_of=li_plan,
        largest_of=largest_cut,
        apply_result=above,
        step_text=ABOVE,
        working=5.0,
        note=ROUNDING + " A function as initial_guess gets all pixels of the image at once.",
    ),
    _threshold("triangle", plan_of=_triangle_plan),
    _threshold(
        "minimum",
        _minimum,
        specs={"max_num_iter": Number(integer=True, minimum=1, usual=(100, 10000), advanced=True)},
    ),
    Operation(
        name="filters.threshold_mean",
        kind=Kind.STATISTIC,
        output=Output.SCALAR,
        dtype_of=_mean_dtype,
        shape_of=lambda call: (),
        plan_of=_mean_plan,
        largest_of=largest_cut,
        apply_result=above,
        step_text=ABOVE,
        working=3.0,
        note="float16 images, and integers whose sum exceeds 2**53, may differ in the last place.",
    ),
    _threshold(
        "multiotsu",
        _multiotsu,
        specs={"classes": Number(integer=True, minimum=2, maximum=5, usual=(2, 3))},
        shape_of=lambda call: (call["classes"] - 1,),
        apply_result=_regions,
        apply_output=Output.LABELS,
        step_text="np.digitize({image}, bins={call})",
    ),
)
