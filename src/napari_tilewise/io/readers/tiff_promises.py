"""How many planes a TIFF's metadata promise, whoever wrote them, and how many the file holds."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SIZES = ("SizeT", "SizeC", "SizeZ")
"""What OME's description of pixels says of the number of planes."""
_LSM = ("DimensionZ", "DimensionTime", "DimensionP", "DimensionM")
_MICRO_MANAGER = ("Frames", "Slices", "Channels", "Positions")
_NDTIFF = "NDTiff.index"
_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError,
    tifffile.TiffFileError, ElementTree.ParseError,
)  # fmt: skip
"""What tifffile raises where metadata, or pages, are damaged."""


_Page = tifffile.TiffPage | tifffile.TiffFrame | None


class Promise(NamedTuple):
    """A number of planes, each as large as a page, and who says so."""

    planes: int
    text: str


def promise_of_file(tiff: tifffile.TiffFile) -> Promise | None:
    """Return how many planes the metadata of an open TIFF promise; None if they do not say.

    Parameters
    ----------
    tiff
        The file; of its pages the first is enough.
    """
    for find in (_of_ome, _of_imagej, _of_lsm, _of_stk, _of_ndtiff, _of_micro_manager,
                 _of_fluoview, _of_shapes):  # fmt: skip
        with suppress(*_DAMAGED):
            promise = find(tiff)
            if promise is not None:
                return promise
    return None


def _of_ome(tiff: tifffile.TiffFile) -> Promise | None:
    if not tiff.is_ome or not tiff.ome_metadata:
        return None
    root = ElementTree.fromstring(tiff.ome_metadata)
    pixels = root.findall("{*}Image/{*}Pixels")
    parts = root.findall("{*}Image/{*}Pixels/{*}TiffData")
    files = {uuid.get("FileName") for part in parts for uuid in part.iterfind("{*}UUID")}
    if len(files) > 1:  # a set: which planes are in this file
        own = [p for p in parts if _file_of(p) == tiff.filename]
        planes = sum(int(part.get("PlaneCount", 1)) for part in own)
        return Promise(planes, f"PlaneCount of {tiff.filename!r}") if planes else None
    samples = max(1, tiff.pages.first.samplesperpixel)
    planes = sum(planes_of_ome(element, samples) for element in pixels)
    text = ome_text(pixels[0]) if len(pixels) == 1 else f"SizeT, SizeC, SizeZ of {len(pixels)}"
    return Promise(planes, text)


def _file_of(part: ElementTree.Element) -> str | None:
    uuid = part.find("{*}UUID")
    return None if uuid is None else uuid.get("FileName")


def planes_of_ome(pixels: ElementTree.Element, samples: int) -> int:
    """Return how many planes OME's description of an image promises.

    Parameters
    ----------
    pixels
        The element ``Pixels``.
    samples
        Samples of a pixel in a page, each of which counts as a channel.
    """
    return prod(int(pixels.get(size, 1)) for size in _SIZES) // samples


def ome_text(pixels: ElementTree.Element) -> str:
    """Return the sizes that OME's description of an image has.

    Parameters
    ----------
    pixels
        The element ``Pixels``.
    """
    return ", ".join(f"{size}={int(pixels.get(size, 1))}" for size in _SIZES)


def _of_imagej(tiff: tifffile.TiffFile) -> Promise | None:
    images = (tiff.imagej_metadata or {}).get("images")
    return None if images is None else Promise(int(images), f"ImageJ's images={images}")


def _of_lsm(tiff: tifffile.TiffFile) -> Promise | None:
    return _product("LSM's ", tiff.lsm_metadata, _LSM)


def _product(
    whose: str, metadata: Mapping[str, Any] | None, names: Iterable[str]
) -> Promise | None:
    sizes = {name: int((metadata or {}).get(name) or 1) for name in names}
    text = ", ".join(f"{name}={size}" for name, size in sizes.items() if size > 1)
    return Promise(prod(sizes.values()), f"{whose}{text}") if text else None


def _of_stk(tiff: tifffile.TiffFile) -> Promise | None:
    planes = (tiff.stk_metadata or {}).get("NumberPlanes")
    return None if planes is None else Promise(int(planes), f"STK's NumberPlanes={planes}")


def _of_ndtiff(tiff: tifffile.TiffFile) -> Promise | None:
    planes = sum(name == tiff.filename for name in files_of_index(tiff)) if tiff.is_ndtiff else 0
    return Promise(planes, _NDTIFF) if planes else None


def files_of_index(tiff: tifffile.TiffFile) -> Iterator[str]:
    """Yield for each plane that the index of an NDTiff lists the name of its file.

    Parameters
    ----------
    tiff
        A file of NDTiff, which has its index next to it.
    """
    path = os.path.join(tiff.filehandle.dirname, _NDTIFF)
    return (name for _, name, *_ in tifffile.read_ndtiff_index(path))


def _of_micro_manager(tiff: tifffile.TiffFile) -> Promise | None:
    metadata = tiff.micromanager_metadata or {}
    if "IndexMap" in metadata:
        return Promise(len(metadata["IndexMap"]), "Micro-Manager's IndexMap")
    return _product("Micro-Manager's ", metadata.get("Summary"), _MICRO_MANAGER)


def _of_fluoview(tiff: tifffile.TiffFile) -> Promise | None:
    dimensions = (tiff.fluoview_metadata or {}).get("Dimensions", ())
    sizes = {str(name): size for name, size, *_ in dimensions}
    return _product("FluoView's ", sizes, [name for name in sizes if name not in "XY"])


def _of_shapes(tiff: tifffile.TiffFile) -> Promise | None:
    """Return what the pages that begin a series say: tifffile notes its shape in each."""
    planes, shapes = 0, []
    for page in _pages(tiff):
        text = page.shaped_description or ""
        if text.startswith("{"):
            shape = [int(size) for size in json.loads(text)["shape"]]
            shapes.append(shape)
            planes += prod(shape) // max(1, prod(page.shape))
    text = f"shape={shapes[0]}" if len(shapes) == 1 else f"the shapes of {len(shapes)} images"
    return Promise(planes, text) if shapes else None


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Yield the pages whose tags can be read."""
    for number in range(len(tiff.pages)):
        with suppress(*_DAMAGED):
            page = tiff.pages.get(number)
            if isinstance(page, tifffile.TiffPage):
                yield page


def promise_of_gap(tiff: tifffile.TiffFile, following: int) -> Promise | None:
    """Return how many planes would lie between the first page and the next one of a cut file.

    Parameters
    ----------
    tiff
        The file.
    following
        Where its second page would begin. tifffile stores a stack so, and OME's description at the
        very end.
    """
    page = tiff.pages.first
    if len(tiff.pages) > 1 or not page.is_final or not page.dataoffsets:
        return None
    planes = (following - page.dataoffsets[0]) // max(1, page.nbytes)
    return Promise(planes, f"the next page begins at byte {following}") if planes > 1 else None


def planes_in_file(tiff: tifffile.TiffFile, promised: int) -> int:
    """Return how many planes of an open TIFF have all their pixels in the file.

    Parameters
    ----------
    tiff
        The file.
    promised
        How many planes its metadata promise. ImageJ and tifffile store the planes of a stack one
        after another behind the first list of tags, and further lists, if any, at the end.
    """
    pages = [page for page in _pages(tiff) if not page.is_reduced]
    if len(pages) == 1 and promised > 1 and pages[0].is_final and pages[0].dataoffsets:
        return min(promised, _contiguous(tiff, pages[0]))
    return sum(is_in_file(page) for page in pages)


def _contiguous(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """Return how many planes as long as a page the file has behind its first."""
    return max(0, (tiff.filehandle.size - page.dataoffsets[0]) // max(1, page.nbytes))


def is_in_file(page: _Page) -> bool:
    """Return whether a page is there, with all its strips or tiles.

    Parameters
    ----------
    page
        A page; None: tifffile knows of it, but has not found it.
    """
    if page is None:
        return False
    lengths: tuple[int, ...] = page.databytecounts
    if page.offset == 0 and not any(lengths):  # so tifffile says that Micro-Manager's index lies
        return False
    return end_of_pixels(page) <= page.parent.filehandle.size


def end_of_pixels(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    """Return where the last strip or tile of a page ends.

    Parameters
    ----------
    page
        A page.
    """
    ends = (a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=False))
    return max(ends, default=0)


def planes_of_series(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    """Return how many planes the shape of a series needs, and how many of them are there.

    Parameters
    ----------
    series
        The images of a TIFF that tifffile has put together.
    """
    keyframe = series.keyframe
    needed = prod(series.shape) // max(1, prod(keyframe.shape))
    if series.dataoffset is not None:
        return needed, min(needed, _contiguous(keyframe.parent, keyframe))
    # An interrupted copy lacks the end; to read where all pages have their strips takes long.
    looked_at = _pages_of(series) if series.is_multifile else (series[0], _last(series))
    if len(series) >= needed and all(map(is_in_file, looked_at)):
        return needed, needed - sum(page is None for page in _pages_of(series))
    return needed, min(needed, sum(map(is_in_file, _pages_of(series))))


def _pages_of(series: tifffile.TiffPageSeries) -> Iterator[_Page]:
    """Yield the pages of a series that the file has, or that another file should have."""
    with suppress(IndexError):
        yield from series


def _last(series: tifffile.TiffPageSeries) -> _Page:
    with suppress(IndexError):
        return series[len(series) - 1]
    return None


def files_cut_short(series: tifffile.TiffPageSeries) -> list[str]:
    """Return the names of the files of a set that end before their pixels do.

    Parameters
    ----------
    series
        The images of several files.
    """
    cut = (page for page in _pages_of(series) if page is not None and not is_in_file(page))
    return sorted({page.parent.filename for page in cut})
