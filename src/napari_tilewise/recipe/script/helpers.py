"""Functions that a script takes along where it needs them: their own text is copied into it.

So they know nothing but NumPy and scikit-image, and no more of this package.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage as ski

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


def looped(axes: Collection[int], image: np.ndarray) -> list[int]:
    """Return the axes of an image that are none of these."""
    return [i for i in range(image.ndim) if i not in axes and i - image.ndim not in axes]


def planes(axes: Collection[int], *images: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each plane along these axes, and the plane of every image there."""
    loops = looped(axes, images[0])
    moved = [
        np.moveaxis(image, loops, range(len(loops))) if image.ndim == images[0].ndim else image
        for image in images
    ]
    for place in np.ndindex(moved[0].shape[: len(loops)]):
        yield place, *(m[place] if m.ndim == moved[0].ndim else m for m in moved)


def each_value(
    axes: Collection[int], function: Callable[..., Any], *images: np.ndarray
) -> np.ndarray:
    """Return what a function finds in each plane along these axes, as one array."""
    found = np.stack([function(*plane) for _, *plane in planes(axes, *images)])
    lengths = [images[0].shape[axis] for axis in looped(axes, images[0])]
    return found.reshape((*lengths, *found.shape[1:]))


def each_plane(
    axes: Collection[int], function: Callable[..., np.ndarray], *images: np.ndarray
) -> np.ndarray:
    """Return what a function makes of each plane along these axes, stacked as the image is."""
    loops = looped(axes, images[0])
    made = each_value(axes, function, *images)
    return np.moveaxis(made, range(len(loops)), loops)


def each_points(
    axes: Collection[int], function: Callable[..., np.ndarray], *images: np.ndarray
) -> np.ndarray:
    """Return the points in each plane along these axes, behind the place of their plane."""
    found = [(place, function(*plane)) for place, *plane in planes(axes, *images)]
    return np.concatenate([np.insert(p, [0] * len(place), place, axis=1) for place, p in found])


def each_contour(
    axes: Collection[int], function: Callable[..., list[np.ndarray]], *images: np.ndarray
) -> list[np.ndarray]:
    """Return the contours in each plane along these axes, behind the place of their plane."""
    found = [(place, function(*plane)) for place, *plane in planes(axes, *images)]
    return [np.insert(c, [0] * len(place), place, axis=1) for place, cs in found for c in cs]


def each_table(
    axes: Collection[int],
    function: Callable[..., dict[str, np.ndarray]],
    *images: np.ndarray,
    names: Collection[str],
) -> dict[str, np.ndarray]:
    """Return the tables of each plane along these axes as one; its first columns tell the place."""
    found = [(place, function(*plane)) for place, *plane in planes(axes, *images)]
    lengths = [len(next(iter(table.values()))) for _, table in found]
    places = zip(*(place for place, _ in found), strict=True)
    columns = {n: np.repeat(p, lengths) for n, p in zip(names, places, strict=True)}
    return columns | {c: np.concatenate([table[c] for _, table in found]) for c in found[0][1]}


def read(path: str) -> np.ndarray:
    """Return an image, all of it, from a file or folder of one of the usual suffixes."""
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
    looped, planes, each_value, each_plane, each_points, each_contour, each_table, read,
)  # fmt: skip


def text(names: Collection[str]) -> str:
    """Return the text of the functions of these names, and of those that they call.

    Parameters
    ----------
    names
        Their names.
    """
    wanted = set(names)
    for function in reversed(FUNCTIONS):  # each is called only by those after it
        if function.__name__ in wanted:
            wanted.update(function.__code__.co_names)
    return "\n\n".join(inspect.getsource(f) for f in FUNCTIONS if f.__name__ in wanted)
