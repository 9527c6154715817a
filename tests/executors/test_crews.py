"""Other processes find what threads find, bit for bit, for every operation of the catalogue."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.chain import Chain, chain, given
from napari_tilewise.engine import session as engine_session
from napari_tilewise.engine.account import Account
from napari_tilewise.engine.session import Session
from napari_tilewise.executors.assignment import Assignment, leave
from napari_tilewise.executors.hand import Hand, take
from napari_tilewise.operations.specs import Seed
from napari_tilewise.recipe import Recipe
from tests.executors.crews import PickledCrew
from tests.strategies import SLOW
from tests.test_declarations import parameters_for, sample

if TYPE_CHECKING:
    from pathlib import Path

LENGTH, TILE = 96, 40


@pytest.fixture(autouse=True)
def several_tiles_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images have few tiles, which would be asked for one by one."""
    monkeypatch.setattr(engine_session, "task_size", lambda tiles, slots: 3)


def recipe_of(name: str, image: np.ndarray) -> Recipe:
    """Return an operation with what it requires, random numbers pinned."""
    op = tw.OPERATIONS[name]
    seeds = {key: 0 for key, spec in op.specs.items() if isinstance(spec, Seed)}
    return Recipe([(name, parameters_for(op, image) | seeds)])


def plain(found: Any) -> Any:
    """Return a function with parameters as what can be compared."""
    return (found.func, found.keywords) if isinstance(found, partial) else found


def found_by(made: Chain, reader: Chain) -> Any:
    """Return the chain's result; pixels are read by another chain."""
    last = made.last
    whole = tuple(slice(0, n) for n in last.shape)
    last.prepare(whole if last.is_image else None)
    return reader.last.read(whole) if last.is_image else last.value()


def by_threads(recipe: Recipe, image: np.ndarray) -> Any:
    """Return what threads find."""
    made = chain(recipe, given(recipe, image, None), Session(2), tiles=TILE)
    return found_by(made, made)


def by_others(recipe: Recipe, image: np.ndarray, folder: Path) -> Any:
    """Return what a crew finds."""
    account = Account(folder / "run", "key", {})
    assignment = Assignment(
        (), recipe, image, {}, None, None, TILE, (), str(account.folder),
        2**24, 2**30, 2**28, 1, None, None,
    )  # fmt: skip
    name = leave(assignment)
    session = Session(1, account=account, crew=PickledCrew(str(account.folder), name))
    made = chain(recipe, given(recipe, image, None), session, tiles=TILE)
    try:
        return found_by(made, Hand(take(str(account.folder), name)).chain)
    finally:
        account.remove()


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
def test_a_crew_finds_what_threads_find(name: str, tmp_path: Path) -> None:
    op = tw.OPERATIONS[name]
    image = sample(name, "uint8")
    length = min(SLOW.get(name, LENGTH), LENGTH)
    if name != "transform.ifrt2":  # which wants one row more than columns
        image = image[tuple(slice(0, length) for _ in image.shape)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recipe = recipe_of(name, image)
        try:
            expected = by_threads(recipe, image)
        except tw.TilewiseError:
            image = image > image.mean()  # what takes nothing but masks
            recipe = recipe_of(name, image)
            expected = by_threads(recipe, image)
        found = by_others(recipe, image, tmp_path)
    np.testing.assert_equal(plain(found), plain(expected))
    assert np.asarray(found).dtype == np.asarray(expected).dtype if op.output.is_image else True
