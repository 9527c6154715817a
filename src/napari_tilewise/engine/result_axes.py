"""The axes of a result: which of the image's they are, and where its pixels lie along them.

Operations declare where the pixels of their results lie; in a chain, the declarations add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.pixel_positions import UNMOVED, Sampling

if TYPE_CHECKING:
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source


@dataclass(frozen=True)
class ResultAxis:
    """One axis of a result."""

    origin: int | None = None
    """The image's axis; None for one that is new."""
    sampling: Sampling | None = None
    """Where its pixels lie along the image's axis; None where that is not defined: along a new
    axis, and along one of angles or radii that takes the place of the image's."""


NEW_AXIS = ResultAxis()


@dataclass(frozen=True)
class LoopedAxis:
    """An axis along whose positions a result has a value each."""

    origin: int | None
    """The image's axis; None for one that a step before made."""
    length: int


def looped_axes(stack: Stack) -> tuple[LoopedAxis, ...]:
    """Return the axes along whose positions a stack has a value each, outermost first.

    Parameters
    ----------
    stack
        The last operation of a chain, whose result is not an image.
    """
    before = _axes_before(stack.source, stack.session)
    origins = stack.loops if before is None else [before[axis].origin for axis in stack.loops]
    return tuple(map(LoopedAxis, origins, stack.planes.lengths))


def own_axes(stack: Stack) -> tuple[ResultAxis, ...]:
    """Return the axes of a result with respect to the image that its operation reads.

    Parameters
    ----------
    stack
        An operation on an image.
    """
    if not stack.is_image:
        return ()
    call, channel = stack.call, stack.part.channel
    lengths = tuple(n for axis, n in enumerate(stack.plane_shape or ()) if axis != channel)
    along = iter(call.operation.neighbourhood.sampling(call, lengths))
    axes = []
    for axis, origin in enumerate(stack.origins):
        if axis in stack.looped:
            sampling: Sampling | None = UNMOVED
        elif axis == stack.channel:
            is_same = origin is not None and (
                stack.source.shape[origin] + stack.has_alpha == stack.shape[axis]
            )
            sampling = UNMOVED if is_same else None
        else:
            sampling = next(along)
        axes.append(ResultAxis(origin, sampling))
    return tuple(axes)


def result_axes(stack: Stack) -> tuple[ResultAxis, ...]:
    """Return the axes of a result with respect to the first image of its chain of operations.

    Parameters
    ----------
    stack
        The last operation of a chain, on the results of others or on an image.
    """
    before = _axes_before(stack.source, stack.session)
    axes = own_axes(stack)
    return axes if before is None else tuple(_composed(axis, before) for axis in axes)


def _axes_before(source: Source, session: Session) -> tuple[ResultAxis, ...] | None:
    """Return the axes of the result that a source reads from; None for an image.

    The lazy result of an earlier call, whose session is another, is an image of this one.
    """
    if isinstance(source, PlaneView):
        axes = _axes_before(source.stack, session)
        return None if axes is None else tuple(axes[axis] for axis in source.axes)
    if isinstance(source, WithoutAlpha):
        return _axes_before(source.inner, session)
    stack = source.stack if isinstance(source, Materialized) else source
    if isinstance(stack, Stack) and stack.session is session:
        return result_axes(stack)
    return None


def _composed(axis: ResultAxis, before: tuple[ResultAxis, ...]) -> ResultAxis:
    if axis.origin is None:
        return axis
    earlier, later = before[axis.origin], axis.sampling
    if earlier.sampling is None or later is None:
        return ResultAxis(earlier.origin)
    step, start = earlier.sampling.step, earlier.sampling.start
    return ResultAxis(earlier.origin, Sampling(step * later.step, start + step * later.start))
