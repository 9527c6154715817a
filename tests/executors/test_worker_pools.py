"""Other processes, and runs that go on, find what threads find, bit for bit: every operation."""

from __future__ import annotations

import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine import session as engine_session
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.engine.passes.pass_runner import PassRunner
from napari_tilewise.engine.session import Session
from napari_tilewise.executors.assignment import Assignment, write_assignment
from napari_tilewise.executors.worker import Worker, read_assignment
from napari_tilewise.grid import Grid
from napari_tilewise.operations.segmentation import watershed
from napari_tilewise.operations.shared import global_numbers, prefix_sums, search, window_sums
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.operations.spec.value_specs import Number, Seed
from napari_tilewise.operations.transform import integral
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, recipe_images
from napari_tilewise.recipe import Recipe
from tests.executors.pickled_pool import PickledPool
from tests.operations.test_declarations import parameters_for, sample
from tests.strategies import cropped

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.operations.spec.operation import Operation

LENGTH, TILE = 96, 40
CASES = [
    (name, dtype)
    for name, op in tw.OPERATIONS.items()
    for dtype in (
        ("uint8", "float64")
        if {"u", "f"} <= set(op.limits.dtypes)
        and op.kind not in (Kind.POINTWISE, Kind.NEIGHBOURHOOD)
        else ("uint8",)
    )
]
"""Fractions too where passes find something: sums of integers are the same in any order."""


@pytest.fixture(autouse=True)
def several_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small images make several tiles a task, cells and bands, as only large ones do."""
    monkeypatch.setattr(engine_session, "task_size", lambda *_: 3)
    monkeypatch.setattr(integral, "CELL", {2: 32, 3: 24})
    for module in (prefix_sums, window_sums, global_numbers):
        monkeypatch.setattr(module, "PIECE", 2**11)
    monkeypatch.setattr(search, "LENGTH", {2: 32, 3: 24})
    monkeypatch.setattr(watershed, "REACH", {2: 24, 3: 16})


def reaching_less(op: Operation) -> dict[str, Any]:
    """Return lengths no longer than usual, of those that are: else all of a small image is near."""
    return {
        name: spec.usual[1]
        for name, spec in op.specs.items()
        if isinstance(spec, Number) and spec.length
        and isinstance(default := op.parameters[name].default, int | float)
        and default > spec.usual[1]
    }  # fmt: skip


def recipe_of(name: str, image: np.ndarray) -> Recipe:
    """Return an operation with what it requires, random numbers pinned."""
    op = tw.OPERATIONS[name]
    seeds = {key: 0 for key, spec in op.specs.items() if isinstance(spec, Seed)}
    return Recipe([(name, reaching_less(op) | parameters_for(op, image) | seeds)])


def small(name: str, dtype: str) -> tuple[np.ndarray, Recipe, Any]:
    """Return a small image that the operation takes, the operation, and what threads find."""
    image = sample(name, dtype)
    image = cropped(tw.OPERATIONS[name], image, LENGTH)
    recipe = recipe_of(name, image)
    try:
        return image, recipe, by_threads(recipe, image)
    except tw.TilewiseError:
        image = image > image.mean()  # what takes nothing but masks
        recipe = recipe_of(name, image)
        return image, recipe, by_threads(recipe, image)


def plain(found: Any) -> Any:
    """Return a function with parameters as what can be compared."""
    return (found.func, found.keywords) if isinstance(found, partial) else found


def found_by(made: Pipeline, reader: Pipeline) -> Any:
    """Return the chain's result; another chain reads its pixels, tile by tile as runs do.

    A result that is read at once begins at the image's corner, where nothing was before it.
    """
    last = made.last
    if not last.is_image:
        last.prepare(None)
        return last.value()
    last.prepare(tuple(slice(0, n) for n in last.shape))
    grid = Grid(last.shape, tuple(min(n, TILE) for n in last.shape))
    result = np.empty(last.shape, reader.last.dtype)
    for position in grid.positions():
        tile = reader.last.read(grid.region(position))
        result = result.astype(tile.dtype, copy=False)  # what pixels decide
        result[grid.region(position)] = tile
    return result


def by_threads(recipe: Recipe, image: np.ndarray) -> Any:
    """Return what threads find."""
    made = bind_recipe(recipe, recipe_images(recipe, image, None), Session(2), tiles=TILE)
    return found_by(made, made)


def by_others(recipe: Recipe, image: np.ndarray, folder: Path) -> Any:
    """Return what workers find."""
    checkpoint = Checkpoint(folder / "run", "key", {})
    assignment = Assignment(
        (), recipe, image, {}, None, None, TILE, (), str(checkpoint.folder),
        2**24, 2**30, 2**28, 1, None, None,
    )  # fmt: skip
    name = write_assignment(assignment)
    session = Session(
        1, checkpoint=checkpoint, worker_pool=PickledPool(str(checkpoint.folder), name)
    )
    made = bind_recipe(recipe, recipe_images(recipe, image, None), session, tiles=TILE)
    try:
        return found_by(made, Worker(read_assignment(str(checkpoint.folder), name)).pipeline)
    finally:
        checkpoint.remove()


@pytest.fixture
def begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin every plan anew after each pass, given only what passes found: as a run that goes on.

    Images that sweeps made stay, as they stay on disk.
    """
    done = PassRunner._done
    known: dict[PassRunner, list[bytes]] = {}

    def done_before(driver: PassRunner, number: int) -> Any:
        result = known.setdefault(driver, [])
        del result[number:]
        result.append(pickle.dumps(done(driver, number)))
        plan = driver.plane.operation.plan(driver.plane.call)
        passes = [plan.send(None)]
        passes += [plan.send(pickle.loads(kept)) for kept in result[:-1]]
        driver._plan, driver._passes = plan, passes
        return pickle.loads(result[-1])

    monkeypatch.setattr(PassRunner, "_done", done_before)


def assert_same(name: str, found: Any, expected: Any) -> None:
    """Compare results bit for bit, and images' data types."""
    np.testing.assert_equal(plain(found), plain(expected))
    if tw.OPERATIONS[name].output.is_image:
        assert np.asarray(found).dtype == np.asarray(expected).dtype


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_workers_find_what_threads_find(name: str, dtype: str, tmp_path: Path) -> None:
    image, recipe, expected = small(name, dtype)
    assert_same(name, by_others(recipe, image, tmp_path), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_what_passes_found_is_all_a_plan_needs(
    name: str, dtype: str, request: pytest.FixtureRequest
) -> None:
    image, recipe, expected = small(name, dtype)
    request.getfixturevalue("begun_anew")
    assert_same(name, by_threads(recipe, image), expected)
