"""A part of a result that is an image, with the axes of its layer and in a type napari uploads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise._napari.layers import prefetch
from napari_tilewise._napari.preview.outlines import outlines
from napari_tilewise._napari.preview.preview_request import Basis, PreviewResult, Shown
from napari_tilewise.engine.result_axes import NEW_AXIS, ResultAxis
from napari_tilewise.operations.spec.pixel_positions import Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.preview.preview_request import PreviewRequest
    from napari_tilewise._napari.preview.source_level import Level

UPLOADED = {"uint8", "uint16", "float32"}
"""Types that are not converted on the window's thread."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where the image that was computed lies in the source."""

    request: PreviewRequest
    level: Level
    start: tuple[int, ...]
    """Its first pixel, in pixels of the level."""
    basis: Basis

    @property
    def job(self) -> Job:
        """The recipe and its source."""
        return self.request.job

    @property
    def placed(self) -> tuple[int, ...]:
        """The layer's axes."""
        return tuple(range(len(self.job.source.placement.inner.scale)))

    @property
    def factor(self) -> float:
        """The length of the level's pixels, in pixels of the source."""
        return max(self.level.factors)

    def position(self, axis: int, of_image: np.ndarray | float) -> np.ndarray | float:
        """Return positions in the image as positions in the source.

        Parameters
        ----------
        axis
            The source's axis.
        of_image
            Positions along it, in pixels of the image.
        """
        return self.level.factors[axis] * (self.start[axis] + of_image + 0.5) - 0.5

    def placed_axis(self, axis: ResultAxis, first: int) -> ResultAxis:
        """Return an axis of the result with respect to the source, from one of its pixels on.

        Parameters
        ----------
        axis
            The axis with respect to the image.
        first
            The first pixel of the result along it.
        """
        if axis.origin is None or axis.origin not in self.placed:
            return NEW_AXIS
        if axis.sampling is None:
            return ResultAxis(axis.origin)
        along = axis.sampling
        start = self.position(axis.origin, along.start + along.step * first)
        step = along.step * self.level.factors[axis.origin]
        return ResultAxis(axis.origin, Sampling(step, float(start)))


def shown(
    frame: Frame, array: np.ndarray, axes: Sequence[ResultAxis], *, is_objects: bool
) -> PreviewResult:
    """Return a part of a result that is an image, as it is shown.

    Parameters
    ----------
    frame
        Where it lies.
    array
        Its pixels.
    axes
        Its axes with respect to the source.
    is_objects
        Whether it holds labels or a mask.
    """
    dtype = array.dtype
    values = None if is_objects else prefetch.value_range([array])
    array, axes = _new_axes_last(array, axes)
    new = sum(axis.origin is None for axis in axes)
    is_rgb = new == 1 and not is_objects and _is_colour(array, values)
    remark = ""
    if new and not is_rgb:
        count = array.shape[-1]
        array, axes = array.reshape(*array.shape[:-new], -1)[..., 0], axes[:-new]
        remark = f"Shows channel 1 of {count}."
    array, samplings = _with_all_axes(frame, array, axes, is_rgb=is_rgb)
    kind = Shown.OUTLINES if is_objects else Shown.COLOURS if is_rgb else Shown.IMAGE
    uploaded = outlines(array) if is_objects else _uploaded(array)
    return PreviewResult(
        kind,
        uploaded,
        samplings,
        frame.basis,
        frame.factor,
        values=values,
        dtype=dtype,
        is_opaque=not is_objects and _is_opaque(uploaded, is_rgb=is_rgb),
        remark=remark,
    )


def _new_axes_last(
    array: np.ndarray, axes: Sequence[ResultAxis]
) -> tuple[np.ndarray, tuple[ResultAxis, ...]]:
    """Return pixels with the layer's axes in order, followed by those that are none of its."""

    def rank(axis: int) -> tuple[bool, int]:
        origin = axes[axis].origin
        return (origin is None, axis if origin is None else origin)

    order = sorted(range(len(axes)), key=rank)
    return array.transpose(order), tuple(axes[axis] for axis in order)


def _with_all_axes(
    frame: Frame, array: np.ndarray, axes: Sequence[ResultAxis], *, is_rgb: bool
) -> tuple[np.ndarray, tuple[Sampling | None, ...]]:
    """Return pixels with an axis of length one for each of the layer's that the result lacks."""
    along = {axis.origin: axis.sampling for axis in axes if axis.origin is not None}
    samplings: list[Sampling | None] = []
    for axis in frame.placed:
        if axis not in along:
            array = np.expand_dims(array, axis)
            samplings.append(Sampling(1.0, float(frame.request.view.box[axis].start)))
        else:
            samplings.append(along[axis])
    return array, tuple(samplings)


def _is_colour(array: np.ndarray, values: tuple[float, float] | None) -> bool:
    if array.shape[-1] not in (3, 4):
        return False
    if array.dtype.kind != "f":
        return array.dtype.kind == "u"
    return values is None or (values[0] >= -0.01 and values[1] <= 1.01)


def _is_opaque(array: np.ndarray, *, is_rgb: bool) -> bool:
    """Return whether pixels have neither an alpha nor values that are not a number."""
    if (is_rgb and array.shape[-1] != 3) or array.size == 0:
        return False
    return not np.isnan(array.max())  # quicker than a look at each, and not a number if one is


def _uploaded(array: np.ndarray) -> np.ndarray:
    """Return pixels in a type that napari uploads as it is, contiguous."""
    if array.dtype.kind == "c":
        array = np.abs(array)
    dtype = array.dtype if array.dtype.name in UPLOADED else np.dtype(np.float32)
    return np.ascontiguousarray(array, dtype=dtype)
