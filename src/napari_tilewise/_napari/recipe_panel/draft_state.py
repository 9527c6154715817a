"""What a recipe under edit consists of, and the step that an operation starts as."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_tilewise._napari.forms.form_values import initial_value, usual_names
from napari_tilewise._napari.forms.remembered_values import last_values
from napari_tilewise._napari.layers.recording import without_defaults
from napari_tilewise._napari.widgets.plain_words import label
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.parameters import ChannelAxis
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.intensities import IntensityRange
    from napari_tilewise._napari.layers.layer_record import Origin
    from napari_tilewise.operations.spec.operation import Operation


@dataclass(frozen=True)
class DraftState:
    """A recipe and its layers, between two edits."""

    source: Origin
    """The layer that the recipe starts from."""
    recipe: Recipe | None = None
    """None before the first step."""
    inputs: Mapping[str, Origin] = field(default_factory=dict)
    """The layers of the recipe's inputs."""
    part: int | None = None
    """The index of the result that the layer shows, if the recipe gives several."""
    is_new: bool = True
    """Whether the result becomes a new layer, because this one is not a result."""


@dataclass(frozen=True)
class ImageChoice:
    """An image that a step can take."""

    name: str
    """As shown to the user."""
    target: str | None = None
    """The name in the recipe; None for the previous step, or a step without a name."""
    step: int | None = None
    """The index of the step that gives the image."""


@dataclass(frozen=True)
class StepEdit:
    """The new contents of a step, as a form reads them."""

    params: Mapping[str, object]
    """Parameters without further images."""
    images: Mapping[str, ImageChoice | Layer | None]
    """Images by scikit-image's name of the argument."""
    spatial: str | tuple[int, ...] | None
    """The axes that the step runs over; None for all."""


def default_step(op: Operation, ndim: int = 2, intensities: IntensityRange | None = None) -> Step:
    """Return a step with the values that its form had last; further images are the source.

    Parameters
    ----------
    op
        Any operation of the catalogue.
    ndim
        Number of the source's axes.
    intensities
        Those of the image that the step processes, if they are known.
    """
    params, inputs = {}, {}
    for name, parameter in op.parameters.items():
        if not parameter.required and not usual_names(parameter):
            continue
        if name in op.images:
            inputs[name] = SOURCE
        elif not isinstance(parameter.spec, ChannelAxis):
            params[name] = initial_value(parameter, intensities=intensities)
    last = without_defaults(op, last_values(op, ndim))
    try:
        return Step(op.name, {**params, **last}, inputs=inputs)
    except TilewiseError:  # what the form had last does not fit together
        return Step(op.name, params, inputs=inputs)


def with_other_step(state: DraftState, before: Step, after: Step) -> DraftState:
    """Return a state with one step in the place of another, if it has that.

    Parameters
    ----------
    state
        Any state of a draft.
    before, after
        The step to replace, and the other one.
    """
    if state.recipe is None:
        return state
    steps = [after if step is before else step for step in state.recipe.steps]
    return replace(state, recipe=Recipe(steps, state.recipe.inputs))


def missing_layers(state: DraftState, layers: Iterable[Layer]) -> str:
    """Return which layer of a recipe is not open, in one sentence; empty if all are.

    Parameters
    ----------
    state
        The recipe and its layers.
    layers
        The viewer's layers.
    """
    layers = list(layers)
    if state.source.find(layers) is None:
        return f"The recipe starts from {state.source.name!r}, which is not open: open it again."
    for name in () if state.recipe is None else state.recipe.inputs:
        origin = state.inputs.get(name)
        is_layer = origin is not None and bool(
            origin.id
        )  # else an array, such as a region's inside
        if origin is None or not (is_layer or origin.find(layers)):
            return (
                f"The recipe takes another image, {label(name)}: choose a layer for it in its step."
            )
        if origin.find(layers) is None:
            return f"The recipe takes {origin.name!r}, which is not open: open it again."
    return ""
