"""A driver's passes: sweeps to a fixed point, several results, other images, the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage import data, morphology

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.engine.stored import stored_image
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.operations.shared.whole import whole, whole_halo
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Kind,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Sweep,
    Tiles,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, OtherImage

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=["memory", "disk"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where intermediate images are kept."""
    if request.param == "disk":
        monkeypatch.setattr(stored_image, "IN_MEMORY", 0)
    return str(request.param)


def reconstruction(visited: list[Any]) -> Operation:
    """Return reconstruction by dilation, swept; `visited` counts the tiles computed."""

    def plan(call: Call) -> Plan:
        def compute(block: Block) -> np.ndarray:
            visited.append(block.position)
            state = np.minimum(block.images["state"], block.images["mask"])
            return np.asarray(morphology.reconstruction(state, block.images["mask"]))

        def start(block: Block) -> np.ndarray:
            return block.data

        visited.append((yield Sweep(compute, np.float64, start)))
        return Tiles(lambda block: block.images["state"])

    return Operation(
        name="morphology.reconstruction",
        kind=Kind.ITERATIVE,
        specs={"mask": AlignedImage(optional=False)},
        result=ResultSpec(dtype=lambda call: np.float64),
        plan_of=plan,
    )


def test_sweeps_reach_the_whole_images_fixed_point(kept: str) -> None:
    mask = data.camera()[100:220, 40:200].astype(float)
    seed = mask - 40
    seed[60, 80] = mask.max()
    visited: list[Any] = []
    stack = build(
        reconstruction(visited),
        np.minimum(seed, mask),
        {"mask": mask},
        Session(1),
        StackLayout(tiles=(33, 40)),
    )
    expected = morphology.reconstruction(np.minimum(seed, mask), mask)
    np.testing.assert_array_equal(compute(stack), expected)
    sweeps = visited[-1]
    assert sweeps > 1
    # Tiles whose surroundings stand still are left out: fewer than every tile in every sweep.
    assert len(visited) - 1 < 16 * (sweeps + 1)


def test_a_sweep_can_be_continued_and_limited(kept: str) -> None:
    def plan(call: Call) -> Plan:
        def spread(block: Block) -> np.ndarray:
            return np.asarray(morphology.dilation(block.images["state"]))

        first = yield Sweep(spread, bool, start=lambda block: block.data, most=3)
        second = yield Sweep(spread, bool, most=2)
        assert (first, second) == (3, 2)
        return Tiles(lambda block: block.images["state"])

    image = np.zeros((30, 31), bool)
    image[11, 9] = True
    op = Operation(name="morphology.dilation", kind=Kind.ITERATIVE, plan_of=plan)
    expected = morphology.dilation(image, morphology.diamond(5))
    found = compute(build(op, image, {}, Session(2), StackLayout(tiles=(7, 8))))
    np.testing.assert_array_equal(found, expected)


def test_several_results_share_their_passes() -> None:
    passes = []

    def plan(call: Call) -> Plan:
        passes.append("sum")
        total = yield Reduce(lambda block: int(block.data.sum()), lambda a, b: a + b)
        return Parts((Tiles(lambda block: block.data > 3), Value(total)))

    op = Operation(
        name="measure.label",
        kind=Kind.STATISTIC,
        plan_of=plan,
        result=ResultSpec(
            output=Output.MASK,
            parts=lambda call: (
                Part(Output.MASK, bool, call.shape),
                Part(Output.SCALAR, int, ()),
            ),
        ),
    )
    image = np.arange(12).reshape(3, 4)
    mask, total = build(op, image, {}, Session(), StackLayout(tiles=2)).results()
    np.testing.assert_array_equal(compute(mask), image > 3)
    assert total.value() == image.sum()
    assert passes == ["sum"]


def test_another_image_of_any_size_is_gathered_over_by_itself() -> None:
    def plan(call: Call) -> Plan:
        total = yield Reduce(
            lambda block: int(block.data.sum()), lambda a, b: a + b, image="reference"
        )
        return Tiles(lambda block: block.data + total)

    op = Operation(
        name="exposure.match_histograms",
        kind=Kind.STATISTIC,
        specs={"reference": OtherImage(optional=False)},
        plan_of=plan,
    )
    stack = build(
        op,
        np.zeros((5, 6), int),
        {"reference": np.ones((3000, 7), int)},
        Session(),
        StackLayout(tiles=2),
    )
    np.testing.assert_array_equal(compute(stack), np.full((5, 6), 21000))


def on_the_whole(plan: Callable[[Call], Plan] = whole) -> Operation:
    """Return an operation that needs the whole image."""
    return Operation(
        name="morphology.area_opening",
        kind=Kind.WHOLE,
        plan_of=plan,
        neighbourhood=Neighbourhood(halo=whole_halo),
    )


def test_the_whole_image_is_computed_once_and_handed_out() -> None:
    image = data.camera()[:60, :70]
    stack = build(on_the_whole(), image, {}, Session(), StackLayout(tiles=16))
    np.testing.assert_array_equal(compute(stack), morphology.area_opening(image))


def test_a_whole_image_that_does_not_fit_is_refused_with_the_number() -> None:
    stack = build(on_the_whole(), data.camera(), {}, Session(memory=2**20), StackLayout(tiles=16))
    with pytest.raises(
        MemoryBudgetExceeded,
        match=r"the whole image at once.*takes 8\.0 MiB.*1\.0 MiB are available",
    ):
        compute(stack)


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest"])
def test_a_lopsided_footprint_finds_what_the_border_mirrors(mode: str) -> None:
    image = data.camera()[:9, :23]
    footprint = np.array([[0, 0, 0, 0, 1, 1, 1]], np.uint8)
    found = tw.apply("morphology.erosion", image, footprint=footprint, mode=mode, tiles=(3, 1))
    expected = morphology.erosion(image, footprint, mode=mode)
    np.testing.assert_array_equal(found, expected)
