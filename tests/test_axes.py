"""Axes: named or unknown, never guessed."""

import pytest

from napari_tilewise.axes import default_axes, kind, parse, spatial_indices
from napari_tilewise.errors import InvalidAxes


def test_axes_nobody_named_are_unknown():
    assert parse(None, 3) is None
    assert parse("", 3) is None


def test_letters_may_be_large_or_a_sequence():
    assert parse("TCYX", 4) == ("t", "c", "y", "x")
    assert parse(("z", "y", "x"), 3) == ("z", "y", "x")
    assert kind("s") == "channel"


@pytest.mark.parametrize(
    ("axes", "ndim", "words"),
    [
        ("yx", 3, "names 2 axes, but the image has 3"),
        ("yyx", 3, "names 'y' twice"),
        ("kyx", 3, "unknown letter 'k'"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes, ndim, words):
    with pytest.raises(InvalidAxes, match=words) as caught:
        parse(axes, ndim)
    assert repr(axes) in str(caught.value)


@pytest.mark.parametrize(
    ("ndim", "is_rgb", "axes"),
    [
        (2, False, "yx"),
        (3, False, "zyx"),
        (4, False, "tzyx"),
        (5, False, "tczyx"),
        (3, True, "yxc"),
    ],
)
def test_outputs_that_need_names_get_some(ndim, is_rgb, axes):
    assert "".join(default_axes(ndim, is_rgb=is_rgb)) == axes
    assert parse(axes, ndim) == tuple(axes)


@pytest.mark.parametrize(("ndim", "is_rgb"), [(6, False), (6, True), (1, True)])
def test_no_names_for_more_axes_than_are_conventional(ndim, is_rgb):
    with pytest.raises(InvalidAxes, match="name them"):
        default_axes(ndim, is_rgb=is_rgb)


@pytest.mark.parametrize(
    ("axes", "spatial", "ndim", "indices"),
    [
        (None, None, 3, (0, 1, 2)),
        ("tcyx", None, 4, (0, 1, 2, 3)),  # as in scikit-image
        ("tcyx", "yx", 4, (2, 3)),
        ("yxc", "yx", 3, (0, 1)),
        ("yxc", "xy", 3, (0, 1)),
        (None, "yx", 4, (2, 3)),
        (None, "zyx", 4, (1, 2, 3)),
        ("tyx", (-1, 1), 3, (1, 2)),
        (None, 1, 2, (1,)),
    ],
)
def test_spatial_axes(axes, spatial, ndim, indices):
    assert spatial_indices(axes, spatial, ndim) == indices


@pytest.mark.parametrize(
    ("axes", "spatial", "ndim", "words"),
    [
        ("tyx", "zyx", 3, "names 'z'"),
        (None, "cy", 3, "needs the names"),
        (None, "zyx", 2, "names 3 axes"),
        (None, (0, 5), 3, "names axis 5"),
        (None, (0, -3), 3, "twice"),
        ("yx", "yy", 2, "twice"),
        (None, (), 2, "names no axis"),
        (None, (0.5,), 2, "neither letters nor integers"),
    ],
)
def test_spatial_axes_that_do_not_fit_are_refused(axes, spatial, ndim, words):
    with pytest.raises(InvalidAxes, match=words):
        spatial_indices(axes, spatial, ndim)
