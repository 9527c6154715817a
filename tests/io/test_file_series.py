"""A pattern of files is one stack."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.errors import SourceChanged, SourceNotFound, SourceUnreadable
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.provenance.source_guard import SourceGuard

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def frames(tmp_path: Path) -> tuple[str, np.ndarray]:
    """Return a pattern, and the frames in the order of their numbers."""
    pixels = np.random.default_rng(0).integers(0, 255, (12, 30, 40)).astype(np.uint8)
    for number, frame in enumerate(pixels):
        tifffile.imwrite(tmp_path / f"f{number}.tif", frame)
    return str(tmp_path / "f*.tif"), pixels


def test_files_are_the_first_axis_in_natural_order(frames: tuple[str, np.ndarray]) -> None:
    pattern, pixels = frames
    image = tw.open(pattern)
    assert image.axes == ("t", "y", "x")
    assert (image.data.shape, image.data.dtype) == (pixels.shape, pixels.dtype)
    for key in (np.s_[:, :, :], np.s_[3], np.s_[-1, 2:5], np.s_[2:9:3, ::2, 7], np.s_[5:5]):
        np.testing.assert_array_equal(image.data[key], pixels[key])
    copy = pickle.loads(pickle.dumps(image.data))
    np.testing.assert_array_equal(copy[4:6], pixels[4:6])


def test_a_series_is_a_source_like_others(frames: tuple[str, np.ndarray], tmp_path: Path) -> None:
    pattern, pixels = frames
    result = tw.run(("filters.gaussian", {"sigma": 1}), pattern, tmp_path / "out.ome.zarr")
    expected = np.stack([tw.apply("filters.gaussian", frame, sigma=1) for frame in pixels])
    np.testing.assert_array_equal(tw.open(result.path).data[:], expected)
    assert tw.info(pattern)["shape"] == pixels.shape
    lazy = tw.apply("filters.sobel", tw.open(pattern).data, axes="tyx", spatial="yx")
    np.testing.assert_array_equal(lazy[7].compute(), tw.apply("filters.sobel", pixels[7]))


def test_a_changed_file_changes_the_series(frames: tuple[str, np.ndarray], tmp_path: Path) -> None:
    pattern, pixels = frames
    before, guard = fingerprint(pattern), SourceGuard([pattern])
    assert fingerprint(pattern) == before
    tifffile.imwrite(tmp_path / "f12.tif", pixels[0])
    assert fingerprint(pattern) != before
    with pytest.raises(SourceChanged):
        guard.check()


def test_a_folder_with_brackets_is_literal_where_it_exists(tmp_path: Path) -> None:
    (tmp_path / "plate[1]").mkdir()
    frame = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for number in range(2):
        tifffile.imwrite(tmp_path / "plate[1]" / f"f{number}.tif", frame + number)
    pixels = tw.open(str(tmp_path / "plate[1]" / "*.tif")).data[...]
    np.testing.assert_array_equal(pixels, [frame, frame + 1])


def test_what_is_no_series_is_said(frames: tuple[str, np.ndarray], tmp_path: Path) -> None:
    pattern, pixels = frames
    with pytest.raises(SourceNotFound, match="No file matches"):
        tw.open(str(tmp_path / "*.png"))
    tifffile.imwrite(tmp_path / "f3.tif", pixels[0, :9])
    with pytest.raises(SourceUnreadable, match=r"f3\.tif.*expected \(30, 40\)"):
        tw.open(pattern).data[3]
