"""Very many planes: what is done on each is done once, and takes next to no memory afterwards."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from skimage import exposure, segmentation

import napari_tilewise as tw
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine import planes as planes_module
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import PassStarted
from napari_tilewise.engine.session import Session
from napari_tilewise.provenance import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_tilewise.engine.events import Event
    from napari_tilewise.engine.stack import Stack

COUNT, HEIGHT, WIDTH = 12, 24, 20
BYTES = HEIGHT * WIDTH * 8
"""Of a level set of one plane."""


class Passes(Counter[str]):
    """The passes of a session, by title."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, PassStarted):
            self[event.title] += 1


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 200, (COUNT, HEIGHT, WIDTH)).astype(np.uint8)


@pytest.fixture(params=["few runners", "few bytes"])
def _scarce(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "few runners":
        monkeypatch.setattr(planes_module, "MOST_RUNNERS", 2)
    else:
        monkeypatch.setattr(planes_module, "IN_MEMORY", 2 * BYTES)


def stack_of(name: str, images: np.ndarray, passes: Passes, **parameters: Any) -> Stack:
    session = Session(workers=1, control=Control(passes))
    layout = StackLayout(AxisSelection("zyx", "yx"), tiles=(8, WIDTH))
    return build(tw.OPERATIONS[name], images, parameters, session, layout)


def read_by_rows(stack: Stack) -> np.ndarray:
    """Return a stack that is read part by part, each from all planes."""
    rows = [
        stack.read((slice(0, COUNT), slice(row, row + 8), slice(0, WIDTH)))
        for row in range(0, HEIGHT, 8)
    ]
    return np.concatenate(rows, axis=1)


@pytest.mark.usefixtures("_scarce")
@pytest.mark.parametrize(
    ("name", "parameters", "function"),
    [
        ("exposure.equalize_hist", {}, exposure.equalize_hist),
        ("segmentation.chan_vese", {"max_num_iter": 2}, segmentation.chan_vese),
    ],
)
def test_the_passes_on_a_plane_are_done_once(
    name: str, parameters: dict[str, Any], function: Callable[..., Any], images: np.ndarray
) -> None:
    passes = Passes()
    stack = stack_of(name, images, passes, **parameters)
    expected = np.stack([function(plane, **parameters) for plane in images])
    np.testing.assert_array_equal(read_by_rows(stack), expected)
    once = Counter(passes)
    np.testing.assert_array_equal(read_by_rows(stack), expected)
    assert once
    assert passes == once


@pytest.mark.usefixtures("_scarce")
def test_images_of_planes_that_are_done_are_not_in_memory(images: np.ndarray) -> None:
    stack = stack_of("segmentation.chan_vese", images, Passes(), max_num_iter=2)
    read_by_rows(stack)
    runners = stack.planes._runners.values()
    assert sum(runner.nbytes for runner in runners) <= 3 * BYTES


@pytest.mark.usefixtures("_scarce")
@pytest.mark.parametrize("name", ["exposure.equalize_hist", "measure.label"])
def test_long_results_of_planes_that_are_done_are_not_in_memory(
    name: str, images: np.ndarray
) -> None:
    long = images.astype(np.uint16) * 300  # a histogram of as many bins
    stack = stack_of(name, long if name == "exposure.equalize_hist" else images, Passes())
    read_by_rows(stack)
    assert len(stack.planes._runners) <= 3  # two, and the one that is read
    function = tw.OPERATIONS[name].raw_function
    images = stack.source.array
    np.testing.assert_array_equal(read_by_rows(stack), [function(plane) for plane in images])


def test_thresholds_of_all_planes_are_recorded(
    images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes_module, "MOST_RUNNERS", 2)
    source = zarr.create_array(tmp_path / "in.zarr", data=images, chunks=(1, 8, WIDTH))
    events: list[Event] = []
    tw.run(
        "filters.threshold_mean", source, tmp_path / "out.ome.zarr", axes="tyx", pyramid=False,
        progress=events.append,
    )  # fmt: skip
    (values,) = record.read(tmp_path / "out.ome.zarr")["values"].values()
    np.testing.assert_array_equal(values, images.mean(axis=(1, 2)))
    titles = [event.title for event in events if isinstance(event, PassStarted)]
    assert len(titles) == COUNT + 1
