"""The axes of each step's image, and which of them are looped over, derived without an image.

A script is written before its image exists. If the image's axes are given, they are followed from
step to step, as in a run; otherwise they are open: any number of spatial axes, and a channel axis
only if a step needs one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.errors import InvalidAxes, InvalidParameter, option
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.operations.spec.operation import Call
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.passes import Part
    from napari_tilewise.recipe.graph import StepGraph
    from napari_tilewise.recipe.links import Link
    from napari_tilewise.recipe.step import Step
    from napari_tilewise.types import Parameters, SpatialAxes

_LENGTH, _CHANNELS = 64, 3
"""Axis lengths of a placeholder for the images that the script will read."""
_DTYPES = {"b": np.bool_, "u": np.uint8, "i": np.int64, "f": np.float64}

TRAILING = {"yx": (-2, -1), "zyx": (-3, -2, -1)}
"""The axes, from the end, that these letters mean if the image's axes have no names."""

AxisLetters = tuple[str, ...] | None


@dataclass(frozen=True)
class ImageFacts:
    """The properties of an image that are known without its pixels."""

    axes: AxisLetters = None
    """The letters of its axes; if they are open, of the minimum number of axes."""
    dtype: type[np.generic] = np.float64
    """A data type in place of the image's own: an operation that keeps it also keeps labels."""
    output: Output = Output.IMAGE
    labels: bool = False
    """Whether its values are label ids, as far as the steps show."""


@dataclass(frozen=True)
class StepView:
    """The part of its image that a step works on."""

    axes: AxisLetters
    """The image's axes, if they are known."""
    plane_letters: tuple[str, ...]
    """Letters of the axes that scikit-image's function gets, channels included."""
    plane_axes: tuple[int, ...] | None
    """Indices of these axes, from the end; None if they are all of the image's axes."""
    spatial: SpatialAxes | None
    """The axes to run over, as given by the step or the run."""
    channel: int | None
    """Index of the plane's channel axis, from the end."""

    @property
    def looped(self) -> AxisLetters:
        """The letters of the axes that are looped over, if they are known."""
        if self.axes is None or self.plane_axes is None:
            return None
        count = len(self.axes)
        return tuple(a for i, a in enumerate(self.axes) if i - count not in self.plane_axes)

    @property
    def front(self) -> int:
        """Index of a new axis in front of a plane's axes."""
        if self.plane_axes is None:
            return 0
        return (
            -len(self.plane_letters) - 1
            if self.axes is None
            else len(self.axes) + self.plane_axes[0]
        )


@dataclass(frozen=True)
class StepWork:
    """A step's operation, parameters, view of its image, and results."""

    operation: Operation
    """The operation as a step of a recipe."""
    params: Parameters
    """The step's parameters, and the channel axis if a run would set it."""
    view: StepView
    several: bool
    """Whether the function returns several results."""
    results: tuple[ImageFacts, ...]
    """The results; several images of the same kind are represented by one."""
    whole: ImageFacts
    """The result that a run writes: the first of several kinds; all of one kind, stacked."""
    stacks: bool
    """Whether the results of planes are stacked along the axes that are looped over."""


class ImageFlow:
    """A recipe's images, from step to step.

    Parameters
    ----------
    recipe
        The steps, with their links.
    axes
        Letters of the source's axes; None if they are open.
    spatial
        The axes to run over. The default is the spatial ones.
    """

    def __init__(self, recipe: StepGraph, axes: AxisLetters, spatial: SpatialAxes | None) -> None:
        self._open = () if axes else _fewest_axes(recipe, spatial)
        self.source = ImageFacts(axes or _with_channel(recipe, self._open))
        if spatial is None and axes:
            spatial = "".join(axis for axis in axes if _axes.kind(axis) == "space") or None
        self._spatial = spatial
        self.steps: dict[int, StepWork] = {}
        for number in recipe.running:
            self.steps[number] = self._step_work(recipe.steps[number], recipe.links[number])

    def image(self, link: Link) -> ImageFacts:
        """Return the facts of a link's image."""
        if link.step is None:
            return self.source if link.input == SOURCE else ImageFacts()
        results = self.steps[link.step].results
        return results[min(link.part, len(results) - 1)]

    def text(self, axes: AxisLetters) -> str | None:
        """Return axes as a script names them, open ones as ``...``; None if they need no name."""
        if axes is None or axes == self._open:
            return None
        letters = "".join(axes)
        return letters.replace("".join(self._open), "...") if self._open else letters

    def _step_work(self, step: Step, links: Mapping[str, Link]) -> StepWork:
        op, image = step.op.as_step(), self.image(links[step.first])
        params = _with_named_channel(op, step.parameters, image.axes)
        view = self._view(step, op, params, image.axes)
        further = {role: self.image(link).dtype for role, link in links.items() if role in op.specs}
        call = _call(op, params, view, image.dtype, further)
        parts = op.parts(call)
        plane_parts = [op.whole_part(call)] if parts is None else list(parts)
        whole = self._facts(plane_parts[0], view, image)
        results = [self._facts(part, view, image) for part in plane_parts]
        if op.result.split is not None:
            results = [self._facts(_single_image(plane_parts[0]), view, image)]
        several = parts is not None or op.result.split is not None
        return StepWork(
            op, params, view, several, tuple(results), whole, _stacks(view, plane_parts[0])
        )

    def _view(self, step: Step, op: Operation, params: Parameters, axes: AxisLetters) -> StepView:
        letters = axes or self._open or ("y", "x")
        fixed = None if self._open else axes
        channel = params.get(op.channel, op.parameters[op.channel].default) if op.channel else None
        if channel is not None and channel >= 0:
            channel -= len(letters)
        if channel is not None and not -len(letters) <= channel < 0:
            raise InvalidAxes(
                f"{op.name}: {op.channel}={params.get(str(op.channel))} does not exist in an image "
                f"with {len(letters)} axes: name the image's axes with {option('axes')}."
            )
        spatial = self._spatial_of(step, axes)
        plane_axes = _find_plane_axes(fixed, spatial, channel, step)
        if plane_axes is None:
            return StepView(fixed, letters, None, None, channel)
        if fixed is not None:
            plane_letters = tuple(fixed[axis] for axis in plane_axes)
        else:
            plane_letters = tuple("zyx"[-len(plane_axes) :])
        if channel is not None:
            channel = plane_axes.index(channel) - len(plane_axes)
        return StepView(fixed, plane_letters, plane_axes, spatial, channel)

    def _spatial_of(self, step: Step, axes: AxisLetters) -> SpatialAxes | None:
        """Return the axes that a step runs over, as a run determines them."""
        if step.spatial is not None:
            return step.spatial
        if axes is None or not isinstance(self._spatial, str):
            return self._spatial
        return "".join(axis for axis in self._spatial if axis in axes) or None

    def _facts(self, part: Part, view: StepView, image: ImageFacts) -> ImageFacts:
        labels = part.output in (Output.MASK, Output.LABELS)
        dtype = image.dtype if part.dtype is None else np.dtype(part.dtype).type
        labels = labels or (image.labels and dtype == image.dtype)
        plane = _plane_axes(part, view, image.axes)
        if plane is None or not part.output.is_image or image.axes is None:
            axes: AxisLetters = None
        elif view.plane_axes is None:
            axes = plane
        elif view.axes is not None:
            axes = _stacked_axes(part, view, view.axes, view.plane_axes, plane)
        else:
            axes = image.axes if len(plane) == len(view.plane_letters) else None
        return ImageFacts(axes, dtype, part.output, labels)


# -- a source without names of axes ----------------------------------------------------------------


def _fewest_axes(recipe: StepGraph, spatial: SpatialAxes | None) -> tuple[str, ...]:
    """Return the spatial axes that every step can run over: y and x, or also z."""
    if isinstance(spatial, str) and spatial not in TRAILING:
        raise _unnamed_axes("A script", spatial)
    if spatial == "zyx":
        return ("z", "y", "x")
    channel = _channel_of_source(recipe) or 0
    axes_before = channel if channel >= 0 else -channel - 1
    return (
        ("y", "x") if axes_before < 3 and all(map(_takes_planes, recipe.steps)) else ("z", "y", "x")
    )


def _takes_planes(step: Step) -> bool:
    """Return whether a step can run over two axes; its parameters may require three."""
    if not step.enabled or step.spatial is not None:
        return True
    placeholder = np.zeros((1, 1), bool)
    images = {role: placeholder for role in step.inputs if role in step.op.specs}
    try:
        step.op.bind({**step.parameters, **images}, 2)
    except InvalidParameter:
        return False
    return step.op.limits.ndim[0] <= 2


def _with_channel(recipe: StepGraph, space: tuple[str, ...]) -> tuple[str, ...]:
    """Return the source's axes, with a channel axis if a step needs one."""
    channel = _channel_of_source(recipe)
    if channel is None:
        return space
    index = channel if channel >= 0 else len(space) + 1 + channel
    return (*space[:index], "c", *space[index:])


def _channel_of_source(recipe: StepGraph) -> int | None:
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


def _with_named_channel(op: Operation, params: Parameters, axes: AxisLetters) -> Parameters:
    """Return parameters in which a colour operation's channel axis is the one named c."""
    if op.channel is None or op.channel in params or not axes or "c" not in axes:
        return params
    default, index = op.parameters[op.channel].default, axes.index("c")
    if default is None or default % len(axes) == index:
        return params
    return {**params, op.channel: index}


def _find_plane_axes(
    letters: AxisLetters, spatial: SpatialAxes | None, channel: int | None, step: Step
) -> tuple[int, ...] | None:
    """Return the axes that a function gets, from the end; None if all of the image's."""
    if spatial is None:
        return None
    if letters is not None:
        seen = {
            axis - len(letters) for axis in _axes.spatial_indices(letters, spatial, len(letters))
        }
        if channel is not None:
            seen.add(channel)
        return None if len(seen) == len(letters) else tuple(sorted(seen))
    axes_from_end = TRAILING.get(spatial) if isinstance(spatial, str) else spatial
    if axes_from_end is None or channel is not None or max(axes_from_end) >= 0:
        raise _unnamed_axes(step.operation, spatial)
    return tuple(sorted(axes_from_end))


def _unnamed_axes(who: str, spatial: SpatialAxes | None) -> InvalidAxes:
    return InvalidAxes(
        f"{who}: {option('spatial', spatial)} needs the names of the image's axes in a script: "
        f"name them, such as {option('axes', 'tcyx')}."
    )


def _call(
    op: Operation,
    params: Parameters,
    view: StepView,
    dtype: DTypeLike,
    further: Mapping[str, DTypeLike],
) -> Call:
    """Return the operation's call for a placeholder image."""
    channel_index = None if view.channel is None else view.channel + len(view.plane_letters)
    shape = tuple(
        _CHANNELS if i == channel_index else _LENGTH for i in range(len(view.plane_letters))
    )
    if np.dtype(dtype).kind not in op.limits.dtypes:
        dtype = _DTYPES[op.limits.dtypes[0]]
    space = tuple(n for i, n in enumerate(shape) if i != channel_index)
    images = {role: np.broadcast_to(np.zeros((), kind), space) for role, kind in further.items()}
    bound = op.bind({**params, **images})
    if op.channel is not None:
        bound[op.channel] = channel_index
    return Call(op, bound, shape, np.dtype(dtype), channel_index)


# -- the axes of a result --------------------------------------------------------------------------


def _single_image(part: Part) -> Part:
    """Return one of several images of one kind, from the part that is all of them, stacked."""
    if part.shape is None or part.channel is None:
        return part
    channel = part.channel
    return replace(part, shape=(*part.shape[:channel], *part.shape[channel + 1 :]), channel=None)


def _plane_axes(part: Part, view: StepView, axes: AxisLetters) -> AxisLetters:
    """Return the axes of a function's result for one plane."""
    count = len(view.plane_letters)
    space = [a for i, a in enumerate(view.plane_letters) if i - count != view.channel]
    if part.channel is not None:
        new = "q" if axes and "c" in axes else "c"
        space.insert(
            part.channel, new if view.channel is None else view.plane_letters[view.channel]
        )
    return tuple(space) if part.shape is not None and len(part.shape) == len(space) else None


def _stacks(view: StepView, part: Part) -> bool:
    """Return whether every axis behind a looped one has the same position in the result."""
    if view.looped is None or view.axes is None or not part.output.is_image:
        return True
    leading = view.axes[: len(view.looped)] == view.looped
    return leading or (part.shape is not None and len(part.shape) == len(view.plane_letters))


def _stacked_axes(
    part: Part,
    view: StepView,
    axes: tuple[str, ...],
    plane_axes: tuple[int, ...],
    plane_letters: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the axes of the planes' stacked results, in the order of the engine."""
    remaining, stacked = list(plane_letters), []
    for axis_from_end, axis in enumerate(axes, start=-len(axes)):
        if axis_from_end not in plane_axes:
            stacked.append(axis)
            continue
        if part.channel == len(plane_letters) - len(remaining):
            stacked.append(remaining.pop(0))
        is_channel = plane_axes.index(axis_from_end) - len(plane_axes) == view.channel
        if not is_channel and remaining:
            stacked.append(remaining.pop(0))
    return (*stacked, *remaining)
