"""Declarations are complete and honest: words for forms, memory no larger than stated."""

from __future__ import annotations

import inspect
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data

import napari_tilewise as tw
from napari_tilewise.engine.apply import build
from napari_tilewise.engine.session import Session
from napari_tilewise.operations.docs import signature
from napari_tilewise.operations.model import Exactness, Output
from napari_tilewise.operations.parameters import Footprint, Number

LENGTH = 256
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
        if parameter.name not in op.overrides:
            expected = known[parameter.name].default
            assert parameter.required or parameter.default == expected
        if not parameter.required and parameter.default is not None:
            parameter.spec.check(parameter.name, parameter.default, None)
    assert (op.exactness is Exactness.CLOSE) == (op.tolerance > 0)


def sample(name: str, dtype: str) -> np.ndarray:
    """Return an image that the operation works hard on."""
    plane = np.pad(data.coins(), ((0, 0), (0, 16)), mode="reflect")[:LENGTH, :LENGTH]
    plane = np.pad(plane, ((0, LENGTH - plane.shape[0]), (0, 0)), mode="reflect")
    op = tw.OPERATIONS[name]
    if op.output is Output.TABLE or (op.output is Output.LABELS and op.dtypes == "ui"):
        plane = ndi.label(plane > 120)[0].astype("int32")
    elif "f" not in op.dtypes or dtype == "uint8":
        plane = plane if "u" in op.dtypes else plane > 120
    else:
        plane = plane / 255.0
    channel = op.parameters[op.channel].default if op.channel else None
    return plane if channel is None else np.stack([plane] * 3, axis=-1)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("name", list(tw.OPERATIONS))
def test_a_tile_takes_no_more_memory_than_stated(name: str, dtype: str) -> None:
    op = tw.OPERATIONS[name]
    params = {}
    for parameter in op.parameters.values():
        if parameter.required and isinstance(parameter.spec, Footprint):
            params[parameter.name] = np.ones((5, 5), np.uint8)
        elif parameter.required and isinstance(parameter.spec, Number):
            params[parameter.name] = parameter.spec.usual[1]
    image = sample(name, dtype)
    stack = build(op.as_step(), image, params, Session(1), tiles=LENGTH)
    whole = tuple(slice(0, n) for n in stack.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack.value() if not stack.is_image else stack.read(whole)  # warm up: tables, imports
        stack = build(op.as_step(), image, params, Session(1), tiles=LENGTH)
        tracemalloc.start()
        try:
            stack.value() if not stack.is_image else stack.read(whole)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    pixels = max(image.size, int(np.prod(stack.shape)))
    assert peak <= op.working * 8 * pixels + CONSTANT
