"""What goes through a function in one call: small images, and larger ones where a kernel pays."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage import data, filters, measure

import napari_tilewise as tw
from napari_tilewise.engine import at_once
from napari_tilewise.errors import Cancelled
from napari_tilewise.kernels import available

if TYPE_CHECKING:
    from napari_tilewise.engine.events import Event

LARGE = np.random.default_rng(0).random((600, 700)) < 0.4


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call of `apply` so far was computed at once."""
    results: list[bool] = []
    computed = at_once.computed_at_once

    def noted(*args: Any) -> Any:
        result = computed(*args)
        results.append(result is not None)
        return result

    monkeypatch.setattr("napari_tilewise.engine.apply.computed_at_once", noted)
    return results


def test_a_large_image_goes_whole_where_a_kernel_stands_for_the_function(calls: list[bool]) -> None:
    result = tw.apply("measure.label", LARGE, connectivity=1)
    np.testing.assert_array_equal(result, measure.label(LARGE, connectivity=1))
    assert calls == [available()]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tiles": 300},
        {"cancel": None, "progress": lambda event: None},
        {"spatial": "x", "axes": "yx"},
    ],
)
def test_tiles_compute_what_asks_for_them(calls: list[bool], arguments: dict[str, Any]) -> None:
    tw.apply("measure.label", LARGE, **arguments)
    assert calls == []


def test_progress_is_told_of_small_images_too() -> None:
    events: list[Event] = []
    tw.apply("filters.gaussian", LARGE[:50, :50], progress=events.append)
    assert events


def test_the_result_is_never_the_input(calls: list[bool]) -> None:
    image = np.random.default_rng(1).random((20, 30))
    result = tw.apply("util.img_as_float", image)
    assert calls == [True]
    assert not np.shares_memory(result, image)


def test_memory_is_looked_up_for_much_only(
    calls: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "available_memory", lambda: 2**20)
    tw.apply("measure.label", LARGE)
    monkeypatch.setattr(at_once, "LITTLE", 2**20)
    tw.apply("measure.label", LARGE)
    assert calls == [available(), False]


def test_one_tile_needs_no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a sweep over one tile")

    coins = data.coins()
    monkeypatch.setattr("napari_tilewise.engine.session.sweep", refused)
    assert tw.apply("filters.threshold_mean", coins) == filters.threshold_mean(coins)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        tw.apply("filters.threshold_mean", coins, cancel=cancel)


FINITE = [op.name for op in tw.OPERATIONS.values() if op.cost.at_once.finite]


@pytest.mark.parametrize("name", FINITE)
def test_plans_answer_to_nan(calls: list[bool], name: str) -> None:
    image = np.random.default_rng(2).random((20, 30))
    expected = tw.OPERATIONS[name].function(image)
    np.testing.assert_array_equal(tw.apply(name, image), expected)
    image[3, 4] = np.nan
    answers = []
    for tiles in ("auto", 32):
        try:
            answers.append(repr(tw.apply(name, image, tiles=tiles)))
        except tw.TilewiseError as error:
            answers.append(str(error))
    assert calls == [True, False]
    assert answers[0] == answers[1]


def test_parameters_that_are_equal_and_not_the_same_are_told_apart() -> None:
    image = np.array([[0.0, -1.0], [2.0, 3.0]])
    for value in (0.0, -0.0, 0):
        result = tw.apply("numpy.multiply", image, x2=value)
        expected = np.multiply(image, value)
        assert result.dtype == expected.dtype
        assert result.tobytes() == expected.tobytes()


def test_what_is_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(tw.TilewiseError, match="gamma"):
            tw.apply("exposure.adjust_gamma", np.ones((4, 5)), gamma=-1)
        with pytest.raises(tw.TilewiseError, match="axes"):
            tw.apply("feature.canny", np.ones((4, 5, 6, 2)))
