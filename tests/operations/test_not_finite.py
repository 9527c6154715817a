"""NaN and infinities: the whole image's answer, or a refusal; no operation differs in silence."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import napari_tilewise as tw
from tests.strategies import Case, cases
from tests.test_exact import assert_same, tiled, whole

VALUES = ((np.nan,), (np.inf,), (-np.inf,), (np.nan, np.inf, -np.inf))
SHARES = (0.0, 0.02, 0.3, 1.0)
"""How many pixels are replaced; at least one is."""
FLOATS = [name for name, op in tw.OPERATIONS.items() if "f" in op.limits.dtypes]


@st.composite
def not_finite(draw: st.DrawFn, name: str) -> Case:
    """Draw a case whose image, and sometimes a further image, holds values that are not finite."""
    operation = tw.OPERATIONS[name]
    case = draw(cases(operation, dtypes=("float32", "float64")))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    values, share = draw(st.sampled_from(VALUES)), draw(st.sampled_from(SHARES))
    case.image = replaced(case.image, values, share, rng)
    for role in operation.images:
        image = case.params.get(role)
        if isinstance(image, np.ndarray) and image.dtype.kind == "f" and draw(st.booleans()):
            case.params[role] = replaced(image, values, share, rng)
    return case


def replaced(
    image: np.ndarray, values: tuple[float, ...], share: float, rng: np.random.Generator
) -> np.ndarray:
    """Return an image with some of its pixels replaced."""
    image = image.copy()
    count = max(1, int(image.size * share))
    image.flat[rng.choice(image.size, count, replace=False)] = rng.choice(values, count)
    return image


@pytest.mark.parametrize("name", FLOATS)
@settings(max_examples=max(3, settings().max_examples // 8))
@given(data=st.data())
def test_what_is_not_finite_gives_the_wholes_answer_or_is_refused(
    name: str, data: st.DataObject
) -> None:
    """Tiles first: what they refuse is not handed to scikit-image."""
    case = data.draw(not_finite(name))
    try:
        found = tiled(case)
    except tw.TilewiseError as error:
        note(str(error))
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = whole(case)
        assert_same(case.operation, found, expected, case.image, case.params)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("feature.match_template", {"template": np.arange(9.0).reshape(3, 3)}),
        ("ndimage.maximum_position", {}),
        ("ndimage.extrema", {}),
        ("filters.rank.windowed_histogram", {"footprint": np.ones((3, 3), np.uint8)}),
        ("feature.hessian_matrix_det", {"sigma": 1}),
        ("restoration.denoise_nl_means", {"patch_distance": 2}),
    ],
)
def test_nan_is_refused_where_scikit_image_has_no_answer(name: str, params: dict[str, Any]) -> None:
    image = np.random.default_rng(0).random((20, 23))
    image[7, 11] = np.nan
    with pytest.raises(tw.TilewiseError, match=f"{name}: the image holds NaN"):
        tw.apply(name, image, tiles=6, **params)


LINE_MEDIANS: dict[str, dict[str, Any]] = {
    "filters.median": {},
    "filters.threshold_local": {"method": "median", "block_size": 5},
    "ndimage.median_filter": {"size": 5},
}


@pytest.mark.parametrize("name", LINE_MEDIANS)
def test_a_running_median_of_a_line_refuses_nan(name: str) -> None:
    """SciPy keeps the window of a line sorted; other images and infinities have no such window."""
    params, operation = LINE_MEDIANS[name], tw.OPERATIONS[name]
    image = np.random.default_rng(0).random(40)
    image[[3, 20]] = np.inf, -np.inf
    found = tw.apply(name, image, tiles=7, **params)
    np.testing.assert_array_equal(found, operation.raw_function(image.copy(), **params))
    image[11] = np.nan
    with pytest.raises(tw.TilewiseError, match=f"{name}: the image holds NaN"):
        tw.apply(name, image, tiles=7, **params)


@pytest.mark.parametrize("tolerance", [None, 0.1])
def test_a_flood_from_nan_fills_its_seed(tolerance: float | None) -> None:
    image = np.full((6, 7), np.nan)
    found = tw.apply("segmentation.flood", image, seed_point=(4, 3), tolerance=tolerance, tiles=2)
    assert np.argwhere(found).tolist() == [[4, 3]]
