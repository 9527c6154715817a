"""A preview at full resolution has the pixels that Apply gives; an overview is scaled."""

from __future__ import annotations

import threading
import warnings
from functools import cache, partial
from unittest import mock

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels
from tests._napari.previews import job, preview, speckles
from tests.strategies import typical
from tests.test_exact import assert_same

import napari_tilewise as tw
from napari_tilewise._napari.preview import bound
from napari_tilewise._napari.preview import previewer as compute
from napari_tilewise._napari.preview.preview_request import Basis, PreviewRequest, Shown
from napari_tilewise._napari.preview.previewer import Previewer
from napari_tilewise._napari.preview.scaling import scaled
from napari_tilewise._napari.preview.view import View
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.errors import Cancelled, InvalidImage, SourceWarning, TilewiseError
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.parameters import ChannelAxis, Seed
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.recipe import Recipe

LENGTHS = (44, 52)
IMAGES = ("float64", "uint8", "bool", "rgb")
"""Images to try in turn, until an operation takes one."""
SHOWN = [op for op in OPERATIONS.values() if op.as_step().output.is_image and not op.deprecated]
TILED = compute._tiled
NOT_TRIED = {
    "color.rgba2rgb",
    "filters.rank.windowed_histogram",
    "transform.frt2",
    "transform.ifrt2",
}
"""Operations that take none of these images with their usual parameters."""


def recorded(tiles, stack, box, session):
    """Compute a box as the preview does, and note it."""
    tiles.append((stack, box, TILED(stack, box, session)))
    return tiles[-1][2]


@st.composite
def spans(draw, length):
    start = draw(st.integers(0, length - 1))
    return slice(start, draw(st.integers(start + 1, length)))


def layer_of(kind: str):
    if kind == "rgb":
        return Image(speckles((*LENGTHS, 3), "uint8"), rgb=True)
    image = speckles(LENGTHS, kind)
    return Labels(image.view("uint8")) if kind == "bool" else Image(image)


@cache
def applied(operation):
    """Return a job and what Apply computes; None if the operation takes none of the images."""
    for kind in IMAGES:
        layer = layer_of(kind)
        try:
            request = usual_job(operation, layer)
            layout = StackLayout(AxisSelection(request.source.names, request.spatial))
            image, inputs = request.source.finest, request.inputs
            results = apply_recipe(request.recipe, image, inputs=inputs, layout=layout)
        except (TilewiseError, NotImplementedError):
            continue
        if results[0].output.is_image:
            return request, [result.value for result in results]
    return None


def usual_job(operation, layer):
    images, params = {}, {}
    pixels = np.asarray(layer.data)
    for name, parameter in operation.parameters.items():
        if name in operation.images and parameter.required:
            images[name] = layer
        elif parameter.required and not isinstance(parameter.spec, ChannelAxis):
            params[name] = typical(parameter.spec, pixels, 2, None)
        elif isinstance(parameter.spec, Seed):
            params[name] = 0  # else another result at every call
    return job(operation.name, layer, images, **operation.satisfying(params, pixels))


@pytest.mark.parametrize("operation", SHOWN, ids=lambda op: op.name)
@settings(max_examples=4)
@given(data=st.data())
def test_full_resolution_is_what_apply_gives(operation, data):
    """Every operation that makes an image, from its declaration: any box of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = applied(operation)
        assert (found is None) == (operation.name in NOT_TRIED)
        if found is None:
            return
        request, values = found
        box = tuple(data.draw(spans(length)) for length in LENGTHS)
        tiles = []
        with mock.patch.object(compute, "_tiled", partial(recorded, tiles)):
            result = preview(Previewer(), request, box)
    assert result.basis is Basis.EXACT
    stack, region, pixels = tiles[-1]
    whole = values[0]
    if stack.call.operation.result.split is not None and stack.channel is not None:
        whole = np.stack(values, axis=stack.channel)
    assert_same(operation, pixels, whole[region], request.source.finest)


@pytest.mark.parametrize(
    "name", ["morphology.dilation", "exposure.rescale_intensity", "filters.gaussian", "util.crop"]
)
def test_an_alpha_is_shown_as_apply_gives_it(name):
    layer = Image(speckles((*LENGTHS, 4), "uint8"), rgb=True)
    params = {"crop_width": [[1, 2], [3, 0]]} if name == "util.crop" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)
        whole = np.asarray(tw.apply(name, layer, **params).data)
        tiles = []
        with mock.patch.object(compute, "_tiled", partial(recorded, tiles)):
            result = preview(Previewer(), job(name, layer, **params), (slice(2, 9), slice(0, 12)))
    assert result.basis is Basis.EXACT
    _, region, pixels = tiles[-1]
    np.testing.assert_array_equal(pixels, whole[region])
    assert pixels.shape[-1] == (3 if name == "filters.gaussian" else 4)


BIG = speckles((300, 320))


def test_an_overview_is_marked_and_its_lengths_are_scaled():
    previewer, request = Previewer(), job("filters.gaussian", Image(BIG), sigma=8)
    result = preview(previewer, request, (slice(0, 300), slice(0, 320)), pixels=80 * 80)
    assert (result.basis, result.factor) == (Basis.OVERVIEW, 4)
    step = result.samplings[0]
    assert (step.step, step.start) == (4, 1.5)
    expected = tw.apply("filters.gaussian", BIG[::4, ::4], sigma=2)
    np.testing.assert_array_equal(result.pixels, expected.astype(np.float32))


def test_the_pyramid_gives_the_overview():
    levels = [BIG, BIG[::2, ::2] + 1, BIG[::4, ::4] + 2]
    request = job("filters.median", Image(levels, multiscale=True))
    result = preview(Previewer(), request, (slice(0, 300), slice(0, 320)), pixels=160 * 160)
    assert result.factor == 2
    np.testing.assert_array_equal(result.pixels, tw.apply("filters.median", levels[1]))


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("filters.gaussian", {}, {"sigma": 0.25}),
        ("filters.gaussian", {"sigma": (4, 8)}, {"sigma": (1, 2)}),
        ("filters.difference_of_gaussians", {"low_sigma": 2}, {"low_sigma": 0.5}),
        ("filters.threshold_local", {"block_size": 35}, {"block_size": 9}),
        ("morphology.remove_small_objects", {"max_size": 64}, {"max_size": 4}),
        ("morphology.diameter_opening", {"diameter_threshold": 12}, {"diameter_threshold": 3}),
        ("morphology.opening", {"footprint": {"shape": "disk", "radius": 8}},
         {"footprint": {"shape": "disk", "radius": 2}}),
        ("morphology.opening", {"footprint": {"shape": "square", "width": 11}},
         {"footprint": {"shape": "square", "width": 3}}),
        ("feature.peak_local_max", {"exclude_border": 8, "min_distance": 4},
         {"exclude_border": 2, "min_distance": 1}),
        ("transform.resize", {"output_shape": (100, 200)}, {"output_shape": (25, 50)}),
        ("transform.swirl", {"center": (9.5, 5.5), "radius": 80},
         {"center": (2, 1), "radius": 20}),
        ("filters.sato", {"sigmas": (4, 8)}, {"sigmas": (1, 2)}),
        ("util.crop", {"crop_width": ((8, 4), (4, 8))}, {"crop_width": ((2, 1), (1, 2))}),
        ("ndimage.affine_transform", {"matrix": ((1, 0, 8), (0, 1, 4))},
         {"matrix": ((1, 0, 2), (0, 1, 1))}),
    ],
)  # fmt: skip
def test_lengths_areas_and_positions_are_divided(name, params, expected):
    recipe = scaled(Recipe([(name, params)]), AxisSelection(), (4.0, 4.0))
    wanted = Recipe([(name, {**params, **expected})]).steps[0]
    step = recipe.steps[0]
    for key in expected:
        np.testing.assert_array_equal(step.bound[key], wanted.bound[key])


def test_a_large_plane_is_estimated_then_gathered_once(monkeypatch):
    monkeypatch.setattr(bound, "SMALL", 64)
    image = BIG.copy()
    image[150:] //= 4  # the visible half has another threshold
    previewer, request = Previewer(), job("filters.threshold_otsu", Image(image))
    box = (slice(0, 100), slice(0, 100))
    estimate = preview(previewer, request, box)
    assert estimate.basis is Basis.ESTIMATE
    previewer.gather(estimate.gather, lambda event: None, threading.Event())
    exact = preview(previewer, request, box)
    assert (exact.basis, exact.gather) == (Basis.EXACT, None)
    assert (exact.pixels != estimate.pixels).any()


def test_gathered_numbers_serve_other_operations(monkeypatch):
    monkeypatch.setattr(bound, "SMALL", 64)
    previewer, box = Previewer(), (slice(0, 100), slice(0, 100))
    first = preview(previewer, job("filters.threshold_otsu", Image(BIG)), box)
    previewer.gather(first.gather, lambda event: None, threading.Event())
    request, events = job("filters.threshold_yen", Image(BIG)), []
    estimate = preview(previewer, request, box)
    previewer.gather(estimate.gather, events.append, threading.Event())
    assert preview(previewer, request, box).basis is Basis.EXACT
    assert not events  # no tile was read again


def test_labels_of_a_large_plane_are_not_gathered(monkeypatch):
    monkeypatch.setattr(bound, "SMALL", 64)
    request = job("measure.label", Labels((BIG > 80).view("uint8")))
    result = preview(Previewer(), request, (slice(0, 100), slice(0, 100)))
    assert (result.basis, result.gather, result.shown) == (Basis.ESTIMATE, None, Shown.OUTLINES)


def test_points_are_those_that_apply_gives():
    box = (slice(40, 160), slice(50, 200))
    request = job("feature.peak_local_max", Image(BIG), min_distance=4)
    found = preview(Previewer(), request, box)
    every = tw.apply("feature.peak_local_max", BIG, min_distance=4)
    inside = ((every >= (40, 50)) & (every < (160, 200))).all(axis=1)
    assert found.shown is Shown.POINTS
    np.testing.assert_array_equal(found.pixels, every[inside])


def test_a_lazy_view_is_read_once():
    reads = []

    def read(block_info=None):
        reads.append(block_info[None]["chunk-location"])
        return speckles((128, 128))

    lazy = da.map_blocks(read, chunks=((128,) * 8, (128,) * 8), dtype="uint8")
    layer = Image(lazy, contrast_limits=(0, 255))
    previewer, box = Previewer(), (slice(300, 500), slice(300, 500))
    reads.clear()
    preview(previewer, job("filters.gaussian", layer, sigma=1), box)
    first = len(reads)
    assert 0 < first <= 16
    for sigma in (2, 3, 4):
        preview(previewer, job("filters.gaussian", layer, sigma=sigma), box)
    assert len(reads) == first


def test_planes_of_a_stack_are_previewed_alone():
    stack = speckles((3, 60, 70))
    request = job("filters.gaussian", Image(stack, axis_labels=("t", "y", "x")), sigma=2)
    result = preview(Previewer(), request, (slice(1, 2), slice(0, 60), slice(0, 70)))
    expected = tw.apply("filters.gaussian", stack[1], sigma=2).astype(np.float32)
    np.testing.assert_array_equal(result.pixels[0], expected)
    assert result.samplings[0].start == 1


def test_a_table_has_no_preview():
    request = job("measure.regionprops_table", Labels(np.eye(20, dtype=int)))
    with pytest.raises(InvalidImage, match="gives a table, of which there is no preview"):
        preview(Previewer(), request, (slice(0, 20), slice(0, 20)))


def test_a_cancelled_request_stops():
    cancel = threading.Event()
    cancel.set()
    request = PreviewRequest(job("filters.gaussian", Image(BIG)), View((slice(0, 300),) * 2, 2**20))
    with pytest.raises(Cancelled):
        Previewer().compute(request, cancel)
