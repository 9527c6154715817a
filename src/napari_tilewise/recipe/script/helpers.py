"""Helper functions for scripts: their source is copied into the scripts that need them.

So they use nothing but NumPy and scikit-image.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage as ski

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


def loop_axes(axes: Collection[int], image: np.ndarray) -> list[int]:
    """Return the axes of an image other than these."""
    return [i for i in range(image.ndim) if i not in axes and i - image.ndim not in axes]


def planes(axes: Collection[int], *images: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Yield the position of each plane along these axes, and that plane of every image."""
    loops = loop_axes(axes, images[0])
    moved = [
        np.moveaxis(image, loops, range(len(loops))) if image.ndim == images[0].ndim else image
        for image in images
    ]
    for position in np.ndindex(moved[0].shape[: len(loops)]):
        yield position, *(m[position] if m.ndim == moved[0].ndim else m for m in moved)


def map_values(
    axes: Collection[int], function: Callable[..., Any], *images: np.ndarray
) -> np.ndarray:
    """Return a function's values for all planes along these axes as one array."""
    values = np.stack([function(*plane) for _, *plane in planes(axes, *images)])
    lengths = [images[0].shape[axis] for axis in loop_axes(axes, images[0])]
    return values.reshape((*lengths, *values.shape[1:]))


def map_planes(
    axes: Collection[int], function: Callable[..., np.ndarray], *images: np.ndarray
) -> np.ndarray:
    """Return a function's images for all planes along these axes, stacked like the image."""
    loops = loop_axes(axes, images[0])
    results = map_values(axes, function, *images)
    return np.moveaxis(results, range(len(loops)), loops)


def map_points(
    axes: Collection[int], function: Callable[..., np.ndarray], *images: np.ndarray
) -> np.ndarray:
    """Return the points of all planes along these axes; the plane's position comes first."""
    results = [(position, function(*plane)) for position, *plane in planes(axes, *images)]
    return np.concatenate(
        [np.insert(p, [0] * len(position), position, axis=1) for position, p in results]
    )


def map_contours(
    axes: Collection[int], function: Callable[..., list[np.ndarray]], *images: np.ndarray
) -> list[np.ndarray]:
    """Return the contours of all planes along these axes; the plane's position comes first."""
    results = [(position, function(*plane)) for position, *plane in planes(axes, *images)]
    return [
        np.insert(contour, [0] * len(position), position, axis=1)
        for position, contours in results
        for contour in contours
    ]


def map_tables(
    axes: Collection[int],
    function: Callable[..., dict[str, np.ndarray]],
    *images: np.ndarray,
    names: Collection[str],
) -> dict[str, np.ndarray]:
    """Return the tables of all planes along these axes as one; the plane's position comes first."""
    results = [(position, function(*plane)) for position, *plane in planes(axes, *images)]
    lengths = [len(next(iter(table.values()))) for _, table in results]
    positions = zip(*(position for position, _ in results), strict=True)
    columns = {name: np.repeat(p, lengths) for name, p in zip(names, positions, strict=True)}
    tables = [table for _, table in results]
    return columns | {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def read(path: str) -> np.ndarray:
    """Return a whole image from a file or folder with one of the usual suffixes."""
    if path.endswith(".npy"):
        return np.asarray(np.load(path))
    if path.endswith(".zarr"):
        import zarr

        node = zarr.open(path, mode="r")
        return np.asarray(node["0"] if isinstance(node, zarr.Group) else node)
    if path.endswith((".tif", ".tiff")):
        import tifffile

        return tifffile.imread(path)
    return np.asarray(ski.io.imread(path))


FUNCTIONS = (
    loop_axes, planes, map_values, map_planes, map_points, map_contours, map_tables, read,
)  # fmt: skip


def source(names: Collection[str]) -> str:
    """Return the source of helper functions, and of the helpers that they call.

    Parameters
    ----------
    names
        Names of functions in this module.
    """
    needed = set(names)
    for function in reversed(FUNCTIONS):  # a function is called only by later ones
        if function.__name__ in needed:
            needed.update(function.__code__.co_names)
    return "\n\n".join(inspect.getsource(f) for f in FUNCTIONS if f.__name__ in needed)
