"""Lazy views show the pixels of the whole: of a part, of one plane, of axes in another order."""

import pickle

import numpy as np
import pytest

from napari_tilewise.engine.source import ArraySource
from napari_tilewise.engine.views.cropped import CroppedView
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.strided import StridedView
from napari_tilewise.engine.views.transposed import TransposedView

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


def test_a_plane_is_a_source_of_the_pixels_at_its_positions() -> None:
    plane = PlaneView(ArraySource(PIXELS), (0, 2), (3, 1))
    assert (plane.shape, plane.dtype, plane.axes) == ((6,), PIXELS.dtype, [1])
    np.testing.assert_array_equal(plane.read((slice(2, 5),)), PIXELS[3, 2:5, 1])


def test_a_strided_view_reads_every_nth_pixel() -> None:
    view = StridedView(PIXELS, (1, 2, 3))
    expected = PIXELS[:, ::2, ::3]
    assert (view.shape, view.dtype) == (expected.shape, expected.dtype)
    region = (slice(1, 3), slice(0, 2), slice(1, 2))
    np.testing.assert_array_equal(view[region], expected[region])
    np.testing.assert_array_equal(view.view(), expected)
