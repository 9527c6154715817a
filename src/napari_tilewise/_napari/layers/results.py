"""A result becomes a new layer: the right type, the right place, and the recipe it came by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes, Surface

from napari_tilewise._napari.layers import arrange, layer_record
from napari_tilewise._napari.layers.snapshot import move, remember
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Layer

    from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame
    from napari_tilewise._napari.layers.placement import Placement

Limits = tuple[float, float]


def layer(job: Job, outcome: JobOutcome) -> Layer | None:
    """Return the layer of a result, or None where it is numbers only. Computes nothing.

    Parameters
    ----------
    job
        What was done.
    outcome
        What came out.
    """
    number = "" if outcome.number is None else f" {outcome.number + 1}"
    common: dict[str, Any] = {"name": f"{job.source.name} - {job.operation.title}{number}"}
    made = _made(job, outcome, common)
    if made is not None:
        layer_record.write(made, record(job, outcome))
    return made


def record(job: Job, outcome: JobOutcome) -> layer_record.Record:
    """Return what a result's layer remembers.

    Parameters
    ----------
    job
        What was done.
    outcome
        What came out.
    """
    return replace(
        job.record,
        part=outcome.number,
        is_mask=outcome.is_mask,
        provenance=outcome.provenance,
        channels_first=outcome.channels_first,
    )


def _made(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Layer | None:
    make = _SHAPES.get(outcome.output)
    if make is not None:
        return make(job, outcome, common)
    if not outcome.output.is_image:
        return None
    placement = _placement(job, outcome.axes, outcome.finest.shape, is_rgb=outcome.is_rgb)
    common.update(placement.arguments(), multiscale=outcome.is_multiscale)
    made = Labels(outcome.data, **common) if outcome.is_labels else _image(job, outcome, common)
    if outcome.lazy is not None:
        remember(made, outcome.lazy)
    return made


def update(layer: Layer, made: Layer) -> bool:
    """Give a layer the pixels of a newer result; return whether it can take them.

    Its looks stay, but for contrast limits that would show nothing.

    Parameters
    ----------
    layer
        An earlier result.
    made
        The newer one, not in the viewer.
    """
    if not isinstance(layer, Image | Labels) or type(layer) is not type(made):
        return False
    one = [(item.multiscale, item.ndim, getattr(item, "rgb", False)) for item in (layer, made)]
    if one[0] != one[1]:
        return False
    with layer_record.own_change(layer):
        layer.data = list(made.data) if made.multiscale else made.data
    move(made, layer)
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        _set(layer, name, getattr(made, name))
    if isinstance(layer, Labels):
        layer.features = made.features
    elif not layer.rgb:
        limits = _agreeing(tuple(layer.contrast_limits), tuple(made.contrast_limits))
        _set(layer, "contrast_limits_range", made.contrast_limits_range)
        _set(layer, "contrast_limits", limits)
    return True


def _set(layer: Layer, name: str, value: Any) -> None:
    """Set what differs: napari prepares all pixels again for each thing that is set."""
    if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
        setattr(layer, name, value)


def _agreeing(known: Limits, values: Limits) -> Limits:
    """Return the known limits where a range of values can be seen with them; else that range."""
    (low, high), span = values, known[1] - known[0]
    meet = low <= known[1] and high >= known[0]
    return known if meet and span / 2 <= high - low <= 20 * span else values


def note(job: Job, outcome: JobOutcome, source: Layer | None) -> str:
    """Keep a result that is no layer in its source's metadata, and return it in words.

    Parameters
    ----------
    job
        What was done.
    outcome
        What came out.
    source
        The layer it was made from, where that is still there.
    """
    if source is not None:
        layer_record.keep_value(source, job.operation.name, outcome.number or 0, outcome.data)
    where = f"in the metadata of {job.source.name!r}"
    return f"{job}: {_in_words(outcome.data, where)}"


def _in_words(value: Any, where: str) -> str:
    if isinstance(value, list | tuple):  # one per plane, perhaps of several lengths
        return f"{len(value)} items, {where}"
    if isinstance(value, np.ndarray) and value.ndim > 0:
        if value.size <= 12:
            return np.array2string(value, precision=6, separator=", ").replace("\n", "")
        return f"{value.dtype} numbers of shape {value.shape}, {where}"
    return str(value)


def _placement(
    job: Job, axes: Sequence[int | None], shape: Sequence[int], *, is_rgb: bool = False
) -> Placement:
    """Return where an image lies whose axes are some of the source's, and new ones.

    `is_rgb` says that the last axis holds samples, and is none of the layer's.
    """
    placement = job.source.placement.kept([axis for axis in axes if axis is not None])
    ratio = [
        job.source.shape[axis] / length
        for axis, length in zip(axes, shape, strict=True)
        if axis is not None
    ]
    placement = placement.resized(ratio)
    for at, axis in enumerate(axes[:-1] if is_rgb else axes):
        if axis is None:
            placement = placement.with_axis(at, "c")
    return placement


def _image(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Image:
    dtype = np.dtype(outcome.finest.dtype)
    if outcome.is_rgb:
        return Image(outcome.data, rgb=True, **common)
    limits = contrast_limits(job, outcome.values, dtype)
    made = Image(
        outcome.data,
        rgb=False,
        contrast_limits=limits,
        colormap=job.source.colormap or "gray",
        **common,
    )
    if dtype.kind == "f" and outcome.values is not None:
        made.contrast_limits_range = (
            min(limits[0], outcome.values[0]), max(limits[1], outcome.values[1]),
        )  # fmt: skip
    return made


def contrast_limits(job: Job, values: Limits | None, dtype: np.dtype[Any]) -> Limits:
    """Return contrast limits: the input's, where the result's values agree with them.

    Parameters
    ----------
    job
        What was done.
    values
        The range of those values that are in memory anyway.
    dtype
        The result's data type.
    """
    known = _carried(job, dtype)
    if values is None:
        return known
    low, high = values
    if _agreeing(known, values) == known:
        return known
    return (low, high) if high > low else (low, low + 1)


def _carried(job: Job, dtype: np.dtype[Any]) -> Limits:
    """Return the input's contrast limits in the values of the result's data type."""
    source = job.source
    to_float = source.dtype.kind in "ui" and dtype.kind == "f"
    if source.limits is None or source.dtype.kind == "b":
        return (0.0, 1.0) if dtype.kind in "bf" else (0.0, float(np.iinfo(dtype).max))
    low, high = source.limits
    if to_float and not job.last.parameters.get("preserve_range", False):
        top = float(np.iinfo(source.dtype).max)
        low, high = low / top, high / top
    return (low, high) if high > low else (low, low + 1)


def _frame(outcome: JobOutcome) -> LayerFrame:
    assert outcome.frame is not None, "the worker gives one with every result that is no pixels"
    return outcome.frame


def _coordinates(outcome: JobOutcome, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of numbers as coordinates along the layer's axes, and the numbers behind them.

    Rows begin with the position along the looped axes and then along the spatial ones.
    """
    frame = _frame(outcome)
    rows = np.asarray(rows, dtype=float)
    axes = [axis for axis in range(len(frame.axes)) if axis != frame.channel]
    written = [*(axis for axis in axes if axis not in frame.over), *frame.over]
    kept = [written.index(axis) for axis in axes if frame.axes[axis] is not None]
    return rows[:, kept], rows[:, len(written) :]


def _measured_on(job: Job, outcome: JobOutcome) -> tuple[Placement, int]:
    """Return where the image lies that was measured, and its longest spatial length."""
    frame = _frame(outcome)
    placement = _placement(job, frame.axes, frame.shape)
    return placement, max(frame.shape[axis] for axis in frame.over)


def _points(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Points:
    placement, longest = _measured_on(job, outcome)
    data, more = _coordinates(outcome, outcome.data)
    return Points(
        data,
        ndim=len(placement.inner.scale),
        features={f"value {i}": column for i, column in enumerate(more.T, start=1)},
        size=min(10, max(2, longest / 60)),
        face_color="transparent",
        border_color="#ffb000",
        border_width=0.15,
        **common,
        **placement.arguments(),
    )


def _contours(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Shapes:
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


def _mesh(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Surface:
    frame = _frame(outcome)
    over = sorted(frame.over)
    placement = _placement(job, [frame.axes[i] for i in over], [frame.shape[i] for i in over])
    vertices, faces, _, values = outcome.data
    return Surface((vertices, faces, values), **common, **placement.arguments())


def _table(job: Job, outcome: JobOutcome, common: dict[str, Any]) -> Labels:
    """Return labels that share the measured ones' data, with one row of features per object."""
    features = {key: np.asarray(column) for key, column in outcome.data.items()}
    if "label" in features:
        features = {"index": features["label"], **features}  # napari finds a label's row by it
    measured, source = outcome.measured, job.source
    if measured is None:
        levels, is_rgb, placement = list(source.levels), source.is_rgb, source.placement
        is_multiscale = source.is_multiscale
    else:
        levels = list(measured.data) if measured.is_multiscale else [measured.data]
        is_rgb, is_multiscale = measured.is_rgb, measured.is_multiscale
        placement = _placement(job, measured.axes, measured.finest.shape, is_rgb=is_rgb)
    if is_rgb:  # no labels have samples: they are an axis like any other
        levels = [arrange.last_first(level) for level in levels]
        placement = placement.with_axis(0, "c")
    return Labels(
        levels if is_multiscale else levels[0],
        multiscale=is_multiscale, features=features, **common, **placement.arguments(),
    )  # fmt: skip


_SHAPES: Mapping[Output, Callable[[Job, JobOutcome, dict[str, Any]], Layer]] = {
    Output.POINTS: _points,
    Output.TABLE: _table,
    Output.CONTOURS: _contours,
    Output.MESH: _mesh,
}
"""How results that are no pixels become layers."""
