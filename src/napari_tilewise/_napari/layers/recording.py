"""Records a recipe while the user clicks: an operation on a layer becomes one more step.

A further image from the same source brings its own steps along; any other image becomes a named
input of the recipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer

from napari_tilewise._napari.layers import dimensions, layer_record, positions, snapshot
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise._napari.layers.snapshot import cropped, lies_on, limited
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.links import format_link
from napari_tilewise.recipe.step import SOURCE, plain

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    import dask.array as da

    from napari_tilewise._napari.layers.snapshot import Snapshot
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import ArrayLike, Parameters, Value


@dataclass(frozen=True, eq=False)
class AppliedStep:
    """An operation about to be applied: the step to run, and the recipe to record."""

    source: Snapshot
    recipe: Recipe
    """The single step that runs on the layer."""
    inputs: Mapping[str, ArrayLike]
    """Arrays of its further images."""
    record: Record
    """The whole recipe, from the first source."""


@dataclass(frozen=True)
class StepRequest:
    """An operation with its values, to be applied to a layer."""

    operation: Operation
    params: Parameters
    """Parameters without further images and the channel axis."""
    images: Mapping[str, Layer | ArrayLike]
    """Further images by parameter: layers, or arrays that no layer shows."""
    spatial: tuple[int, ...]
    """The layer's axes to run over."""
    channel: int | None
    """The layer's channel axis; the axis after its last one for an RGB layer's samples."""
    region: Mapping[int, slice] = field(default_factory=dict)
    """The part of the layer to process, along some of its axes; it is cropped to that first."""
    inside: da.Array | None = None
    """Which pixels of that part stay, along the region's axes; the others become 0. None: all."""


def applied_step(request: StepRequest, layer: Layer) -> AppliedStep:
    """Return the step to run on a layer, and the recipe to record.

    Parameters
    ----------
    request
        The operation and its values.
    layer
        The layer to process.

    Raises
    ------
    TilewiseError
        If a parameter is invalid.
    """
    op, channel = request.operation, request.channel
    as_result = _takes_result(op, layer_record.of(layer))
    source = snapshot.take(layer, as_result=as_result)
    record = layer_record.of(layer) if as_result else None
    images = {
        role: snapshot.take(image).finest if isinstance(image, Layer) else image
        for role, image in request.images.items()
    }
    crop, aligned = None, frozenset[str]()
    if request.region:
        crop = _crop_step(source, request.region)
        aligned = frozenset(role for role, array in images.items() if lies_on(array, source))
        images = {role: cropped(array, source, request.region) for role, array in images.items()}
        record = _cropped(layer, record, crop, request)
        source = limited(source, request.region, request.inside)
    over = tuple(source.axis(i) for i in request.spatial if i != channel)
    if channel is not None:
        channel = None if channel == source.inserted else source.axis(channel)
    params = {**request.params, **_channel(op, channel, len(source.shape))}
    step = Step(
        op.name,
        without_defaults(op, params),
        inputs={role: f"image_{number}" for number, role in enumerate(request.images, start=1)},
        spatial=recorded_axes(over, channel, source),
    )
    inputs = {step.inputs[role]: array for role, array in images.items()}
    builder = _RecipeBuilder(layer, record)
    recipe = builder.extend(step, request.images, _Crop(crop, aligned))
    located = step
    if positions.requested(op, step.parameters):  # other steps are bound once
        located = replace(step, parameters=positions.with_positions(op, step.parameters))
    return AppliedStep(
        source,
        Recipe([located], inputs),
        inputs,
        Record(recipe, builder.source, builder.inputs, spatial=over),
    )


@dataclass(frozen=True)
class _Crop:
    """The step that crops to a region, and which further images it crops too."""

    step: Step | None = None
    roles: frozenset[str] = frozenset()


def _crop_step(source: Snapshot, region: Mapping[int, slice]) -> Step:
    """Return the step that crops an image to a region."""
    spans = {source.axis(axis): span for axis, span in region.items()}
    over = tuple(sorted(spans))
    width = tuple((spans[i].start, source.shape[i] - spans[i].stop) for i in over)
    return Step("util.crop", {"crop_width": width}, spatial=recorded_axes(over, None, source))


def _cropped(layer: Layer, record: Record | None, crop: Step, request: StepRequest) -> Record:
    """Return the record of a layer that is cropped to a region, and is 0 outside it."""
    builder = _RecipeBuilder(layer, record)
    recipe = builder.extend(crop, {})
    if request.inside is not None:
        name = builder.new_input(Origin("inside", id=""), [recipe])
        recipe = recipe.extended(Step("numpy.multiply", inputs={"x2": name}), {"x2": name})
    return Record(recipe, builder.source, builder.inputs)


def source_arrays(record: Record, layers: Iterable[Layer]) -> dict[str, ArrayLike]:
    """Return the arrays that a recipe starts from, by their names in the recipe.

    Parameters
    ----------
    record
        The recipe and its images.
    layers
        The viewer's layers; images that are not open are omitted.
    """
    layers = list(layers)
    images = {SOURCE: record.source.find(layers)}
    images |= {name: origin.find(layers) for name, origin in record.inputs.items()}
    return {
        name: snapshot.take(layer, as_result=name != SOURCE).finest
        for name, layer in images.items()
        if layer is not None
    }


def without_defaults(op: Operation, params: Parameters) -> dict[str, Value]:
    """Return the parameters that differ from their defaults.

    Parameters
    ----------
    op
        The operation of the parameters.
    params
        Some or all parameters.
    """
    return {key: value for key, value in params.items() if not _is_default(op, key, value)}


def _is_default(op: Operation, key: str, value: Value) -> bool:
    parameter = op.parameters[key]
    if parameter.required:
        return False
    default = parameter.default
    if callable(default) or callable(value):
        return value is default
    ours, theirs = plain(key, value), plain(key, default)
    same_kind = isinstance(ours, bool | str) == isinstance(theirs, bool | str)
    return same_kind and bool(np.array_equal(ours, theirs) if _nested(ours) else ours == theirs)


def _nested(value: Value) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, tuple) for item in value)


def _takes_result(op: Operation, record: Record | None) -> bool:
    """Return whether an operation takes a result as the recipe gives it: a mask as booleans.

    Else it takes the layer's integers, which no step gives: a new recipe starts from the layer.
    """
    return record is None or not record.is_mask or "b" in op.limits.dtypes


def _channel(op: Operation, axis: int | None, ndim: int) -> dict[str, int | None]:
    """Return the channel axis as a parameter, counted from the end; None for a grey image."""
    if op.channel is None:
        return {}
    if axis is not None:
        return {op.channel: axis - ndim}
    return {} if op.parameters[op.channel].default is None else {op.channel: None}


def recorded_axes(
    over: tuple[int, ...], channel: int | None, source: Snapshot
) -> str | tuple[int, ...] | None:
    """Return spatial axes as a step stores them; None for all axes.

    They are letters if these mean the same axes in an image without axis names.

    Parameters
    ----------
    over
        The axes of the image, from 0.
    channel
        The channel axis.
    source
        The image.
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


_NO_CROP = _Crop()


def _with_crop(image: Recipe | str, part: int, crop: Step) -> Recipe:
    """Return the recipe of a further image, or of an input, that is cropped."""
    if isinstance(image, Recipe):
        if part:
            image, name = named(image)
            crop = replace(crop, inputs={crop.first: format_link(name, part)})
        return image.extended(crop, {})
    if image == SOURCE:
        return Recipe([crop])
    return Recipe([replace(crop, inputs={crop.first: image})], {image: None})


class _RecipeBuilder:
    """Extends the recipe of a layer by one step."""

    def __init__(self, layer: Layer, record: Record | None) -> None:
        self.recipe = None if record is None else record.of_pixels
        self.part = 0 if record is None else record.part_of_pixels
        self.source = Origin.of(layer) if record is None else record.source
        self.inputs = {} if record is None else dict(record.inputs)

    def extend(
        self, step: Step, images: Mapping[str, Layer | ArrayLike], crop: _Crop = _NO_CROP
    ) -> Recipe:
        """Return the recipe with one more step, whose further images are layers or arrays."""
        links: dict[str, str] = {}
        recipes: dict[str, Recipe | str] = {}
        parts: dict[str, int] = {}
        for role, layer in images.items():
            if not isinstance(layer, Layer):
                recipes[role] = self.new_input(Origin(role, id=""), recipes.values())
            elif (joined := self._same_source(layer)) is not None:
                recipes[role], parts[role] = joined
            elif str(layer.unique_id) == self.source.id and self.source.is_unchanged(layer):
                links[role] = SOURCE
            else:
                recipes[role] = self._input(layer, recipes.values())
            if crop.step is not None and role in crop.roles:
                image = links.pop(role, None) or recipes[role]
                recipes[role] = _with_crop(image, parts.pop(role, 0), crop.step)
        base = self.recipe
        if base is not None and self.part:
            base, name = named(base)
            links[step.first] = format_link(name, self.part)
        elif base is None and any(isinstance(other, Recipe) for other in recipes.values()):
            # The steps of a further image come first; then this step, on the source.
            role, first = next((r, o) for r, o in recipes.items() if isinstance(o, Recipe))
            base, name = named(first)
            links[role] = format_link(name, parts[role])
            links[step.first] = SOURCE
            del recipes[role]
        if links:
            step = replace(step, inputs={**step.inputs, **links})
        if base is not None:
            return base.extended(step, recipes, parts)
        names = {role: str(name) for role, name in recipes.items()}
        if names:
            step = replace(step, inputs={**step.inputs, **names})
        return Recipe([step], dict.fromkeys(names.values()))

    def _same_source(self, layer: Layer) -> tuple[Recipe, int] | None:
        """Return the recipe of another layer and its result's index, if it can join this one."""
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
        for name, known_origin in self.inputs.items():
            if known_origin.id == origin.id:
                return name
        return self.new_input(origin, joining)

    def new_input(self, origin: Origin, joining: Iterable[Recipe | str]) -> str:
        """Return an unused name for an input, which is the image of this origin."""
        recipes = [recipe for recipe in (self.recipe, *joining) if isinstance(recipe, Recipe)]
        steps = [step for recipe in recipes for step in recipe.steps]
        taken = {*self.inputs, *(step.name for step in steps), SOURCE}
        name = free_name(origin.name, taken)
        self.inputs[name] = origin
        return name


def named(recipe: Recipe) -> tuple[Recipe, str]:
    """Return a recipe whose last step has a name, and that name.

    Parameters
    ----------
    recipe
        Its result needs a name.
    """
    return named_step(recipe, recipe.running[-1])


def named_step(recipe: Recipe, number: int) -> tuple[Recipe, str]:
    """Return a recipe in which a step has a name, and that name.

    Parameters
    ----------
    recipe
        One of its steps needs a name.
    number
        The step, from 0.
    """
    step = recipe.steps[number]
    if step.name is not None:
        return recipe, step.name
    taken = {*recipe.inputs, *(other.name for other in recipe.steps), SOURCE}
    name = free_name(step.operation.rpartition(".")[2], taken)
    return recipe.replaced(number, replace(step, name=name)), name


def free_name(text: str, taken: Container[str | None]) -> str:
    """Return an unused name for a step or an input.

    Parameters
    ----------
    text
        Any text, such as a layer's name, to make the name from.
    taken
        Used names.
    """
    base = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "image"
    if not base[0].isalpha():
        base = f"image_{base}"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name
