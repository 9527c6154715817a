"""Runs: the right pixels in a finished pyramid, or nothing at all and a clear sentence."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from skimage import data, filters, measure, morphology, segmentation, transform

import napari_tilewise as tw
from napari_tilewise.engine.events import Event, FirstOnly, RunDone, RunStarted, TileDone
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    InvalidAxes,
    InvalidImage,
    MemoryBudgetExceeded,
    OperationFailed,
    SourceUnreadable,
)
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.recipe import Step
from napari_tilewise.runs.plan import plan
from tests.runs.killed import KILL

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.io.image import Image

NUCLEI = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return np.pad(data.coins(), ((0, 900), (0, 701)), mode="symmetric")


def whole(image: np.ndarray) -> np.ndarray:
    smooth = filters.gaussian(image, sigma=2)
    return measure.label(smooth > filters.threshold_otsu(smooth))


@pytest.mark.parametrize(
    ("executor", "workers"), [("threads", None), ("threads", 5), ("serial", 1)]
)
def test_the_main_job(coins: np.ndarray, tmp_path: Path, executor: str, workers: int) -> None:
    result = tw.run(
        tw.Recipe(NUCLEI), coins, tmp_path / "n.ome.zarr", executor=executor, workers=workers
    )
    group = zarr.open_group(result.path, mode="r")
    expected = whole(coins)
    assert group["0"].dtype == expected.dtype
    np.testing.assert_array_equal(group["0"][:], expected)
    np.testing.assert_array_equal(group["1"][:], expected[::2, ::2])
    assert result.tiles > 1


def test_from_and_to_files_with_pixel_sizes(coins: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / "a.ome.zarr"
    array = zarr.create_array(tmp_path / "raw.zarr", data=coins, chunks=(300, 300))
    tw.run("util.invert", array, source, axes="yx")
    attrs = dict(zarr.open_group(source).attrs)
    attrs["ome"]["multiscales"][0]["axes"] = [
        {"name": n, "type": "space", "unit": "micrometer"} for n in "yx"
    ]
    for level, dataset in enumerate(attrs["ome"]["multiscales"][0]["datasets"]):
        dataset["coordinateTransformations"] = [
            {"type": "scale", "scale": [0.5 * 2**level, 0.25 * 2**level]}
        ]
    zarr.open_group(source).attrs.update(attrs)
    half = ("transform.rescale", {"scale": 0.5})
    result = tw.run(half, str(source), str(tmp_path / "b.ome.zarr"))
    made = open_image(result.path)
    np.testing.assert_array_equal(made.data[:], transform.rescale(255 - coins, 0.5))
    np.testing.assert_allclose(made.scale, (1.0, 0.5), rtol=1e-2)
    assert made.units == ("micrometer", "micrometer")
    assert made.recipe == tw.Recipe.of(half).to_dict()


def test_planes_of_a_film_are_labelled_alone(tmp_path: Path) -> None:
    film = np.stack([data.coins()[:200, :220], data.camera()[:200, :220]])
    result = tw.run(tw.Recipe(NUCLEI), film, tmp_path / "f.ome.zarr", axes="tyx")
    made = zarr.open_group(result.path)["0"][:]
    for t in range(2):
        np.testing.assert_array_equal(made[t], whole(film[t]))


@pytest.mark.parametrize("name", ["p.ome.zarr", "p.ome.tif", "p.tif", "p.npy"])
@pytest.mark.parametrize(
    ("axes", "spatial"),
    [("zyx", "yx"), ("zyx", "zx"), ("zyx", None), ("tczyx", "yx"), ("tczyx", None), ("cyx", "yx")],
)
def test_planes_and_volumes_of_a_stack(
    axes: str, spatial: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which axes go together decides what is computed, never how it can be written."""
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32, 3: 32})
    shape = {"t": 2, "c": 3, "z": 5, "y": 70, "x": 90}
    rng = np.random.default_rng(7)
    stack = rng.integers(0, 60000, [shape[axis] for axis in axes]).astype(np.uint16)
    result = tw.run("morphology.dilation", stack, tmp_path / name, axes=axes, spatial=spatial)
    made = open_image(result.path)
    together = [axis in (spatial or "zyx") for axis in axes]
    looped = [n for n, spatial in zip(stack.shape, together, strict=True) if not spatial]
    for index in np.ndindex(*looped):
        place = iter(index)
        region = tuple(slice(None) if spatial else next(place) for spatial in together)
        expected = morphology.dilation(stack[region])
        actual = (
            made.data[:] if made.axes == tuple(axes) or not made.axes else _in_order(made, axes)
        )
        np.testing.assert_array_equal(actual[region], expected)


@pytest.mark.parametrize("first", ["yx", "zyx"])
def test_steps_over_planes_and_over_volumes(first: str, tmp_path: Path) -> None:
    second = "zyx" if first == "yx" else "yx"
    stack = np.random.default_rng(3).random((9, 50, 60))
    array = zarr.create_array(tmp_path / "a.zarr", data=stack, chunks=(4, 20, 20))
    steps = [Step("filters.median", spatial=first), Step("filters.gaussian", spatial=second)]
    result = tw.run(tw.Recipe(steps), array, tmp_path / "b.ome.zarr", axes="zyx")
    expected = stack
    for function, over in ((filters.median, first), (filters.gaussian, second)):
        planes = [function(plane) for plane in expected] if over == "yx" else function(expected)
        expected = np.asarray(planes)
    np.testing.assert_array_equal(open_image(result.path).data[:], expected)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_input_in_another_order_of_axes(executor: str, tmp_path: Path) -> None:
    """OME-Zarr stores y before x, whatever the source's order is."""
    image = data.coins()[:64, :64].T
    markers = measure.label(image > 200)
    source = tmp_path / "a.npy"
    np.save(source, image)
    seeds = tw.run("napari_tilewise.copy", markers, tmp_path / "m.ome.zarr", axes="xy").path
    flood = Step("segmentation.watershed", inputs={"image": "source", "markers": "seeds"})
    result = tw.run(
        tw.Recipe([flood], inputs=["seeds"]), source, tmp_path / "w.npy",
        axes="xy", inputs={"seeds": seeds}, executor=executor, workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(np.load(result.path), segmentation.watershed(image, markers))


def test_a_result_of_no_pixels_is_refused(tmp_path: Path) -> None:
    crop = ("util.crop", {"crop_width": 5})
    with pytest.raises(InvalidImage, match=r"util\.crop leaves no pixels .*\(8, 64\)"):
        tw.run(crop, np.zeros((8, 64)), tmp_path / "a.npy", axes="yx")
    assert list(tmp_path.iterdir()) == []


def _in_order(image: Image, axes: str) -> np.ndarray:
    """Return the pixels in the order of axes that the source had, before the file's own."""
    order = [image.axes.index(axis) for axis in axes]
    return np.asarray(image.data[:]).transpose(order)


def test_values_go_to_a_table(coins: np.ndarray, tmp_path: Path) -> None:
    recipe = tw.Recipe([*NUCLEI, ("measure.regionprops_table", {"properties": ("label", "area")})])
    result = tw.run(recipe, coins, tmp_path / "t.csv")
    expected = measure.regionprops_table(whole(coins), properties=("label", "area"))
    read = np.genfromtxt(result.path, delimiter=",", names=True)
    np.testing.assert_array_equal(read["area"], expected["area"])


def test_progress_names_passes_and_ends_at_all_tiles(coins: np.ndarray, tmp_path: Path) -> None:
    events: list[Event] = []
    result = tw.run(tw.Recipe(NUCLEI), coins, tmp_path / "p.ome.zarr", progress=events.append)
    assert isinstance(events[0], RunStarted)
    assert events[0].memory == result.planned_memory
    assert isinstance(events[-1], RunDone)
    last = {event.title: event for event in events if isinstance(event, TileDone)}
    assert all(event.done == event.tiles for event in last.values())
    assert {"filters.threshold_otsu: histogram", "measure.label: connected pieces"} <= set(last)


@pytest.mark.parametrize("resume", [False, True])
def test_cancel_leaves_nothing_or_what_is_done(
    resume: bool, coins: np.ndarray, tmp_path: Path
) -> None:
    cancel = threading.Event()

    def stop(event: Event) -> None:
        if isinstance(event, TileDone) and event.title == "measure.label":
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run(
            tw.Recipe(NUCLEI), coins, tmp_path / "c.ome.zarr",
            progress=stop, cancel=cancel, resume=resume,
        )  # fmt: skip
    left = [path.name for path in tmp_path.iterdir()]
    assert all(name.startswith(".c.ome.zarr.") for name in left)
    assert bool(left) == resume


def test_an_error_in_one_tile_leaves_the_old_output(coins: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "e.ome.zarr"
    tw.run("util.invert", coins, path)
    negative = coins.astype(float)
    negative[-1, -1] = -1
    with pytest.raises(OperationFailed, match=r"exposure\.adjust_gamma failed on the tile \["):
        tw.run("exposure.adjust_gamma", negative, path, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(path)["0"][:], 255 - coins)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["e.ome.zarr"]
    tw.run("exposure.adjust_gamma", coins, path, overwrite=True)  # another image: starts afresh
    assert [p.name for p in tmp_path.iterdir()] == ["e.ome.zarr"]


def test_existing_output_is_kept_unless_asked(coins: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "o.ome.zarr"
    tw.run("util.invert", coins, path)
    with pytest.raises(DestinationExists, match="overwrite"):
        tw.run("filters.sobel", coins, path)
    tw.run("filters.sobel", coins, path, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(path)["0"][:], filters.sobel(coins))


def test_a_run_that_cannot_fit_names_what_it_needs(coins: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(
        MemoryBudgetExceeded, match=r"needs \d+(\.\d+)? [MG]iB.*budget is 50(\.0)? MiB"
    ):
        tw.run(tw.Recipe(NUCLEI), coins, tmp_path / "m.ome.zarr", memory="50 MiB")
    assert list(tmp_path.iterdir()) == []


def test_a_smaller_budget_takes_smaller_tiles_and_stays_below_it() -> None:
    image = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(65536, 65536), chunks=(1024, 1024), dtype="u2"
    )
    recipe = tw.Recipe(NUCLEI)
    large = plan(recipe, image, memory="4 GiB", axes="yx")
    small = plan(recipe, image, memory=large.budget.process + 100 * 2**20, axes="yx")
    assert np.prod(small.tile) < np.prod(large.tile)
    assert small.budget.total <= large.budget.process + 200 * 2**20
    assert all(t % c == 0 for t, c in zip(small.grid.tile, small.output.chunks, strict=True))


def test_unnamed_axes_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidAxes, match="axes="):
        tw.run("util.invert", np.zeros((2, 3, 40, 50), "u1"), tmp_path / "x.ome.zarr")


def test_what_is_made_of_labels_keeps_the_ids_in_every_level(tmp_path: Path) -> None:
    labels = measure.label(np.pad(data.coins(), ((0, 900), (0, 701)), mode="symmetric") > 120)
    recipe = tw.Recipe([("measure.label", {}), ("morphology.remove_small_objects", {})])
    group = zarr.open_group(tw.run(recipe, labels, tmp_path / "k.ome.zarr").path)
    np.testing.assert_array_equal(group["1"][:], group["0"][:][::2, ::2])


def test_a_mask_goes_along_with_the_run(coins: np.ndarray, tmp_path: Path) -> None:
    mask = coins > 50
    step = ("filters.sobel", {"mask": mask})
    result = tw.run(step, coins, tmp_path / "s.ome.zarr", workers=2)
    group = zarr.open_group(result.path)
    np.testing.assert_array_equal(group["0"][:], filters.sobel(coins, mask=mask))
    assert "shape (1203, 1085)" in str(dict(group.attrs))


def test_what_a_killed_run_left_is_cleared_by_the_next(coins: np.ndarray, tmp_path: Path) -> None:
    killed = """
import os, sys
import numpy as np
import napari_tilewise as tw
from napari_tilewise.engine.events import TileDone

def kill(event):
    if isinstance(event, TileDone):
        os.kill(os.getpid(), int(sys.argv[2]))

tw.run("util.invert", np.zeros((900, 900), "u1"), sys.argv[1], progress=kill)
"""
    path = tmp_path / "k.ome.zarr"
    ended = subprocess.run([sys.executable, "-c", killed, str(path), str(int(KILL))], check=False)
    assert ended.returncode in (-KILL, KILL), "on Windows it is not negative"
    assert not path.exists()
    (partial,) = tmp_path.glob(".*.partial-*")
    with pytest.raises(SourceUnreadable, match="unfinished"):
        open_image(partial)
    tw.run("util.invert", coins, path)
    assert [p.name for p in tmp_path.iterdir()] == ["k.ome.zarr"]


def test_that_the_first_of_several_images_is_written_is_said(tmp_path: Path) -> None:
    mask = data.coins() > 120
    step = ("morphology.medial_axis", {"return_distance": True, "rng": 0})
    axis, distance = tw.apply(step[0], mask, **step[1])
    events: list[Event] = []
    tw.run(step, mask, tmp_path / "a.npy", progress=events.append)
    assert [e for e in events if isinstance(e, FirstOnly)] == [FirstOnly(step[0], 2)]
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), axis)
    assert "\nresult  the first of 2: 303 x 384 bool" in tw.plan(step, mask).describe()

    events.clear()  # another one, by a step that takes it; what gives one image says nothing
    steps = [Step(*step, "axis"), Step("util.img_as_float", inputs={"image": "axis[1]"})]
    tw.run(tw.Recipe(steps), mask, tmp_path / "b.npy", progress=events.append)
    assert not [e for e in events if isinstance(e, FirstOnly)]
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), distance)
