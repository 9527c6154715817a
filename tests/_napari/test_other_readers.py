"""What is written opens in napari with the community's own reader, napari-ome-zarr."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

import napari_tilewise as tw
from napari_tilewise.io.image import Image
from napari_tilewise.io.metadata.channels import Channel

reader = pytest.importorskip("napari_ome_zarr")
pytestmark = pytest.mark.gui


def stack() -> Image:
    """Return an image of two channels with sizes, names and colours."""
    pixels = np.stack([data.coins(), data.coins()[::-1]])
    return Image(
        pixels, axes=("c", "y", "x"), scale=(1.0, 0.5, 0.25),
        units=(None, "micrometer", "micrometer"), levels=(pixels,), labels=False,
        name="coins", recipe=None, format="array",
        channels=(Channel("nuclei", "0000FF"), Channel("membranes", "00FF00")),
    )  # fmt: skip


def finest(layer) -> np.ndarray:
    """Return a layer's pixels at full resolution."""
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_napari_ome_zarr_opens_what_is_written(version, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=False)
    path = tmp_path / "coins.ome.zarr"
    tw.run("filters.gaussian", stack(), path, ome_zarr=version)
    viewer.open(str(path), plugin="napari-ome-zarr")
    layers = list(viewer.layers)
    assert [layer.name for layer in layers] == ["coins: nuclei", "coins: membranes"]
    for layer, pixels in zip(layers, stack().data, strict=True):
        np.testing.assert_array_equal(layer.scale, (0.5, 0.25))
        expected = tw.apply("filters.gaussian", pixels)
        np.testing.assert_array_equal(finest(layer), expected)


def test_napari_ome_zarr_opens_labels(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=False)
    path = tmp_path / "labels.ome.zarr"
    tw.run(["filters.threshold_otsu", "measure.label"], data.coins(), path)
    (layer,) = viewer.open(str(path), plugin="napari-ome-zarr")
    threshold = tw.apply("filters.threshold_otsu", data.coins())
    expected = tw.apply("measure.label", data.coins() > threshold)
    np.testing.assert_array_equal(finest(layer), expected)
