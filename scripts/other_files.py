"""Try the image files that installed packages ship, and list what comes of each.

``python scripts/other_files.py`` writes ``docs/other_files.md``: each file is opened, copied to an
OME-Zarr and compared with the copy. `PACKAGES` are taken from the environment; those that are not
installed are named as such.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import napari_tilewise as tw
from napari_tilewise.errors import InvalidAxes
from napari_tilewise.io.readers.open_image import SUFFIXES
from napari_tilewise.io.writers.formats import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "scikit-image", "h5py", "imagecodecs", "imageio", "matplotlib", "scipy", "numpy", "networkx",
    "napari", "vispy", "pint", "distributed", "ipykernel", "joblib", "mahotas", "imread", "zarr",
    "ome-types", "ome-zarr", "ome-zarr-models", "ngff-zarr", "tiffslide", "pyvips", "bioio",
)  # fmt: skip
"""Packages of the index whose files are tried."""
PAGE = Path(__file__).parents[1] / "docs" / "other_files.md"
HEAD = """# Other people's files

What `python scripts/other_files.py` made of the image files that packages of the Python index ship,
as far as they are installed: each is opened, copied to an OME-Zarr (to .npy, if OME-Zarr
cannot have its axes) and compared with the copy. A refusal is the sentence that a user reads.

"""
ARCHIVES = """\
## From source archives

Files that only the source archive of a package has, tried by hand in the same way (`tw.open`,
`tw.convert`, and both compared).

| package | file | image | result |
|---|---|---|---|
| bioformats-jar 2020.5.27 | tests/sample.czi | czi: 325 x 475 uint16, yx | read with bioio-czi, the copy is equal |
| bioio-vsi 0.1.0 | bioio_vsi/tests/resources/vsi-ets-test-jpg2k.vsi | vsi: 2 x 11 x 1682 x 1645 uint16, czyx | read with bioio-vsi, the copy is equal; without it refused, and the overview inside is not taken for the image |
| bioio-vsi 0.1.0 | bioio_vsi/tests/resources/anonymised/tzc-z-down/anon.vsi | | refused: its file of pixels is not in the archive |
| imaris-ims-file-reader 0.1.8 | imaris_ims_file_reader/_tests/brain_crop3.ims | ims: HDF5 inside | refused: bioio-bioformats, which needs Java, was not installed |
| ome-zarr 0.18.0 | tests/data/v1 | ome-zarr 0.1: 1 x 2 x 1 x 16 x 16 uint8, tczyx | read, the copy is equal |
| ome-zarr 0.18.0 | tests/data/v2 | ome-zarr 0.2: 1 x 2 x 1 x 16 x 16 uint8, tczyx | read, the copy is equal |
"""  # noqa: E501
"""Files of source archives, tried by hand: they end the page."""


class Outcome(NamedTuple):
    """What came of a file."""

    package: str
    file: str
    image: str
    """Format, shape, data type and axes."""
    result: str


def files() -> Iterator[tuple[str, str, Path]]:
    """Yield package, name and path of each image file."""
    for package in PACKAGES:
        try:
            entries = distribution(package).files or ()
        except PackageNotFoundError:
            continue
        version = f"{package} {distribution(package).version}"
        for entry in sorted(entries, key=str):
            if str(entry).lower().endswith(SUFFIXES):
                yield version, str(entry), Path(str(entry.locate()))


def _sources(path: Path) -> list[str]:
    """Return the images of a file."""
    try:
        return [str(item.source) for item in tw.items(path)]
    except tw.TilewiseError:
        return [str(path)]


def attempt(path: str, folder: Path) -> tuple[str, str]:
    """Return what an image is, and what came of reading it."""
    description = ""
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        try:
            image = tw.open(path)
            shape = " x ".join(map(str, image.data.shape))
            axes = "".join(image.axes) or "unknown axes"
            description = f"{image.format}: {shape} {image.data.dtype}, {axes}"
            named = image.axes or tuple("qtczyx"[-len(image.data.shape) :])
            copy = _copied(path, folder, named)
            same = np.array_equal(copy, image.data[...])
            result = "read, the copy is equal" if same else "THE COPY DIFFERS"
        except tw.TilewiseError as error:
            result = f"refused: {str(error).replace(str(Path(path).parent), '...')}"
    said = {str(m.message) for m in messages if m.category.__module__.startswith("napari_tilewise")}
    return description, "; ".join([result, *sorted(said)]).replace(str(Path(path).parent), "...")


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
    outcomes = []
    for package, name, path in files():
        for source in _sources(path):
            with tempfile.TemporaryDirectory() as folder:
                found = attempt(source, Path(folder))
            outcomes.append(Outcome(package, name + source.removeprefix(str(path)), *found))
    rows = [list(Outcome._fields), *([cell.replace("|", "/") for cell in row] for row in outcomes)]
    counts = [sum(o.result.startswith(word) for o in outcomes) for word in ("read", "refused")]
    summary = f"{len(outcomes)} files: {counts[0]} read, {counts[1]} refused.\n\n"
    page = f"{HEAD}{summary}{markdown(rows)}\n\n{ARCHIVES}"
    PAGE.write_text(page, encoding="utf-8")
    return int(sum(counts) < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
