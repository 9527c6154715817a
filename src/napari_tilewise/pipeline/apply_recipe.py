"""A recipe applied to images in memory or lazy ones; what did not change is not computed again.

What each step made is at hand under what it does and what it was made from, so that after an edit
only the edited step and those after it are computed.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.apply import eager_image, results_of
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.engine.session import Session
from napari_tilewise.pipeline.bind import StepResult, bind_recipe, given
from napari_tilewise.pipeline.materialize import decide

if TYPE_CHECKING:
    import threading
    from collections.abc import Hashable, Mapping, Sequence

    from napari_tilewise.engine.apply import Result
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.materialized import Materialized
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.pipeline.bind import Given, Pipeline
    from napari_tilewise.recipe import Link, Recipe

SHARE = 8
"""One part in so many of the available memory holds results at hand, unless said otherwise."""


class Memo:
    """The results of steps on one image, at hand for a recipe that begins in the same way.

    Parameters
    ----------
    most_bytes
        How much the results may take in memory; an eighth of what is available unless given.
        Larger ones are kept in temporary files where that costs less than making them again.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes or int(available_memory() // SHARE)
        self.session = Session()
        self._images: dict[str, Any] = {}
        self._made: OrderedDict[Hashable, StepResult] = OrderedDict()

    def begin(
        self,
        images: Mapping[str, Any],
        progress: Listener | None,
        cancel: threading.Event | None,
        pause: threading.Event | None = None,
    ) -> None:
        """Forget what was made from other images; tell and ask others from now on.

        Parameters
        ----------
        images
            What the recipe is run on, by name; an array is known by its identity.
        progress, cancel, pause
            As for `apply_recipe`.
        """
        shared = self._images.keys() & images.keys()
        if any(self._images[name] is not images[name] for name in shared):
            self.forget()
        self._images.update(images)
        self.session.control = Control(progress, cancel, pause)

    def forget(self) -> None:
        """Forget what was made, as where an array has other pixels than it had."""
        self._made.clear()
        self._images.clear()

    def end(self) -> None:
        """Tell and ask nobody from now on: lazy results outlive the call that made them."""
        self.session.control = Control()

    def results(self, keys: Mapping[int, Hashable]) -> dict[int, StepResult]:
        """Return what is there of a recipe's steps.

        Parameters
        ----------
        keys
            What stands for each step's result.
        """
        return {number: self._made[key] for number, key in keys.items() if key in self._made}

    def take(self, keys: Mapping[int, Hashable], made: Pipeline) -> None:
        """Remember what a recipe made, and forget the oldest where it becomes too much.

        Parameters
        ----------
        keys
            What stands for each step's result.
        made
            The chain that was made.
        """
        for number, stack in made.stacks.items():
            self._made[keys[number]] = StepResult(stack, made.materialized.get(number))
            self._made.move_to_end(keys[number])
        while self.held > self.most_bytes and len(self._made) > len(made.stacks):
            self._made.popitem(last=False)

    @property
    def held(self) -> int:
        """Bytes of the results at hand that are kept in memory."""
        return sum(_held(kept) for _, kept in self._made.values())

    def fitting(self, made: Pipeline) -> dict[int, bool]:
        """Return the steps whose results fit into memory, to be kept there; the smallest first.

        Parameters
        ----------
        made
            The chain.
        """
        keep: dict[int, bool] = {}
        left = self.most_bytes
        images = [number for number, stack in made.stacks.items() if stack.is_image]
        for number in sorted(images, key=lambda n: _bytes(made.stacks[n])):
            left -= _bytes(made.stacks[number])
            if left >= 0:
                keep[number] = True
        return keep


def apply_recipe(
    recipe: Recipe,
    image: Any,
    /,
    *,
    inputs: Mapping[str, Any] | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    tiles: Any = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    memo: Memo | None = None,
) -> tuple[Result, ...]:
    """Apply a recipe as a form does: a threshold gives the mask ``image > t``.

    Parameters
    ----------
    recipe
        The recipe.
    image
        A NumPy array, or anything with `shape`, `dtype` and slicing.
    inputs
        The recipe's inputs by name.
    axes, spatial, tiles, progress, cancel
        As for `apply`; a step's own `spatial` goes first.
    pause
        Set it to take no more tiles until it is cleared.
    memo
        What is at hand from earlier calls with the same image.

    Returns
    -------
    tuple[Result, ...]
        The last step's results, each with what it is: computed from a NumPy image, else lazy.

    Raises
    ------
    TilewiseError
        When the recipe and the image do not fit; before any pixel is read.
    """
    source, eager = eager_image(image)
    names = _axes.parse(axes, np.ndim(source))
    images = given(recipe, source, inputs, names=names, spatial=spatial)
    if memo is None:
        session = Session(None, Control(progress, cancel, pause))
        made = _chain(recipe, images, session, tiles)
        return results_of(made.last, eager=eager)
    memo.begin({**images.images, "source": image}, progress, cancel, pause)
    keys = keys_of(recipe, axes, spatial, tiles)
    try:
        made = _chain(recipe, images, memo.session, tiles, memo, keys)
        memo.take(keys, made)
        return results_of(made.last, eager=eager, kept=made.materialized.get(max(made.stacks)))
    finally:
        memo.end()


def _chain(
    recipe: Recipe,
    images: Given,
    session: Session,
    tiles: Any,
    memo: Memo | None = None,
    keys: Mapping[int, Hashable] | None = None,
) -> Pipeline:
    """Return the chain, with what is worth keeping kept."""
    pipeline = bind_recipe(recipe, images, session, tiles=tiles)
    decisions = decide(pipeline, int(available_memory() // 2))
    materialize = {choice.step: choice.in_memory for choice in decisions if choice.keep}
    if memo is None or keys is None:
        return pipeline.with_layout(materialize=materialize) if materialize else pipeline
    return pipeline.with_layout(
        materialize={**materialize, **memo.fitting(pipeline)}, computed=memo.results(keys)
    )


def keys_of(recipe: Recipe, axes: Any, spatial: Any, tiles: Any) -> dict[int, Hashable]:
    """Return what stands for each step's result: what it does, and what with."""
    how = tuple(map(_hashable, (axes, spatial, tiles)))
    keys: dict[int, Hashable] = {}

    def of(link: Link) -> Hashable:
        return link.given if link.step is None else (keys[link.step], link.part)

    for number in recipe.running:
        links = recipe.links[number].items()
        images = frozenset((role, of(link)) for role, link in links)
        keys[number] = (recipe.steps[number].work, images, how)
    return keys


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list | tuple) else value


def _bytes(stack: Stack) -> int:
    return int(prod(stack.shape) * stack.dtype.itemsize)


def _held(kept: Materialized | None) -> int:
    return _bytes(kept.stack) if kept is not None and kept.in_memory else 0
