"""Memory grows with lengths among the parameters: what is not small is stated, and refused."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.operations.spec.parameters import Number
from tests.operations.test_declarations import parameters_for, sample
from tests.strategies import cropped

LENGTH = 250
"""Of an axis: its square is what a padded plane of a few pixels takes."""
SMALL = 2**22
"""Bytes that any call on a small image may take."""
SLOW = ("restoration", "segmentation")
"""Where scikit-image goes through the whole window for each pixel, however small the image."""
QUICK = ("restoration.denoise_bilateral", "segmentation.inverse_gaussian_gradient")
"""Those among them that end soon all the same."""
LENGTHS = [
    (name, parameter)
    for name, operation in tw.OPERATIONS.items()
    for parameter, spec in operation.specs.items()
    if isinstance(spec, Number)
    and spec.length
    and (operation.category not in SLOW or name in QUICK)
]


def taken(name: str, image: np.ndarray, params: dict[str, Any]) -> int:
    """Return the most bytes that a call has at a time; none where it is refused."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tw.apply(name, image, **params)
    except tw.TilewiseError:
        return 0
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def stated(name: str, image: np.ndarray, params: dict[str, Any]) -> int:
    """Return what a run of it states beside the process."""
    budget = tw.plan((name, params), image, memory=2**45, workers=1).budget
    return max(budget.per_worker, budget.fallback)


@pytest.mark.parametrize(("name", "parameter"), LENGTHS, ids=str)
def test_a_length_beyond_the_image_takes_little_or_is_stated(name: str, parameter: str) -> None:
    operation = tw.OPERATIONS[name]
    image = cropped(operation, sample(name, "uint8"), 12)
    params = {**parameters_for(operation, image), parameter: LENGTH}
    peak = taken(name, image, params)
    assert peak <= SMALL or peak <= stated(name, image, params)


def test_a_kernel_of_any_length_takes_what_three_pixels_take() -> None:
    image = np.zeros((24, 24), np.uint8)
    assert taken("filters.laplace", image, {"ksize": 1000}) <= SMALL


def test_a_padded_image_beyond_the_memory_is_refused() -> None:
    """Before anything is computed, with the number, by a run and by a call."""
    image = np.zeros((64, 64), np.uint8)
    with pytest.raises(MemoryBudgetExceeded, match="TiB"):
        tw.run(("filters.butterworth", {"npad": 10**6}), image, "a.npy", memory="2 GiB", axes="yx")
    with pytest.raises(MemoryBudgetExceeded, match=r"filters\.butterworth"):
        tw.apply("filters.butterworth", image, npad=10**6)
