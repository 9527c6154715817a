"""What is known of each step's image without an image: its axes, and which of them are looped over.

A script is written before its image is at hand. Where the image's axes are given they are followed
from step to step, as a run does; else they are open: any number of axes of space, and no others
but one of channels where a step needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.errors import InvalidAxes, InvalidParameter
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.operations.spec.operation import Call
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.passes import Part
    from napari_tilewise.recipe.links import Link
    from napari_tilewise.recipe.recipe import Recipe
    from napari_tilewise.recipe.step import Step

_LENGTH, _CHANNELS = 64, 3
"""Lengths of the axes of an image that stands for those to come."""
_STAND_INS = {"b": np.bool_, "u": np.uint8, "i": np.int64, "f": np.float64}

TRAILING = {"yx": (-2, -1), "zyx": (-3, -2, -1)}
"""What these letters mean where nobody names the axes."""

Names = tuple[str, ...] | None


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image."""

    axes: Names = None
    """The letters of its axes; where they are open, of the fewest that it may have."""
    dtype: Any = np.float64
    """A type that stands for its own: what keeps it, keeps labels."""
    output: Output = Output.IMAGE
    labels: bool = False
    """Whether its values are names of objects, as far as the steps tell."""


@dataclass(frozen=True)
class StepView:
    """How a step sees its image."""

    axes: Names
    """The image's axes, where they are known."""
    plane: tuple[str, ...]
    """The axes that scikit-image's function sees, channels too: all but those looped over."""
    places: tuple[int, ...] | None
    """Where these are, from the end; None: they are all."""
    spatial: Any
    """The axes to run over as the step or the run names them."""
    channel: int | None
    """Which axis of the plane holds channels, from the end."""

    @property
    def looped(self) -> Names:
        """The letters of the axes that are looped over, where they are known."""
        if self.axes is None or self.places is None:
            return None
        count = len(self.axes)
        return tuple(a for i, a in enumerate(self.axes) if i - count not in self.places)

    @property
    def front(self) -> int:
        """Where an axis stands that is new and the first of a plane's."""
        if self.places is None:
            return 0
        return -len(self.plane) - 1 if self.axes is None else len(self.axes) + self.places[0]


@dataclass(frozen=True)
class StepWork:
    """How a step works, and what it makes."""

    operation: Operation
    """As a recipe's step runs it."""
    params: Mapping[str, Any]
    """The step's own, and the channel axis where a run would name it."""
    view: StepView
    several: bool
    """Whether it returns several things."""
    made: tuple[ImageFacts, ...]
    """What they are; of several images of one kind, one stands for all."""
    whole: ImageFacts
    """What a run writes: the first of different things; those of one kind, stacked."""
    stacks: bool
    """Whether results of planes are stacked by the very axes that were looped over."""


class ImageFlow:
    """A recipe's images, from step to step.

    Parameters
    ----------
    recipe
        The recipe.
    axes
        The source's axes; None where they are open.
    spatial
        The axes to run over; those of space unless given.
    """

    def __init__(self, recipe: Recipe, axes: Names, spatial: Any) -> None:
        self._open = () if axes else _fewest(recipe, spatial)
        self.source = ImageFacts(axes or _with_channel(recipe, self._open))
        if spatial is None and axes:
            spatial = "".join(axis for axis in axes if _axes.kind(axis) == "space") or None
        self._spatial = spatial
        self.steps: dict[int, StepWork] = {}
        for number in recipe.running:
            self.steps[number] = self._working(recipe.steps[number], recipe.links[number])

    def image(self, link: Link) -> ImageFacts:
        """Return what is known of a link's image."""
        if link.step is None:
            return self.source if link.input == SOURCE else ImageFacts()
        made = self.steps[link.step].made
        return made[min(link.part, len(made) - 1)]

    def text(self, axes: Names) -> str | None:
        """Return axes as a script names them, open ones as ``...``; None: nothing to say."""
        if axes is None or axes == self._open:
            return None
        letters = "".join(axes)
        return letters.replace("".join(self._open), "...") if self._open else letters

    def _working(self, step: Step, links: Mapping[str, Link]) -> StepWork:
        op, image = step.op.as_step(), self.image(links[step.first])
        params = _named_channel(op, step.parameters, image.axes)
        view = self._view(step, op, params, image.axes)
        further = {role: self.image(link).dtype for role, link in links.items() if role in op.specs}
        call = _call(op, params, view, image.dtype, further)
        parts = op.parts(call)
        found = [op.whole_part(call)] if parts is None else list(parts)
        whole = self._made(found[0], view, image)
        made = [self._made(part, view, image) for part in found]
        if op.result.split is not None:
            made = [self._made(replace(found[0], **_first_of(found[0])), view, image)]
        several = parts is not None or op.result.split is not None
        return StepWork(op, params, view, several, tuple(made), whole, _stacks(view, found[0]))

    def _view(self, step: Step, op: Operation, params: Mapping[str, Any], axes: Names) -> StepView:
        letters = axes or self._open or ("y", "x")
        known = None if self._open else axes
        channel = params.get(op.channel, op.parameters[op.channel].default) if op.channel else None
        if channel is not None and channel >= 0:
            channel -= len(letters)
        if channel is not None and not -len(letters) <= channel < 0:
            raise InvalidAxes(
                f"{op.name}: {op.channel}={params.get(str(op.channel))} does not exist in an image "
                f"with {len(letters)} axes: give the names of the image's axes as axes=."
            )
        spatial = self._over(step, axes)
        places = _places(known, spatial, channel, step)
        if places is None:
            return StepView(known, letters, None, None, channel)
        if known is not None:
            plane = tuple(known[place] for place in places)
        else:
            plane = tuple("zyx"[-len(places) :])
        if channel is not None:
            channel = places.index(channel) - len(places)
        return StepView(known, plane, places, spatial, channel)

    def _over(self, step: Step, axes: Names) -> Any:
        """Return the axes that a step runs over, as a run finds them."""
        if step.spatial is not None:
            return step.spatial
        if axes is None or not isinstance(self._spatial, str):
            return self._spatial
        return "".join(axis for axis in self._spatial if axis in axes) or None

    def _made(self, part: Part, view: StepView, image: ImageFacts) -> ImageFacts:
        labels = part.output in (Output.MASK, Output.LABELS)
        dtype = image.dtype if part.dtype is None else np.dtype(part.dtype).type
        labels = labels or (image.labels and dtype == image.dtype)
        plane = _plane_axes(part, view, image.axes)
        if plane is None or not part.output.is_image or image.axes is None:
            axes: Names = None
        elif view.places is None:
            axes = plane
        elif view.axes is not None:
            axes = _together(part, view, view.axes, view.places, plane)
        else:
            axes = image.axes if len(plane) == len(view.plane) else None
        return ImageFacts(axes, dtype, part.output, labels)


# -- a source whose axes are not given -------------------------------------------------------------


def _fewest(recipe: Recipe, spatial: Any) -> tuple[str, ...]:
    """Return the axes of space that every step can run over: y and x, or z too."""
    if isinstance(spatial, str) and spatial not in TRAILING:
        raise _unnamed("A script", spatial)
    if spatial == "zyx":
        return ("z", "y", "x")
    channel = _channel_of_source(recipe) or 0
    before = channel if channel >= 0 else -channel - 1
    return ("y", "x") if before < 3 and all(map(_takes_planes, recipe.steps)) else ("z", "y", "x")


def _takes_planes(step: Step) -> bool:
    """Return whether a step may run over two axes; its parameters may be meant for three."""
    if not step.enabled or step.spatial is not None:
        return True
    stand_in = np.zeros((1, 1), bool)
    images = {role: stand_in for role in step.inputs if role in step.op.specs}
    try:
        step.op.bind({**step.parameters, **images}, 2)
    except InvalidParameter:
        return False
    return step.op.limits.ndim[0] <= 2


def _with_channel(recipe: Recipe, space: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes of a source with channels where a step on it needs them."""
    channel = _channel_of_source(recipe)
    if channel is None:
        return space
    at = channel if channel >= 0 else len(space) + 1 + channel
    return (*space[:at], "c", *space[at:])


def _channel_of_source(recipe: Recipe) -> int | None:
    for number in recipe.running:
        step = recipe.steps[number]
        name, link = step.op.channel, recipe.links[number][step.first]
        if name is None or link.step is not None or link.input != SOURCE:
            continue
        channel: int | None = step.parameters.get(name, step.op.parameters[name].default)
        if channel is not None:
            return channel
    return None


# -- a step's view ---------------------------------------------------------------------------------


def _named_channel(op: Operation, params: Mapping[str, Any], axes: Names) -> Mapping[str, Any]:
    """Return parameters with the axis named c where a colour operation's default is another."""
    if op.channel is None or op.channel in params or not axes or "c" not in axes:
        return params
    default, at = op.parameters[op.channel].default, axes.index("c")
    if default is None or default % len(axes) == at:
        return params
    return {**params, op.channel: at}


def _places(known: Names, spatial: Any, channel: int | None, step: Step) -> tuple[int, ...] | None:
    """Return the axes that a function sees, from the end; None: all of the image's."""
    if spatial is None:
        return None
    if known is not None:
        seen = {axis - len(known) for axis in _axes.spatial_indices(known, spatial, len(known))}
        if channel is not None:
            seen.add(channel)
        return None if len(seen) == len(known) else tuple(sorted(seen))
    places = TRAILING.get(spatial, spatial)
    if isinstance(places, str) or channel is not None or max(places) >= 0:
        raise _unnamed(step.operation, spatial)
    return tuple(sorted(places))


def _unnamed(who: str, spatial: Any) -> InvalidAxes:
    return InvalidAxes(
        f"{who}: spatial={spatial!r} needs the names of the image's axes in a script: give them as "
        "axes=, such as axes='tcyx'."
    )


def _call(
    op: Operation, params: Mapping[str, Any], view: StepView, dtype: Any, further: Mapping[str, Any]
) -> Call:
    """Return the operation's call for an image that stands for those to come."""
    at = None if view.channel is None else view.channel + len(view.plane)
    shape = tuple(_CHANNELS if i == at else _LENGTH for i in range(len(view.plane)))
    if np.dtype(dtype).kind not in op.limits.dtypes:
        dtype = _STAND_INS[op.limits.dtypes[0]]
    space = tuple(n for i, n in enumerate(shape) if i != at)
    images = {role: np.broadcast_to(np.zeros((), kind), space) for role, kind in further.items()}
    bound = op.bind({**params, **images})
    if op.channel is not None:
        bound[op.channel] = at
    return Call(op, bound, shape, np.dtype(dtype), at)


# -- the axes of a result --------------------------------------------------------------------------


def _first_of(part: Part) -> dict[str, Any]:
    """Return what differs in one of several images of one kind from all of them, stacked."""
    if part.shape is None or part.channel is None:
        return {}
    at = part.channel
    return {"shape": (*part.shape[:at], *part.shape[at + 1 :]), "channel": None}


def _plane_axes(part: Part, view: StepView, axes: Names) -> Names:
    """Return the axes of what a function makes of one plane."""
    count = len(view.plane)
    space = [a for i, a in enumerate(view.plane) if i - count != view.channel]
    if part.channel is not None:
        new = "q" if axes and "c" in axes else "c"
        space.insert(part.channel, new if view.channel is None else view.plane[view.channel])
    return tuple(space) if part.shape is not None and len(part.shape) == len(space) else None


def _stacks(view: StepView, part: Part) -> bool:
    """Return whether every axis behind a looped one is where it was in front of the function."""
    if view.looped is None or view.axes is None or not part.output.is_image:
        return True
    leading = view.axes[: len(view.looped)] == view.looped
    return leading or (part.shape is not None and len(part.shape) == len(view.plane))


def _together(
    part: Part,
    view: StepView,
    axes: tuple[str, ...],
    places: tuple[int, ...],
    plane: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the axes of the planes' results together, as the engine arranges them."""
    left, found = list(plane), []
    for place, axis in enumerate(axes, start=-len(axes)):
        if place not in places:
            found.append(axis)
            continue
        if part.channel == len(plane) - len(left):
            found.append(left.pop(0))
        is_channel = places.index(place) - len(places) == view.channel
        if not is_channel and left:
            found.append(left.pop(0))
    return (*found, *left)
