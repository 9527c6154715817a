"""Colours and depth are what the file says: read as such, or refused with the reason."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as pillow

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage, SourceUnreadable, SourceWarning
from napari_tilewise.io.metadata.channels import RED_GREEN_BLUE

imagecodecs = pytest.importorskip("imagecodecs")
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (40, 50, 3), np.uint8)
COLOURS = ["Red", "Green", "Blue"]


def names(image):
    return [channel.name for channel in image.channels]


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("RGB", "png", ["Red", "Green", "Blue"]),
        ("RGBA", "png", ["Red", "Green", "Blue", "Alpha"]),
        ("LA", "png", ["Gray", "Alpha"]),
        ("P", "png", ["Red", "Green", "Blue"]),
        ("CMYK", "jpg", ["Cyan", "Magenta", "Yellow", "Black"]),
        ("L", "png", []),
        ("1", "png", []),
    ],
)
def test_samples_of_pictures_have_the_names_of_their_mode(tmp_path, mode, suffix, expected):
    path = tmp_path / f"a.{suffix}"
    pillow.fromarray(RGB).convert(mode).save(path)
    image = tw.open(path)
    assert names(image) == expected
    assert image.axes == (("y", "x", "c") if expected else ("y", "x"))


@pytest.mark.parametrize("count", [3, 4])
def test_frames_of_grey_are_no_samples(tmp_path, count):
    frames = [pillow.fromarray(RNG.integers(0, 255, (count, count), np.uint8)) for _ in range(5)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    image = tw.open(path)
    assert image.data.shape[0] == 5
    assert image.axes[1:3] == ("y", "x")


def deep_png(path):
    path.write_bytes(imagecodecs.png_encode(RGB.astype(np.uint16) * 200))


def deep_jpeg_2000(path):
    path.write_bytes(imagecodecs.jpeg2k_encode(RGB.astype(np.uint16) * 200, level=0))


def deep_avif(path):
    path.write_bytes(imagecodecs.avif_encode(RGB.astype(np.uint16) * 4, bitspersample=10))


def odd_jpeg_2000(path):  # which Pillow takes times 16
    grey = RGB[..., 0].astype(np.uint16) * 4
    path.write_bytes(imagecodecs.jpeg2k_encode(grey, level=0, bitspersample=12))


@pytest.mark.parametrize(
    ("write", "suffix", "bits"),
    [
        (deep_png, "png", 16),
        (deep_jpeg_2000, "jp2", 16),
        (odd_jpeg_2000, "jp2", 12),
        (deep_avif, "avif", 10),
    ],
)
def test_values_that_would_be_cut_or_scaled_are_refused(tmp_path, write, suffix, bits):
    path = tmp_path / f"a.{suffix}"
    write(path)
    with pytest.raises(
        SourceUnreadable, match=f"{bits}-bit values, which cannot be read as they are"
    ):
        tw.open(path)
    pillow.fromarray(RGB).save(path)
    assert names(tw.open(path)) == ["Red", "Green", "Blue"]


def test_deep_grey_is_read_in_full(tmp_path):
    deep = RNG.integers(0, 65535, (40, 50), np.uint16)
    pillow.fromarray(deep).save(tmp_path / "a.jp2")
    (tmp_path / "a.pgm").write_bytes(b"P5\n50 40\n65535\n" + deep.astype(">u2").tobytes())
    for name in ("a.jp2", "a.pgm"):
        np.testing.assert_array_equal(tw.open(tmp_path / name).data[:], deep)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_all_frames_of_a_picture_are_read(tmp_path, suffix, frames):
    pictures = [pillow.fromarray(np.roll(RGB, number, 1)) for number in range(frames)]
    lossless = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    path = tmp_path / f"a.{suffix}"
    options = lossless.get(suffix, {})
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    image = tw.open(path)
    assert image.axes == ("q", "y", "x", "c")[frames == 1 :]
    assert image.data.shape == (frames, *RGB.shape)[frames == 1 :]
    if suffix in ("png", "webp"):
        expected = np.stack([np.asarray(picture) for picture in pictures])
        np.testing.assert_array_equal(image.data[...].reshape(expected.shape), expected)


def test_pictures_that_are_no_frames_are_said(tmp_path):
    pictures = [pillow.fromarray(np.roll(RGB, number, 1)) for number in range(2)]
    pictures[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pictures[1:])
    with pytest.warns(SourceWarning, match=r"a\.jpg' holds 2 pictures, of which the first is read"):
        assert tw.open(tmp_path / "a.jpg").data.shape == RGB.shape


def test_a_transparent_colour_of_a_palette_is_an_alpha(tmp_path):
    picture = pillow.fromarray(RGB).quantize(32)
    picture.save(tmp_path / "a.png", transparency=3)
    image = tw.open(tmp_path / "a.png")
    assert names(image) == [*COLOURS, "Alpha"]
    numbers = np.asarray(picture)
    np.testing.assert_array_equal(image.data[..., 3], np.where(numbers == 3, 0, 255))
    np.testing.assert_array_equal(image.data[..., :3], np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("is_text", [False, True])
@pytest.mark.parametrize("largest", [1, 15, 100, 255, 1023, 4095, 65535])
def test_values_of_pgm_and_ppm_are_those_of_the_file(tmp_path, largest, is_text):
    """Pillow scales them to 8 or 16 bits."""
    for number, samples in ((2, ()), (3, (3,))):
        pixels = RNG.integers(0, largest, (40, 50, *samples), endpoint=True)
        dtype = np.dtype(np.uint16 if largest > 255 else np.uint8)
        head = f"P{number if is_text else number + 3}\n# made\n50 # wide\n40\n{largest}\n"
        text = "\n".join(map(str, pixels.ravel())).encode()
        path = tmp_path / "a.pnm"
        stored = pixels.astype(dtype.newbyteorder(">")).tobytes()
        path.write_bytes(head.encode() + (text if is_text else stored))
        image = tw.open(path)
        assert image.data.dtype == dtype
        np.testing.assert_array_equal(image.data[...], pixels)
        assert names(image) == (COLOURS if samples else [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n2 0\n9\nab", "no header of a PGM or PPM"),
        (b"P5\n2 2\n70000\nabcdabcd", "no header of a PGM or PPM"),
        (b"P5\n2 2\n9\nabc", "12 bytes long, its pixels end at byte 13"),
        (b"P2\n2 2\n9\n1 2 3", "3 of 4 values"),
        (b"P2\n2 2\n9\n1 2 x 3", "invalid literal"),
        (b"P2\n2 2\n9\n1 2 3 300", "out of bounds"),
        (b"P3\n200000 200000\n9\n1 2 3", "too short"),
    ],
)
def test_a_damaged_pgm_is_refused(tmp_path, content, message):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(SourceUnreadable, match=message):
        tw.open(tmp_path / "a.pgm")


def test_what_follows_a_pgm_is_said(tmp_path):
    for image in (b"P5\n2 2\n9\nabcd", b"P2\n2 2\n9\n1 2 3 4\n"):
        (tmp_path / "a.pgm").write_bytes(image + image)
        with pytest.warns(SourceWarning, match="goes on after its first image"):
            assert tw.open(tmp_path / "a.pgm").data.shape == (2, 2)


def test_a_slide_with_luma_and_chroma_stays_a_colour_picture(tmp_path):
    path, converted = tmp_path / "a.tif", tmp_path / "a.ome.tif"
    tifffile.imwrite(path, RGB, photometric="ycbcr", compression="jpeg", tile=(16, 16))
    image = tw.open(path)
    assert names(image) == ["Red", "Green", "Blue"]
    np.testing.assert_array_equal(image.data[:], tifffile.imread(path))
    tw.convert(path, converted)
    with tifffile.TiffFile(converted) as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB


@pytest.mark.parametrize(
    ("count", "options", "expected"),
    [
        (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}, ["Gray", "Alpha"]),
        (4, {"photometric": "separated"}, ["Cyan", "Magenta", "Yellow", "Black"]),
        (
            4,
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
            ["Red", "Green", "Blue", "Alpha"],
        ),
        (
            4,
            {"photometric": "rgb", "extrasamples": ["unspecified"]},
            ["Red", "Green", "Blue", None],
        ),
        (4, {"photometric": "minisblack"}, []),
        (3, {"photometric": "minisblack"}, []),
    ],
)
def test_samples_of_tiffs_are_what_the_file_says(tmp_path, count, options, expected):
    path = tmp_path / "a.tif"
    pixels = RNG.integers(0, 255, (40, 50, count), np.uint8)
    tifffile.imwrite(path, pixels, planarconfig="contig", metadata=None, **options)
    image = tw.open(path)
    assert names(image) == expected
    assert image.axes == ("y", "x", "c")
    np.testing.assert_array_equal(image.data[:], pixels)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_zero_is_white_it_is_read_as_black(tmp_path, dtype, compression):
    path, pixels = tmp_path / "a.tif", RGB[..., 0].astype(dtype)
    tifffile.imwrite(path, pixels, photometric="miniswhite", compression=compression)
    image = tw.open(path)
    np.testing.assert_array_equal(image.data[:], np.iinfo(dtype).max - pixels)
    assert image.data.dtype == dtype
    tw.run("filters.sobel", path, tmp_path / "b.ome.zarr", executor="threads")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (16, 16)}])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_palette_is_read_as_its_colours(tmp_path, options, depth):
    path, pixels = tmp_path / "a.tif", RGB[..., 0]
    colours = RNG.integers(0, 2**depth, (3, 256)).astype(np.uint16)
    table = colours * 257 if depth == 8 else colours
    tifffile.imwrite(path, pixels, photometric="palette", colormap=table, **options)
    image = tw.open(path)
    expected = colours.T[pixels].astype(f"u{depth // 8}")
    np.testing.assert_array_equal(image.data[...], expected)
    np.testing.assert_array_equal(image.data[3, 2:9, 1], expected[3, 2:9, 1])
    assert (image.data.dtype, image.axes) == (expected.dtype, ("y", "x", "c"))
    assert image.channels == RED_GREEN_BLUE
    with tifffile.TiffFile(tw.convert(path, tmp_path / "b.ome.tif").path) as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        np.testing.assert_array_equal(tiff.asarray(), expected)


def test_a_palette_of_imagej_is_a_lookup_table(tmp_path):
    ramp = np.zeros((3, 256), np.uint16)
    ramp[1] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "a.tif", RGB[..., 0], imagej=True, colormap=ramp)
    np.testing.assert_array_equal(tw.open(tmp_path / "a.tif").data[:], RGB[..., 0])


@pytest.mark.parametrize(
    ("mode", "message"),
    [("LAB", "as signed numbers"), ("PA", "a palette and 2 samples")],
)
def test_samples_that_would_be_taken_for_others_are_refused(tmp_path, mode, message):
    pillow.new(mode, (50, 40)).save(tmp_path / "a.tif")
    with pytest.raises(SourceUnreadable, match=message):
        tw.open(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", ["inks", "Hue, Saturation, Value"])
def test_a_png_takes_nothing_for_red_green_and_blue(tmp_path, channels):
    if channels == "inks":
        pixels = np.concatenate([RGB, RGB[..., :1]], -1)
        pillow.fromarray(pixels, "CMYK").save(tmp_path / "a.tif")
    else:
        image = tw.convert(np.moveaxis(RGB, -1, 0), tmp_path / "a.ome.zarr", axes="cyx").path
        omero = {"channels": [{"label": name} for name in channels.split(", ")]}
        group = zarr.open_group(image)
        group.attrs["ome"] = dict(group.attrs["ome"]) | {"omero": omero}
    source = next(tmp_path.glob("a.*"))
    with pytest.raises(InvalidImage, match=r"the channels are '.*', and .*; write NAME\.ome\.tif"):
        tw.convert(source, tmp_path / "b.png")


@pytest.mark.parametrize("step", ["filters.gaussian", "util.img_as_float32"])
def test_a_colour_picture_of_floats_is_one_for_others(tmp_path, step):
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb")
    for name in ("b.ome.tif", "b.ome.zarr"):
        tw.run(step, tmp_path / "a.tif", tmp_path / name, spatial="yx")
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        assert tiff.asarray().shape == RGB.shape
    channels = zarr.open_group(tmp_path / "b.ome.zarr").attrs["ome"]["omero"]["channels"]
    assert {(c["window"]["start"], c["window"]["end"]) for c in channels} == {(0, 1)}
    np.testing.assert_array_equal(
        tw.open(tmp_path / "b.ome.tif").data[...],
        np.moveaxis(tw.open(tmp_path / "b.ome.zarr").data[...], 0, -1),
    )
