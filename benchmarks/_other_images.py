"""Images that nobody tuned a kernel on: of many kinds, data types and layouts in memory."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from _cases import photograph
from scipy import ndimage as ndi

if TYPE_CHECKING:
    from collections.abc import Callable

Shape = tuple[int, ...]


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _photograph(shape: Shape) -> np.ndarray:
    plane = photograph(max(shape))[: shape[-2], : shape[-1]] / 255
    if len(shape) == 2:
        return plane
    return np.stack([np.roll(plane, (z, -z // 2), (0, 1)) for z in range(shape[0])])


def _blobs(shape: Shape) -> np.ndarray:
    smooth = ndi.gaussian_filter(_rng().random(shape), max(2, shape[-1] // 60))
    return (smooth - smooth.min()) / np.ptp(smooth)


def _checkerboard(shape: Shape) -> np.ndarray:
    return (sum(np.indices(shape) // 16) % 2).astype(float)


def _gradient(shape: Shape) -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 1, shape[-1]), shape).copy()


def _hills(shape: Shape) -> np.ndarray:
    return np.asarray(np.indices(shape).sum(0) / (sum(shape) - len(shape)))


UNIT: dict[str, Callable[[Shape], np.ndarray]] = {
    "photograph": _photograph,
    "normal noise": lambda shape: np.clip(_rng().normal(0.5, 0.15, shape), 0, 1),
    "uniform noise": lambda shape: _rng().random(shape),
    "constant": lambda shape: np.full(shape, 0.4),
    "zeros": lambda shape: np.zeros(shape),
    "dots": lambda shape: (_rng().random(shape) < 1e-3) * 1.0,
    "blobs": _blobs,
    "checkerboard": _checkerboard,
    "gradient": _gradient,
    "diagonal gradient": _hills,
    "1 % filled": lambda shape: (_rng().random(shape) < 0.01) * 1.0,
    "50 % filled": lambda shape: (_rng().random(shape) < 0.5) * 1.0,
    "99 % filled": lambda shape: (_rng().random(shape) < 0.99) * 1.0,
    "full": lambda shape: np.ones(shape),
    "discs": lambda shape: (_blobs(shape) > 0.55) * 1.0,
    "speckle": lambda shape: (ndi.gaussian_filter(_rng().random(shape), 1.5) > 0.5) * 1.0,
}
"""Kinds of images, with values between 0 and 1."""

GREY = (
    "photograph", "normal noise", "uniform noise", "constant", "zeros", "dots", "blobs",
    "checkerboard", "gradient", "diagonal gradient",
)  # fmt: skip
MASKS = (
    "discs", "speckle", "1 % filled", "50 % filled", "99 % filled", "zeros", "full",
    "checkerboard", "dots",
)  # fmt: skip
LAYOUTS = ("transposed", "every second", "reversed", "big-endian")


@cache
def unit(kind: str, shape: Shape) -> np.ndarray:
    """Return an image of a kind as floating-point numbers between 0 and 1."""
    return UNIT[kind](shape)


def as_type(image: np.ndarray, dtype: str) -> np.ndarray:
    """Return values between 0 and 1 as a data type; u2/12 is 12 bits deep, f4/nan holds NaN."""
    name, _, depth = dtype.partition("/")
    if name == "b1":
        return image > 0.5
    if name[0] == "f":
        result = image.astype(name)
        if depth == "nan":
            result.reshape(-1)[:: result.size // 50 + 1] = np.nan
        return result
    most = 2 ** int(depth) - 1 if depth else min(int(np.iinfo(name).max), 10**6)
    least = -most // 2 if name[0] == "i" else 0
    return (image * (most - least) + least).astype(name)


@cache
def image(kind: str, dtype: str, shape: Shape, layout: str = "") -> np.ndarray:
    """Return an image of a kind, a data type and a layout in memory."""
    pixels = as_type(unit(kind, shape), dtype)
    if layout == "transposed":
        return np.ascontiguousarray(pixels.T).T
    if layout == "big-endian":
        return pixels.astype(pixels.dtype.newbyteorder(">"))
    if layout == "reversed":
        return np.ascontiguousarray(pixels[..., ::-1])[..., ::-1]
    if layout == "every second":
        wide = np.zeros(tuple(2 * n for n in shape), pixels.dtype)
        part = wide[tuple(slice(None, None, 2) for _ in shape)]
        part[...] = pixels
        return part
    return pixels


@cache
def labels(kind: str, dtype: str, shape: Shape) -> np.ndarray:
    """Return a label image: the objects of a mask, ten large ones, or very many small ones."""
    if kind == "ten objects":
        return _grid_objects(shape, 10 if len(shape) == 2 else 8).astype(dtype)
    if kind == "50,000 objects":
        return _grid_objects(shape, 50_000).astype(dtype)
    return np.asarray(ndi.label(unit(kind, shape) > 0.5)[0]).astype(dtype)


LABELS = ("discs", "speckle", "50 % filled", "ten objects", "50,000 objects", "zeros", "full")


def _grid_objects(shape: Shape, count: int) -> np.ndarray:
    """Return about so many boxes, with background between them."""
    ndim, size = len(shape), int(np.prod(shape))
    side = max(3, round((size / count) ** (1 / ndim)))
    cells = np.indices(shape)
    number = np.ravel_multi_index(tuple(cells // side), [-(-n // side) for n in shape]) + 1
    inside = (cells % side < max(2, side * 3 // 4)).all(0)
    return np.asarray(np.where(inside, number, 0))
