"""`skimage.segmentation`: borders, boundaries and expansion of labelled objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage.color import gray2rgb
from skimage.measure import label
from skimage.morphology import dilation
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    IN_ONE_CALL,
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Tiles,
    last_axis,
    tiled,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Array, ChoiceSpec, Number
from napari_tilewise.operations.spec.pixel_positions import between_ends

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Region

# -- clear_border ----------------------------------------------------------------------------------

_FAR = 2**31
"""A distance in pixels that no image is as long as; infinity reaches as far."""


def _check_buffer(call: Call) -> None:
    if call["mask"] is None and call["buffer_size"] >= min(call.shape):
        raise InvalidParameter(
            f"{call.operation.name}: buffer_size={call['buffer_size']} is too large for an image "
            f"of shape {call.shape}: expected less than its shortest side."
        )
    if call["mask"] is not None and call.image_dtype("mask").kind != "b":
        raise InvalidImage(
            f"{call.operation.name}: the mask has dtype {call.image_dtype('mask')}: expected bool."
        )


def _border(call: Call, block: Block) -> np.ndarray:
    """Return the pixels of the tile that count as the image's border."""
    if "mask" in block.images:
        return ~block.images["mask"][block.core]
    strip = np.zeros([s.stop - s.start for s in block.tile], bool)
    width = call["buffer_size"] + 1
    for axis, (span, length) in enumerate(zip(block.tile, call.shape, strict=True)):
        positions = np.arange(span.start, span.stop)
        is_near = (positions < width) | (positions >= length - width)
        strip |= is_near.reshape([-1 if i == axis else 1 for i in range(strip.ndim)])
    return strip


def _clear_border(call: Call) -> Plan:
    def tile_components(block: Block) -> Pieces:
        values = block.data[block.core]
        labels, count = label(values, background=0, return_num=True, connectivity=call.ndim)
        touches_border = np.zeros(count + 1, bool)
        touches_border[labels[_border(call, block)]] = True
        # scikit-image labels equal integers: fractions are truncated first.
        integers = values.astype(np.intp) if values.dtype.kind == "f" else values
        return Pieces(labels, count, integers, {"touches": touches_border})

    components: Components = yield gather_components(
        tile_components, call.ndim, ufuncs={"touches": np.logical_or}
    )
    touching = components.measures["touches"]

    def compute(block: Block) -> np.ndarray:
        out = block.data[block.core].copy()
        out[components.look_up(touching, block.position, tile_components(block))] = call["bgval"]
        return out

    return Tiles(compute, on_grid=True)


# -- boundaries ------------------------------------------------------------------------------------


MODES = ("thick", "inner", "outer", "subpixel")


def _check_boundaries(call: Call) -> None:
    if call["mode"] in ("outer", "subpixel") and call.dtype.kind == "f":
        raise InvalidImage(
            f"{call.operation.name}: mode={call['mode']!r} takes integer labels, not {call.dtype}."
        )


def _subpixel_shape(call: Call) -> tuple[int, ...]:
    """Return the spatial shape of the result, with further pixels in between for "subpixel"."""
    if call["mode"] == "subpixel":
        return tuple(2 * n - 1 for n in call.spatial_shape)
    return call.spatial_shape


def _find_boundaries(call: Call) -> Tiles:
    if call["mode"] != "subpixel":
        return tiled(call)

    def compute(block: Block) -> np.ndarray:
        return _subpixel_boundaries(block.data)[_subpixel_core(block)]

    return Tiles(compute, source=_source_of_subpixels)


def _subpixel_boundaries(labels: np.ndarray) -> np.ndarray:
    """Return ``find_boundaries(labels, mode="subpixel")`` without its loop over pixels.

    A pixel in between is True if the labels around it (two between two pixels, four between four)
    are not all equal. The dtype's largest label is ignored: scikit-image marks the pixels in
    between with it.
    """
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    info = np.iinfo(labels.dtype)
    low, high = labels, np.where(labels == info.max, labels.dtype.type(info.min), labels)
    for axis in range(labels.ndim):
        low, high = _interleave(low, axis, np.minimum), _interleave(high, axis, np.maximum)
    return np.asarray(low < high)


def _interleave(array: np.ndarray, axis: int, ufunc: np.ufunc) -> np.ndarray:
    """Return an array with `ufunc` of any two neighbours inserted between them along an axis."""
    moved = np.moveaxis(array, axis, 0)
    out = np.empty((2 * len(moved) - 1, *moved.shape[1:]), array.dtype)
    out[::2] = moved
    ufunc(moved[:-1], moved[1:], out=out[1::2])
    return np.moveaxis(out, 0, axis)


def _source_of_subpixels(region: Region) -> Region:
    """Return the box of the image that a box of the subpixel result depends on."""
    return tuple(slice(max(0, (s.start - 1) // 2), s.stop // 2 + 1) for s in region)


def _subpixel_core(block: Block) -> Region:
    """Return the tile's box within the subpixel result of its region."""
    return tuple(
        slice(t.start - 2 * r.start, t.stop - 2 * r.start)
        for t, r in zip(block.tile, block.region, strict=True)
    )


# -- mark_boundaries -------------------------------------------------------------------------------


def _colour_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of the colours: an image of two axes is gray, one of three has them last."""
    return 2 if len(shape) == 3 else None


SPLINE_REACH = 32
"""Reach of the prefilter of cubic splines, whose response falls by 0.268 per pixel, to 5e-19."""


def _check_marking(call: Call) -> None:
    labels = call["label_img"]
    if labels.dtype.kind not in "bui":
        raise InvalidImage(
            f"{call.operation.name}: label_img has dtype {labels.dtype}: expected integers."
        )
    if call.channel_axis is not None and call.shape[-1] != 3:
        raise InvalidImage(
            f"{call.operation.name}: the last axis of an image of shape {call.shape} has "
            f"{call.shape[-1]} channels: expected 3 (red, green, blue) or an image with two axes."
        )


def _marking_halo(call: Call) -> HaloLike:
    if call["mode"] == "subpixel":
        return SPLINE_REACH
    return 1 if call["outline_color"] is None else 2


def _mark_boundaries(call: Call) -> Tiles:
    if call["mode"] != "subpixel":

        def compute(block: Block) -> np.ndarray:
            return np.asarray(call.function(block.data, label_img=block.images["label_img"]))

        return Tiles(compute, halo=_marking_halo(call))

    def subpixel_marks(block: Block) -> np.ndarray:
        return np.asarray(_subpixel_marks(call, block)[_subpixel_core(block)])

    return Tiles(subpixel_marks, source=_spline_source)


def _spline_source(region: Region) -> Region:
    return tuple(
        slice(max(0, s.start - SPLINE_REACH), s.stop + SPLINE_REACH)
        for s in _source_of_subpixels(region)
    )


def _subpixel_marks(call: Call, block: Block) -> np.ndarray:
    """Return ``mark_boundaries(mode="subpixel")``, computed without its loop over pixels."""
    marked = img_as_float(block.data).astype(as_float(call), copy=False)
    if marked.ndim == 2:
        marked = gray2rgb(marked)
    marked = ndi.zoom(marked, [2 - 1 / s for s in marked.shape[:-1]] + [1], mode="mirror")
    boundaries = _subpixel_boundaries(block.images["label_img"])
    if call["outline_color"] is not None:
        marked[dilation(boundaries, np.ones((3, 3), np.uint8))] = call["outline_color"]
    marked[boundaries] = call["color"]
    return np.asarray(marked)


# -- expand_labels ---------------------------------------------------------------------------------


def _expand_halo(call: Call) -> HaloLike:
    return tuple(int(min(call["distance"] / s, _FAR)) for s in call.per_axis(call["spacing"]))


def _has_labels(image: np.ndarray) -> bool:
    """Return whether there are labels: scipy otherwise measures to a pixel at (-1, 0) outside."""
    return bool(image.any())


def _expand(call: Call) -> Plan | Tiles:
    def compute(block: Block) -> np.ndarray:
        if not _has_labels(block.data):
            return np.zeros_like(block.data)
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_expand_halo(call), only_reads=True)


def _bool(call: Call) -> DTypeLike:
    return np.bool_


OPERATIONS = (
    Operation(
        name="segmentation.clear_border",
        family=families.LABELS,
        kind=Kind.CONNECTED,
        specs={
            "buffer_size": Number(integer=True, minimum=0, length=True, usual=(0, 4)),
            "bgval": Number(usual=(0, 3), advanced=True),
            "mask": AlignedImage(),
        },
        result=ResultSpec(
            output=Output.LABELS,
            output_of=lambda call: Output.IMAGE if call.dtype.kind == "f" else Output.LABELS,
        ),
        limits=Limits(ndim=(1, 3), check=_check_buffer),
        plan_of=_clear_border,
        cost=Cost(memory=6.0, at_once=AtOnce(function=IN_MEMORY, counted=True)),
    ),
    Operation(
        name="segmentation.find_boundaries",
        family=families.LABELS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "connectivity": Number(integer=True, minimum=1, usual=(1, 2)),
            "mode": ChoiceSpec(choices=MODES),
            "background": Number(integer=True, usual=(0, 3), advanced=True),
        },
        result=ResultSpec(output=Output.MASK, dtype=_bool, shape=_subpixel_shape),
        neighbourhood=Neighbourhood(halo=lambda call: 1, sampling=between_ends),
        limits=Limits(check=_check_boundaries),
        plan_of=_find_boundaries,
        adapter=Adapter(kernels=("skimage.segmentation.find_boundaries",)),
        cost=Cost(
            memory=3.0,
            at_once=AtOnce(
                function=IN_MEMORY, kernel=IN_MEMORY, when=lambda call: call["mode"] != "subpixel"
            ),
        ),
    ),
    Operation(
        name="segmentation.mark_boundaries",
        family=families.LABELS,
        kind=Kind.NEIGHBOURHOOD,
        # Only mode="subpixel" differs at all: a spline's prefilter runs along the whole line, and
        # rounds differently if it starts elsewhere. This changes the last bits; single precision
        # is rounded once more, at the end.
        accuracy=Accuracy(tolerance=1e-14, single=2.0**-23),
        specs={
            "label_img": AlignedImage(role="labels", optional=False),
            "color": Array(shape=(3,)),
            "outline_color": Array(shape=(3,), optional=True, advanced=True),
            "mode": ChoiceSpec(choices=MODES),
            "background_label": Number(integer=True, usual=(0, 3), advanced=True),
        },
        limits=Limits(ndim=(2, 2), check=_check_marking, implied_channel=_colour_axis),
        neighbourhood=Neighbourhood(halo=_marking_halo, sampling=between_ends),
        result=ResultSpec(
            dtype=as_float,
            shape=lambda call: (*_subpixel_shape(call), 3),
            channel=last_axis,
        ),
        plan_of=_mark_boundaries,
        cost=Cost(
            memory=12.0,
            at_once=AtOnce(function=IN_ONE_CALL, when=lambda call: call["mode"] != "subpixel"),
        ),
        note="Every mode except 'subpixel' gives the whole image's result bit for bit. An image "
        "with three axes is treated as (rows, columns, red-green-blue).",
    ),
    Operation(
        name="segmentation.expand_labels",
        family=families.LABELS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "distance": Number(
                minimum=0, length=True, finite=False, measured_by="spacing", usual=(0, 6)
            ),
            "spacing": Number(
                minimum=0, exclusive=True, per_axis=True, usual=(1, 3), pixel_size=True
            ),
        },
        result=ResultSpec(output=Output.LABELS),
        neighbourhood=Neighbourhood(halo=_expand_halo),
        limits=Limits(dtypes="buif"),
        plan_of=_expand,
        adapter=Adapter(kernels=("skimage.segmentation.expand_labels",)),
        cost=Cost(memory=8.0, at_once=AtOnce(function=IN_ONE_CALL, suits=_has_labels)),
    ),
)
