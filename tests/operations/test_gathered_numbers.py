"""What reductions gather takes no more per pixel than declared: budgets are planned with that."""

import pickle

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.budget import numbers_per_pixel
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.total_limits import UNNOTICED
from napari_tilewise.operations.feature.candidates import ORDERING, Candidates
from napari_tilewise.operations.spec.kinds import Kind, Output
from tests.executors.test_worker_pools import by_threads, recipe_of
from tests.operations.test_declarations import parameters_for, sample
from tests.strategies import cropped

LISTS = (Output.POINTS, Output.CONTOURS, Output.MESH)
GROWING = [
    name
    for name, op in tw.OPERATIONS.items()
    if op.output in LISTS
    and op.kind in (Kind.STATISTIC, Kind.CONNECTED, Kind.ITERATIVE, Kind.GEOMETRY, Kind.WHOLE)
]
LENGTH = 128
TILES = 2**14
"""Bytes that some have for each tile or row of tiles."""
WITH_PASSES = [
    name
    for name, op in tw.OPERATIONS.items()
    if op.kind in (Kind.STATISTIC, Kind.GEOMETRY, Kind.ITERATIVE)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GROWING)
def test_noise_gathers_no_more_than_declared(name, monkeypatch):
    image = sample(name, "uint8")
    noise = np.random.default_rng(0).integers(0, 255, image.shape).astype(image.dtype)
    largest, reduce = [0], Session.reduce

    def watched(self, *args, **options):
        total = reduce(self, *args, **options)
        largest.append(int(getattr(total, "nbytes", 0)))
        return total

    monkeypatch.setattr(Session, "reduce", watched)
    try:
        by_threads(recipe_of(name, noise), noise)
    except tw.TilewiseError:
        pytest.skip("not for such an image")
    most = per_pixel(name, noise) * noise.size
    assert max(largest) <= max(UNNOTICED, most)


def per_pixel(name, image):
    """Return the bytes that an operation declares to gather per pixel."""
    op = tw.OPERATIONS[name]
    stack = build(op.as_step(), image, parameters_for(op, image), Session(1), StackLayout())
    return numbers_per_pixel(stack.call)


OTHER_TYPES = {
    "feature.graycomatrix": "uint8",
    "measure.intersection_coeff": "bool",
    "measure.perimeter": "bool",
    "morphology.convex_hull_image": "bool",
}
"""Data types of noise, where neither fractions nor all integers of 16 bits make sense."""
LEVELS = {"bool": 2, "uint8": 250, "uint16": 60_000}


def noise_for(name):
    """Return noise, in which nearly every pixel has a value of its own."""
    op = tw.OPERATIONS[name]
    dtype = OTHER_TYPES.get(name, "float32" if "f" in op.limits.dtypes else "uint16")
    plane = cropped(op, sample(name, "uint8"), LENGTH)
    noise = np.random.default_rng(0).random(plane.shape)
    return (np.floor(noise * LEVELS[dtype]) if dtype in LEVELS else noise).astype(dtype)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WITH_PASSES)
def test_a_larger_image_gathers_no_more_than_declared(name, monkeypatch):
    """A few numbers, however many pixels there are, or so many bytes for each of them."""
    noise = noise_for(name)
    small = noise[tuple(slice(0, n // 2 if n > 16 else n) for n in noise.shape)]
    declared = per_pixel(name, noise)
    gathered, reduce = [], Session.reduce

    def watched(self, *args, **options):
        total = reduce(self, *args, **options)
        nbytes = getattr(total, "nbytes", 0) if declared else 0
        gathered[-1] = max(gathered[-1], int(nbytes) or len(pickle.dumps(total)))
        return total

    monkeypatch.setattr(Session, "reduce", watched)
    for image in (small, noise):
        gathered.append(0)
        by_threads(recipe_of(name, image), image)
    more = declared * (noise.size - small.size)
    assert gathered[1] <= 1.1 * gathered[0] + TILES + more


def test_candidates_are_ordered_by_brightness_and_raster_in_little_memory():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 9, (40, 50)).astype(np.float32)
    mask = rng.random(pixels.shape) < 0.3
    parts = [
        Candidates.from_mask(mask[part], pixels[part], (start, 0), pixels.shape, flat=False)
        for start in (20, 0)
        for part in [slice(start, start + 20)]
    ]
    candidates = parts[0].extend(parts[1])
    count = int(mask.sum())
    assert candidates.nbytes == count * (8 + 4 + ORDERING)
    (coordinates,) = candidates.coordinates()
    expected = sorted(np.argwhere(mask).tolist(), key=lambda p: (-pixels[tuple(p)], p))
    np.testing.assert_array_equal(coordinates, expected)
    assert not candidates.joined()
