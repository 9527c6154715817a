"""What numbers measure, as declared, is what scikit-image measures with larger pixels."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from skimage import measure

import napari_tilewise as tw
from napari_tilewise.axes import PixelSizes
from napari_tilewise.engine.result_axes import ResultAxis
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.measure.property_units import REGION_UNITS
from napari_tilewise.operations.measure.regionprops import PROPERTIES
from napari_tilewise.operations.spec.measuring.calibration import (
    Calibration,
    MeasuredLengths,
    PixelLengths,
)
from napari_tilewise.operations.spec.measuring.quantities import LENGTH, area, mean_length, position
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.pixel_sizes import measured_in
from napari_tilewise.recipe.step import Step
from tests.strategies import cases

RNG = np.random.default_rng(20)
SPACING = st.floats(0.05, 8).map(lambda size: round(size, 3))
INTENSITIES = "intensities"
ANGLES = "angles"
COUNTS = "numbers without a unit"
INDICES = "indices of pixels, as slices"
OBJECTS = "objects that measure themselves: regionprops_table has units"
GIVEN = "their unit is that of the numbers that the user gives"
WITHOUT_LENGTHS = {
    **dict.fromkeys((
        "filters.threshold_otsu", "filters.threshold_yen", "filters.threshold_isodata",
        "filters.threshold_li", "filters.threshold_triangle", "filters.threshold_minimum",
        "filters.threshold_mean", "filters.threshold_multiotsu", "exposure.histogram",
        "exposure.cumulative_distribution", "restoration.estimate_sigma", "transform.integrate",
        "restoration.calibrate_denoiser", "ndimage.map_coordinates", "ndimage.histogram",
        *(f"ndimage.{name}" for name in (
            "sum", "sum_labels", "mean", "variance", "standard_deviation", "minimum", "maximum",
            "median", "percentile", "quantile",
        )),
    ), INTENSITIES),
    **dict.fromkeys((
        "exposure.is_low_contrast", "measure.shannon_entropy", "measure.euler_number",
        "measure.blur_effect", "measure.manders_coloc_coeff", "measure.manders_overlap_coeff",
        "measure.intersection_coeff", "measure.pearson_corr_coeff", "feature.hog",
        "feature.graycomatrix",
    ), COUNTS),
    "feature.corner_orientations": ANGLES,
    "measure.regionprops": OBJECTS,
    "ndimage.find_objects": INDICES,
    "transform.hough_line_peaks": GIVEN,
}  # fmt: skip
"""Operations whose results are numbers, none of them a length, with the reason."""
DECLARED = [
    name
    for name, op in OPERATIONS.items()
    if isinstance(op.step.calibration, PixelLengths) and not op.output.is_image
]


def lengths(
    name: str, params: dict[str, object], spacing: tuple[float, ...], unit: str | None = "mm"
) -> MeasuredLengths:
    """Return what an operation's numbers are on an image of such pixels."""
    axes = [ResultAxis(axis, UNMOVED) for axis in range(len(spacing))]
    sizes = PixelSizes(spacing, (unit and "millimeter",) * len(spacing))
    measured = measured_in(OPERATIONS[name], Step(name, params).bound, axes, sizes)
    assert measured is not None
    result = measured.lengths
    assert result is not None
    return result


def test_every_operation_that_gives_numbers_says_whether_they_are_lengths() -> None:
    kinds = (Output.SCALAR, Output.VALUES, Output.POINTS, Output.CONTOURS)
    numbers = {name for name, op in OPERATIONS.items() if op.output in kinds}
    assert numbers == {*DECLARED, *WITHOUT_LENGTHS}
    assert not set(DECLARED) & set(WITHOUT_LENGTHS)


@pytest.mark.parametrize("name", DECLARED)
@settings(max_examples=15)
@given(drawn=st.data())
def test_twice_the_pixel_size_is_a_power_of_two(name: str, drawn: st.DataObject) -> None:
    """Lengths double, areas quadruple; pixels, counts, angles and intensities stay."""
    case = drawn.draw(cases(OPERATIONS[name]))
    size = drawn.draw(SPACING)
    shapes = (size,) * case.image.ndim
    small = lengths(name, case.params, shapes)
    large = lengths(name, case.params, tuple(2 * size for size in shapes))
    assert [c.name for c in small.columns] == [c.name for c in large.columns]
    assert small.columns or small.step is not None
    for one, two in zip(small.columns, large.columns, strict=True):
        assert one.to_pixels == two.to_pixels
        assert (one.power == 0) == (one.to_unit is one.to_pixels is None)
        if one.power and one.to_pixels == 1:  # else the function's own spacing measures
            np.testing.assert_allclose(two.to_unit, one.to_unit * 2**one.power)
            np.testing.assert_allclose(one.to_unit, size**one.power)
    if small.step is not None:
        np.testing.assert_allclose(large.step, 2 * small.step)
        assert small.step_in_pixels == large.step_in_pixels


@pytest.mark.parametrize("name", DECLARED)
@settings(max_examples=15)
@given(drawn=st.data())
def test_a_result_has_the_columns_that_are_declared(name: str, drawn: st.DataObject) -> None:
    """Their numbers are the result's, in order."""
    case = drawn.draw(cases(OPERATIONS[name], dtypes=("uint8", "float64")))
    declared = lengths(name, case.params, (0.5,) * case.image.ndim)
    try:
        result = tw.apply(name, case.image, **case.params)
    except (ValueError, IndexError, TypeError):  # moments or an image that scikit-image refuses
        reject()
    if declared.step is not None or getattr(result, "dtype", None) == np.dtype(bool):
        return  # a curve, or a mask of the points
    table = declared.table(result)
    if table is None:  # a picture, and what its axes are
        assert np.ndim(result[0]) == 2
        assert len(result) == len(declared.columns)
        return
    assert list(table) == [column.name for column in declared.columns]
    planes = declared.table([result, result])
    assert planes is not None
    for column, values in table.items():
        np.testing.assert_array_equal(planes[column], np.tile(values, 2))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "name", [n for n in DECLARED if OPERATIONS[n].step.calibration.spacing]
)  # fmt: skip
@settings(max_examples=15)
@given(drawn=st.data())
def test_lengths_are_what_the_function_measures(name: str, ndim: int, drawn: st.DataObject) -> None:
    """With pixels of any form; and what it measures itself is converted to pixels."""
    image = RNG.random((9, 11, 7)[:ndim])
    spacing = tuple(drawn.draw(SPACING) for _ in range(ndim))
    in_pixels, by_spacing = (tw.apply(name, image, **p) for p in ({}, {"spacing": spacing}))
    by_us = lengths(name, {}, spacing)
    by_function = lengths(name, {"spacing": spacing}, spacing)
    pixels, unit = by_us.table(in_pixels), by_function.table(by_spacing)
    assert pixels is not None
    assert unit is not None
    for ours, theirs in zip(by_us.columns, by_function.columns, strict=True):
        if ours.to_unit is not None:
            expected = unit[theirs.name]
            np.testing.assert_allclose(pixels[ours.name] * ours.to_unit, expected, rtol=1e-7)
        if theirs.to_pixels is not None:
            back = unit[theirs.name] * theirs.to_pixels
            np.testing.assert_allclose(back, pixels[ours.name], rtol=1e-7)


@pytest.mark.parametrize("separator", ["-", "_", "."])
@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=15)
@given(drawn=st.data())
def test_the_pixels_beside_a_table_are_what_spacing_1_measures(
    ndim: int, separator: str, drawn: st.DataObject
) -> None:
    grid = np.indices((14, 12, 10)[:ndim]).T
    labels = (((grid - 5.2) ** 2 * (1, 2, 3)[:ndim]).sum(axis=-1).T < 20).astype(int)
    labels[(slice(9, 13), slice(8, 11), slice(6, 9))[:ndim]] = 2
    spacing = tuple(drawn.draw(SPACING) for _ in range(ndim))
    refused = REGION_UNITS.in_pixels | REGION_UNITS.of_squares
    names = [n for n in PROPERTIES if n not in refused and _is_measured(n, labels)]
    tables = [
        measure.regionprops_table(
            labels, RNG.random(labels.shape) * 0 + 1, names, separator=separator, spacing=sizes
        )
        for sizes in (spacing, (1,) * ndim)
    ]
    params = {"separator": separator}
    converted = 0
    for column, values in tables[0].items():
        size = REGION_UNITS.quantity(column, ndim, params).size(spacing)
        if size is not None and values.dtype != object:
            converted += 1
            np.testing.assert_allclose(
                values / size, tables[1][column], rtol=1e-6, atol=1e-6, err_msg=column
            )
    assert converted > 20


def _is_measured(name: str, labels: np.ndarray) -> bool:
    try:
        measure.regionprops_table(labels, RNG.random(labels.shape), (name,))
    except (AttributeError, NotImplementedError, KeyError):
        return False
    return True


def test_what_has_a_size_where_pixels_are_not_as_long_as_wide() -> None:
    flat, no_unit = (0.5, 2.0), (0.5, float("nan"))
    assert LENGTH.size(flat) is None
    assert area(2).size(flat) == 1.0
    assert position(1, 2).size(flat) == 2.0
    assert mean_length(2).size(flat) == pytest.approx(1)
    assert [position(axis, 2).size(no_unit) for axis in (0, 1)] == [0.5, None]
    assert LENGTH.size(no_unit) is area(2).size(no_unit) is None


def test_axes_of_several_units() -> None:
    """Lengths are in the first; an axis whose unit is of another kind has none of it."""
    name = "measure.centroid"
    axes = [ResultAxis(axis, UNMOVED) for axis in range(3)]
    bound = Step(name, {}).bound
    for units, expected in (
        (("millimeter", "micrometer", "micrometer"), ("millimeter", [2.0, 0.0005, 0.0005])),
        (("second", "micrometer", "micrometer"), ("second", [2.0, None, None])),
        ((None, "micrometer", None), ("micrometer", [None, 0.5, None])),
        ((None, None, None), (None, [None, None, None])),
    ):
        measured = measured_in(OPERATIONS[name], bound, axes, PixelSizes((2.0, 0.5, 0.5), units))
        assert measured is not None
        result = measured.lengths
        assert result is not None
        sizes = [column.to_unit for column in result.columns]
        assert (result.unit, sizes) == expected
        assert all(column.to_pixels == 1 for column in result.columns)


def test_an_axis_that_is_none_of_the_image_has_no_size() -> None:
    """Votes for circles: a plane per radius."""
    name = "transform.hough_circle_peaks"
    axes = [None, ResultAxis(0, UNMOVED), ResultAxis(1, UNMOVED)]
    sizes = PixelSizes((0.5, 0.5), ("micrometer", "micrometer"))
    measured = measured_in(OPERATIONS[name], Step(name, {"radii": [3.0]}).bound, axes, sizes)
    assert measured is not None
    assert isnan(measured.spacing[0])
    result = measured.lengths
    assert result is not None
    assert [column.to_unit for column in result.columns] == [None, 0.5, 0.5, 0.5]


def test_every_table_is_calibrated() -> None:
    for name, op in OPERATIONS.items():
        if op.output is Output.TABLE:
            assert isinstance(op.step.calibration, Calibration), name
