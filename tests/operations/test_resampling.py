"""SciPy's geometry tile by tile: the property tests draw splines more often than what is tiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise as tw
from napari_tilewise.engine.events import TileDone
from napari_tilewise.engine.passes import walks
from napari_tilewise.operations.ndimage import spline_coefficients
from tests.sources import ArrayLike

if TYPE_CHECKING:
    from pathlib import Path

CALLS: dict[str, list[dict[str, Any]]] = {
    "shift": [{"shift": (2.5, -7.25)}, {"shift": -3}],
    "zoom": [{"zoom": (1.7, 0.6)}, {"zoom": 0.45, "grid_mode": True}],
    "rotate": [{"angle": 31.5}, {"angle": -90, "reshape": False}],
    "affine_transform": [
        {"matrix": [[0.9, 0.3], [-0.2, 1.1]], "offset": (3, -4.5), "output_shape": (31, 44)},
        {"matrix": [1.3, 0.7], "offset": 2},
    ],
}
TILED = ("constant", "nearest", "mirror", "reflect", "grid-mirror", "grid-constant")
SPLINES = [
    *(("constant", order) for order in (2, 3, 4, 5)),
    *((mode, order) for mode in TILED[1:] for order in ((2, 5) if mode == "nearest" else (3, 4))),
]


@pytest.mark.filterwarnings("ignore:It is recommended to use mode")  # SciPy, of grid_mode
@pytest.mark.parametrize("mode", TILED)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_tiles_have_the_whole_images_bits(name: str, order: int, mode: str) -> None:
    rng = np.random.default_rng(0)
    for params in CALLS[name]:
        for dtype in ("uint8", "float64", "bool"):
            image = (rng.random((53, 37)) * 2).astype(dtype)
            options = {**params, "order": order, "mode": mode, "cval": 1}
            expected = getattr(ndi, name)(image, **options)
            result = tw.apply(f"ndimage.{name}", image, tiles=(12, 9), **options)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


@pytest.mark.filterwarnings("ignore:It is recommended to use mode")  # SciPy, of grid_mode
@pytest.mark.parametrize(("mode", "order"), SPLINES)
@pytest.mark.parametrize("name", [*CALLS, "map_coordinates"])
def test_splines_have_the_whole_images_bits(
    name: str, mode: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline_coefficients, "SMALL", 0)
    rng = np.random.default_rng(order)
    coordinates = {"coordinates": rng.uniform(-80, 140, (2, 300))}
    images = (("uint8", (53, 37)), ("float32", (53, 4)), ("bool", (7, 37)), ("float64", (2, 40)))
    for number, params in enumerate(CALLS.get(name, [coordinates])):
        for dtype, shape in images:
            image = (rng.random(shape) * 2).astype(dtype)
            options = {**params, "order": order, "prefilter": number == 0, "cval": 1, "mode": mode}
            expected = getattr(ndi, name)(image, **options)
            result = tw.apply(f"ndimage.{name}", image, tiles=(12, 9), **options)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


def test_volumes_are_rotated_plane_by_plane_and_zoom_1_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spline_coefficients, "SMALL", 0)
    volume = np.random.default_rng(0).random((20, 17, 5))
    rotated = tw.apply("ndimage.rotate", volume, angle=20, tiles=7)
    np.testing.assert_array_equal(rotated, ndi.rotate(volume, 20))
    zoomed = tw.apply("ndimage.zoom", volume, zoom=1.3, tiles=7)
    np.testing.assert_array_equal(zoomed, ndi.zoom(volume, 1.3))
    np.testing.assert_array_equal(tw.apply("ndimage.zoom", volume, zoom=1, tiles=7), volume)


@pytest.mark.parametrize("shape", [(70, 300), (300, 70), (1, 9), (6, 5, 4), (90,)])
def test_slabs_hold_each_line_once(shape: tuple[int, ...]) -> None:
    for axis, length in enumerate(shape):
        counts = np.zeros(shape, int)
        slabs = list(spline_coefficients._slabs(shape, axis, 500))
        for slab in slabs:
            counts[slab] += 1
            assert slab[axis] == slice(0, length)
        assert (counts == 1).all()
        most = max(500, length * min(shape[-1], spline_coefficients.SHORTEST))
        assert max(counts[slab].size for slab in slabs) <= most


def test_coefficients_that_do_not_fit_are_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spline_coefficients, "SMALL", 0)
    created = []
    touch = walks.MappedFile.__init__
    monkeypatch.setattr(walks, "IN_MEMORY", 0)
    monkeypatch.setattr(
        walks.MappedFile, "__init__",
        lambda file, *arguments: (created.append(arguments[0].name), touch(file, *arguments))[1],
    )  # fmt: skip
    image = np.random.default_rng(0).random((90, 70))
    path = tmp_path / "turned.ome.zarr"
    tw.run(("ndimage.rotate", {"angle": 9.0, "reshape": False}), image, path, pyramid=False)
    assert created == ["coefficients"]
    np.testing.assert_array_equal(
        np.asarray(tw.open(path).data[:, :]), ndi.rotate(image, 9, reshape=False)
    )


@pytest.mark.parametrize("mode", ["constant", "nearest"])
def test_a_resumed_run_does_not_go_the_way_again(
    mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(spline_coefficients, "SMALL", 0)
    monkeypatch.setattr(walks.WalkRunner, "repeated", 0)
    image = np.random.default_rng(0).random((300, 280))
    np.save(tmp_path / "image.npy", image)
    titles: list[str] = []

    def interrupt(event: Any) -> None:
        titles.append(getattr(event, "title", ""))
        if isinstance(event, TileDone) and event.title == "ndimage.rotate":
            raise KeyboardInterrupt

    def run(progress: Any) -> None:
        step = ("ndimage.rotate", {"angle": 9.0, "reshape": False, "mode": mode})
        tw.run(
            step, tmp_path / "image.npy", tmp_path / "turned.ome.zarr", pyramid=False,
            progress=progress,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert any("coefficients" in title for title in titles)
    titles.clear()
    run(lambda event: titles.append(getattr(event, "title", "")))
    assert "ndimage.rotate" in titles
    assert not any("coefficients" in title for title in titles)
    turned = np.asarray(tw.open(tmp_path / "turned.ome.zarr").data[:, :])
    np.testing.assert_array_equal(turned, ndi.rotate(image, 9, reshape=False, mode=mode))


@pytest.mark.parametrize("mode", ["mirror", "reflect"])
def test_coordinates_are_folded_as_scipy_folds_them(mode: str) -> None:
    """Far away, just beside the folds, and where a fold ends between two numbers."""
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 10):
        image = rng.random(length)
        points = [0.0, -0.0, -1e-17, -1e-15, 5e-324, -0.3, length - 1 + 1e-9, length - 0.5]
        halves = np.arange(-5 * length, 5 * length) / 2
        lines = [points, halves, np.nextafter(halves, -99), rng.normal(0, 1000, 200)]
        coordinates = np.concatenate(lines)[None]
        options: dict[str, Any] = {"order": 1, "mode": mode}
        values = tw.apply(
            "ndimage.map_coordinates", image, coordinates=coordinates, tiles=3, **options
        )
        np.testing.assert_array_equal(values, ndi.map_coordinates(image, coordinates, **options))


@pytest.mark.parametrize("mode", ["constant", "mirror", "reflect", "nearest"])
def test_a_part_of_the_image_far_outside_is_small(mode: str) -> None:
    """However far a tile lies outside, or across the image's end, no more than itself is read."""
    image = np.random.default_rng(0).random((400, 400))
    source = ArrayLike(image, (20, 20))
    options: dict[str, Any] = {"shift": (-310.5, 777.25), "order": 1, "mode": mode}
    result = tw.apply("ndimage.shift", source, tiles=20, **options)
    view = result[80:120, 180:200].compute()
    np.testing.assert_array_equal(view, ndi.shift(image, **options)[80:120, 180:200])
    assert all(read.stop - read.start <= 60 for box in source.reads for read in box)


def test_a_view_reads_its_part_of_the_image() -> None:
    image = np.random.default_rng(0).random((400, 400))
    source = ArrayLike(image, (20, 20))
    result = tw.apply("ndimage.zoom", source, zoom=0.5, order=1, tiles=20)
    view = result[40:60, 40:60].compute()
    np.testing.assert_array_equal(view, ndi.zoom(image, 0.5, order=1)[40:60, 40:60])
    assert all(60 <= read[0].start and read[0].stop <= 140 for read in source.reads)
