"""TIFFs of the same header open as they do when each is looked at by itself."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_tilewise.errors import SourceUnreadable, SourceWarning
from napari_tilewise.io.readers import tiff, tiff_header
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.readers.tiff_header import plain_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.io.image import Image

PIXELS = np.random.default_rng(3).integers(0, 4000, (2, 40, 50)).astype(np.uint16)


@pytest.fixture(autouse=True)
def _no_headers() -> Iterator[None]:
    tiff_header._alike.clear()
    yield
    tiff_header._alike.clear()


def _entries(image: Image) -> dict[str, Any]:
    names = [field.name for field in fields(image) if field.name not in ("data", "levels")]
    return {name: getattr(image, name) for name in names}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True, "rowsperstrip": 7},
        {"imagej": True, "resolution": (3.5, 3.5), "metadata": {"unit": "um"}},
        {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"},
        {"photometric": "miniswhite"},
        {"description": "a cell\n" * 999, "metadata": None},
    ],
)
def test_files_of_one_header_open_alike(tmp_path: Path, options: dict[str, Any]) -> None:
    paths = [tmp_path / "first.tif", tmp_path / "second.tif"]
    for path, pixels in zip(paths, PIXELS, strict=True):
        tifffile.imwrite(path, pixels, **options)
    assert plain_header(paths[0]) == plain_header(paths[1]) is not None
    expected = open_image(paths[1])
    tiff_header._alike.clear()
    open_image(paths[0])
    assert len(tiff_header._alike) == 1
    image = open_image(paths[1])
    assert _entries(image) == _entries(expected)
    assert image.data.name_in_files == expected.data.name_in_files
    assert image.levels[0] is image.data
    for array in (image.data, pickle.loads(pickle.dumps(image.data))):
        np.testing.assert_array_equal(array[:], expected.data[:])
        assert array.dtype == array[:].dtype == expected.data.dtype
    is_inverted = "photometric" in options
    np.testing.assert_array_equal(image.data[:], 65535 - PIXELS[1] if is_inverted else PIXELS[1])


def test_palettes_are_part_of_the_header(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 100)):
        picture = Picture.fromarray((PIXELS[0] % 4).astype(np.uint8), "P")
        picture.putpalette([first + value for value in range(12)])
        picture.save(tmp_path / f"{name}.tif")
    a, b = (open_image(tmp_path / f"{name}.tif").data[:].astype(int) for name in "ab")
    assert a.shape == (40, 50, 3)
    assert (np.unique(b - a) == np.unique(b - a)[:1]).all()
    assert b.min() > a.min()


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True},
        {"compression": "zlib"},
        {"imagej": True, "metadata": {"Info": "a cell"}},
        {"extratags": [(274, 3, 1, 3, True)]},
        {"subifds": 1},
    ],
)
def test_what_lies_elsewhere_is_looked_at_each_time(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    kind = {name: options[name] for name in ("ome", "imagej") if name in options}
    options = {name: value for name, value in options.items() if name not in kind}
    with tifffile.TiffWriter(path, **kind) as file:
        file.write(PIXELS[0], **options)
        if "subifds" in options:
            file.write(PIXELS[0, ::2, ::2], subfiletype=1)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as texts:
            warnings.simplefilter("always", SourceWarning)
            np.testing.assert_array_equal(open_image(path).data[:], PIXELS[0])
        assert len(texts) == ("extratags" in options)
    assert not tiff_header._alike


def test_several_pages_are_looked_at_each_time(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="minisblack", metadata=None)
    assert plain_header(tmp_path / "a.tif") is None


def test_a_file_that_was_cut_is_not_alike(tmp_path: Path) -> None:
    path, cut = tmp_path / "a.tif", tmp_path / "cut.tif"
    tifffile.imwrite(path, PIXELS[0])
    open_image(path)
    cut.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SourceUnreadable, match="expected the whole file"):
        open_image(cut)


def test_a_file_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0])
    open_image(path)

    def removed(path: Path) -> bytes | None:
        header = plain_header(path)
        path.unlink(missing_ok=True)
        return header

    monkeypatch.setattr(tiff, "plain_header", removed)
    for _ in range(2):  # after its header was read, and before
        with pytest.raises(SourceUnreadable, match=r"'a\.tif' cannot be read: a file of it"):
            tiff.open_tiff(path, "a.tif")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_header_that_ends_early_tells_nothing(tmp_path: Path, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0], bigtiff=bigtiff)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        last = max(file.pages.first.tags.values(), key=lambda tag: tag.valueoffset)
    for end in range(last.valueoffset + last.valuebytecount):
        path.write_bytes(whole[:end])
        assert plain_header(path) is None


def test_few_headers_are_remembered(tmp_path: Path) -> None:
    for width in range(1, tiff_header.MOST_ALIKE + 9):
        path = tmp_path / f"{width}.tif"
        tifffile.imwrite(path, np.zeros((3, width), np.uint8))
        open_image(path)
    assert len(tiff_header._alike) == tiff_header.MOST_ALIKE
