"""Sample images for a function, derived from its declaration; the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.spec.parameters import AlignedImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Array

DTYPES = ("float64", "uint8", "float32", "uint16", "bool")
CONTENTS = ("noise", "rising", "falling", "spikes", "smooth", "steps")
"""Slopes show which pixel a maximum or minimum comes from, however large the neighbourhood."""
DENSITIES = (0.6, 0.97, 0.03)
"""Fractions of a mask that are True: a sparse mask shows growth, a full one shows shrinking."""


@dataclass(frozen=True)
class Sample:
    """An image, the further images of the same call by argument, and a description."""

    image: Array
    images: Mapping[str, Array]
    description: str


def samples(
    operation: Operation, shape: tuple[int, ...], rng: np.random.Generator
) -> Iterator[Sample]:
    """Yield images of every data type and content, with optional further images and without.

    Parameters
    ----------
    operation
        The operation, which declares its data types and further images.
    shape
        Length of each spatial axis in pixels.
    rng
        Generator of the random pixels.
    """
    channel = operation.parameters[operation.channel].default if operation.channel else None
    full = list(shape)
    if channel is not None:
        full.insert(channel % (len(shape) + 1), 3)
    for dtype in DTYPES:
        if np.dtype(dtype).kind not in operation.limits.dtypes:
            continue
        for number, content in enumerate(CONTENTS):
            image = _convert(_content(content, tuple(full), rng), dtype)
            images = {
                name: _further_image(spec, image, shape, DENSITIES[number // 2], rng)
                for name, spec in operation.specs.items()
                if isinstance(spec, AlignedImage) and (not spec.optional or number % 2)
            }
            yield Sample(image, images, f"{content} of type {dtype}")


def _content(content: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return pixels from 0 to 1."""
    if content == "spikes":
        return np.asarray((rng.random(shape) < 0.03) * rng.uniform(0.2, 1, shape))
    if content == "smooth":
        unit = ndi.gaussian_filter(rng.random(shape), 2)
        return np.asarray((unit - unit.min()) / np.ptp(unit))
    if content == "steps":
        return np.asarray(ndi.zoom(rng.random([-(-n // 5) for n in shape]), 5, order=0))[
            tuple(slice(0, n) for n in shape)
        ]
    if content in ("rising", "falling"):
        slope: Array = np.indices(shape).sum(axis=0) + rng.random(shape) / 2
        return np.asarray((slope if content == "rising" else slope.max() - slope) / slope.max())
    return rng.random(shape)


def _convert(unit: Array, dtype: str) -> Array:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.asarray(unit > np.median(unit))
    return (unit * np.iinfo(dtype).max if kind == "u" else unit).astype(dtype)


def _further_image(
    spec: AlignedImage,
    image: Array,
    shape: tuple[int, ...],
    density: float,
    rng: np.random.Generator,
) -> Array:
    if spec.like:
        return _convert(rng.random(image.shape), str(image.dtype))
    if spec.role == "mask":
        return rng.random(shape) < density
    if spec.role == "labels":
        return np.asarray(ndi.label(rng.random(shape) < density)[0])
    return rng.random(shape)
