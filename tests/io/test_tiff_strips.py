"""A last strip that is stored at full length, with rows below the image, is read."""

import struct
import zlib

import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.errors import SourceUnreadable

imagecodecs = pytest.importorskip("imagecodecs")
NONE, LZW, JPEG, DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, 7, 8, 32773, 34925, 50000
ENCODERS = {
    NONE: bytes,
    LZW: imagecodecs.lzw_encode,
    DEFLATE: zlib.compress,
    PACKBITS: imagecodecs.packbits_encode,
    LZMA: imagecodecs.lzma_encode,
    ZSTD: imagecodecs.zstd_encode,
}
RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 21, 13


def write_tiff(path, image, strips, rows, tags):
    """Write a page of encoded strips, with RowsPerStrip and further tags."""
    samples = image.shape[2] if image.ndim == 3 else 1
    starts = 8 + np.cumsum([0, *map(len, strips)])
    formats = {"u": 1, "i": 2, "f": 3}
    values = {
        256: [image.shape[1]], 257: [image.shape[0]], 258: [8 * image.itemsize] * samples,
        262: [2 if samples == 3 else 1], 273: starts[:-1].tolist(), 277: [samples], 278: [rows],
        279: list(map(len, strips)), 339: [formats[image.dtype.kind]] * samples,
    } | {code: [value] for code, value in tags.items()}  # fmt: skip
    start = int(starts[-1])
    tail = start + 2 + 12 * len(values) + 4
    entries, arrays = struct.pack("<H", len(values)), b""
    for code, numbers in sorted(values.items()):
        content = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            content, arrays = struct.pack("<I", tail + len(arrays)), arrays + content
        entries += struct.pack("<HHI", code, 4, len(numbers)) + content
    header = struct.pack("<2sHI", b"II", 42, start)
    path.write_bytes(b"".join([header, *strips, entries, bytes(4), arrays]))


def padded_strips(image, rows, encode, predictor=1):
    """Return the encoded strips of an image, all of them of full length."""
    count = -(-len(image) // rows)
    padded = np.full((count * rows, *image.shape[1:]), 77, image.dtype)
    padded[: len(image)] = image
    samples = padded.reshape(count, rows, image.shape[1], -1)
    if predictor == 2:
        samples = np.diff(samples, axis=2, prepend=samples.dtype.type(0))
    if predictor == 3:
        samples = [imagecodecs.floatpred_encode(strip, axis=-2) for strip in samples]
    return [bytes(encode(strip.tobytes())) for strip in samples]


@pytest.mark.parametrize("compression", ENCODERS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("rows", [8, 64])
def test_rows_below_the_image_are_ignored(tmp_path, compression, dtype, rows):
    predictors = [1, 3] if dtype == "float32" else [1, 2]
    for predictor in predictors:
        for shape in [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)]:
            image = RNG.integers(0, 200, shape).astype(dtype)
            path = tmp_path / f"{len(shape)}-{predictor}.tif"
            strips = padded_strips(image, rows, ENCODERS[compression], predictor)
            write_tiff(path, image, strips, rows, {259: compression, 317: predictor})
            opened = tw.open(path)
            np.testing.assert_array_equal(opened.data[:], image)
            np.testing.assert_array_equal(opened.data[17:20, 2:5], image[17:20, 2:5])


@pytest.mark.parametrize("rows", [8, 32])
def test_strips_of_each_sample_may_be_long(tmp_path, rows):
    image = RNG.integers(0, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    planes = np.moveaxis(image, -1, 0)
    strips = [strip for plane in planes for strip in padded_strips(plane, rows, zlib.compress)]
    write_tiff(tmp_path / "a.tif", image, strips, rows, {259: DEFLATE, 284: 2})
    np.testing.assert_array_equal(tw.open(tmp_path / "a.tif").data[:], planes)


@pytest.mark.parametrize("rows", [16, 32])
def test_a_long_jpeg_strip_is_read(tmp_path, rows):
    image = np.full((HEIGHT, WIDTH), 100, np.uint8)
    image[18:] = 50
    padded = np.full((32, WIDTH), 50, np.uint8)
    padded[:HEIGHT] = image
    strips = [
        imagecodecs.jpeg_encode(padded[y : y + rows], level=100) for y in range(0, HEIGHT, rows)
    ]
    write_tiff(tmp_path / "a.tif", image, strips, rows, {259: JPEG})
    np.testing.assert_allclose(tw.open(tmp_path / "a.tif").data[:], image, atol=3)


def test_another_process_reads_it_too(tmp_path):
    image = RNG.integers(0, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    strips = padded_strips(image, 8, zlib.compress)
    write_tiff(tmp_path / "a.tif", image, strips, 8, {259: DEFLATE})
    reopen, arguments = tw.open(tmp_path / "a.tif").data.__reduce__()
    np.testing.assert_array_equal(reopen(*arguments)[:], image)
    copy = tw.convert(tmp_path / "a.tif", tmp_path / "a.ome.zarr").path
    np.testing.assert_array_equal(tw.open(copy).data[:], image)


def test_a_strip_of_another_length_is_damaged(tmp_path):
    image = RNG.integers(0, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    strips = padded_strips(image, 8, zlib.compress)
    strips[-1] = zlib.compress(bytes(7 * WIDTH))
    write_tiff(tmp_path / "a.tif", image, strips, 8, {259: DEFLATE})
    np.testing.assert_array_equal(tw.open(tmp_path / "a.tif").data[:16], image[:16])
    with pytest.raises(SourceUnreadable, match="cannot be decoded"):
        tw.open(tmp_path / "a.tif").data[16:]


def test_a_number_of_rows_beyond_any_strip_reserves_no_memory(tmp_path):
    image = RNG.integers(0, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    strips = padded_strips(image, 64, zlib.compress)
    write_tiff(tmp_path / "a.tif", image, strips, 2**31, {259: DEFLATE})
    with pytest.raises(SourceUnreadable, match="cannot be decoded"):
        tw.open(tmp_path / "a.tif").data[:]


def test_strips_that_end_with_the_image_are_read_as_before(tmp_path):
    image = RNG.integers(0, 200, (HEIGHT, WIDTH)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, rowsperstrip=8, compression="zlib")
    np.testing.assert_array_equal(tw.open(tmp_path / "a.tif").data[:], image)
