"""`tw.apply` on layers: what the Operations panel does, called from a script.

The layer says its axes, its channels, its pixel size and its place; the result is the layer that
the panel would add. Nothing is added unless the call passes a viewer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_tilewise import axes as _axes
from napari_tilewise._napari.jobs import result_layers
from napari_tilewise._napari.jobs.compute import compute, outcomes_of
from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.layers import dimensions, recording, slicing, snapshot
from napari_tilewise._napari.layers.recording import StepRequest
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise.engine.apply import apply as apply_to_array
from napari_tilewise.engine.build import StackLayout, build, eager_image
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import results_of
from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.binding import unknown_parameter
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.parameters import AlignedImage, is_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel

    from napari_tilewise._napari.jobs.job import JobOutcome
    from napari_tilewise.engine.events import Event, Listener
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import (
        ArrayLike,
        AxisNames,
        Parameters,
        SpatialAxes,
        TileLengths,
        Value,
    )


def apply(
    name: str,
    image: Value,
    /,
    *,
    axes: AxisNames | None = None,
    spatial: SpatialAxes | None = None,
    tiles: TileLengths = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    viewer: ViewerModel | None = None,
    **params: Value,
) -> Value:
    """Apply an operation to a layer, or to an array with further images that are layers.

    Parameters
    ----------
    name
        The operation's key.
    image
        An image or labels layer; or an array, whose result is an array.
    axes
        Names of the layer's axes; those of its axis labels unless given.
    spatial
        The axes to run over; z, y and x of a layer that names them, else all, unless given.
    tiles
        ``"auto"``, one tile length in pixels, or one per spatial axis.
    progress
        Called with each event of the engine.
    cancel
        Set to stop within one tile's time.
    viewer
        Result layers are added to it.
    **params
        scikit-image's own parameters; further images may be layers.

    Returns
    -------
    Layer, Value, list or tuple
        A layer, or numbers; several as scikit-image returns them.

    Raises
    ------
    TilewiseError
        Before any pixel is read, except for what only pixels tell.
    """
    operation = get_operation(name)
    control = Control(progress, cancel or threading.Event())
    if not isinstance(image, Layer):
        params = {key: _pixels(value) for key, value in params.items()}
        return apply_to_array(
            name, image, axes=axes, spatial=spatial, tiles=tiles, progress=progress, cancel=cancel,
            **params,
        )  # fmt: skip
    if not isinstance(image, Image | Labels):
        raise InvalidImage(
            f"{operation.name}: {image.name!r} is a {type(image).__name__} layer: expected an "
            "image or labels layer."
        )
    call = _LayerCall(operation, image, operation.modern(params), viewer)
    job = call.job(axes, spatial, tiles)
    outcomes = call.outcomes(job, control)
    results = [_result(job, outcome, image, viewer) for outcome in outcomes]
    if operation.result.split is not None:
        return operation.result.split(results)
    return tuple(results) if call.gives_several(job) else results[0]


def _ignore(event: Event) -> None:
    """Take no notice of an event."""


def _pixels(value: Value) -> Value:
    """Return a layer's pixels, points or lines; any other value as it is."""
    if isinstance(value, Image | Labels):
        return snapshot.take(value).finest
    return value.data if isinstance(value, Layer) else value


def _result(job: Job, outcome: JobOutcome, source: Layer, viewer: ViewerModel | None) -> Value:
    """Return an outcome's layer, added to the viewer if there is one; or its numbers.

    A table belongs to the labels in the viewer that were measured.
    """
    if viewer is not None:
        labels = result_layers.measured(job, outcome, source, viewer)
        if labels is not None:
            return labels
    layer = result_layers.layer(job, outcome)
    if layer is None:
        return outcome.data
    if viewer is not None:
        slicing.prepare(layer, viewer, is_lazy=outcome.lazy is not None)
        add_result(viewer, layer)
    return layer


@dataclass(frozen=True, eq=False)
class _LayerCall:
    """An operation called on a layer."""

    operation: Operation
    layer: Image | Labels
    params: Parameters
    viewer: ViewerModel | None

    def job(self, axes: AxisNames | None, spatial: SpatialAxes | None, tiles: TileLengths) -> Job:
        """Return the job that computes the call."""
        if "out" in self.params and "out" not in self.operation.specs:
            raise InvalidParameter(
                f"{self.operation.name}: out= is for arrays: a layer gives a new layer. Leave it "
                "out."
            )
        labels = self._labels(axes)
        channel = self._channel(labels)
        images, params = self._divided()
        request = StepRequest(
            self.operation, params, images, self._spatial(labels, spatial, channel), channel
        )
        step = recording.applied_step(request, self.layer)
        return Job(
            recipe=step.recipe,
            source=step.source,
            box=self._box(step.source),
            record=step.record,
            inputs=step.inputs,
            roots=recording.source_arrays(step.record, self._layers(images.values())),
            tiles=tiles,
        )

    def outcomes(self, job: Job, control: Control) -> tuple[JobOutcome, ...]:
        """Return the outcomes: those of scikit-image's function where a step makes others."""
        progress, cancel = control.progress or _ignore, control.cancel or threading.Event()
        if self.operation.as_step() is self.operation:
            return compute(job, progress, cancel)
        image, eager = eager_image(job.source.finest)
        step, names = job.last, job.source.names
        images = {role: job.inputs[name] for role, name in step.inputs.items()}
        axes = _axes.AxisSelection(names, step.spatial, job.axes.channels)
        layout = StackLayout(axes, job.tiles)
        stack = build(
            self.operation, image, {**step.parameters, **images}, Session(None, control), layout
        )
        return outcomes_of(job, results_of(stack, eager=eager), progress, cancel)

    def gives_several(self, job: Job) -> bool:
        """Return whether scikit-image returns a tuple, perhaps of one."""
        if self.operation.result.parts is None:
            return False
        source, step = job.source, job.last
        shape = source.shape
        over = _axes.spatial_indices(source.names, step.spatial, len(shape))
        channel = None if self.operation.channel is None else step.bound[self.operation.channel]
        plane = {*over} if channel is None else {*over, channel % len(shape)}
        params = {**step.parameters, **{role: job.inputs[n] for role, n in step.inputs.items()}}
        if channel is not None and self.operation.channel is not None:
            params[self.operation.channel] = sorted(plane).index(channel % len(shape))
        lengths = tuple(shape[axis] for axis in sorted(plane))
        call = self.operation.call(lengths, source.dtype, params)
        return self.operation.parts(call) is not None

    @property
    def _is_rgb(self) -> bool:
        return bool(getattr(self.layer, "rgb", False))

    def _labels(self, axes: AxisNames | None) -> tuple[str, ...]:
        """Return the names of the layer's axes, without samples."""
        ndim = self.layer.ndim
        if axes is None:
            return tuple(self.layer.axis_labels)
        names = tuple(axes)
        if self._is_rgb and len(names) == ndim + 1:
            names = names[:-1]
        return _axes.parse(names, ndim) or tuple(self.layer.axis_labels)

    def _channel(self, labels: tuple[str, ...]) -> int | None:
        """Return the layer's axis that holds channels; that after its last one for samples."""
        axis = None if self.operation.channel is None else self.params.get(self.operation.channel)
        if axis is None:
            return dimensions.needed_channel(
                self.operation, self.layer.name, labels, is_rgb=self._is_rgb
            )
        ndim = len(labels) + self._is_rgb
        if not -ndim <= axis < ndim:
            raise InvalidImage(
                f"{self.operation.name}: {self.operation.channel}={axis} does not exist in "
                f"{self.layer.name!r}: expected an axis from {-ndim} to {ndim - 1}."
            )
        return int(axis % ndim)

    def _spatial(
        self, labels: tuple[str, ...], spatial: SpatialAxes | None, channel: int | None
    ) -> dimensions.Axes:
        ndim, letters = len(labels), dimensions.letters(labels)
        if spatial is not None:
            return _axes.spatial_indices(letters, spatial, ndim)
        every = tuple(axis for axis in range(ndim) if axis != channel)
        low, high = self.operation.limits.ndim
        if letters is None and low <= len(every) <= high:
            return every
        shown = every[-2:]
        if self.viewer is not None:
            shown = snapshot.displayed_axes(self.layer, self.viewer)
        return dimensions.choices(self.operation, labels, shown)[0].axes

    def _divided(self) -> tuple[dict[str, Layer | ArrayLike], dict[str, Value]]:
        """Return the further images, and the other parameters without the channel axis."""
        images: dict[str, Layer | ArrayLike] = {}
        params: dict[str, Value] = {}
        for name, value in self.params.items():
            if name not in self.operation.specs:
                arguments = signature(self.operation.raw_function)
                specs = self.operation.specs
                raise unknown_parameter(self.operation.name, name, specs, arguments)
            if name == self.operation.channel:
                continue
            spec = self.operation.specs[name]
            if isinstance(value, Image | Labels) and isinstance(spec, AlignedImage):
                images[name] = value
                continue
            pixels = _pixels(value)
            if isinstance(spec, AlignedImage) and pixels is not None and is_image(spec, pixels):
                images[name] = pixels
            else:
                params[name] = np.asarray(pixels) if isinstance(value, Layer) else pixels
        return images, params

    def _layers(self, images: Iterable[Layer | ArrayLike]) -> list[Layer]:
        """Return the layers that a result may be made from."""
        layers = [self.layer, *(image for image in images if isinstance(image, Layer))]
        return layers if self.viewer is None else [*self.viewer.layers, *layers]

    def _box(self, source: snapshot.Snapshot) -> snapshot.Box:
        """Return the part of the layer that is shown first."""
        if self.viewer is None or self.layer not in self.viewer.layers:
            return snapshot.first_box(source)
        return snapshot.shown_box(self.layer, self.viewer, without=source.hidden_axis)
