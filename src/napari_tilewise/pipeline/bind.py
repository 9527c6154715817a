"""A chain is a recipe bound to images: one stack per step, each pulling from those it names.

Steps with finite halos need no store between them: a tile of the last pulls through all. Where
several passes want the same result, the chain keeps it instead of computing it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.apply import build
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.source import PlaneView, Source
from napari_tilewise.errors import InvalidAxes, InvalidParameter, did_you_mean
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.recipe import Link, Recipe, Step

Names = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Given:
    """What a recipe is run on."""

    images: Mapping[str, Any]
    """The images by name: the source and the recipe's inputs."""
    names: Names = None
    """The names of the source's axes."""
    spatial: Any = None
    """The axes to run over, where a step does not say."""

    @property
    def source(self) -> Any:
        """The source."""
        return self.images[SOURCE]


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The stacks of a recipe's steps, those that are switched off left out."""

    recipe: Recipe
    stacks: Mapping[int, Stack]
    """By the step's number."""
    kept: Mapping[int, Materialized] = field(default_factory=dict)
    """The results that are kept for the steps after, by the step's number."""

    @property
    def last(self) -> Stack:
        """The step whose result is asked for."""
        return self.stacks[max(self.stacks)]

    @property
    def order(self) -> tuple[Stack, ...]:
        """The stacks in the order of the steps."""
        return tuple(self.stacks[number] for number in sorted(self.stacks))

    def met(self) -> dict[str, Any]:
        """Return the numbers that the steps found on their way, such as thresholds.

        They are called by the step's name, or its operation's with the step's number. To be asked
        after the run: what was not gathered yet is gathered now.
        """
        found = {}
        for number, stack in self.stacks.items():
            value = stack.met()
            if value is not None:
                step = self.recipe.steps[number]
                found[step.name or f"step {number + 1}: {step.operation}"] = value
        return found

    def holds_labels(self, source: bool) -> bool:
        """Return whether the result is labels or a mask, whose pyramid is never averaged.

        An operation that keeps the pixels' type (an erosion, small objects removed) keeps labels.

        Parameters
        ----------
        source
            Whether the source holds labels.
        """
        holds: dict[int, bool] = {}
        for number, stack in self.stacks.items():
            link = self.recipe.links[number][self.recipe.steps[number].first]
            before = source if link.step is None else holds[link.step]
            kept = before and stack.dtype == stack.source.dtype
            holds[number] = kept or stack.part.output is not Output.IMAGE
        return holds[max(holds)]


def given(
    recipe: Recipe,
    source: Any,
    inputs: Mapping[str, Any] | None,
    *,
    names: Names = None,
    spatial: Any = None,
) -> Given:
    """Return what a recipe is run on, after a look whether all its inputs are there.

    Parameters
    ----------
    recipe
        The recipe.
    source
        The image.
    inputs
        The recipe's inputs by name.
    names
        Names of the source's axes.
    spatial
        The axes to run over; all unless given.

    Raises
    ------
    InvalidParameter
        When an input is missing or unknown.
    """
    inputs = dict(inputs or {})
    for name in inputs:
        if name not in recipe.inputs:
            hint = did_you_mean(name, recipe.inputs)
            known = ", ".join(map(repr, recipe.inputs)) or "none"
            raise InvalidParameter(f"The recipe has no input {name!r}; it has {known}.{hint}")
    for name in recipe.inputs:
        if inputs.get(name) is None:
            raise InvalidParameter(
                f"The recipe's input {name!r} is missing: give an image for it, as in "
                f"inputs={{{name!r}: image}} or --input {name}=PATH."
            )
    return Given({SOURCE: source, **inputs}, names, spatial)


def bind_recipe(
    recipe: Recipe,
    given: Given,
    session: Session,
    *,
    tiles: Any = "auto",
    keep: Mapping[int, bool] | None = None,
    at_hand: Mapping[int, tuple[Stack, Materialized | None]] | None = None,
) -> Pipeline:
    """Return a recipe bound to images; everything is checked, nothing read.

    Parameters
    ----------
    recipe
        The recipe.
    given
        What it is run on.
    session
        Workers, cancel, progress.
    tiles
        ``"auto"`` or tile lengths along the spatial axes of the last step.
    keep
        The steps whose results are kept, and whether in memory.
    at_hand
        Stacks that were made before, and what was kept of them, by the step's number.

    Raises
    ------
    TilewiseError
        When a step cannot take what it is given.
    """
    if not recipe.running:
        recipe.output  # noqa: B018  # says that every step is switched off
    building = _Building(recipe, given, session, tiles)
    for number in recipe.running:
        building.add(number, (keep or {}).get(number), *(at_hand or {}).get(number, (None, None)))
    return Pipeline(recipe, building.stacks, building.kept)


class _Building:
    """The stacks made so far, and how the next one is made."""

    def __init__(self, recipe: Recipe, given: Given, session: Session, tiles: Any) -> None:
        self.recipe = recipe
        self.given = given
        self.session = session
        self.tiles = tiles
        self.stacks: dict[int, Stack] = {}
        self.kept: dict[int, Materialized] = {}

    def add(
        self, number: int, in_memory: bool | None, stack: Stack | None, kept: Materialized | None
    ) -> None:
        """Take in a step: what is at hand of it, else made; kept where that is said."""
        stack = self._stack(number) if stack is None else stack
        if kept is None and in_memory is not None:
            kept = Materialized(stack, in_memory=in_memory, step=number)
        self.stacks[number] = stack
        if kept is not None:
            self.kept[number] = kept

    def _stack(self, number: int) -> Stack:
        step, links = self.recipe.steps[number], self.recipe.links[number]
        main = self._image(links[step.first])
        names = self._names(links[step.first])
        further = {r: self._image(link) for r, link in links.items() if r != step.first}
        operation = step.op.as_step()
        params = step.bound | further
        if operation.channel and operation.channel not in step.parameters and names:
            # A colour operation's default is "the last axis"; here the axis has a name.
            if operation.parameters[operation.channel].default is not None and "c" in names:
                params = params | {operation.channel: names.index("c")}
        spatial = self._spatial(step, names)
        ndim = len(main.shape)
        over = _axes.spatial_indices(names, spatial, ndim)
        axis = params.get(operation.channel) if operation.channel else None
        count = len(over) - (axis is not None and axis % ndim in over)
        return build(
            operation, main, params, self.session,
            axes=names, spatial=spatial, tiles=_tiles(self.tiles, count),
            step=number,
        )  # fmt: skip

    def _spatial(self, step: Step, names: Names) -> Any:
        if step.spatial is not None:
            return step.spatial
        wanted = self.given.spatial
        if names is None or self.given.names is None or not isinstance(wanted, str):
            return wanted
        # An axis that an earlier step has done away with is not looked for.
        gone = set(self.given.names) - set(names)
        return "".join(axis for axis in wanted if axis not in gone) or None

    def _image(self, link: Link) -> Any:
        if link.step is None:
            return self.given.images[link.given]
        stack = self.stacks[link.step]
        if stack.call.operation.split is not None and stack.channel is not None:
            return PlaneView(self._whole(link.step), (stack.channel,), (link.part,))
        if link.part:
            return stack.results()[link.part]
        return self._whole(link.step)

    def _whole(self, number: int) -> Source:
        return self.kept.get(number, self.stacks[number])

    def _names(self, link: Link) -> Names:
        if link.step is None:
            alike = np.ndim(self.given.images[link.given]) == np.ndim(self.given.source)
            return self.given.names if alike else None
        stack = self.stacks[link.step]
        names = stack.names
        if (
            names is not None
            and stack.call.operation.split is not None
            and stack.channel is not None
        ):
            return tuple(n for axis, n in enumerate(names) if axis != stack.channel)
        return names


def _tiles(tiles: Any, ndim: int) -> Any:
    """Return tile lengths for a step of another number of axes: as many pixels, or fewer."""
    if not isinstance(tiles, tuple) or len(tiles) == ndim:
        return tiles
    if len(tiles) > ndim:
        return tiles[len(tiles) - ndim :]
    return (max(1, round(prod(tiles) ** (1 / ndim))),) * ndim


def named_spatial(names: Names, ndim: int) -> str | None:
    """Return the axes to run over where nobody says: z, y and x where the axes are known.

    Parameters
    ----------
    names
        Names of the image's axes.
    ndim
        Their number.

    Raises
    ------
    InvalidAxes
        When an image of more than three axes does not name them.
    """
    if names is None and ndim > 3:
        raise InvalidAxes(
            f"The source has {ndim} axes and does not name them: name them with axes=, such as "
            "axes='tzyx', so that time and channels stay apart."
        )
    return "".join(a for a in names or () if _axes.kind(a) == "space") or None
