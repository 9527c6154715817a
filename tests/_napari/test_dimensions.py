"""Which axes an operation runs over: space and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.layers.dimensions import channel_axis, choices
from napari_tilewise.errors import InvalidAxes

GAUSSIAN = OPERATIONS["filters.gaussian"]
UNNAMED = ("axis -4", "axis -3", "axis -2", "axis -1")


def ways(labels, displayed=None, ndim=(1, 8)):
    op = SimpleNamespace(limits=SimpleNamespace(ndim=ndim), title="Op")
    shown = displayed or tuple(range(len(labels)))[-2:]
    return [way.axes for way in choices(op, labels, shown)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("y", "x"), [(0, 1)]),
        (("c", "y", "x"), [(1, 2)]),
        (("t", "y", "x"), [(1, 2)]),
        (("z", "y", "x"), [(0, 1, 2), (1, 2)]),
        (("t", "c", "z", "y", "x"), [(2, 3, 4), (3, 4)]),
        (("Time", "Height", "Width"), [(1, 2)]),
        (UNNAMED[-2:], [(0, 1)]),
        (UNNAMED[-3:], [(1, 2), (0, 1, 2)]),
        (UNNAMED, [(2, 3), (1, 2, 3)]),
    ],
)
def test_axes_of_space(labels, expected):
    assert ways(labels) == expected


def test_unnamed_axes_follow_what_is_displayed():
    assert ways(UNNAMED[-3:], displayed=(0, 2))[0] == (0, 2)
    assert ways(UNNAMED[-3:], displayed=(2, 0, 1))[0] == (0, 1)


def test_only_the_ways_that_the_operation_takes():
    assert ways(("z", "y", "x"), ndim=(2, 2)) == [(1, 2)]
    assert ways(("z", "y", "x"), ndim=(3, 3)) == [(0, 1, 2)]
    with pytest.raises(InvalidAxes, match="3 spatial axes"):
        ways(("t", "y", "x"), ndim=(3, 3))


def test_channel_axis_is_told_by_the_layer():
    assert channel_axis(GAUSSIAN, ("y", "x"), is_rgb=True) == 2
    assert channel_axis(GAUSSIAN, ("c", "y", "x"), is_rgb=False) is None
