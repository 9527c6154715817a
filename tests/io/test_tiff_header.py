"""What a TIFF's first bytes tell is what reading its pages tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_tilewise.io.readers.tiff import contents_of_tiff
from napari_tilewise.io.readers.tiff_header import is_one_plain_page

if TYPE_CHECKING:
    from pathlib import Path

PAGE = np.arange(35, dtype=np.uint16).reshape(5, 7)


def _is_plain(path: Path) -> bool:
    with tifffile.TiffFile(path) as tiff:
        return len(tiff.pages) == 1 and not tiff.is_ome


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"byteorder": ">", "bigtiff": True},
        {"imagej": True},
        {"description": "a", "metadata": None},
        {"compression": "zlib", "tile": (16, 16)},
        {"description": "a cell\n" * 9999, "metadata": None},
    ],
)
def test_a_page_is_told_from_pages(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PAGE, **options)
    assert is_one_plain_page(path) == (len(options.get("description", "")) < 9000)
    assert _is_plain(path)
    assert contents_of_tiff(path) == ((), frozenset())
    tifffile.imwrite(path, np.stack([PAGE, PAGE]), photometric="minisblack", **options)
    assert not is_one_plain_page(path)


def test_metadata_of_ome_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PAGE)
    assert not is_one_plain_page(path)
    assert not _is_plain(path)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_whatever_is_missing_is_not_plain(tmp_path: Path, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PAGE, bigtiff=bigtiff, metadata=None)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        pixels = tiff.pages.first.dataoffsets[0]
    for length in range(pixels):
        path.write_bytes(whole[:length])
        if is_one_plain_page(path):  # all tags are there: what is missing belongs to them
            assert _is_plain(path)
    path.write_bytes(b"II*\0" + b"\xff" * 300)
    assert not is_one_plain_page(path)
    path.write_bytes(b"II*\0\4\0\0\0" + b"\xff" * 300)
    assert not is_one_plain_page(path)
