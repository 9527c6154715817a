"""Promise 1: tiled equals whole, for every operation of the catalogue, from its declaration alone.

Adding an operation adds no test: this file draws its images, parameters and tile grids.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from skimage.util._map_array import ArrayMap

import napari_tilewise as tw
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Exactness, Operation, Output
from tests.sources import ArrayLike
from tests.strategies import Case, cases

if TYPE_CHECKING:
    from collections.abc import Mapping

RegionProperties = reach("measure._regionprops", "RegionProperties")


def whole(case: Case) -> Any:
    """Return scikit-image's own answer."""
    operation = case.operation
    params = {name: p.default for name, p in operation.parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A deprecated function as users call it: without its warning it has no default footprint.
        function = operation.raw_function if operation.deprecated else operation.reference
        return function(case.image.copy(), **{**params, **case.params})


def tiled(case: Case, image: Any = None) -> Any:
    """Return the tiled answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tw.apply(
            case.operation.name,
            case.image if image is None else image,
            tiles=case.tiles,
            **case.params,
        )


def assert_same(
    operation: Operation,
    found: Any,
    expected: Any,
    source: np.ndarray,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Assert equality as the operation declares it, in containers of the same kind."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(operation, one, other, source, params)
        return
    if isinstance(expected, partial):
        assert found.func is expected.func
        assert_same(operation, found.keywords, expected.keywords, source)
        return
    if isinstance(expected, ArrayMap):
        assert type(found) is type(expected)
        found = [found.in_values, found.out_values]
        assert_same(operation, found, [expected.in_values, expected.out_values], source)
        return
    if isinstance(expected, RegionProperties):
        assert_same_region(operation, found, expected, source)
        return
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if operation.exactness is Exactness.IDENTICAL or expected.dtype.kind not in "fc":
        if expected.dtype == object and expected.ndim:
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_array_equal(found, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])  # what overflows must do so in both
    scale = max(1.0, float(finite.max(initial=0)))
    limit = operation.accuracy.limit(source.dtype, source.size, params) * scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit, equal_nan=True)


REGION = ("label", "bbox", "area", "centroid", "coords", "image", "moments", "perimeter")
"""What is compared of an object; the others are made from these by scikit-image's own class."""


def assert_same_region(operation: Operation, found: Any, expected: Any, source: np.ndarray) -> None:
    """Assert that two of scikit-image's region objects tell the same, or refuse alike."""
    assert type(found) is type(expected)
    for name in (*REGION, *(["image_intensity"] if expected._intensity_image is not None else [])):
        try:
            wanted = getattr(expected, name)
        except Exception as error:  # noqa: BLE001 - whatever scikit-image raises, so must ours
            with pytest.raises(type(error)):
                getattr(found, name)
            continue
        assert_same(operation, getattr(found, name), wanted, source)


def assert_same_lazily(case: Case, found: Any, expected: Any, data: st.DataObject) -> None:
    """Assert that lazy results, and any view of them, equal the whole's."""
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        assert type(found) is type(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same_lazily(case, one, other, data)
        return
    if not isinstance(found, da.Array):
        assert_same(case.operation, found, expected, case.image, case.params)
        return
    view = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
        for n in np.shape(expected)
    )
    if case.operation.result.dtype_varies:
        expected = np.asarray(expected, dtype=found.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one, other in (
            (found[view].compute(), np.asarray(expected)[view]),
            (found.compute(), expected),
        ):
            assert_same(case.operation, one, other, case.image, case.params)


def is_lazy(found: Any) -> bool:
    """Return whether nothing of a result is computed yet."""
    items = found if isinstance(found, list | tuple) and found else [found]
    return all(isinstance(item, da.Array) for item in items)


def must_be_lazy(case: Case) -> bool:
    """Return whether all that the call gives are images and scalars (a few numbers are none)."""
    call = case.operation.call(case.image.shape, case.image.dtype, case.params)
    parts = case.operation.parts(call) or (case.operation.whole_part(call),)
    return all(
        part.output.is_image or (part.output is Output.SCALAR and part.shape == ())
        for part in parts
    )


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@given(data=st.data())
def test_tiled_equals_whole(name: str, data: st.DataObject) -> None:
    """Whatever the image, the parameters and the tile grid."""
    case = data.draw(cases(tw.OPERATIONS[name]))
    untouched = case.image.copy()
    try:
        expected = whole(case)
    except Exception as error:  # noqa: BLE001 - scikit-image refuses; so must the tiled call
        note(f"scikit-image: {error!r}")
        with pytest.raises((tw.TilewiseError, type(error))):
            tiled(case)
        return
    result = tiled(case)
    assert isinstance(expected, np.ndarray) or type(result) is type(expected)
    assert_same(case.operation, result, expected, case.image, case.params)
    np.testing.assert_array_equal(case.image, untouched)


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=max(4, settings().max_examples // 10))
@given(data=st.data())
def test_defaults_equal_whole(name: str, data: st.DataObject) -> None:
    """scikit-image's own defaults are always tried."""
    case = data.draw(cases(tw.OPERATIONS[name], defaults=True))
    try:
        expected = whole(case)
    except Exception as error:  # noqa: BLE001 - scikit-image refuses; so must the tiled call
        with pytest.raises((tw.TilewiseError, type(error))):
            tiled(case)
        return
    untouched = case.image.copy()
    for tiles in (case.tiles, "auto"):  # the second: at once
        result = tiled(replace(case, tiles=tiles))
        assert_same(case.operation, result, expected, case.image, case.params)
    np.testing.assert_array_equal(case.image, untouched)


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=settings().max_examples // 4)
@given(data=st.data())
def test_lazy_equals_whole(name: str, data: st.DataObject) -> None:
    """From a chunked source the result is lazy, and any view of it is the whole's."""
    case = data.draw(cases(tw.OPERATIONS[name]))
    try:
        expected = whole(case)
    except Exception:  # noqa: BLE001 - what scikit-image refuses is the other test's subject
        return
    chunks = tuple(data.draw(st.integers(1, n)) for n in case.image.shape)
    source = ArrayLike(case.image, chunks)
    result = tiled(case, source)
    if must_be_lazy(case):
        assert is_lazy(result)
    if is_lazy(result):
        assert source.reads == []
    assert_same_lazily(case, result, expected, data)


def other_layout(value: Any) -> Any:
    """Return an array with the same numbers, in Fortran's order and the other byte order."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    return np.asfortranarray(value).astype(value.dtype.newbyteorder(), order="K")


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=max(2, settings().max_examples // 12))
@given(data=st.data())
def test_memory_layout_does_not_matter(name: str, data: st.DataObject) -> None:
    """The result is a function of the pixels' values, on either way of computing it."""
    case = data.draw(cases(tw.OPERATIONS[name]))
    try:
        expected = whole(case)
    except Exception:  # noqa: BLE001 - what scikit-image refuses is another test's subject
        return
    further = {
        key: other_layout(value)
        for key, value in case.params.items()
        if key in case.operation.images
    }
    layout = replace(case, image=other_layout(case.image), params=case.params | further)
    result = tiled(replace(layout, tiles=data.draw(st.sampled_from((case.tiles, "auto")))))
    assert_same(case.operation, result, expected, case.image, case.params)
