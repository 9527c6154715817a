"""What reductions gather takes no more per pixel than declared: budgets are planned with that."""

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.budget import FEW_NUMBERS
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.total_limits import UNNOTICED
from napari_tilewise.operations.feature.peaks import ORDERING, Candidates
from napari_tilewise.operations.spec.kinds import Output
from tests.executors.test_worker_pools import by_threads, recipe_of
from tests.operations.test_declarations import sample

LISTS = (Output.POINTS, Output.CONTOURS, Output.MESH)
GROWING = [
    name for name, op in tw.OPERATIONS.items() if op.kind not in FEW_NUMBERS and op.output in LISTS
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
        return  # not for such an image
    most = tw.OPERATIONS[name].cost.numbers * noise.size
    assert max(largest) <= max(UNNOTICED, most)


def test_candidates_are_ordered_by_brightness_and_raster_in_little_memory():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 9, (40, 50)).astype(np.float32)
    mask = rng.random(pixels.shape) < 0.3
    parts = [
        Candidates.from_mask(mask[part], pixels[part], (start, 0), flat=False)
        for start in (20, 0)
        for part in [slice(start, start + 20)]
    ]
    candidates = parts[0].extend(parts[1])
    count = int(mask.sum())
    assert candidates.nbytes == count * (2 * 8 + 4 + ORDERING)
    coordinates, values = candidates.ordered(pixels.shape)
    expected = sorted(np.argwhere(mask).tolist(), key=lambda p: (-pixels[tuple(p)], p))
    np.testing.assert_array_equal(coordinates, expected)
    np.testing.assert_array_equal(values, pixels[tuple(coordinates.T)])
    assert not candidates.rows.columns()
