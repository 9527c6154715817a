"""Components of a mask flood apart as they do together; where that is unsure, they flood together.

The property test's masks are one large component; these are many small ones, full of ties.
"""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.segmentation import watershed

import napari_tilewise as tw
from napari_tilewise.engine.passes import pass_runner, walks
from napari_tilewise.errors import InvalidParameter, OperationFailed
from napari_tilewise.kernels import floods_in_order
from napari_tilewise.operations.segmentation import ordered_flood
from napari_tilewise.operations.segmentation import watershed as declaration


def draw_image(kind: str, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image with few ties or many, or with NaN, which has no order."""
    if kind == "distance":
        return np.asarray(-ndi.distance_transform_edt(mask))
    if kind == "steps":
        return rng.integers(0, 5, mask.shape).astype(np.uint8)
    if kind == "nan":
        return np.where(rng.random(mask.shape) < 0.1, np.nan, rng.random(mask.shape).round(1))
    return np.asarray(ndi.gaussian_filter(rng.random(mask.shape), 1.5))


def draw_markers(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> object:
    """Return markers as an image, as a number or as minima of the image."""
    if kind == "minima":
        return None
    if kind == "number":
        return int(rng.integers(5, 80))
    points = np.where(rng.random(shape) < 0.03, rng.integers(1, 40, shape), 0)
    return ndi.grey_dilation(points, size=2) if kind == "patches" else points


@given(data=st.data())
def test_components_flood_apart_as_together(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    shape = data.draw(st.sampled_from(((40, 33), (57, 20), (14, 12, 9))))
    blobs = ndi.gaussian_filter(rng.random(shape), data.draw(st.sampled_from((0.7, 1.2, 2.0))))
    mask = blobs > np.quantile(blobs, data.draw(st.sampled_from((0.5, 0.7))))
    image = draw_image(data.draw(st.sampled_from(("distance", "steps", "smooth"))), mask, rng)
    kind = data.draw(st.sampled_from(("minima", "number", "points", "patches")))
    params = {
        "markers": draw_markers(kind, shape, rng),
        "connectivity": data.draw(st.integers(1, len(shape))),
        "compactness": data.draw(st.sampled_from((0.0, 0.0, 0.01, 1.0))),
        # scikit-image's own lines take for ever where crowded markers meet.
        "watershed_line": kind in ("minima", "number") and data.draw(st.booleans()),
        "mask": mask,
    }
    tiles = tuple(data.draw(st.integers(max(2, n // 5), n)) for n in shape)
    with pytest.MonkeyPatch.context() as patch:
        reach = data.draw(st.sampled_from((4, 8, 64)))
        patch.setattr(declaration, "REACH", {2: reach, 3: reach})
        found = tw.apply("segmentation.watershed", image, tiles=tiles, **params)
    expected = watershed(image, **params)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@given(data=st.data())
def test_a_flood_on_disk_is_the_whole_images(data: st.DataObject) -> None:
    """Without a mask the image is flooded in its own order, in files where memory is short."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    shape = data.draw(st.sampled_from(((40, 33), (57, 20), (14, 12, 9), (200,))))
    image = draw_image(data.draw(st.sampled_from(("steps", "smooth", "nan"))), np.ones(shape), rng)
    image = image.astype(data.draw(st.sampled_from((image.dtype, np.float32, np.float64))))
    kind = data.draw(st.sampled_from(("number", "points", "patches")))
    params = {
        "markers": draw_markers(kind, shape, rng),
        "connectivity": data.draw(
            st.one_of(st.integers(1, len(shape)), st.just(rng.random((3,) * len(shape)) < 0.7))
        ),
        "compactness": data.draw(st.sampled_from((0.0, 0.0, 0.01, 1.0))),
        "watershed_line": kind == "number" and data.draw(st.booleans()),
    }
    if data.draw(st.booleans()):
        params["mask"] = rng.random(shape) < 0.8
        params["watershed_line"] = False
    tiles = tuple(data.draw(st.integers(max(2, n // 5), n)) for n in shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pass_runner, "SOON", 0)
        patch.setattr(walks, "MOST", data.draw(st.sampled_from((64, 2**18))))
        memory = data.draw(st.sampled_from((2**12, 2**16, 2**30)))
        patch.setattr(walks, "available_memory", lambda: memory)
        patch.setattr(ordered_flood, "CROWD", 2**15)
        lazy = da.from_array(image, chunks=tiles)
        try:
            found = np.asarray(tw.apply("segmentation.watershed", lazy, tiles=tiles, **params))
        except OperationFailed as error:
            # scikit-image's own lines take for ever where crowded markers meet.
            if not (params["watershed_line"] and "would not end either" in str(error)):
                raise
            return
    expected = watershed(image, **params)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_the_plan_states_what_of_a_flood_is_on_disk() -> None:
    """No pixel is read to know it: memory is the budget, and the rest is files."""
    image = da.zeros((16384, 16384), dtype=np.uint16, chunks=1024)
    step = ("segmentation.watershed", {"markers": image})
    plan = tw.plan(step, image, memory="2 GiB")
    assert plan.budget.total <= 2 * 2**30
    if floods_in_order():
        assert plan.budget.in_order == 16384**2 * (1 + 2 + 12 + 2)
        assert "GiB on disk" in plan.describe()


def test_tied_seeds_are_noticed() -> None:
    """The pixel in the middle of two equal seeds is whose seed the heap has on top."""
    mask = np.zeros((9, 21), bool)
    mask[2, 1:6] = mask[6, 1:20] = True
    image = np.zeros(mask.shape)
    seeds = np.zeros(mask.shape, int)
    seeds[2, 1], seeds[2, 5], seeds[6, 1], seeds[6, 18] = 1, 2, 3, 4
    call = tw.OPERATIONS["segmentation.watershed"].call(image.shape, float, {"markers": seeds})
    labels, _ = ndi.label(mask)
    assert not declaration._is_settled(call, image, seeds, labels == 1)
    assert declaration._is_settled(call, image, seeds, labels == 2)


def test_a_neighbourhood_beside_the_padding_is_refused() -> None:
    """scikit-image would read from beyond its memory."""
    with pytest.raises(InvalidParameter, match="offset"):
        tw.apply("segmentation.watershed", np.zeros((8, 8)), offset=(0, 0))


@pytest.mark.parametrize("mask", [None, np.ones((19, 23), bool)])
@pytest.mark.parametrize("seeded", [False, True])
def test_markers_of_the_other_byte_order(mask: np.ndarray | None, *, seeded: bool) -> None:
    image = np.random.default_rng(0).random((19, 23))
    markers = draw_markers("points" if seeded else "none", image.shape, np.random.default_rng(1))
    markers = np.asarray(markers, np.int32) * seeded
    expected = watershed(image, markers, mask=mask)
    for swapped in (">i4", "<i4"):
        found = tw.apply(
            "segmentation.watershed", image, markers=markers.astype(swapped), mask=mask, tiles=7
        )
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected)
