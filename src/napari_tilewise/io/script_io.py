"""Reading and writing for exported scripts: a path becomes a lazy array, a lazy array a file.

A script is written for images with certain axes. An image with others is refused: the script would
blur along an axis that a run loops over.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise.axes import default_axes, kind, parse
from napari_tilewise.engine.lazy import as_source
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.tile_order import WIDEST, banded
from napari_tilewise.errors import InvalidAxes, InvalidImage, SourceWarning
from napari_tilewise.grid import Grid
from napari_tilewise.io.axis_order import without_alpha
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import create_writer
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.io.writers.values import SUFFIXES, write_value

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise.engine.source import Source
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.writers.image_writer import ImageWriter

ANY = "any"
"""Any axes are accepted."""
OPEN = "..."
"""Any number of spatial axes."""

_CHUNK_BYTES = 2**24
_TILE_PIXELS = 2**22


def read(source: str | os.PathLike[str], *, axes: str = OPEN, alpha: str = "drop") -> da.Array:
    """Return an image as a lazy dask array, without its alpha; no pixel is read yet.

    Parameters
    ----------
    source
        A path or a URL of any format that the package reads.
    axes
        The axes expected of an image that names its axes, such as ``"tyx"``; ``"..."`` stands for
        any number of spatial axes, ``"any"`` accepts every image.
    alpha
        What becomes of the alpha of a picture: ``"drop"``; ``"keep"`` for a first step that takes
        it; ``"refuse"`` for a later step that takes it, which a script cannot do.

    Raises
    ------
    InvalidAxes
        When the image has others.
    InvalidImage
        When it has an alpha that is refused.
    """
    image = open_image(source)
    if axes != ANY:
        _check(image, axes)
    colours = without_alpha(image)
    if alpha == "refuse" and colours is not image:
        raise InvalidImage(
            f"{image.name!r} has an alpha, which a step of this script takes after other steps: "
            "run the recipe itself, or convert the picture to one without it."
        )
    return _lazy((image if alpha == "keep" else colours).data)


def read_alpha(source: str | os.PathLike[str], *images: da.Array) -> da.Array | None:
    """Return the alpha of a picture, with one channel; None where it has none, or cannot keep it.

    Parameters
    ----------
    source
        A path or a URL of any format that the package reads.
    *images
        The picture without it, and what steps made of that.
    """
    image = open_image(source)
    if without_alpha(image) is image:
        return None
    axis = image.axes.index("c")
    alpha = _lazy(image.data)[(slice(None),) * axis + (slice(-1, None),)]
    return keep_alpha(alpha, *images)


def keep_alpha(alpha: da.Array | None, *images: da.Array) -> da.Array | None:
    """Return an alpha if no step changed the shape or the data type of its picture, else None.

    Parameters
    ----------
    alpha
        The alpha of a picture; None: it has none.
    *images
        The picture, and what further steps made of it, which leave the alpha as it is.

    Warns
    -----
    SourceWarning
        When the alpha is left out.
    """
    is_kept = len({(image.shape, image.dtype) for image in images}) < 2
    if alpha is not None and not is_kept:
        warnings.warn(
            "The image's alpha is left out, as a result has another shape or data type.",
            SourceWarning,
            stacklevel=2,
        )
    return alpha if is_kept else None


def _lazy(data: Any) -> da.Array:
    chunks = da.core.normalize_chunks(
        "auto", tuple(data.shape), limit=_CHUNK_BYTES, dtype=np.dtype(data.dtype),
        previous_chunks=getattr(data, "chunks", None),
    )  # fmt: skip
    lazy: da.Array = da.from_array(data, chunks=chunks, name=False)
    return lazy


def _check(image: Image, axes: str) -> None:
    """Refuse an image with other axes than the script was written for."""
    ndim, names = len(image.data.shape), "".join(image.axes)
    before, is_open, after = axes.partition(OPEN)
    least = len(before) + len(after)
    fits = ndim >= least if is_open else ndim == least
    if fits and names:
        between = names[len(before) : ndim - len(after)] if is_open else ""
        fits = names == before + between + after if is_open else names == axes
        fits = fits and all(kind(axis) == "space" for axis in between)
    if not fits:
        expected = f"the axes {axes}" if axes != OPEN else "spatial axes only"
        actual = f"the axes {names}" if names else f"{ndim} axes without names"
        raise InvalidAxes(
            f"{image.name!r} has {actual}, and this script was written for images with {expected}: "
            f"export the recipe again with axes={names or 'their names'!r}."
        )


def save(
    result: Any,
    destination: str | os.PathLike[str],
    *,
    like: str | os.PathLike[str] | None = None,
    axes: str = OPEN,
    labels: bool = False,
    alpha: da.Array | None = None,
) -> Path:
    """Compute a result and write it, an image tile by tile; nothing is overwritten.

    Parameters
    ----------
    result
        An image, lazy or not, or a scalar, points or a table.
    destination
        Where it goes, by suffix: ``.ome.zarr``, ``.ome.tif``, ``.npy``, ... for an image, ``.json``
        or ``.csv`` for anything else.
    like
        The source, whose axes and pixel size the image keeps.
    axes
        The image's axes; in it ``"..."`` stands for those of `like`.
    labels
        Whether the values are label ids, which smaller levels never average.
    alpha
        The alpha of the picture that the image is, behind its channels; None: it has none.

    Raises
    ------
    TilewiseError
        When it cannot be written; then nothing exists under the destination's name.
    """
    path = local_path(destination)
    if path.suffix.lower() in SUFFIXES:
        return write_value(path, np.asarray(result) if isinstance(result, da.Array) else result)
    image = None if like is None else open_image(like)
    channels: Sequence[Channel] = ()
    if image is not None and alpha is not None:
        result, channels = da.concatenate([result, alpha], image.axes.index("c")), image.channels
    source, session = as_source(result), Session()
    names, scale, units = _pixel_sizes(source.shape, axes, image)
    metadata = ImageMetadata(
        source.shape, source.dtype, names, scale=scale, units=units, channels=channels,
        labels=labels or _keeps_labels(image, source),
    )  # fmt: skip
    sources = () if like is None else (like,)
    writer = create_writer(path, metadata, sources=sources)
    try:
        _stream(source, writer, session)
        for level in range(1, len(writer.pyramid_levels())):
            session.sweep("save", lambda task: task(), writer.pyramid_tasks(level))
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def _stream(source: Source, writer: ImageWriter, session: Session) -> None:
    """Compute a result in tiles of whole chunks, as many at a time as there are processors."""
    factor = max(1, math.isqrt(_TILE_PIXELS // math.prod(writer.chunks)))
    lengths = (c if c == 1 else c * factor for c in writer.chunks)
    tile = tuple(max(1, min(c, n)) for c, n in zip(lengths, source.shape, strict=True))
    grid = Grid(source.shape, tile)
    source.prepare()

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        writer.write(region, np.ascontiguousarray(source.read(region)))

    session.sweep("save", work, banded(grid, WIDEST))


def _pixel_sizes(
    shape: tuple[int, ...], axes: str, like: Image | None
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[str | None, ...]]:
    """Return a result's axes, and its pixel size, which is larger where there are fewer pixels."""
    inherited = "".join(like.axes) if like is not None else ""
    is_named = bool(inherited) or OPEN not in axes
    letters = parse(axes.replace(OPEN, inherited), len(shape)) if is_named else None
    names = letters or default_axes(len(shape))
    before = {} if like is None else dict(zip(like.axes, like.data.shape, strict=False))
    sizes = {} if like is None else dict(zip(like.axes, like.scale, strict=False))
    units = {} if like is None else dict(zip(like.axes, like.units, strict=False))
    scale = tuple(
        float(sizes.get(axis, 1.0)) * before.get(axis, n) / max(n, 1)
        for axis, n in zip(names, shape, strict=True)
    )
    return names, scale, tuple(units.get(axis) for axis in names)


def _keeps_labels(image: Image | None, source: Source) -> bool:
    return image is not None and image.labels and image.data.dtype == source.dtype
