"""Clicking writes a recipe: what is applied to a layer is a step after the steps that made it.

A further image that came from the same source brings its own steps along; any other one becomes a
named input of the recipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.layers import dimensions, layer_record, snapshot
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.links import written
from napari_tilewise.recipe.step import SOURCE, plain

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.snapshot import Snapshot
    from napari_tilewise.operations.spec.operation import Operation


@dataclass(frozen=True, eq=False)
class Applied:
    """One operation about to be applied: to do it, and to write it down."""

    source: Snapshot
    recipe: Recipe
    """The single step, on the layer."""
    inputs: Mapping[str, Any]
    """Arrays for its further images."""
    record: Record
    """The whole recipe, from the image that everything began with."""


def applied(
    layer: Layer,
    op: Operation,
    params: Mapping[str, Any],
    images: Mapping[str, Layer],
    spatial: tuple[int, ...],
    channel: int | None,
) -> Applied:
    """Return how to apply an operation to a layer and what to write down.

    Parameters
    ----------
    layer
        The layer.
    op
        The operation.
    params
        Its parameters as a form reads them, without further images and the channel axis.
    images
        The layers that are further images, by parameter.
    spatial
        The layer's axes to run over.
    channel
        The layer's axis to take as channels (the one after its last: an RGB layer's samples).

    Raises
    ------
    TilewiseError
        When the parameters do not fit.
    """
    as_made = _takes(op, layer_record.of(layer))
    source = snapshot.take(layer, as_made=as_made)
    over = tuple(source.axis(i) for i in spatial if i != channel)
    if channel is not None:
        channel = source.axis(channel)
    step = Step(
        op.name,
        given(op, {**params, **_channel(op, channel, len(source.shape))}),
        inputs={role: f"image_{number}" for number, role in enumerate(images, start=1)},
        spatial=recorded_axes(over, channel, source),
    )
    inputs = {step.inputs[role]: snapshot.take(other).finest for role, other in images.items()}
    story = _Story(layer if as_made else None, layer)
    recipe = story.told(step, images)
    return Applied(
        source,
        Recipe([step], inputs),
        inputs,
        Record(recipe, story.source, story.inputs, spatial=over),
    )


def roots(record: Record, layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the arrays that a recipe begins with, by the names it has for them.

    Parameters
    ----------
    record
        What will be remembered.
    layers
        The viewer's layers; what is not among them is left out.
    """
    layers = list(layers)
    found = {SOURCE: record.source.find(layers)}
    found |= {name: origin.find(layers) for name, origin in record.inputs.items()}
    return {
        name: snapshot.take(layer, as_made=name != SOURCE).finest
        for name, layer in found.items()
        if layer is not None
    }


def given(op: Operation, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not the operation's own defaults.

    Parameters
    ----------
    op
        The operation.
    params
        Parameters, all of them or some.
    """
    return {key: value for key, value in params.items() if not _is_default(op, key, value)}


def _is_default(op: Operation, key: str, value: Any) -> bool:
    parameter = op.parameters[key]
    if parameter.required:
        return False
    default = parameter.default
    if callable(default) or callable(value):
        return value is default
    ours, theirs = plain(key, value), plain(key, default)
    same_kind = isinstance(ours, bool | str) == isinstance(theirs, bool | str)
    return same_kind and bool(np.array_equal(ours, theirs) if _nested(ours) else ours == theirs)


def _nested(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, tuple) for item in value)


def _takes(op: Operation, record: Record | None) -> bool:
    """Return whether an operation takes a mask as what it is; if not it takes it as integers.

    No step says "as integers", so what follows then starts from the mask's layer.
    """
    return record is None or not record.is_mask or "b" in op.limits.dtypes


def _channel(op: Operation, axis: int | None, ndim: int) -> dict[str, int]:
    """Return the channel axis as a parameter, counted from the end."""
    return {} if op.channel is None or axis is None else {op.channel: axis - ndim}


def recorded_axes(
    over: tuple[int, ...], channel: int | None, source: Snapshot
) -> str | tuple[int, ...] | None:
    """Return the axes to run over as a step writes them; None where they are all of them.

    Letters where they mean the same to whoever does not know the names of the image's axes.

    Parameters
    ----------
    over
        The axes, from 0.
    channel
        The axis taken as channels.
    source
        The image whose axes they are.
    """
    ndim = len(source.shape)
    if {*over, channel} >= set(range(ndim)):
        return None
    numbers = tuple(axis - ndim for axis in over)
    named = dimensions.letters(source.placement.inner.axis_labels)
    if named is not None and numbers == tuple(range(-len(over), 0)):
        letters = "".join(named[axis] for axis in over)
        if letters in ("yx", "zyx"):
            return letters
    return numbers


class _Story:
    """The recipe that made a layer, while a step joins it."""

    def __init__(self, made: Layer | None, layer: Layer) -> None:
        record = None if made is None else layer_record.of(made)
        self.recipe = None if record is None else record.of_pixels
        self.part = 0 if record is None else record.part_of_pixels
        self.source = Origin.of(layer) if record is None else record.source
        self.inputs = {} if record is None else dict(record.inputs)

    def told(self, step: Step, images: Mapping[str, Layer]) -> Recipe:
        """Return the recipe with one more step, whose further images are layers."""
        links: dict[str, str] = {}
        recipes: dict[str, Recipe | str] = {}
        parts: dict[str, int] = {}
        for role, layer in images.items():
            if (same := self._same_source(layer)) is not None:
                recipes[role], parts[role] = same
            elif str(layer.unique_id) == self.source.id and self.source.is_as_it_was(layer):
                links[role] = SOURCE
            else:
                recipes[role] = self._input(layer, recipes.values())
        base = self.recipe
        if base is not None and self.part:
            base, name = named(base)
            links[step.first] = written(name, self.part)
        elif base is None and any(isinstance(other, Recipe) for other in recipes.values()):
            # What a further image was made by comes first; then this step, on the source.
            role, begun = next((r, o) for r, o in recipes.items() if isinstance(o, Recipe))
            base, name = named(begun)
            links[role] = written(name, parts[role])
            links[step.first] = SOURCE
            del recipes[role]
        step = replace(step, inputs={**step.inputs, **links})
        if base is not None:
            return base.extended(step, recipes, parts)
        names = {role: str(name) for role, name in recipes.items()}
        step = replace(step, inputs={**step.inputs, **names})
        return Recipe([step], dict.fromkeys(names.values()))

    def _same_source(self, layer: Layer) -> tuple[Recipe, int] | None:
        """Return the recipe of another layer, and which result it is, where it can join this."""
        record = layer_record.of(layer)
        if record is None or record.source != replace(self.source, name=record.source.name):
            return None
        clash = any(
            name in self.inputs and self.inputs[name].id != origin.id
            for name, origin in record.inputs.items()
        )
        recipe = record.of_pixels
        if clash or recipe is None:
            return None
        self.inputs.update(record.inputs)
        return recipe, record.part_of_pixels

    def _input(self, layer: Layer, joining: Iterable[Recipe | str]) -> str:
        """Return the name of the input that a layer is."""
        origin = Origin.of(layer)
        for name, known in self.inputs.items():
            if known.id == origin.id:
                return name
        recipes = [one for one in (self.recipe, *joining) if isinstance(one, Recipe)]
        taken = {*self.inputs, *(step.name for one in recipes for step in one.steps), SOURCE}
        name = free_name(layer.name, taken)
        self.inputs[name] = origin
        return name


def named(recipe: Recipe) -> tuple[Recipe, str]:
    """Return a recipe whose result has a name, and that name.

    Parameters
    ----------
    recipe
        The recipe.
    """
    return named_step(recipe, recipe.running[-1])


def named_step(recipe: Recipe, number: int) -> tuple[Recipe, str]:
    """Return a recipe in which a step has a name, and that name.

    Parameters
    ----------
    recipe
        The recipe.
    number
        Which step, from 0.
    """
    step = recipe.steps[number]
    if step.name is not None:
        return recipe, step.name
    taken = {*recipe.inputs, *(one.name for one in recipe.steps), SOURCE}
    name = free_name(step.operation.rpartition(".")[2], taken)
    return recipe.replaced(number, replace(step, name=name)), name


def free_name(wish: str, taken: Container[str | None]) -> str:
    """Return a name for a step or an input that nothing else has.

    Parameters
    ----------
    wish
        What it shall be like, such as a layer's name.
    taken
        The names that are taken.
    """
    word = re.sub(r"[^A-Za-z0-9]+", "_", wish).strip("_") or "image"
    if not word[0].isalpha():
        word = f"image_{word}"
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word}_{number}"
    return name
