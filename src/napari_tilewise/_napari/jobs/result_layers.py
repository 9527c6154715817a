"""A result becomes a layer: of the right type, at the right position, with its recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Points, Shapes, Surface

from napari_tilewise._napari.jobs import arrange, object_tables
from napari_tilewise._napari.jobs.result_contrast import contrast_limits, visible_limits
from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise._napari.layers.columns import TableColumn, in_units
from napari_tilewise._napari.layers.snapshot import move_lazy, remember_lazy
from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import ArrayLike

    from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame
    from napari_tilewise._napari.layers.placement import LayerArguments, Placement
    from napari_tilewise.engine.result_axes import ResultAxis

RING = 0.15
"""The width of a point's ring, as a part of the usual diameter."""


def layer(job: Job, outcome: JobOutcome) -> Layer | None:
    """Return the layer of a result, or None if the result is numbers. Computes nothing.

    Parameters
    ----------
    job
        The finished job.
    outcome
        One of its outcomes.
    """
    number = "" if outcome.number is None else f" {outcome.number + 1}"
    common: LayerArguments = {"name": f"{name_of(job)}{number}"}
    result = _layer_of(job, outcome, common)
    if result is not None and job.record.is_storable:
        layer_record.write(result, record(job, outcome))
    if outcome.output is Output.TABLE and isinstance(result, Labels):
        object_table.attach(result, object_tables.table_of(job, outcome))
    return result


def name_of(job: Job) -> str:
    """Return the name of a result's layer: the first image and the last step.

    The recipe, in the layer's tooltip, says the others.

    Parameters
    ----------
    job
        A recipe on a layer.
    """
    return f"{job.record.source.name} - {job.operation.title}"


def measured(
    job: Job, outcome: JobOutcome, source: Layer | None, viewer: ViewerModel
) -> Labels | None:
    """Return the labels that a table was measured on, which keep it; None if it has no layer yet.

    Parameters
    ----------
    job
        The finished job.
    outcome
        One of its outcomes.
    source
        The measured layer; None if it was removed.
    viewer
        The viewer that shows the layer.
    """
    is_table = outcome.output is Output.TABLE and outcome.measured is None
    if not is_table or not isinstance(source, Labels) or source not in viewer.layers:
        return None
    table = object_tables.table_of(job, outcome)
    if table is None:
        return None
    object_table.attach(source, table)
    object_table.follow(source, viewer)
    return source


def record(job: Job, outcome: JobOutcome) -> layer_record.Record:
    """Return the record of a result's layer.

    Parameters
    ----------
    job
        The finished job.
    outcome
        One of its outcomes.
    """
    return replace(
        job.record,
        part=outcome.number,
        is_mask=outcome.is_mask,
        provenance=outcome.provenance,
        channels_first=outcome.channels_first,
        inserted=outcome.inserted,
    )


def _layer_of(job: Job, outcome: JobOutcome, common: LayerArguments) -> Layer | None:
    make = _LAYERS.get(outcome.output)
    if make is not None:
        return make(job, outcome, common)
    if not outcome.output.is_image:
        return None
    if 0 in outcome.finest.shape:
        raise InvalidImage(
            f"{job} leaves no pixels: the result would have the shape {outcome.finest.shape}. "
            "Check its parameters, or the image."
        )
    placement = _placement(job, outcome.axes, is_rgb=outcome.is_rgb)
    common.update(placement.arguments(), multiscale=outcome.is_multiscale)
    result = Labels(outcome.data, **common) if outcome.is_labels else _image(job, outcome, common)
    if outcome.lazy is not None:
        remember_lazy(result, outcome.lazy)
    return result


def update(layer: Layer, result: Layer) -> bool:
    """Give a layer the pixels of a newer result; return False if its type does not allow that.

    The appearance stays, except for contrast limits that would show nothing.

    Parameters
    ----------
    layer
        An earlier result.
    result
        The newer result, not in the viewer.
    """
    if not isinstance(layer, Image | Labels) or type(layer) is not type(result):
        return False
    old, new = ((item.multiscale, item.ndim, _is_rgb(item)) for item in (layer, result))
    if old != new:
        return False
    with layer_record.own_change(layer):
        layer.data = list(result.data) if result.multiscale else result.data
    move_lazy(result, layer)
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        _set(layer, name, getattr(result, name))
    if isinstance(layer, Labels):
        layer.features = result.features
        object_table.attach(layer, object_table.of(result))
    elif not layer.rgb:
        limits = visible_limits(tuple(layer.contrast_limits), tuple(result.contrast_limits))
        _set(layer, "contrast_limits_range", result.contrast_limits_range)
        _set(layer, "contrast_limits", limits)
    return True


def _is_rgb(layer: Layer) -> bool:
    return bool(getattr(layer, "rgb", False))


def _set(layer: Layer, name: str, value: object) -> None:
    """Set an attribute if it differs: napari updates all pixels at each setting."""
    if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
        setattr(layer, name, value)


def _placement(job: Job, axes: Sequence[ResultAxis], *, is_rgb: bool = False) -> Placement:
    """Return the placement of an image with some of the source's axes, and new ones.

    With `is_rgb`, the last axis holds samples, and is not an axis of the layer.
    """
    of_layer = axes[:-1] if is_rgb else axes
    pairs = [(axis.origin, axis.sampling) for axis in of_layer if axis.origin is not None]
    placement = job.source.placement.for_axes([origin for origin, _ in pairs])
    placement = placement.sampled([sampling for _, sampling in pairs])
    for index, axis in enumerate(of_layer):
        if axis.origin is None:
            placement = placement.with_axis(index, "c")
    return placement


def _image(job: Job, outcome: JobOutcome, common: LayerArguments) -> Image:
    dtype = np.dtype(outcome.finest.dtype)
    if outcome.is_rgb:
        return Image(outcome.data, rgb=True, **common)
    limits = contrast_limits(job, outcome.values, dtype)
    image = Image(
        outcome.data,
        rgb=False,
        contrast_limits=limits,
        colormap=job.source.colormap or "gray",
        **common,
    )
    if dtype.kind == "f" and outcome.values is not None:
        image.contrast_limits_range = (
            min(limits[0], outcome.values[0]), max(limits[1], outcome.values[1]),
        )  # fmt: skip
    return image


def _frame(outcome: JobOutcome) -> LayerFrame:
    if outcome.frame is None:
        raise InvalidImage(f"The {outcome.output} cannot be placed: the measured image is unknown.")
    return outcome.frame


def _coordinates(outcome: JobOutcome, rows: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates along the layer's axes, and the other columns, of rows of numbers.

    A row starts with the position along the looped axes, then along the spatial ones.
    """
    frame = _frame(outcome)
    numbers = np.asarray(rows, dtype=float)
    axes = [axis for axis in range(len(frame.axes)) if axis != frame.channel]
    order = [*(axis for axis in axes if axis not in frame.over), *frame.over]
    columns = [order.index(axis) for axis in axes if frame.axes[axis].origin is not None]
    return numbers[:, columns], numbers[:, len(order) :]


def _measured_on(job: Job, outcome: JobOutcome) -> tuple[Placement, int]:
    """Return the placement of the measured image, and its longest spatial length."""
    frame = _frame(outcome)
    placement = _placement(job, [axis for axis in frame.axes if axis.origin is not None])
    return placement, max(frame.shape[axis] for axis in frame.over)


def _points(job: Job, outcome: JobOutcome, common: LayerArguments) -> Points:
    placement, longest = _measured_on(job, outcome)
    data, columns = _coordinates(outcome, outcome.data)
    usual = min(10, max(2, longest / 60))
    size: float | np.ndarray = usual
    radius = job.operation.step.radius
    if radius is not None and len(data):
        size = 2 * radius(columns, len(_frame(outcome).over))
    return Points(
        data,
        ndim=len(placement.inner.scale),
        features=_features(outcome, columns),
        size=size,
        face_color="transparent",
        border_color="#ffb000",
        border_width=RING * usual,
        border_width_is_relative=False,  # a blob is ringed, and not covered
        **common,
        **placement.arguments(),
    )


def _features(outcome: JobOutcome, columns: np.ndarray) -> dict[str, np.ndarray]:
    """Return the numbers behind the coordinates by name; lengths in the unit, and in pixels."""
    declared = () if outcome.lengths is None else outcome.lengths.columns
    parts = declared[len(declared) - columns.shape[1] :]
    if outcome.lengths is None or len(parts) != columns.shape[1]:
        return {f"value {i}": column for i, column in enumerate(columns.T, start=1)}
    features: dict[str, np.ndarray] = {}
    for part, values in zip(parts, columns.T, strict=True):
        named = in_units(TableColumn(part.name, part.name, values), part, outcome.lengths.unit)
        features |= {column.title: column.values for column in named}
    return features


def _contours(job: Job, outcome: JobOutcome, common: LayerArguments) -> Shapes:
    placement, longest = _measured_on(job, outcome)
    lines = [_coordinates(outcome, line)[0] for line in outcome.data]
    return Shapes(
        lines or None,
        ndim=len(placement.inner.scale),
        shape_type="path",
        face_color="transparent",
        edge_color="#ffb000",
        edge_width=max(0.5, longest / 500),
        **common,
        **placement.arguments(),
    )


def _mesh(job: Job, outcome: JobOutcome, common: LayerArguments) -> Surface:
    """Return the surface; one per position along the looped axes, which the sliders show."""
    frame = _frame(outcome)
    loops = [axis for axis in range(len(frame.axes)) if axis not in frame.over]
    axes = [*loops, *sorted(frame.over)]
    # The layer's scale stretches the vertices, which are in units of the pixel size that was set.
    pixel_size = _own_pixel_size(job)
    meshes = outcome.data if loops else [outcome.data]
    vertices, faces, values, count = [], [], [], 0
    for index, mesh in zip(np.ndindex(*(frame.shape[i] for i in loops)), meshes, strict=True):
        points = np.asarray(mesh[0]) / pixel_size.astype(np.asarray(mesh[0]).dtype)
        prefix = np.broadcast_to(np.asarray(index, points.dtype), (len(points), len(index)))
        vertices.append(np.concatenate([prefix, points], axis=1))
        faces.append(np.asarray(mesh[1]) + count)
        values.append(mesh[3])
        count += len(points)
    order = [axes.index(axis) for axis in range(len(axes))]
    placement = _placement(job, [frame.axes[axis] for axis in range(len(axes))])
    data = (np.concatenate(vertices)[:, order], np.concatenate(faces), np.concatenate(values))
    return Surface(data, **common, **placement.arguments())


def _own_pixel_size(job: Job) -> np.ndarray:
    """Return the pixel size that the last step was told to measure by; 1 for none."""
    specs, params = job.operation.specs, job.last.bound
    sizes = [params[name] for name, spec in specs.items() if spec.pixel_size]
    return np.asarray(sizes[0] if sizes and sizes[0] is not None else 1, float)


def _table(job: Job, outcome: JobOutcome, common: LayerArguments) -> Labels:
    """Return labels with the measured labels' data."""
    measured, source = outcome.measured, job.source
    if measured is None:
        levels, is_rgb, placement = list(source.levels), source.is_rgb, source.placement
        is_multiscale = source.is_multiscale
    else:
        levels = list(measured.data) if measured.is_multiscale else [measured.data]
        is_rgb, is_multiscale = measured.is_rgb, measured.is_multiscale
        placement = _placement(job, measured.axes, is_rgb=is_rgb)
    if is_rgb:  # labels have no samples: these become an axis
        levels = [arrange.last_first(level) for level in levels]
        placement = placement.with_axis(0, "c")
    return Labels(
        levels if is_multiscale else levels[0],
        multiscale=is_multiscale, **common, **placement.arguments(),
    )  # fmt: skip


_LAYERS: Mapping[Output, Callable[[Job, JobOutcome, LayerArguments], Layer]] = {
    Output.POINTS: _points,
    Output.TABLE: _table,
    Output.CONTOURS: _contours,
    Output.MESH: _mesh,
}
"""Layers of results that are not images."""
