"""Small and odd shapes in rare data types: scikit-image's answer, or a refusal in one sentence."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.operations.spec.operation import ALL_AXES, Operation
from tests.operations.test_declarations import works_on_objects
from tests.strategies import Case, typical
from tests.test_exact import assert_same, whole

SHAPES = [
    (1,), (2,), (7,), (1, 1), (1, 9), (9, 1), (2, 3), (3, 2), (7, 9, 1), (1, 7, 9), (2, 2, 2),
]  # fmt: skip
DTYPES = ("bool", "int16", "int64", "uint64", "float16", "float32")
QUICK: dict[str, dict[str, Any]] = {
    "restoration.denoise_nl_means": {"patch_size": 3, "patch_distance": 1},
    "restoration.rolling_ball": {"radius": 3},
    "restoration.richardson_lucy": {"num_iter": 2},
    "segmentation.chan_vese": {"max_num_iter": 5},
    "segmentation.slic": {"n_segments": 4},
}
"""Parameters with which scikit-image takes less time."""
REFUSED = {
    "feature.hessian_matrix_eigvals": "images of no axis",
    "feature.structure_tensor_eigenvalues": "images of no axis",
    "transform.frt2": "volumes of one voxel",
}
"""Whose calls are refused here and there, where scikit-image takes them by the way."""
ANSWERED = {"filters.rank.windowed_histogram"}
"""Whose answers scikit-image reads from other memory (see `test_deviations`)."""
NAMES = [
    name
    for name, op in tw.OPERATIONS.items()
    if op.limits.single is ALL_AXES and name not in ANSWERED
]
"""The others are the subject of `test_single_axes`."""


def draw(operation: Operation, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return an image of small integers, or of fractions for floats and colours."""
    rng = np.random.default_rng(len(shape))
    if np.dtype(dtype).kind == "b":
        return rng.random(shape) > 0.5
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, 4 if works_on_objects(operation) else 100, shape).astype(dtype)


def cases(operation: Operation) -> list[Case]:
    """Return calls on each shape, in one data type after another."""
    drawn = []
    for number, shape in enumerate(SHAPES):
        channel = None
        needed = operation.channel and operation.parameters[operation.channel].default is not None
        if operation.channel is not None and (needed or number % 2):
            channel = len(shape)
        for dtype in DTYPES[number % 2 :: 2]:
            lengths = shape if channel is None else (*shape, 3)
            image = draw(operation, lengths, dtype)
            required: dict[str, Any] = {
                item.name: typical(item.spec, image, len(shape), channel)
                for item in operation.parameters.values()
                if item.required
            }
            if operation.channel is not None:
                required[operation.channel] = channel
            if "rng" in operation.specs and operation.specs["rng"].reproducible:
                required["rng"] = 3
            params = {**required, **QUICK.get(operation.name, {})}
            drawn.append(Case(operation, image, params, 3, "noise"))
    return drawn


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_shape_has_scikit_images_answer_or_is_refused(name: str) -> None:
    operation = tw.OPERATIONS[name]
    for case in cases(operation):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                case.params = operation.satisfying(case.params, case.image)
                expected = whole(case)
            except Exception:  # noqa: BLE001 - whatever it is, ours must refuse, too
                for tiles in ("auto", case.tiles):
                    with pytest.raises(tw.TilewiseError):
                        tw.apply(name, case.image, tiles=tiles, **case.params)
                continue
            for tiles in ("auto", case.tiles):
                if name in REFUSED:
                    with suppress(tw.TilewiseError):
                        tw.apply(name, case.image, tiles=tiles, **case.params)
                    continue
                found = tw.apply(name, case.image, tiles=tiles, **case.params)
                assert_same(operation, found, expected, case.image, case.params)
