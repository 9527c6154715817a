"""File > Open Sample: images that scikit-image ships, and a lazy plane of 131072 x 131072."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import dask.array as da
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LayerTuples: TypeAlias = list[tuple[Any, dict[str, Any], str]]
"""Layers as napari takes them from a plugin."""


class SampleImage(NamedTuple):
    """A sample image."""

    function: str
    """The function of this module that returns it."""
    title: str


SAMPLES = (
    SampleImage("coins", "Coins (scikit-image)"),
    SampleImage("cell", "A cell (scikit-image)"),
    SampleImage("tissue", "Stained tissue, in colours (scikit-image)"),
    SampleImage("retina", "A retina with vessels (scikit-image)"),
    SampleImage("page", "A page with uneven light (scikit-image)"),
    SampleImage("huge_plane", "A lazy plane of 131072 x 131072 pixels"),
)
LENGTH, LEVELS, CHUNK = 131_072, 8, 1024
"""Pixels along an axis of the huge plane, its levels, and pixels along an axis of its chunks."""
SPACING, RADII = 96, (14, 34)
"""Pixels between the cells of the huge plane, and their least and largest radius."""


def coins() -> LayerTuples:
    """Return Greek coins, grey."""
    return _image("coins", "Coins")


def cell() -> LayerTuples:
    """Return a cell in a microscope, grey."""
    return _image("cell", "Cell")


def tissue() -> LayerTuples:
    """Return stained tissue, in colours."""
    return _image("immunohistochemistry", "Tissue", rgb=True)


def retina() -> LayerTuples:
    """Return the vessels of a retina, in colours."""
    return _image("retina", "Retina", rgb=True)


def page() -> LayerTuples:
    """Return a printed page, grey, darker at one side."""
    return _image("page", "Page")


def _image(name: str, title: str, *, rgb: bool = False) -> LayerTuples:
    from skimage import data

    limits = {} if rgb else {"contrast_limits": (0, 255)}
    return [(getattr(data, name)(), {"name": title, "rgb": rgb, **limits}, "image")]


def huge_plane() -> LayerTuples:
    """Return a plane of cells with its pyramid; each tile is computed when it is shown."""
    levels = []
    for level in range(LEVELS):
        plane = SyntheticPlane(2**level)
        levels.append(da.from_array(plane, chunks=CHUNK, name=f"tilewise-sample-{level}"))
    placement = {"scale": (0.25, 0.25), "units": ("um", "um"), "axis_labels": ("y", "x")}
    arguments = {
        "name": "Plane of cells", "multiscale": True, "contrast_limits": (0, 4000), **placement
    }  # fmt: skip
    return [(levels, arguments, "image")]


class SyntheticPlane:
    """Bright cells on an uneven background, the same at every reading.

    Parameters
    ----------
    step
        The distance of its pixels, in pixels of the finest level.
    """

    dtype = np.dtype(np.uint16)
    ndim = 2

    def __init__(self, step: int) -> None:
        self._step = step
        self.shape = (LENGTH // step, LENGTH // step)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.uint16]:
        """Return a part of the plane."""
        y, x = (
            (np.arange(*part.indices(length), dtype=np.float32) + np.float32(0.5)) * self._step
            for part, length in zip(key, self.shape, strict=True)
        )
        values = 900 + 250 * np.add.outer(np.sin(y / 9000), np.cos(x / 7000))
        if self._step < SPACING / 4:
            values += _cells(y, x)
        else:  # cells are smaller than pixels: their mean
            values += 1800 * np.pi * (sum(RADII) / 2 / SPACING) ** 2
        values += _hashed(y.astype(np.uint32)[:, None], x.astype(np.uint32)[None, :]) & 127
        return values.astype(np.uint16)


def _cells(y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the brightness of one round cell in each square of a grid, not always amid it."""
    rows, row = np.unique((y // SPACING).astype(np.uint32), return_inverse=True)
    columns, column = np.unique((x // SPACING).astype(np.uint32), return_inverse=True)
    code = _hashed(rows[:, None], columns[None, :])
    least, largest = RADII
    slack = SPACING // 2 - largest - 6  # their rims are soft
    center_y = (rows[:, None] + 0.5) * SPACING + (code >> 8) % (2 * slack) - slack
    center_x = (columns[None, :] + 0.5) * SPACING + (code >> 16) % (2 * slack) - slack
    parts = (center_y, center_x, least + code % (largest - least), 1200 + (code >> 4) % 1200)
    of_pixels = np.ix_(row, column)
    center_y, center_x, radius, brightness = (
        part.astype(np.float32)[of_pixels] for part in parts
    )  # fmt: skip
    distance = np.hypot(y[:, None] - center_y, x[None, :] - center_x) / radius
    return np.asarray(brightness * np.clip((1.15 - distance) / 0.15, 0, 1), np.float32)


def _hashed(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return numbers that look random, but depend on the position only."""
    code = (first * np.uint32(73_856_093)) ^ (second * np.uint32(19_349_663))
    code ^= code >> 13
    code *= np.uint32(1_274_126_177)
    return np.asarray(code ^ (code >> 16))
