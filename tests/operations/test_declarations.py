"""Declarations are complete and honest: words for forms, memory no larger than stated."""

from __future__ import annotations

import dataclasses
import inspect
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.errors import (
    InvalidFunction,
    InvalidParameter,
    MemoryBudgetExceeded,
    TilewiseError,
)
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    AsStep,
    Cost,
    Exactness,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import Number
from tests.strategies import cropped, typical

LENGTH = 256
WARM_UP = 64
"""Length of the image that is computed before memory counts."""
CONSTANT = 2 * 2**20
"""What does not grow with the tile: tables, kernels, Python itself."""


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
def test_words_and_defaults_are_scikit_images(name: str) -> None:
    op = tw.OPERATIONS[name]
    assert op.name == name
    assert op.title
    assert op.summary
    known = signature(op.raw_function)
    for parameter in op.parameters.values():
        documented = f"\n{parameter.name} :" in (inspect.getdoc(op.raw_function) or "")
        assert parameter.doc or not documented
        if parameter.name not in op.adapter.overrides:
            expected = known[parameter.name].default
            assert parameter.required or np.array_equal(parameter.default, expected)
        if not parameter.required and parameter.default is not None:
            parameter.spec.check(parameter.name, parameter.default, None)
    assert (op.exactness is Exactness.CLOSE) == (op.tolerance > 0)


def test_what_needs_the_whole_image_says_why() -> None:
    silent = [
        key
        for key, op in tw.OPERATIONS.items()
        if op.kind is Kind.WHOLE and not op.note.startswith(("Needs the whole", "Needs all"))
    ]
    assert silent == []


def test_a_declaration_is_a_few_groups() -> None:
    written = {field.name for field in dataclasses.fields(Operation)} - {"is_step"}
    assert len(written) <= 16, "`as_step` sets `is_step`, the rest a declaration may write"
    groups = (ResultSpec, Accuracy, Neighbourhood, Limits, Cost, AsStep, Adapter)
    assert max(len(dataclasses.fields(group)) for group in groups) <= 8
    for op in tw.OPERATIONS.values():
        assert type(op) is Operation, "an operation is a value, not a class of its own"


def declaring(**groups: Any) -> Operation:
    """Return scikit-image's Gaussian filter, wrongly declared."""
    return dataclasses.replace(tw.OPERATIONS["filters.gaussian"], **groups)


IMPOSSIBLE = {
    "fewer axes": (
        {"result": ResultSpec(shape=lambda call: call.shape[:-1])},
        "an image of shape (40,) for an image of shape (40, 50), with 1 axis besides its channels: "
        "expected 2",
    ),
    "more axes": (
        {"result": ResultSpec(shape=lambda call: (3, *call.shape))},
        "with 3 axes besides its channels: expected 2",
    ),
    "no such channel axis": (
        {"result": ResultSpec(shape=lambda call: (*call.shape, 3), channel=lambda call: 5)},
        "with channel axis 5: expected one of its axes, from 0 to 2",
    ),
    "no shape": (
        {"result": ResultSpec(output=Output.MASK, shape=lambda call: None)},
        "a mask of shape None: expected a tuple of lengths",
    ),
    "lengths of floats": (
        {"result": ResultSpec(shape=lambda call: (20.0, 25.0))},  # type: ignore[arg-type]
        "expected a tuple of lengths",
    ),
    "no dtype": (
        {"result": ResultSpec(dtype=lambda call: "pixels")},
        "a result of type 'pixels': expected a NumPy data type",
    ),
    "a part's axes": (
        {"result": ResultSpec(parts=lambda call: (Part(Output.LABELS, np.intp, (5, 5, 5)),))},
        "labels of shape (5, 5, 5) for an image of shape (40, 50)",
    ),
    "a halo of other axes": (
        {"neighbourhood": Neighbourhood(halo=lambda call: (1, 2, 3))},
        "a halo of (1, 2, 3): expected 0 or more pixels, or as many items as there are spatial "
        "axes, 2",
    ),
    "a halo below 0": ({"neighbourhood": Neighbourhood(halo=lambda call: -1)}, "a halo of -1"),
}


@pytest.mark.parametrize("case", list(IMPOSSIBLE))
def test_an_impossible_declaration_is_refused_in_one_sentence(case: str) -> None:
    groups, message = IMPOSSIBLE[case]
    with pytest.raises(InvalidFunction) as error:
        compute(
            build(declaring(**groups), np.zeros((40, 50)), {}, Session(1), StackLayout(tiles=20))
        )
    assert str(error.value).startswith("filters.gaussian declares ")
    assert message in str(error.value)
    assert str(error.value).count(". ") == 0


def works_on_objects(op: Operation) -> bool:
    return op.output is Output.TABLE or (op.output is Output.LABELS and op.limits.dtypes == "ui")


def sample(name: str, dtype: str) -> np.ndarray:
    """Return an image that the operation works hard on."""
    plane = np.pad(data.coins(), ((0, 0), (0, 16)), mode="reflect")[:LENGTH, :LENGTH]
    plane = np.pad(plane, ((0, LENGTH - plane.shape[0]), (0, 0)), mode="reflect")
    op = tw.OPERATIONS[name]
    if works_on_objects(op):
        plane = ndi.label(plane > 120)[0].astype("int32")
    elif "f" not in op.limits.dtypes or (dtype == "uint8" and "u" in op.limits.dtypes):
        plane = plane if "u" in op.limits.dtypes else plane > 120
    else:
        plane = plane / 255.0
    if op.limits.nearest_shape is not None:
        return plane[tuple(slice(0, n) for n in op.limits.nearest_shape(plane.shape))]
    if op.limits.ndim[0] == 3:
        return np.stack([plane[:64, :64]] * 64)
    channel = op.parameters[op.channel].default if op.channel else None
    channels = getattr(op.specs[op.channel], "least", 3) if op.channel else 0
    return plane if channel is None else np.stack([plane] * max(channels, 3), axis=-1)


def parameters_for(op: Operation, image: np.ndarray) -> dict[str, Any]:
    """Return the parameters that an operation requires."""
    channel = op.parameters[op.channel].default if op.channel else None
    ndim = image.ndim - (channel is not None)
    params = {
        parameter.name: typical(parameter.spec, image, ndim, channel)
        for parameter in op.parameters.values()
        if parameter.required
    }
    return op.satisfying(params, image)


def samples() -> list[tuple[str, str]]:
    """Return each operation with the dtypes for which its sample is another image."""
    return [
        (name, dtype)
        for name, op in tw.OPERATIONS.items()
        for dtype in ("uint8", "float64")
        if dtype == "uint8" or ("f" in op.limits.dtypes and not works_on_objects(op))
    ]


@pytest.mark.parametrize(("name", "dtype"), samples())
def test_a_tile_takes_no_more_memory_than_stated(name: str, dtype: str) -> None:
    op = tw.OPERATIONS[name]
    image = sample(name, dtype)
    image = cropped(op, image, LENGTH)

    def compute(image: np.ndarray, params: dict[str, Any]) -> int:
        """Return the pixels of the image or of the result, whichever has more."""
        stack = build(op.as_step(), image, params, Session(1), StackLayout(tiles=LENGTH))
        whole = tuple(slice(0, n) for n in stack.shape)
        stack.value() if not stack.is_image else stack.read(whole)
        largest = 0 if op.cost.largest_region is None else op.cost.largest_region(stack.call)
        return max(image.size, int(np.prod(stack.shape)), largest)

    def warm_up() -> None:
        """Have tables computed and modules imported."""
        small = cropped(op, image, WARM_UP)
        compute(small, parameters_for(op, small))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            warm_up()
        except tw.TilewiseError:
            image = image > image.mean()  # what takes nothing but masks
            warm_up()
        params = parameters_for(op, image)
        tracemalloc.start()
        try:
            pixels = compute(image, params)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak <= op.cost.memory * 8 * pixels + CONSTANT


BEYOND = 2**31 - 1
OF_IMAGE = np.random.default_rng(0).random((50, 60))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("measure.blur_effect", "h_size"),
        ("ndimage.uniform_filter", "size"),
        ("ndimage.uniform_filter1d", "size"),
        ("feature.blob_log", "num_sigma"),
        ("feature.blob_doh", "num_sigma"),
        ("feature.daisy", "rings"),
        ("feature.daisy", "histograms"),
        ("feature.daisy", "orientations"),
        ("transform.pyramid_laplacian", "max_layer"),
        ("restoration.denoise_wavelet", "wavelet_levels"),
        ("restoration.denoise_bilateral", "bins"),
    ],
)
def test_what_no_memory_holds_is_refused_before_anything_is_computed(
    name: str, parameter: str
) -> None:
    with pytest.raises((MemoryBudgetExceeded, InvalidParameter)):
        tw.plan((name, {parameter: BEYOND}), OF_IMAGE, memory="1 GiB")


def test_a_distance_beyond_the_image_is_as_one_across_it() -> None:
    options = {"exclude_border": False}
    peaks = [
        tw.apply("feature.peak_local_max", OF_IMAGE, min_distance=distance, **options)
        for distance in (60, BEYOND)
    ]
    np.testing.assert_array_equal(*peaks)


@pytest.mark.parametrize("value", [2**70, -(2**70), 2**64, 10**400])
def test_integers_that_numpy_has_no_type_for_are_floats_or_refused(value: int) -> None:
    for operation in tw.OPERATIONS.values():
        for name, spec in operation.specs.items():
            if type(spec) is not Number or spec.integer:
                continue
            try:
                taken = spec.check(name, value, None)
            except TilewiseError:
                continue
            assert type(taken) is float, (operation.name, name)
