"""Views of a part of an image, or of its axes in another order, show the pixels of the whole."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from napari_tilewise.io.image import bare
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.axis_order import TransposedView, align_axes
from napari_tilewise.io.views.cropped import CroppedView, crop_image

PIXELS = np.arange(4 * 6 * 5).reshape(4, 6, 5)


class Chunked:
    """An array-like that is no NumPy array, with chunks."""

    def __init__(self, chunks):
        self.shape, self.dtype, self.chunks = PIXELS.shape, PIXELS.dtype, chunks

    def __getitem__(self, key):
        return PIXELS[key]


@pytest.mark.parametrize(
    "key", [(slice(None), slice(None)), 1, -1, (slice(1, 3), 2), (..., slice(0, 2), 1), (-2, -1)]
)
def test_a_cropped_view_is_sliced_as_the_part_is(key):
    view = CroppedView(PIXELS, [2, (1, 5), None])
    part = PIXELS[2, 1:5]
    assert (view.shape, view.dtype, view.ndim) == (part.shape, part.dtype, 2)
    np.testing.assert_array_equal(view[key], part[key])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(view))[:], part)


@pytest.mark.parametrize("chunks", [(1, 3, 5), ((1, 1, 1, 1), (3, 3), (5,))])
def test_a_cropped_view_has_the_chunk_lengths_of_its_axes(chunks):
    assert CroppedView(Chunked(chunks), [2, (1, 3), None]).chunks == (2, 5)


def test_a_transposed_view():
    view = TransposedView(Chunked((1, 3, 5)), [2, 0, 1])
    assert (view.shape, view.chunks) == ((5, 4, 6), (5, 1, 3))
    region = (slice(1, 4), slice(0, 2), slice(3, 6))
    np.testing.assert_array_equal(view[region], PIXELS.transpose(2, 0, 1)[region])


def test_scale_and_position_follow_the_pixels():
    image = replace(
        bare(PIXELS, "a", "array", "zyx"),
        scale=(3.0, 2.0, 0.5),
        units=("meter", "inch", None),
        level_positions=((10.0, 20.0, 30.0),),
    )
    part = crop_image(image, [2, (1, 5), None], "part", "a.tif")
    assert (part.axes, part.scale, part.units) == (("y", "x"), (2.0, 0.5), ("inch", None))
    assert part.translate == (22.0, 30.0)
    turned = align_axes(image, bare(PIXELS, "b", "array", "xzy"), "xzy")
    assert (turned.axes, turned.scale) == (("x", "z", "y"), (0.5, 3.0, 2.0))
    assert turned.translate == (30.0, 10.0, 20.0)
    np.testing.assert_array_equal(turned.data, PIXELS.transpose(2, 0, 1))


def test_a_tensorstore_that_begins_elsewhere_begins_at_0() -> None:
    pixels = np.arange(12 * 9).reshape(12, 9)

    class Type:
        numpy_dtype = pixels.dtype

    class Domain:
        origin = (10, -2)

    class Store:
        shape, dtype, domain = pixels.shape, Type(), Domain()

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            rows, columns = region
            assert rows.start >= 10
            return pixels[rows.start - 10 : rows.stop - 10, columns.start + 2 : columns.stop + 2]

    data = open_image(Store()).data
    np.testing.assert_array_equal(data[2:5, 3:9], pixels[2:5, 3:9])
    np.testing.assert_array_equal(data[:, :], pixels)
