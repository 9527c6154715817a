"""Tiles follow time as well as memory, and those of a begun run stay what they are."""

import functools
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from skimage import filters

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.control import NO_CONTROL
from napari_tilewise.engine.events import RunResumed, TileDone
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs import tile_time
from napari_tilewise.runs.planner import SHORTEST_TILE, make_plan
from napari_tilewise.runs.request import Resources, RunRequest


@pytest.fixture(autouse=True)
def small_process(monkeypatch):
    """Plan as in a user's process; this one holds what all tests before it have imported."""
    monkeypatch.setattr("napari_tilewise.runs.planner.resident", lambda: 200 * 2**20)


@pytest.fixture
def pace(monkeypatch):
    """Return a function that sets how long every pixel takes."""

    def set_pace(seconds):
        monkeypatch.setattr(tile_time, "_seconds_per_pixel", lambda *_: seconds)

    return set_pace


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.zarr"
    zarr.create_array(path, shape=(1200, 1100), chunks=(256, 256), dtype="uint8", fill_value=1)
    return str(path)


def planned(source, step="util.invert"):
    request = RunRequest(
        Recipe.of(step), source, {}, AxisSelection(None, None), Resources.of("1 GiB", 2, "threads")
    )
    return make_plan(request, NO_CONTROL, measures=True)


@pytest.mark.parametrize("microseconds", [0.001, 1, 20, 400, 10_000])
@pytest.mark.parametrize("step", ["util.invert", ("filters.gaussian", {"sigma": 2})])
def test_no_tile_takes_longer_than_two_seconds(microseconds, step, source, pace):
    pace(microseconds / 1e6)
    plan = planned(source, step)
    (halo,) = {h for pair in plan.last.halo for h in pair}
    seconds = microseconds / 1e6 * np.prod(np.add(plan.tile, 2 * halo))
    shortest = max(SHORTEST_TILE[2], 4 * halo)
    assert seconds <= tile_time.LONGEST or all(n < 2 * shortest for n in plan.tile)
    assert all(n >= shortest for n in plan.tile)
    assert all(t % c == 0 for t, c in zip(plan.tile, plan.output.chunks, strict=True))


def test_a_run_that_lasts_consists_of_many_tiles(source, pace):
    pace(1e-9)
    few = planned(source).tiles
    pace(2e-5)  # 13 seconds with two workers
    assert planned(source).tiles > 4 * few


def test_a_busy_machine_does_not_change_the_layout_of_an_output(source, pace):
    pace(1e-8)
    idle = planned(source)
    pace(1e-6)
    assert planned(source).output.chunks == idle.output.chunks


@pytest.mark.parametrize(
    "step", ["filters.butterworth", ("transform.resize", {"output_shape": (10**5, 10**5)}),
             "measure.label", ("filters.gaussian", {"sigma": 1000})],
)  # fmt: skip
def test_every_kind_is_measured_on_a_window_or_not_at_all(step, source):
    assert planned(source, step).tile  # at once, whatever the size of the result


@pytest.mark.parametrize("seconds", [1e-6, 0.009, 0.05])
def test_a_window_is_left_as_soon_as_its_pace_is_known(seconds, source, monkeypatch):
    """The clock goes on by so many seconds per 64 x 64 pixels that are computed."""
    clock, pixels = [0.0], []

    @tw.operation(dtype="same")
    def slow(image):
        clock[0] += seconds * image.size / tile_time.TILE
        pixels.append(image.size)
        return image.copy()

    monkeypatch.setattr(tile_time, "time", SimpleNamespace(thread_time=lambda: clock[0]))
    assert planned(source, "test_tile_time.slow").tile
    assert clock[0] <= tile_time.LONG + 2 * seconds
    assert max(pixels) == (tile_time.TILE if seconds > tile_time.SLOW_TILE else tile_time.WINDOW)


def test_what_takes_long_between_passes_is_done_once_and_is_not_the_pace(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 200, (600, 600)).astype(np.uint8)
    zarr.create_array(tmp_path / "noise.zarr", data=pixels, chunks=(256, 256))
    source, calls = str(tmp_path / "noise.zarr"), 0

    @functools.wraps(filters.threshold_multiotsu)
    def slow(*args, **options):
        nonlocal calls
        calls += 1
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        return np.array([1, 2])

    planned(source, "filters.threshold_multiotsu")  # imports what it needs
    monkeypatch.setattr(filters, "threshold_multiotsu", slow)
    monkeypatch.setattr(tile_time, "LONG", 0.04)
    paces = []
    measure = tile_time._seconds_per_pixel
    monkeypatch.setattr(
        tile_time, "_seconds_per_pixel", lambda *a: paces.append(measure(*a)) or paces[-1]
    )
    planned(source, "filters.threshold_multiotsu")
    assert calls == 1
    assert paces[0] * tile_time.WINDOW < 0.05


def test_the_tiles_of_a_begun_run_stay(source, pace, tmp_path):
    pace(2e-5)
    cancel, events = threading.Event(), []

    def cancel_soon(event):
        if isinstance(event, TileDone) and event.done == 3:
            cancel.set()

    out = tmp_path / "out.ome.zarr"
    options = {"workers": 1, "executor": "threads", "pyramid": False}
    with pytest.raises(errors.Cancelled):
        tw.run("util.invert", source, out, cancel=cancel, progress=cancel_soon, **options)
    pace(1e-9)  # another machine
    tw.run("util.invert", source, out, progress=events.append, **options)
    (resumed,) = (event for event in events if isinstance(event, RunResumed))
    assert resumed.done == 3
    assert np.all(zarr.open_group(out, mode="r")["0"][:] == 254)
