"""The alpha of a picture is no channel of data: what files say has one, at every door."""

import csv

import dask.array as da
import numpy as np
import pytest
import skimage as ski
import tifffile
from PIL import Image as pillow

import napari_tilewise as tw
from napari_tilewise.axes import AxisSelection, alpha_of
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.errors import InvalidImage, SourceWarning
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.recipe import Step
from tests.recipe.test_script import execute

pytest.importorskip("imagecodecs")
pytestmark = pytest.mark.filterwarnings("ignore:.*multiplied by their alpha")
RNG = np.random.default_rng(0)
RGBA = RNG.integers(0, 255, (40, 50, 4), np.uint8)
GREY = np.ascontiguousarray(RGBA[..., :2])
NAMES = ("Red", "Green", "Blue", "Alpha")
DILATION = "morphology.dilation"  # its result has the type of the image


def picture(path, mode="RGBA", **options):
    pillow.fromarray(RGBA if mode == "RGBA" else GREY, mode).save(path, **options)


def palette(path):
    pillow.fromarray(RGBA[..., :3]).quantize(32).save(path, transparency=3)


def tiff(path, pixels=RGBA, photometric="rgb", kind="unassalpha", **options):
    options = {"planarconfig": "contig", "metadata": None, **options}
    tifffile.imwrite(path, pixels, photometric=photometric, extrasamples=[kind], **options)


def planar(path):
    tiff(path, np.moveaxis(RGBA, -1, 0), planarconfig="separate")


def converted(path):
    picture(path.with_name("original.png"))
    tw.convert(path.with_name("original.png"), path)


def grey_tiff(path):
    tiff(path, GREY, "minisblack")


FILES = {
    "a.png": picture,
    "grey.png": lambda path: picture(path, "LA"),
    "palette.png": palette,
    "a.webp": lambda path: picture(path, lossless=True),
    "a.tga": picture,
    "a.jp2": picture,
    "grey.jp2": lambda path: picture(path, "LA"),
    "a.avif": picture,
    "a.tif": tiff,
    "associated.tif": lambda path: tiff(path, kind="assocalpha"),
    "tiles.tif": lambda path: tiff(path, tile=(16, 16), compression="zlib"),
    "deep.tif": lambda path: tiff(path, RGBA.astype(np.uint16) * 200),
    "grey.tif": grey_tiff,
    "planar.tif": planar,
    "a.ome.tif": converted,
    "a.ome.zarr": converted,
}
every_file = pytest.mark.parametrize("name", FILES)


def written(tmp_path, name):
    """Return a file with an alpha, its colours, and its alpha."""
    path = tmp_path / name
    FILES[name](path)
    colours, alpha = divided(path)
    assert alpha is not None
    assert len(colours) == (1 if "grey" in name else 3)
    return path, colours, alpha


def divided(path):
    """Return the colours of an image, channels first, and its alpha; None where it has none."""
    image = tw.open(path)
    pixels = np.asarray(image.data[(slice(None),) * len(image.data.shape)])
    channels = np.moveaxis(pixels, image.axes.index("c"), 0)
    index = alpha_of([channel.name or "" for channel in image.channels])
    return (channels, None) if index is None else (np.delete(channels, index, 0), channels[index])


def each(function, colours):
    return np.stack([function(channel) for channel in colours])


def through_run(recipe, path, folder):
    destination = folder / "result.ome.zarr"
    return tw.run(recipe, path, destination, executor="serial", spatial="yx").path


def through_batch(recipe, path, folder):
    options = {"n_jobs": 1, "backend": "serial", "spatial": "yx"}
    report = tw.batch(recipe, path, folder / "out", **options)
    assert [row["status"] for row in report.rows] == ["done"]
    return folder / "out" / report.rows[0]["output"]


DOORS = {"run": through_run, "batch": through_batch}
every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@every_file
def test_convert_keeps_the_alpha(tmp_path, name):
    path, colours, alpha = written(tmp_path, name)
    for result in ("b.ome.zarr", "b.ome.tif"):
        after, kept = divided(tw.convert(path, tmp_path / result).path)
        np.testing.assert_array_equal(after, colours)
        np.testing.assert_array_equal(kept, alpha)


@every_door
@every_file
def test_an_operation_does_not_change_the_alpha(tmp_path, name, door):
    path, colours, alpha = written(tmp_path, name)
    after, kept = divided(door(DILATION, path, tmp_path))
    np.testing.assert_array_equal(kept, alpha)
    np.testing.assert_array_equal(after, each(ski.morphology.dilation, colours))


@every_door
@every_file
def test_an_alpha_that_the_result_cannot_have_is_left_out_and_said(tmp_path, name, door):
    path, colours, _ = written(tmp_path, name)
    with pytest.warns(SourceWarning, match=r"^filters\.gaussian leaves the image's alpha out, as"):
        after, kept = divided(door("filters.gaussian", path, tmp_path))
    assert kept is None
    np.testing.assert_array_equal(after, each(ski.filters.gaussian, colours))
    names = [channel.name for channel in tw.open(tmp_path / path).channels]
    assert [c.name for c in tw.open(door_result(door, tmp_path)).channels] == names[:-1]


def door_result(door, folder):
    return folder / "result.ome.zarr" if door is through_run else next(folder.glob("out/*.zarr"))


@every_file
def test_statistics_do_not_count_it(tmp_path, name):
    path, colours, _ = written(tmp_path, name)
    result = tw.run("filters.threshold_otsu", path, tmp_path / "a.csv", spatial="yx").path
    with open(result, newline="") as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert values == [ski.filters.threshold_otsu(channel) for channel in colours]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.zarr"])
def test_it_is_no_item_of_a_batch_over_channels(tmp_path, name):
    path, *_ = written(tmp_path, name)
    assert [item.fields["channel"] for item in tw.items(path, over="c")] == list(NAMES[:-1])


def test_grey_with_alpha_is_written_as_a_png(tmp_path):
    path, colours, alpha = written(tmp_path, "grey.tif")
    tw.convert(path, tmp_path / "b.png")
    with pillow.open(tmp_path / "b.png") as result:
        assert result.mode == "LA"
        np.testing.assert_array_equal(np.asarray(result), np.stack([colours[0], alpha], -1))
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(InvalidImage, match="one plane, grey or with three or four colours"):
        tw.run(DILATION, tmp_path / "a.npy", tmp_path / "c.png", axes="yxc", spatial="yx")


def test_colours_multiplied_by_their_alpha_are_said(tmp_path):
    FILES["associated.tif"](tmp_path / "a.tif")
    with pytest.warns(SourceWarning, match=r"a\.tif' stores colours multiplied by their alpha"):
        tw.open(tmp_path / "a.tif")


# What follows its colours ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "grey.tif", "planar.tif", "a.ome.zarr"])
def test_it_goes_where_its_colours_go(tmp_path, name):
    path, colours, alpha = written(tmp_path, name)
    crop = ("util.crop", {"crop_width": [[2, 3], [4, 5]]})
    after, kept = divided(through_run(crop, path, tmp_path))
    np.testing.assert_array_equal(after, colours[:, 2:-3, 4:-5])
    np.testing.assert_array_equal(kept, alpha[2:-3, 4:-5])
    (tmp_path / "result.ome.zarr").rename(tmp_path / "crop.ome.zarr")
    _, kept = divided(through_run("util.img_as_float", path, tmp_path))
    np.testing.assert_array_equal(kept, ski.util.img_as_float(alpha))


def test_what_takes_it_gets_it(tmp_path):
    path, _, _ = written(tmp_path, "a.png")
    after, kept = divided(through_run("color.rgba2rgb", path, tmp_path))
    assert kept is None
    np.testing.assert_array_equal(np.moveaxis(after, 0, -1), ski.color.rgba2rgb(RGBA))
    assert [c.name for c in tw.open(tmp_path / "result.ome.zarr").channels] == list(NAMES[:-1])


def test_colours_are_taken_of_a_picture_with_alpha(tmp_path):
    path, _, _ = written(tmp_path, "a.png")
    with pytest.warns(SourceWarning, match=r"color\.rgb2gray leaves the image's alpha out"):
        result = tw.run("color.rgb2gray", path, tmp_path / "gray.npy").path
    np.testing.assert_array_equal(np.load(result), ski.color.rgb2gray(RGBA[..., :3]))


# Recipes, on arrays of which it is said --------------------------------------------------------

RECIPES = {
    "a filter": [("morphology.dilation", {})],
    "a range": [("exposure.rescale_intensity", {})],
    "several": [("morphology.dilation", {}), ("exposure.rescale_intensity", {})],
    "channels at once": [("filters.gaussian", {"channel_axis": 2})],
    "taken after a filter": [("morphology.erosion", {}), ("color.rgba2rgb", {})],
    "beside other colours": [("color.rgb2hsv", {}), ("morphology.erosion", {})],
    "after a crop": [("util.crop", {"crop_width": [[3, 3], [4, 4]]}), ("morphology.erosion", {})],
}


def colours_alone(steps, image):
    """Return what scikit-image makes of the colours, and of the alpha where it follows them."""
    for name, parameters in steps:
        module, function = name.split(".")
        call = getattr(getattr(ski, module), function)
        if name == "color.rgba2rgb":
            image = call(image)
        elif name == "util.crop":
            image = call(image, [*parameters["crop_width"], [0, 0]])
        else:
            colours = image[..., :3]
            if name.startswith(("color", "filters")):
                result = call(colours, **parameters)
            else:
                result = np.stack([call(colours[..., i]) for i in range(3)], -1)
            image = np.concatenate([result, image[..., 3:]], -1)
    return image


@pytest.mark.parametrize("chunks", [None, (20, 20, 4), (20, 20, 1)])
@pytest.mark.parametrize("steps", RECIPES.values(), ids=RECIPES)
def test_recipes_carry_it_from_step_to_step(steps, chunks):
    image = (RGBA / 255).astype(np.float32)
    layout = StackLayout(AxisSelection("yxc", "yx", NAMES), 16)
    array = image if chunks is None else da.from_array(image, chunks=chunks)
    result = apply_recipe(tw.Recipe(steps), array, layout=layout)[0].value
    expected = colours_alone(steps, image)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(np.asarray(result), expected)
    for channels in (slice(3, 4), slice(1, 2), slice(2, 4)):
        np.testing.assert_array_equal(
            np.asarray(result[5:30, 3:, channels]), expected[5:30, 3:, channels]
        )


# Scripts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "grey.tif", "planar.tif", "a.ome.zarr"])
@pytest.mark.parametrize("steps", [*RECIPES.values(), [("filters.gaussian", {})]])
@pytest.mark.filterwarnings("ignore:.*alpha")
def test_a_script_makes_what_the_run_makes(tmp_path, name, steps):
    path, *_ = written(tmp_path, name)
    image = tw.open(path)
    colours = alpha_of([channel.name for channel in image.channels])
    if colours < 3 and any(step.startswith("color") for step, _ in steps):
        pytest.skip("grey is no colour")
    axis = image.axes.index("c")
    steps = [(step, {"channel_axis": axis} if parameters.get("channel_axis") else parameters)
             for step, parameters in steps]  # fmt: skip
    recipe, axes = tw.Recipe(steps), "".join(image.axes)
    if steps[-1][0] == "color.rgba2rgb":
        with pytest.raises(InvalidImage, match=r"has an alpha, which a step of this script takes"):
            execute(recipe.to_script(axes=axes), path, tmp_path / "refused.ome.zarr")
        steps = steps[1:]
        recipe = tw.Recipe(steps)
    run = tw.open(tw.run(recipe, path, tmp_path / "run.ome.zarr").path)
    execute(recipe.to_script(axes=axes), path, tmp_path / "script.ome.zarr")
    script = tw.open(tmp_path / "script.ome.zarr")
    assert script.axes == run.axes
    np.testing.assert_array_equal(script.data[:], run.data[:])
    assert script.data.dtype == run.data.dtype
    if alpha_of([channel.name for channel in run.channels]) is not None:
        names = [[channel.name for channel in image.channels] for image in (script, run)]
        assert names[0] == names[1]


@pytest.mark.parametrize("first", ["a.png", "rgb.png"])
def test_a_further_picture_is_read_without_its_alpha(tmp_path, first):
    """Whether or not the first one has one, in a run as in a script."""
    pillow.fromarray(RGBA[..., :3]).save(tmp_path / "rgb.png")
    path = written(tmp_path, first)[0] if first in FILES else tmp_path / first
    other = tmp_path / "other.png"
    pillow.fromarray(RGBA[::-1].copy()).save(other)
    recipe = tw.Recipe([Step("numpy.add", {}, inputs={"x2": "other"})], inputs=["other"])
    result = tw.run(recipe, path, tmp_path / "run.ome.zarr", inputs={"other": other}).path
    after, kept = divided(result)
    expected = RGBA[..., :3] + RGBA[::-1, :, :3]
    np.testing.assert_array_equal(after, np.moveaxis(expected, -1, 0))
    assert (kept is None) == (first == "rgb.png")
    script = recipe.to_script(axes="yxc")
    execute(script, path, tmp_path / "script.ome.zarr", "--other", other)
    np.testing.assert_array_equal(
        tw.open(tmp_path / "script.ome.zarr").data[:], tw.open(result).data[:]
    )


def test_an_array_of_four_channels_says_nothing(tmp_path):
    result = tw.apply("filters.gaussian", RGBA, channel_axis=-1)
    np.testing.assert_array_equal(result, ski.filters.gaussian(RGBA, channel_axis=-1))
    np.save(tmp_path / "a.npy", RGBA)
    path = tw.run(DILATION, tmp_path / "a.npy", tmp_path / "b.npy", axes="yxc", spatial="yx").path
    expected = each(ski.morphology.dilation, np.moveaxis(RGBA, -1, 0))
    np.testing.assert_array_equal(np.load(path), np.moveaxis(expected, 0, -1))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES, 3),
        (("gray", "alpha"), 1),
        (("Red", "Green", "Blue", "Alpha", ""), 3),
        (("Cyan", "Magenta", "Yellow", "Black", "Alpha"), 4),
        (("DAPI", "Alpha"), None),
        (("Alpha",), None),
        (("Red", "Green", "Blue"), None),
        ((), None),
    ],
)
def test_what_is_an_alpha_is_what_the_names_say(names, expected):
    assert alpha_of(names) == expected
