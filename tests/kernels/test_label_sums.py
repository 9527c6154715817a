"""Sums, means and variances of labels against SciPy's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_tilewise.kernels import KERNELS
from tests.kernels.comparing import compare, image_of, shape_of, strided

NAMES = ("mean", "standard_deviation", "sum", "sum_labels", "variance")
VALUES = ("u1", "u2", "f4", "f8", "i4", "i8", "i1", "i2", "u4", "u8", "bool")
LABELS = ("u1", "u2", "u4", "i4", "i8")


def _labels(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return noise, squares or runs of labels, some of them below 0 or large."""
    kind = rng.integers(4)
    if kind == 0:
        labels = rng.integers(0, 50, shape)
    elif kind == 1:
        labels = sum(np.indices(shape) // 9) % 7
    elif kind == 2:
        labels = np.sort(rng.integers(0, 9, shape), axis=None).reshape(shape)
    else:
        labels = np.where(rng.random(shape) < 0.2, int(rng.choice([200, -3])), 1)
        labels = np.clip(labels, np.iinfo(dtype).min, None)
    return strided(rng, np.asarray(labels).astype(dtype))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_measures_of_labels(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(name), VALUES.index(dtype)])
    function = getattr(ndi, name)
    for trial in range(30):
        shape = shape_of(rng, 1 + trial % 3, 100 if trial % 3 < 2 else 9)
        image = image_of(rng, shape, dtype, special=trial % 4 == 0)
        if dtype in ("f4", "f8") and trial % 4 == 1:
            image = image * np.array(1e30, dtype)
        labels = _labels(rng, shape, LABELS[trial % len(LABELS)])
        present = np.unique(labels).astype(np.int64)
        for index in (
            np.arange(1, 12),
            present,
            rng.permutation(present)[:5],
            np.array([[1, 2], [2, -3]], np.int32),
            [3, 1, 1],
            range(4),
        ):
            compare(f"scipy.ndimage.{name}", function, image, labels, index)
        compare(f"scipy.ndimage.{name}", function, image, labels=labels, index=np.array([1], "u1"))


def test_what_is_not_accepted() -> None:
    image, labels = np.ones((8, 9)), np.ones((8, 9), np.int32)
    accepts = partial(KERNELS["scipy.ndimage.mean"].exact_for, image)
    assert accepts(labels, [1])
    assert not accepts(None, [1])
    assert not accepts(labels, None)
    assert not accepts(labels, 1)
    assert not accepts(labels, np.array(1))
    assert not accepts(labels, [])
    assert not accepts(labels, [1.5])
    assert not accepts(labels[0], [1])
    assert not accepts(labels.astype(np.uint64), [1])
    assert not accepts(labels > 0, [1])
    assert not accepts(labels, [0, 2**40])
