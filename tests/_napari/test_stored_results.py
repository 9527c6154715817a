"""What a run stores is read back as what it would be in memory, whatever file and results it has.

Without a window: layers, and the worker's functions as the panels call them.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import skimage as ski
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.jobs import compute, result_layers, result_numbers
from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.layers import dimensions, layer_pyramids, recording, snapshot
from napari_tilewise._napari.layers.snapshot_cache import BLOCK, StepMemo, digest
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.errors import Cancelled, InvalidImage
from napari_tilewise.pipeline.apply_recipe import apply_recipe

COINS = ski.data.coins()[:70, :90]
CAT = ski.data.cat()[:40, :50]


def job_of(layer, name, part=None, **params):
    """Return what a panel makes of an operation on a layer."""
    viewer = ViewerModel()
    viewer.add_layer(layer)
    op = OPERATIONS[name]
    is_rgb = bool(getattr(layer, "rgb", False))
    axis = dimensions.channel_axis(op, layer.axis_labels, is_rgb=is_rgb)
    request = recording.StepRequest(op, params, {}, tuple(range(layer.ndim)), axis)
    made = recording.applied_step(request, layer)
    shown = snapshot.shown_box(layer, viewer, without=made.source.hidden_axis)
    roots = recording.source_arrays(made.record, viewer.layers)
    return Job(made.recipe, made.source, shown, made.record, made.inputs, roots, part)


def computed(job):
    return compute.compute(job, lambda event: None, threading.Event())


def stored(job, path):
    return compute.store(job, Path(path), lambda event: None, threading.Event())


def layers(job, outcomes):
    return [result_layers.layer(job, outcome) for outcome in outcomes]


def pixels(layer):
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


@pytest.mark.parametrize("is_multiscale", [True, False], ids=["pyramid", "single"])
def test_zarr_arrays_run_whatever_their_layer_is_called(tmp_path, is_multiscale):
    levels = [
        zarr.create_array(tmp_path / "my #1 slide" / f"{step}.zarr", data=COINS[::step, ::step],
                          chunks=(20, 20))
        for step in (1, 2)
    ]  # fmt: skip
    data = levels if is_multiscale else levels[0]
    job = job_of(Image(data, name="slide", multiscale=is_multiscale), "filters.gaussian")
    expected = ski.filters.gaussian(COINS)
    for outcomes in (computed(job), stored(job, tmp_path / "out.ome.zarr")):
        (made,) = layers(job, outcomes)
        np.testing.assert_array_equal(pixels(made), expected)
    told = zarr.open_group(tmp_path / "out.ome.zarr").attrs["napari-tilewise"]
    assert told["source"]["location"] == str(tmp_path / "my #1 slide" / "1.zarr")


@pytest.mark.parametrize("make", [zarr.array, da.from_array], ids=["zarr", "dask"])
def test_arrays_in_memory_run_whatever_their_layer_is_called(tmp_path, make):
    job = job_of(Image(make(COINS, chunks=(32, 32)), name="a/b"), "filters.gaussian")
    (made,) = layers(job, stored(job, tmp_path / "out.ome.zarr"))
    np.testing.assert_array_equal(pixels(made), ski.filters.gaussian(COINS))


@pytest.mark.parametrize("suffix", [".ome.zarr", ".npy"])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("feature.structure_tensor", {}),
        ("feature.corner_foerstner", {}),
        ("filters.gabor", {"frequency": 0.2}),
        ("color.gray2rgb", {}),
        ("transform.hough_circle", {"radius": (5, 7)}),
        ("feature.multiscale_basic_features", {"sigma_max": 1.0}),
    ],
)
def test_every_result_is_read_back_as_it_is_in_memory(tmp_path, name, params, suffix):
    job = job_of(Image(COINS[:40, :52], name="coins"), name, **params)
    expected = computed(job)
    found = stored(job, tmp_path / f"out{suffix}")
    assert [one.number for one in found] == [one.number for one in expected]
    for made, like in zip(layers(job, found), layers(job, expected), strict=True):
        np.testing.assert_array_equal(pixels(made), pixels(like))
        assert (made.name, made.axis_labels) == (like.name, like.axis_labels)
        assert getattr(made, "rgb", None) == getattr(like, "rgb", None)
    last = replace(job, part=expected[-1].number)
    (one,) = stored(last, tmp_path / f"again{suffix}")
    assert one.number == expected[-1].number


def test_several_results_of_a_pyramid():
    levels = [da.from_array(COINS[::step, ::step], chunks=33) for step in (1, 2)]
    layer = Image(levels, multiscale=True, contrast_limits=(0, 255))
    job = job_of(layer, "feature.corner_foerstner", sigma=2)
    expected = ski.feature.corner_foerstner(COINS, sigma=2)
    made = layers(job, computed(job))
    assert len(made) == len(expected)
    for one, wanted in zip(made, expected, strict=True):
        np.testing.assert_array_equal(pixels(one), wanted)
    (second,) = computed(replace(job, part=1))
    np.testing.assert_array_equal(np.asarray(second.finest), expected[1])


def test_a_result_that_no_file_holds_is_refused(tmp_path):
    job = job_of(Image(COINS), "transform.pyramid_gaussian", part=2)
    with pytest.raises(InvalidImage, match="result 3 is requested"):
        stored(job, tmp_path / "out.ome.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif", ".tif", ".npy", ".png"])
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("filters.threshold_otsu", COINS),
        ("filters.median", COINS),
        ("util.invert", CAT),
    ],
    ids=["mask", "gray", "colours"],
)
def test_files_of_all_formats_are_read_back(tmp_path, name, source, suffix):
    job = job_of(Image(source, name="source"), name)
    (like,) = layers(job, computed(job))
    (made,) = layers(job, stored(job, tmp_path / f"out{suffix}"))
    assert type(made) is type(like)
    assert (pixels(made).dtype, made.ndim) == (pixels(like).dtype, like.ndim)
    np.testing.assert_array_equal(pixels(made), pixels(like))
    assert made.metadata["napari-tilewise"]["provenance"]["versions"]


@pytest.mark.parametrize("suffix", [".ome.tif", ".tif", ".npy"])
def test_stacks_are_read_back_from_any_file(tmp_path, suffix):
    stack = np.stack([np.roll(COINS, 5 * k, axis=0) for k in range(6)]).reshape(2, 3, 70, 90)
    layer = Image(stack.swapaxes(0, 1), axis_labels=("c", "t", "y", "x"))
    job = job_of(layer, "util.invert")
    (made,) = layers(job, stored(job, tmp_path / f"out{suffix}"))
    np.testing.assert_array_equal(pixels(made), ski.util.invert(layer.data))


def test_a_file_too_large_to_be_shown_is_written_only(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_pyramids, "LARGE", 1000)
    job = job_of(Image(COINS), "filters.gaussian")
    assert stored(job, tmp_path / "out.npy") == ()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), ski.filters.gaussian(COINS))


def test_contrast_is_chosen_by_little_of_what_is_large(monkeypatch):
    monkeypatch.setattr(layer_pyramids, "_SAMPLE", 100)
    level = da.zeros((7, 30, 20, 3), chunks=(1, 30, 20, 3))
    assert layer_pyramids.sample(level).shape == (30, 20, 3)
    assert layer_pyramids.sample(level[0, :5, :5, 0]).shape == (5, 5)


# -- what napari cannot show as it is --------------------------------------------------------------


def test_labels_of_a_float_image_are_an_image():
    job = job_of(Image(COINS / 255.0), "segmentation.expand_labels")
    (made,) = layers(job, computed(job))
    assert type(made) is Image
    np.testing.assert_array_equal(made.data, ski.segmentation.expand_labels(COINS / 255.0))


@pytest.mark.parametrize("is_made", [False, True], ids=["rgb", "labels of rgb"])
def test_tables_of_colours_show_the_labels_by_channel(is_made):
    layer = Image((CAT > 100).astype(np.uint8), rgb=True, scale=(2, 3), name="cat")
    expected = np.moveaxis(layer.data, -1, 0)
    if is_made:
        first = job_of(layer, "measure.label")
        (layer,) = layers(first, computed(first))
        expected = layer.data
    job = job_of(layer, "measure.regionprops_table")
    (table,) = layers(job, computed(job))
    assert type(table) is Labels
    np.testing.assert_array_equal(table.data, expected)
    np.testing.assert_array_equal(table.scale, (1, 2, 3))
    assert table.axis_labels[0] == "c"
    assert len(table.features)


@pytest.mark.parametrize("name", ["filters.rank_order", "segmentation.relabel_sequential"])
def test_values_of_several_lengths_are_told(name):
    source = Image(CAT, rgb=True, name="cat")
    job = job_of(source, name)
    outcomes = computed(job)
    assert isinstance(result_layers.layer(job, outcomes[0]), Image | Labels)
    for outcome in outcomes[1:]:
        assert "3 items, in the metadata of 'cat'" in result_numbers.note(job, outcome, source)


@pytest.mark.parametrize("name", ["measure.moments", "measure.shannon_entropy"])
def test_numbers_of_lazy_images_are_computed(name):
    job = job_of(Image(da.from_array(COINS, chunks=33)), name)
    (outcome,) = computed(job)
    (expected,) = computed(job_of(Image(COINS), name))
    assert type(outcome.data) is type(expected.data)
    np.testing.assert_array_equal(outcome.data, expected.data)


@pytest.mark.parametrize("name", ["feature.daisy", "transform.hough_circle"])
def test_an_axis_more_than_colours(name):
    params = {"radius": (5, 7)} if name == "transform.hough_circle" else {}
    source = Image(CAT, rgb=True, scale=(2, 3), name="cat")
    job = job_of(source, name, **params)
    (outcome,) = computed(job)
    (made,) = layers(job, [outcome])
    assert made.data.ndim == 4
    again = snapshot.take(made).finest
    (whole,) = apply_recipe(
        job.recipe, CAT, layout=StackLayout(AxisSelection(job.source.names, job.spatial))
    )  # fmt: skip
    np.testing.assert_array_equal(again, whole.value)


# -- what is at hand -------------------------------------------------------------------------------


def test_an_array_changed_in_place_is_noticed():
    image, other, cancel = COINS.copy(), COINS.copy(), threading.Event()
    source = Image(image)
    job = replace(job_of(source, "filters.gaussian"), memo=StepMemo())
    for _ in range(2):
        (outcome,) = computed(job)
        np.testing.assert_array_equal(outcome.data, ski.filters.gaussian(image))
    assert job.memo.nbytes
    image[33, 44] += 1
    (outcome,) = computed(job)
    np.testing.assert_array_equal(outcome.data, ski.filters.gaussian(image))
    job.memo.check({"other": other}, cancel)
    assert job.memo.nbytes
    other[0, 0] += 1
    job.memo.check({"other": other}, cancel)
    assert not job.memo.nbytes


def test_a_digest_sees_every_byte_of_any_array():
    rng = np.random.default_rng(0)
    cancel = threading.Event()
    for array in (
        rng.random((BLOCK // 2000, 300)),
        np.asfortranarray(rng.random((20, 30)) > 0.5),
        rng.random((3, 5, 7)).astype(np.float16)[:, ::2],
        rng.random(9) * 1j,
        np.arange(6, dtype=">u2"),
    ):
        before = digest(array, cancel)
        assert digest(array.copy(), cancel) == before
        changed = array.copy()
        at = np.unravel_index(array.size - 2, array.shape)
        changed[at] = changed[at] == 0
        assert digest(changed, cancel) != before
    cancel.set()
    with pytest.raises(Cancelled):
        digest(array, cancel)
