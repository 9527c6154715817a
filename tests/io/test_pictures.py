"""Pictures are decoded whole: when they are needed, and as part of the stated memory."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageSequence

import napari_tilewise as tw
from napari_tilewise.engine.budget import RUNTIME
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.errors import MemoryBudgetExceeded, SourceUnreadable
from napari_tilewise.io.readers import pictures
from napari_tilewise.io.readers.open_image import open_header, open_image

if TYPE_CHECKING:
    from pathlib import Path

MODES = {
    "1": "png", "L": "png", "LA": "png", "RGB": "png", "RGBA": "png", "P": "png", "I;16": "png",
    "CMYK": "jpg", "YCbCr": "jpg",
}  # fmt: skip


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what is decoded from now on; nothing is too small to wait."""
    paths: list[Any] = []
    read = iio.imread

    def noted(path: Any, **options: Any) -> Any:
        paths.append(path)
        return read(path, **options)

    monkeypatch.setattr(iio, "imread", noted)
    monkeypatch.setattr(pictures, "LARGE", 0)
    return paths


def picture(folder: Path, mode: str, suffix: str, shape: tuple[int, int] = (20, 30)) -> Path:
    path = folder / f"a.{suffix}"
    pixels = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    if mode == "I;16":
        iio.imwrite(path, pixels[..., 0].astype(np.uint16) * 257)
    else:
        pillow.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_info_decodes_nothing_and_says_what_is_read(
    mode: str, tmp_path: Path, decoded: list[Any]
) -> None:
    path = picture(tmp_path, mode, MODES[mode])
    description, header = tw.info(path), open_header(str(path))
    assert decoded == []
    pixels = iio.imread(path, plugin="pillow")
    assert description["shape"] == pixels.shape
    assert description["dtype"] == str(pixels.dtype)
    image = open_image(path)
    np.testing.assert_array_equal(image.data[:], pixels)
    assert (header.axes, header.channels) == (image.axes, image.channels)


def test_a_large_picture_is_decoded_once_when_it_is_read(
    tmp_path: Path, decoded: list[Any]
) -> None:
    path = picture(tmp_path, "RGB", "png")
    image = open_image(path)
    again = pickle.loads(pickle.dumps(image.data))
    assert decoded == []
    first, second = image.data[3:5], image.data[:, 4]
    assert len(decoded) == 1
    np.testing.assert_array_equal(again[3:5], first)
    np.testing.assert_array_equal(again[:, 4], second)


def test_what_decoding_takes_is_planned(tmp_path: Path, decoded: list[Any]) -> None:
    path = picture(tmp_path, "L", "png", (3000, 4000))
    before = resident()
    plan = tw.plan("util.invert", path, memory="2 GiB")
    assert decoded == []
    assert plan.budget.process - RUNTIME - before > 3000 * 4000
    with pytest.raises(MemoryBudgetExceeded):
        tw.run("util.invert", path, tmp_path / "a.npy", memory="16 MiB")
    assert decoded == []
    tw.run("util.invert", path, tmp_path / "a.npy", memory="2 GiB")
    assert len(decoded) == 1


def test_a_large_picture_that_is_cut_short_is_told(tmp_path: Path, decoded: list[Any]) -> None:
    path = picture(tmp_path, "RGB", "png")
    path.write_bytes(path.read_bytes()[:400])
    image = open_image(path)
    with pytest.raises(SourceUnreadable, match="cannot be decoded"):
        image.data[:5]


def test_frames_of_a_gif_that_change_their_mode_are_colours(tmp_path):
    """Pillow gives the first as a palette and later ones with alpha; found among its tests."""
    first, second = (pillow.new("RGBA", (9, 7), (n, 90, 0, 255)) for n in (0, 200))
    first.paste((0, 0, 0, 0), (0, 0, 4, 7))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], disposal=2)
    image = tw.open(tmp_path / "a.gif")
    with pillow.open(tmp_path / "a.gif") as picture:
        frames = [np.asarray(f.convert("RGBA")) for f in ImageSequence.Iterator(picture)]
    assert image.axes == tuple("qyxc")
    np.testing.assert_array_equal(image.data[:], frames)
    assert open_header(str(tmp_path / "a.gif")).data.shape == image.data.shape


def test_pixels_that_look_like_jpeg_2000_are_none(tmp_path):
    """Grey values of 79 and 81 with alpha have the bytes of its marker."""
    pixels = np.full((4, 6, 2), 255, np.uint8)
    pixels[..., 0] = [79, 81] * 3
    pillow.fromarray(pixels, "LA").save(tmp_path / "a.tga")
    np.testing.assert_array_equal(tw.open(tmp_path / "a.tga").data[:], pixels)
