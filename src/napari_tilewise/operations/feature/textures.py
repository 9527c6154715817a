"""`skimage.feature`, textures: co-occurrence of grey levels, and features at several scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, clip, within
from napari_tilewise.operations.shared.common import CHANNEL, gaussian_radius, kernel_length
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    SLOW_AT_ONCE,
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
    Reduce,
    ResultSpec,
    Tiles,
    Value,
    last_axis,
)
from napari_tilewise.operations.spec.parameters import Flag, Number, Numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- grey level co-occurrence ----------------------------------------------------------------------


def _levels(call: Call) -> int:
    return 256 if call["levels"] is None else int(call["levels"])


def _check_levels(call: Call) -> None:
    for name in ("distances", "angles"):
        if np.ndim(call[name]) != 1:
            raise InvalidParameter(
                f"{call.operation.name}: {name}={call[name]!r} is a number: expected a sequence of "
                f"numbers, such as {name}=[{call[name]!r}]."
            )
    if call["levels"] is None and call.dtype.itemsize > 1:
        raise InvalidParameter(
            f"{call.operation.name}: levels=None with a {call.dtype} image: expected a number of "
            "grey levels above the image's largest value."
        )


def _offset(distance: float, angle: float) -> tuple[int, int]:
    """Return the second pixel of a pair relative to the first, rounded half away from zero."""

    def rounded(part: float) -> int:
        return int(np.copysign(np.floor(abs(part) + 0.5), part))

    return rounded(np.sin(angle) * distance), rounded(np.cos(angle) * distance)


def _cooccurrence_halo(call: Call) -> HaloLike:
    largest_distance = max(
        (abs(int(np.ceil(distance))) for distance in call["distances"]), default=0
    )
    return largest_distance


def _distances_and_angles(call: Call) -> Iterator[tuple[int, int, float, float]]:
    for d, distance in enumerate(call["distances"]):
        for a, angle in enumerate(call["angles"]):
            yield d, a, float(distance), float(angle)


def _pair_box(call: Call, tile: Region, offset: tuple[int, int]) -> Region:
    """Return the box of all pairs whose first pixel is in the tile."""
    box = tuple(
        slice(s.start + min(0, shift), s.stop + max(0, shift))
        for s, shift in zip(tile, offset, strict=True)
    )
    return clip(box, call.spatial_shape)


def _largest_matrix(call: Call) -> int:
    """Return what two matrices of counts and a copy take, in pixels of the image."""
    return _levels(call) ** 2 * len(call["distances"]) * len(call["angles"]) // 2


def _cooccurrence(call: Call) -> Plan:
    levels = _levels(call)
    shape = (levels, levels, len(call["distances"]), len(call["angles"]))

    def count_pairs(block: Block) -> np.ndarray:
        _check_range(call, block.data[block.core], levels)
        counts = np.zeros(shape, np.uint64)
        for d, a, distance, angle in _distances_and_angles(call):
            box = _pair_box(call, block.tile, _offset(distance, angle))
            if any(s.stop <= s.start for s in box):
                continue
            pixels = np.ascontiguousarray(block.data[within(box, block.region)])
            pair_counts = np.zeros((levels, levels, 1, 1), np.uint32)
            loop = reach("feature._texture", "_glcm_loop")
            loop(pixels, np.array([distance]), np.array([angle]), levels, pair_counts)
            counts[..., d, a] = pair_counts[..., 0, 0]
        return counts

    counts: np.ndarray = yield Reduce(
        count_pairs, _add_in_place, halo=_cooccurrence_halo(call), description="co-occurrences"
    )
    return Value(_matrix(call, counts))


def _add_in_place(total: np.ndarray, part: np.ndarray) -> np.ndarray:
    total += part
    return total


def _check_range(call: Call, pixels: np.ndarray, levels: int) -> None:
    if pixels.min() < 0:
        raise InvalidImage(
            f"{call.operation.name}: the image contains negative values: expected grey levels of "
            "at least 0. Subtract the image's minimum first."
        )
    if pixels.max() >= levels:
        raise InvalidImage(
            f"{call.operation.name}: the image contains the value {pixels.max()}: expected values "
            f"below levels={levels}. Raise levels, or rescale the image to fewer grey levels."
        )


def _matrix(call: Call, counts: np.ndarray) -> np.ndarray:
    """Return the result of `graycomatrix` for the counts of pairs, 32-bit if they fit."""
    if counts.max(initial=0) < 2**32:
        counts = counts.astype(np.uint32)
    if call["symmetric"]:
        counts = counts + counts.transpose(1, 0, 2, 3)
    if not call["normed"]:
        return counts
    matrix = counts.astype(np.float64)
    totals = matrix.sum(axis=(0, 1), keepdims=True)
    totals[totals == 0] = 1
    matrix /= totals
    return matrix


# -- features at several scales --------------------------------------------------------------------


def _scale_count(call: Call) -> int:
    if call["num_sigma"] is not None:
        return int(call["num_sigma"])
    return int(np.log2(call["sigma_max"]) - np.log2(call["sigma_min"]) + 1)


def _feature_count(call: Call) -> int:
    per_scale = int(call["intensity"]) + int(call["edges"]) + call.ndim * int(call["texture"])
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return per_scale * _scale_count(call) * channels


def _feature_halo(call: Call) -> HaloLike:
    return gaussian_radius(max(call["sigma_min"], call["sigma_max"])) + 2


def _check_features(call: Call) -> None:
    name = call.operation.name
    if not (call["intensity"] or call["edges"] or call["texture"]):
        raise InvalidParameter(
            f"{name}: intensity, edges and texture are all False: expected at least one."
        )
    if _scale_count(call) < 1:
        raise InvalidParameter(
            f"{name}: sigma_max={call['sigma_max']!r} is below sigma_min={call['sigma_min']!r}: "
            "expected sigma_max >= sigma_min, or num_sigma."
        )
    if call["texture"] and (call.ndim < 2 or min(call.spatial_shape) < 2):
        raise InvalidImage(
            f"{name}: an image of shape {call.shape} is too small for texture=True: expected at "
            "least two axes of at least 2 pixels each."
        )


def _features(call: Call) -> Tiles:
    # The result does not depend on the number of threads that scikit-image would start.
    return Tiles(
        lambda block: np.asarray(call.function(block.data, workers=1)), halo=_feature_halo(call)
    )


OPERATIONS = (
    Operation(
        name="feature.graycomatrix",
        title="Gray-level co-occurrence matrix (GLCM)",
        family=families.TEXTURE,
        kind=Kind.STATISTIC,
        specs={
            "distances": Numbers(item=Number(usual=(0, 6), finite=True, length=True), least=1),
            "angles": Numbers(item=Number(usual=(-4, 4), finite=True), least=1),
            "levels": Number(integer=True, minimum=1, usual=(150, 300), optional=True),
            "symmetric": Flag(),
            "normed": Flag(),
        },
        result=ResultSpec(
            output=Output.VALUES,
            dtype=lambda call: np.float64 if call["normed"] else np.uint32,
            shape=lambda call: None,
        ),
        neighbourhood=Neighbourhood(halo=_cooccurrence_halo),
        plan_of=_cooccurrence,
        limits=Limits(ndim=(2, 2), dtypes="ui", check=_check_levels),
        cost=Cost(memory=6.0, largest_region=_largest_matrix, at_once=AtOnce(function=IN_ONE_CALL)),
        note="Counts that do not fit into scikit-image's 32 bits are returned with 64 bits.",
    ),
    Operation(
        name="feature.multiscale_basic_features",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "intensity": Flag(),
            "edges": Flag(),
            "texture": Flag(),
            "sigma_min": Number(minimum=0, exclusive=True, length=True, usual=(0.5, 2)),
            "sigma_max": Number(minimum=0, exclusive=True, length=True, usual=(1, 4)),
            "num_sigma": Number(integer=True, minimum=1, usual=(1, 4), optional=True),
            "workers": Number(integer=True, minimum=1, usual=(1, 2), optional=True, advanced=True),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(
            channel=last_axis,
            dtype=lambda call: np.float32,
            shape=lambda call: (*call.spatial_shape, _feature_count(call)),
        ),
        neighbourhood=Neighbourhood(halo=_feature_halo),
        plan_of=_features,
        limits=Limits(check=_check_features),
        cost=Cost(memory=3.0, largest_region=kernel_length, at_once=SLOW_AT_ONCE),
        note="workers has no effect: tiles are computed in parallel anyway.",
    ),
)
