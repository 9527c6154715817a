"""Draws a whole case for any operation from its declaration alone: image, parameters, tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage import data, morphology

from napari_tilewise.functions.annotations import FixedNumbers
from napari_tilewise.operations.feature.points import PointPatch, Points
from napari_tilewise.operations.spec.operation import ALL_AXES
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    Footprint,
    FunctionSpec,
    ImageOr,
    Names,
    Number,
    Numbers,
    OtherImage,
    Range,
    Seed,
    Spec,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.operation import Operation

DTYPES = ("bool", "uint8", "uint16", "float32", "float64")
LONGEST = {1: 200, 2: 44, 3: 14}
QUICK = 100
"""Examples below which a profile is quick."""
CONTENTS = ("noise", "smooth", "blobs", "labels", "constant", "negative", "real")


@dataclass
class Case:
    """One operation on one image."""

    operation: Operation
    image: np.ndarray
    params: dict[str, Any]
    tiles: tuple[int, ...] | str
    content: str

    def __repr__(self) -> str:
        params = {
            name: f"<{value.dtype} {value.shape}>" if isinstance(value, np.ndarray) else value
            for name, value in self.params.items()
        }
        return (
            f"{self.operation.name}: {self.content} {self.image.dtype} {self.image.shape} "
            f"tiles={self.tiles} {params}"
        )


@st.composite
def cases(
    draw: st.DrawFn,
    operation: Operation,
    *,
    defaults: bool = False,
    dtypes: Sequence[str] = DTYPES,
) -> Case:
    """Draw an image, parameters (or none but the required ones) and a tile grid."""
    low, high = operation.limits.ndim
    ndim = draw(st.sampled_from([n for n in (2, 2, 3) if low <= n <= high] or [low]))
    # Axes that scikit-image drops are the subject of `test_rare_cases`.
    least = 1 if ndim == 2 and operation.limits.single is ALL_AXES else 2
    longest = trial_length(operation, LONGEST[ndim])
    if _is_slow_volume(operation, ndim):
        longest = min(longest, operation.cost.trial.volume_length or longest)
    shape = tuple(draw(st.integers(least, max(least, longest))) for _ in range(ndim))
    shape = accepted_shape(operation, shape)
    channel = draw(_channel(operation, ndim))
    full = list(shape)
    if channel is not None:
        full.insert(channel, draw(st.sampled_from((3, 3, 2, 4))))
    dtype = draw(
        st.sampled_from([d for d in dtypes if np.dtype(d).kind in operation.limits.dtypes])
    )
    content = draw(st.sampled_from(CONTENTS))
    seed = draw(st.integers(0, 2**16))
    image = with_trial_levels(operation, make_image(content, tuple(full), dtype, seed))
    params = draw(parameters(operation, ndim, image, channel, seed))
    # Nothing can be compared with a result that differs at every call.
    params = {name: value for name, value in params.items() if operation.specs[name].reproducible}
    if defaults:
        kept = {n for n, p in operation.parameters.items() if p.required or n == operation.channel}
        kept |= {n for n, p in operation.specs.items() if isinstance(p, Seed)}
        params = {name: value for name, value in params.items() if name in kept}
    return Case(operation, image, params, draw(_tiles(operation, image, params, ndim)), content)


def with_trial_levels(operation: Operation, image: np.ndarray) -> np.ndarray:
    """Return an image with no more grey levels than to try the operation on."""
    most = operation.cost.trial.levels
    if most is None or image.dtype.kind not in "iu" or not image.size:
        return image
    span = int(image.max()) - int(image.min()) + 1
    return image // image.dtype.type(max(1, -(-span // most)))


def trial_length(operation: Operation, longest: int) -> int:
    """Return the longest axis to try an operation on: less where scikit-image itself is slow."""
    return min(longest, operation.cost.trial.length or longest)


def accepted_shape(operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the nearest shape whose axes have the lengths that an operation takes together."""
    nearest = operation.limits.nearest_shape
    return shape if nearest is None else nearest(shape)


def cropped(operation: Operation, image: np.ndarray, longest: int) -> np.ndarray:
    """Return the corner of an image, no longer than to try the operation on."""
    length = trial_length(operation, longest)
    shape = accepted_shape(operation, tuple(min(n, length) for n in image.shape))
    return image[tuple(slice(0, n) for n in shape)]


def _is_slow_volume(operation: Operation, ndim: int) -> bool:
    """Whether a quick profile cuts a volume into eight tiles at most.

    Each is computed with a halo that reaches through the whole volume, at any length.
    """
    quick = settings().max_examples < QUICK
    return quick and ndim == 3 and operation.cost.trial.volume_length is not None


@st.composite
def _channel(draw: st.DrawFn, operation: Operation, ndim: int) -> int | None:
    if operation.channel is None:
        return None
    default = operation.parameters[operation.channel].default
    if default is None and draw(st.booleans()):
        return None
    return draw(st.sampled_from((ndim, ndim, 0)))


def make_image(content: str, shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Return an image of a kind; floats stay within [-1, 1], integers use their range."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if content == "constant":
        unit = np.full(shape, rng.choice([0.0, 0.3, 1.0]))
    elif content == "labels":
        seeds = rng.random(shape) < 0.5
        values = ndi.label(ndi.binary_opening(seeds))[0] % 7
        return values.astype(dtype) if kind != "f" else (values / 7).astype(dtype)
    elif content == "blobs":
        unit = (ndi.gaussian_filter(rng.random(shape), 1.5) > 0.5) * rng.choice([0.4, 1.0])
    elif content == "smooth":
        unit = ndi.gaussian_filter(rng.random(shape), 2)
    elif content == "real":
        camera = data.camera()
        y, x = rng.integers(0, 400, size=2)
        plane = camera[y : y + 60, x : x + 60] / 255.0
        index = np.indices(shape)
        unit = plane[index[-2] % 60, index[-1] % 60] if len(shape) > 1 else plane[0][index[0] % 60]
    else:
        unit = rng.random(shape)
    if content == "negative" and kind == "f":
        unit = unit * 2 - 1
    if kind == "b":
        return unit > np.median(unit)
    if kind == "u":
        # Seldom the whole range: some of scikit-image's own functions take minutes for it.
        levels = (200, 200, 1023, 4095, np.iinfo(dtype).max)[seed % 5]
        return (unit * min(levels, np.iinfo(dtype).max)).astype(dtype)
    return unit.astype(dtype)


@st.composite
def parameters(
    draw: st.DrawFn,
    operation: Operation,
    ndim: int,
    image: np.ndarray,
    channel: int | None,
    seed: int,
) -> dict[str, Any]:
    """Draw values for some of the parameters; the others keep scikit-image's defaults."""
    params: dict[str, Any] = {}
    everything = draw(st.booleans())
    shape = tuple(n for axis, n in enumerate(image.shape) if axis != _axis(channel, image.ndim))
    for name, parameter in operation.parameters.items():
        spec = parameter.spec
        if isinstance(spec, ChannelAxis):
            params[name] = channel
        elif isinstance(spec, Seed):
            params[name] = draw(st.integers(0, 99))  # None gives another result at every call
        elif isinstance(spec, Points):
            params[name] = draw(points(shape, seed))
        elif isinstance(spec, FunctionSpec) and not (spec.choices or spec.samples):
            continue  # what only Python can give, and nobody gave a sample of
        elif parameter.required or everything or draw(st.integers(0, 2)) == 0:
            if isinstance(spec, AlignedImage):
                params[name] = draw(further_image(spec, image, shape, channel, seed))
            else:
                params[name] = draw(values(spec, ndim, seed))
    return operation.satisfying(params, image, draw(st.integers(0, 11)))


def _axis(channel: int | None, ndim: int) -> int | None:
    return None if channel is None else channel % ndim


def further_image(
    spec: AlignedImage, image: np.ndarray, shape: tuple[int, ...], channel: int | None, seed: int
) -> st.SearchStrategy[Any]:
    """Return a strategy for a further image, or what may stand in its place."""
    strategy: st.SearchStrategy[Any] = st.just(make_further(spec, image, shape, channel, seed))
    if isinstance(spec, ImageOr):
        strategy = st.one_of(values(spec.other, len(shape), seed), strategy)
    return st.one_of(st.none(), strategy) if spec.optional else strategy


def make_further(
    spec: AlignedImage, image: np.ndarray, shape: tuple[int, ...], channel: int | None, seed: int
) -> np.ndarray:
    """Return a further image by its role."""
    rng = np.random.default_rng(seed + 1)
    if isinstance(spec, OtherImage):
        lengths = list(rng.integers(2, 40, size=len(shape)))
        at = _axis(channel, image.ndim)
        if at is not None:
            lengths.insert(at, image.shape[at])
        return make_image("noise", tuple(map(int, lengths)), str(image.dtype), seed + 1)
    if spec.role == "limit":
        other = make_image("noise", image.shape, str(image.dtype), seed + 1)
        return np.maximum(image, other)
    if spec.like:
        content = CONTENTS[seed % len(CONTENTS)]
        return make_image(content, image.shape, str(image.dtype), seed + 1)
    if spec.role == "mask":
        return rng.random(shape) < 0.8
    if spec.role == "labels":
        return make_image("labels", shape, "int64", seed + 1)
    if spec.role == "seeds":
        return np.where(rng.random(shape) < 0.03, rng.integers(1, 9, size=shape), 0)
    return rng.random(shape)


def typical(spec: Spec, image: np.ndarray, ndim: int, channel: int | None) -> Any:
    """Return one value of a spec, for tests that need no more than that."""
    if isinstance(spec, AlignedImage):
        shape = tuple(n for axis, n in enumerate(image.shape) if axis != _axis(channel, image.ndim))
        return make_further(spec, image, shape, channel, 0)
    if isinstance(spec, Number):
        return (spec.usual[1],) * ndim if spec.per_axis else spec.usual[1]
    if isinstance(spec, Numbers):
        return (spec.item.usual[1],) * max(spec.least, 1)
    if isinstance(spec, Footprint):
        return np.ones((5,) * ndim, np.uint8)
    if isinstance(spec, Array):
        shape = spec.shape or (spec.longest,) * (ndim if spec.ndim is None else spec.ndim)
        return make_array(spec, shape, 0)
    if isinstance(spec, ChoiceSpec | FunctionSpec):
        return (*spec.choices, *getattr(spec, "samples", ()))[0]
    if isinstance(spec, Either):
        return typical(spec.options[0], image, ndim, channel)
    raise NotImplementedError(f"no typical value for {spec}")


def values(spec: Spec, ndim: int, seed: int) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of one spec."""
    if isinstance(spec, Number):
        strategy = _numbers(spec, ndim)
    elif isinstance(spec, Flag):
        strategy = st.booleans()
    elif isinstance(spec, ChoiceSpec):
        strategy = st.sampled_from(spec.choices)
    elif isinstance(spec, FixedNumbers):
        strategy = st.tuples(*[_numbers(spec.item, ndim)] * spec.least)
    elif isinstance(spec, Numbers):
        strategy = st.lists(_numbers(spec.item, ndim), min_size=spec.least, max_size=3)
    elif isinstance(spec, Range):
        pair = st.tuples(st.floats(0, 0.4), st.floats(0.5, 1.0))
        strategy = st.one_of(st.sampled_from(spec.names), pair) if spec.names else pair
    elif isinstance(spec, Names):
        strategy = st.lists(st.sampled_from(spec.names), min_size=1, max_size=4, unique=True)
    elif isinstance(spec, Footprint):
        strategy = footprints(ndim, sequences=spec.sequences)
    elif isinstance(spec, Array):
        strategy = arrays(spec, ndim, seed)
    elif isinstance(spec, FunctionSpec):
        strategy = st.sampled_from((*spec.choices, *spec.samples))
    elif isinstance(spec, Either):
        strategy = st.one_of(*(values(option, ndim, seed) for option in spec.options))
    elif isinstance(spec, Text):
        strategy = st.sampled_from(("-", "_"))
    else:
        raise NotImplementedError(f"no strategy for {spec}")
    return st.one_of(st.none(), strategy) if spec.optional else strategy


@st.composite
def points(draw: st.DrawFn, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw coordinates of pixels, those at the border among them."""
    count = draw(st.integers(0, 12))
    rng = np.random.default_rng(seed + 3)
    return np.stack([rng.integers(0, n, size=count) for n in shape], axis=1)


@st.composite
def arrays(draw: st.DrawFn, spec: Array, ndim: int, seed: int) -> np.ndarray:
    """Draw a small array."""
    axes = ndim if spec.ndim is None else spec.ndim
    shape = spec.shape or tuple(draw(st.integers(1, spec.longest)) for _ in range(axes))
    if isinstance(spec, PointPatch):
        shape = (draw(st.sampled_from((3, 5, 7))),) * axes
    return make_array(spec, shape, seed + 2)


def make_array(spec: Array, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return a small array in the spec's usual range."""
    rng = np.random.default_rng(seed)
    low, high = spec.usual
    if spec.integer:
        return rng.integers(int(low), int(high) + 1, size=shape)
    return rng.uniform(low, high, size=shape)


def _numbers(spec: Number, ndim: int) -> st.SearchStrategy[Any]:
    low, high = max(spec.minimum, spec.usual[0]), min(spec.maximum, spec.usual[1])
    one: st.SearchStrategy[Any]
    if spec.integer:
        first = int(np.ceil(low)) + (1 if spec.exclusive and low == spec.minimum else 0)
        step = 2 if spec.odd else 1
        first += spec.odd and first % 2 == 0
        one = st.sampled_from(range(first, int(high) + 1, step))
    else:
        first = 1 if spec.exclusive and low == spec.minimum else 0
        one = st.integers(first, 40).map(lambda k: low + (high - low) * k / 40)
    if spec.per_axis:
        return st.one_of(one, st.tuples(*[one] * ndim))
    return one


@st.composite
def footprints(draw: st.DrawFn, ndim: int, *, sequences: bool) -> Any:
    """Draw a footprint: a ball, a box (even and odd sides), anything, or a sequence of two."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * ndim))
    which = draw(st.sampled_from(("ball", "box", "any", "sequence")))
    if which == "ball":
        radius = draw(st.integers(0, 3))
        return morphology.disk(radius) if ndim == 2 else morphology.ball(min(radius, 2))
    array = np.ones(shape, np.uint8)
    if which == "any":
        seed = draw(st.integers(0, 99))
        array = (np.random.default_rng(seed).random(shape) < 0.6).astype(np.uint8)
        array.flat[seed % array.size] = 1
    if which == "sequence" and sequences:
        other = draw(st.tuples(*[st.integers(1, 3)] * ndim))
        return ((array, 1), (np.ones(other, np.uint8), draw(st.integers(1, 2))))
    return array


@st.composite
def _tiles(
    draw: st.DrawFn, operation: Operation, image: np.ndarray, params: dict[str, Any], ndim: int
) -> tuple[int, ...]:
    """Draw a tile grid: ragged by 1..halo, smaller than the halo, larger than the image, any."""
    spatial = list(image.shape)
    channel = params.get(operation.channel) if operation.channel else None
    if channel is not None:
        del spatial[channel]
    try:
        call = operation.call(image.shape, image.dtype, params)
        halo = [max(pair) for pair in call.halo]
    except ValueError:
        halo = [1] * ndim
    tiles = []
    for n, h in zip(spatial, halo, strict=True):
        how = draw(st.sampled_from(("ragged", "small", "large", "any", "any")))
        least = max(1, -(-n // (2 if _is_slow_volume(operation, ndim) else 6)))
        if how == "ragged":
            tiles.append(max(least, n - draw(st.integers(1, max(1, min(h, n - 1))))))
        elif how == "small":
            tiles.append(max(least, min(n, draw(st.integers(1, max(1, h))))))
        elif how == "large":
            tiles.append(n + draw(st.integers(0, 7)))
        else:
            tiles.append(draw(st.integers(least, n)))
    return tuple(tiles)
