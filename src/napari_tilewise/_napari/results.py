"""A result becomes a new layer: the right type, the right place, and the recipe it came by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Shapes, Surface

from napari_tilewise._napari.snapshot import remember
from napari_tilewise._napari.words import PLUGIN
from napari_tilewise.operations.model import Output
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.compute import Job, Outcome
    from napari_tilewise._napari.placement import Placement

Limits = tuple[float, float]


def layer(job: Job, outcome: Outcome) -> Layer | None:
    """Return the layer of a result, or None where it is numbers only. Computes nothing.

    Parameters
    ----------
    job
        What was done.
    outcome
        What came out.
    """
    number = "" if outcome.number is None else f" {outcome.number + 1}"
    common: dict[str, Any] = {
        "name": f"{job.source.name} - {job.operation.title}{number}",
        "metadata": {PLUGIN: {"recipe": recipe_of(job), "source": job.source.name, **_more(job)}},
    }
    make = _SHAPES.get(outcome.output)
    if make is not None:
        return make(job, outcome, common)
    if not outcome.output.is_image:
        return None
    common.update(_placement(job, outcome).arguments(), multiscale=outcome.is_multiscale)
    made = Labels(outcome.data, **common) if outcome.is_labels else _image(job, outcome, common)
    if outcome.lazy is not None and np.shape(outcome.lazy) == np.shape(outcome.data):
        remember(made, outcome.lazy)
    return made


def note(job: Job, outcome: Outcome, source: Layer | None) -> str:
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
        kept = source.metadata.setdefault(PLUGIN, {}).setdefault("values", {})
        kept.setdefault(job.operation.name, {})[outcome.number or 0] = outcome.data
    where = f"in the metadata of {job.source.name!r}"
    return f"{job}: {_in_words(outcome.data, where)}"


def _in_words(value: Any, where: str) -> str:
    if np.size(value) == 1 and np.ndim(value) == 0:
        return str(value)
    if isinstance(value, np.ndarray):
        if value.size <= 12:
            return np.array2string(value, precision=6, separator=", ").replace("\n", "")
        return f"{value.dtype} numbers of shape {value.shape}, {where}"
    return f"{len(value)} items, {where}" if isinstance(value, list | tuple) else str(value)


def recipe_of(job: Job) -> dict[str, Any]:
    """Return the recipe that made a result, as plain data; further images are left out.

    Parameters
    ----------
    job
        What was done.
    """
    recipe = Recipe([(job.operation.name, job.params)])
    if not job.images:
        return recipe.to_dict()
    ((name, params),) = recipe.steps
    plain = {key: value for key, value in params.items() if key not in job.operation.images}
    return {"version": 1, "steps": [{"operation": name, "parameters": plain}]}


def _more(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {"spatial": list(job.spatial)}
    if job.images:
        found["images"] = dict(job.images)
    return found


def _placement(job: Job, outcome: Outcome) -> Placement:
    kept = [axis for axis in outcome.axes if axis is not None]
    placement = job.source.placement.kept(kept)
    shape = outcome.finest.shape
    ratio = [
        job.source.shape[axis] / length
        for axis, length in zip(outcome.axes, shape, strict=True)
        if axis is not None
    ]
    placement = placement.resized(ratio)
    leads = outcome.axes[0] is None and not outcome.is_rgb
    return placement.with_leading_axis("c") if leads else placement


def _image(job: Job, outcome: Outcome, common: dict[str, Any]) -> Image:
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
    span = known[1] - known[0]
    meet = low <= known[1] and high >= known[0]
    if meet and span / 2 <= high - low <= 20 * span:
        return known
    return (low, high) if high > low else (low, low + 1)


def _carried(job: Job, dtype: np.dtype[Any]) -> Limits:
    """Return the input's contrast limits in the values of the result's data type."""
    source = job.source
    to_float = source.dtype.kind in "ui" and dtype.kind == "f"
    if source.limits is None or source.dtype.kind == "b":
        return (0.0, 1.0) if dtype.kind in "bf" else (0.0, float(np.iinfo(dtype).max))
    low, high = source.limits
    if to_float and not job.params.get("preserve_range", False):
        top = float(np.iinfo(source.dtype).max)
        low, high = low / top, high / top
    return (low, high) if high > low else (low, low + 1)


def _coordinates(job: Job, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of numbers as coordinates along the layer's axes, and the numbers behind them.

    Rows begin with the position along the looped axes and then along the spatial ones.
    """
    ndim = len(job.source.placement.inner.scale)
    rows = np.asarray(rows, dtype=float)
    loops = [axis for axis in range(ndim) if axis not in job.spatial]
    order = np.argsort([*loops, *job.spatial])
    return rows[:, :ndim][:, order], rows[:, ndim:]


def _points(job: Job, outcome: Outcome, common: dict[str, Any]) -> Points:
    placement = job.source.placement
    data, more = _coordinates(job, outcome.data)
    longest = max(job.source.shape[axis] for axis in job.spatial)
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


def _contours(job: Job, outcome: Outcome, common: dict[str, Any]) -> Shapes:
    placement = job.source.placement
    lines = [_coordinates(job, line)[0] for line in outcome.data]
    longest = max(job.source.shape[axis] for axis in job.spatial)
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


def _mesh(job: Job, outcome: Outcome, common: dict[str, Any]) -> Surface:
    placement = job.source.placement.kept(job.spatial)
    vertices, faces, _, values = outcome.data
    return Surface((vertices, faces, values), **common, **placement.arguments())


def _table(job: Job, outcome: Outcome, common: dict[str, Any]) -> Labels:
    """Return labels that share the input's data, with one row of features per object."""
    source = job.source
    features = {key: np.asarray(column) for key, column in outcome.data.items()}
    if "label" in features:
        features = {"index": features["label"], **features}  # napari finds a label's row by it
    return Labels(
        list(source.levels) if source.is_multiscale else source.levels[0],
        multiscale=source.is_multiscale,
        features=features,
        **common,
        **source.placement.arguments(),
    )


_SHAPES: Mapping[Output, Callable[[Job, Outcome, dict[str, Any]], Layer]] = {
    Output.POINTS: _points,
    Output.TABLE: _table,
    Output.CONTOURS: _contours,
    Output.MESH: _mesh,
}
"""How results that are no pixels become layers."""
