"""The drop-in is scikit-image: the same tree, signatures, words and answers; and lazy images."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import skimage
import zarr

import napari_tilewise as tw
import napari_tilewise.ndimage as ndi
import napari_tilewise.skimage as ski
from napari_tilewise.errors import (
    InvalidImage,
    InvalidParameter,
    InvalidParameterType,
    UnknownParameter,
)
from napari_tilewise.operations import BUILT_IN
from napari_tilewise.operations.spec.docstrings import resolve
from napari_tilewise.skimage import _dropin, _generate
from tests.sources import ArrayLike

MODULES = [path for path in _generate.public_modules() if path]


def image(dtype="float64", shape=(90, 120), seed=0):
    pixels = np.random.default_rng(seed).random(shape)
    return pixels if dtype == "float64" else (pixels * 255).astype(dtype)


def lazily(pixels, chunk=50):
    return da.from_array(pixels, chunks=chunk)


# -- the same tree ---------------------------------------------------------------------------------


def test_committed_modules_are_the_generated_ones():
    texts = _generate.files()
    for path, text in texts.items():
        assert path.read_text(encoding="utf-8") == text, "run: make dropin"
    files = _generate.generated_files()
    assert {p for p in files if p.name.startswith("__init__") or p.name[0] != "_"} == set(texts)


def test_stubs_declare_operations_for_lazy_images():
    """Re-exported, they would have NumPy's types: `.compute()` of a result would be an error."""
    texts = _generate.files()
    count = 0
    for path in [*MODULES, "ndimage"]:
        module = ndi if path == "ndimage" else importlib.import_module(f"{ski.__name__}.{path}")
        stub = texts[Path(f"{module.__file__}i")]
        declared = {n.name: n for n in ast.parse(stub).body if isinstance(n, ast.FunctionDef)}
        operations = {name for name in module.__all__ if f"{path}.{name}" in BUILT_IN}
        assert set(declared) == operations, path
        for name, node in declared.items():
            parameters = inspect.signature(getattr(module, name)).parameters
            arguments = node.args
            plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            extra = [a for a in (arguments.vararg, arguments.kwarg) if a]
            assert {a.arg for a in (*plain, *extra)} == set(parameters), name
            assert ast.unparse(node.returns) == "Any"
        count += len(operations)
    assert count > 300


@pytest.mark.parametrize("path", MODULES)
def test_every_public_module_has_the_same_names_signatures_and_docstrings(path):
    origin = importlib.import_module(f"skimage.{path}")
    mirror = importlib.import_module(f"napari_tilewise.skimage.{path}")
    listed = getattr(origin, "__all__", None)
    assert listed is None or sorted(mirror.__all__) == sorted(listed)
    for name in mirror.__all__:
        theirs, ours = getattr(origin, name), getattr(mirror, name)
        if inspect.ismodule(theirs):
            assert ours.__name__ == f"napari_tilewise.{theirs.__name__}"
        elif not inspect.isroutine(theirs):
            assert ours is theirs
        else:
            assert inspect.unwrap(ours) is inspect.unwrap(theirs)
            assert ours.__name__ == theirs.__name__
            if "cython" not in type(theirs).__name__:
                assert inspect.signature(ours) == inspect.signature(theirs)
            for line in (inspect.getdoc(theirs) or "").splitlines():
                assert line.strip() in ours.__doc__


@pytest.mark.parametrize("key", [key for key in tw.OPERATIONS if not key.startswith("numpy.")])
def test_every_operation_is_found_under_its_path(key):
    dropin = ndi if key.startswith("ndimage.") else ski
    for name in key.removeprefix("ndimage.").split("."):
        dropin = getattr(dropin, name)
    operation = tw.OPERATIONS[key]
    assert dropin.__wrapped__ is resolve(key)
    assert dropin.__doc__.count("napari-tilewise: ") == 1
    assert operation.exactness != "identical" or "bit for bit" in dropin.__doc__
    assert pickle.loads(pickle.dumps(dropin)) is dropin


def test_all_ways_to_import():
    from napari_tilewise.skimage import filters, img_as_float
    from napari_tilewise.skimage.filters import gaussian, rank
    from napari_tilewise.skimage.filters.edges import sobel
    from napari_tilewise.skimage.filters.rank import median

    assert ski.filters is filters
    assert ski.filters.gaussian is gaussian
    assert ski.filters.sobel is sobel
    assert rank.median is median
    assert ski.util.img_as_float is img_as_float
    assert ski.__version__ == skimage.__version__
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = ski.filters.no_such_function
    with pytest.raises(ImportError):
        from napari_tilewise.skimage.filters import no_such_function  # noqa: F401


def test_a_function_hides_the_module_of_its_name_as_in_scikit_image():
    inner = importlib.import_module("napari_tilewise.skimage.morphology.max_tree")
    assert inner.max_tree is ski.morphology.max_tree
    assert callable(ski.morphology.max_tree)


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys, napari_tilewise.skimage, napari_tilewise.skimage.filters.rank\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("numpy", "scipy", "skimage", "dask", "zarr", "napari"):
        assert f"'{name}'" not in done.stdout


def test_what_is_no_operation_is_scikit_images_own():
    assert ski.transform.AffineTransform is skimage.transform.AffineTransform
    assert ski.color.rgb_from_hed is skimage.color.rgb_from_hed
    np.testing.assert_array_equal(ski.morphology.disk(3), skimage.morphology.disk(3))
    np.testing.assert_array_equal(ski.data.camera(), skimage.data.camera())
    assert ski.metrics.mean_squared_error(image(), image(seed=1)) > 0


# -- NumPy in: scikit-image's answer ---------------------------------------------------------------


def test_a_small_image_goes_to_scikit_image(monkeypatch):
    monkeypatch.setattr(_dropin._Route, "_apply", None)
    pixels = image()
    expected = skimage.filters.gaussian(pixels, 2)
    np.testing.assert_array_equal(ski.filters.gaussian(pixels, 2), expected)
    np.testing.assert_array_equal(ski.filters.gaussian(sigma=2, image=pixels), expected)
    colours = [[[0.1, 0.2, 0.3]]]
    assert ski.color.rgb2gray(colours) == skimage.color.rgb2gray(colours)


def test_a_large_image_goes_to_the_engine_where_that_is_identical(monkeypatch):
    monkeypatch.setattr(_dropin, "MIN_PIXELS", 1000)
    calls = []
    engine = _dropin._Route._apply

    def spy(self, *args):
        calls.append(self.operation.name)
        return engine(self, *args)

    monkeypatch.setattr(_dropin._Route, "_apply", spy)
    pixels = image()
    np.testing.assert_array_equal(
        ski.filters.gaussian(pixels, 2), skimage.filters.gaussian(pixels, 2)
    )
    assert calls == ["filters.gaussian"]
    np.testing.assert_array_equal(  # within a tolerance only
        ski.filters.threshold_niblack(pixels), skimage.filters.threshold_niblack(pixels)
    )
    ski.filters.threshold_otsu(pixels)  # gathers numbers only: scikit-image is faster
    masked = np.ma.masked_array(pixels, pixels > 0.5)  # no plain array
    ski.filters.gaussian(masked, 2)
    assert calls == ["filters.gaussian"]


def test_what_the_engine_refuses_scikit_image_answers():
    notices = []
    pixels = image()
    out = np.empty_like(pixels)
    with ski.tiling(40, callback=lambda key, error: notices.append((key, type(error)))):
        result = ski.filters.gaussian(pixels, 1, out=out)
        assert result is out
        np.testing.assert_array_equal(result, skimage.filters.gaussian(pixels, 1))
        ski.filters.gaussian(pixels, 1)
        with pytest.raises(ValueError, match="Sigma values less than zero") as caught:
            ski.filters.gaussian(pixels, -1)
        assert not isinstance(caught.value, tw.TilewiseError)
        with pytest.raises(TypeError, match="unexpected keyword argument 'sgima'"):
            ski.filters.gaussian(pixels, sgima=1)
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            ski.filters.gaussian()
    assert notices == [
        ("filters.gaussian", UnknownParameter),
        ("filters.gaussian", type(None)),
        ("filters.gaussian", InvalidParameter),
    ]


def test_tiles_may_be_chosen_per_call():
    calls = []

    def tiles(operation, shape):
        calls.append((operation.name, shape))
        return (20, 30)

    pixels = image(shape=(3, 60, 90))
    with ski.tiling(tiles):
        result = ski.filters.gaussian(pixels, 2, channel_axis=0)
    np.testing.assert_array_equal(result, skimage.filters.gaussian(pixels, 2, channel_axis=0))
    assert calls == [("filters.gaussian", (60, 90))]


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.morphology.remove_small_objects(image() > 0.5, min_size=3),
        lambda s: s.morphology.binary_erosion(image() > 0.5),
        lambda s: s.util.img_as_ubyte(image("uint16")),
    ],
)
def test_warnings_are_scikit_images_and_point_to_the_callers_line(call):
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        call(skimage)
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        call(ski)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
    assert [(w.filename, w.lineno) for w in ours] == [(w.filename, w.lineno) for w in theirs]


# -- lazy images -----------------------------------------------------------------------------------


def test_the_designs_example():
    pixels = image(shape=(40, 50, 60))
    volume = lazily(pixels, 20)
    mask = volume > ski.filters.threshold_otsu(volume)
    labels = ski.measure.label(mask)
    assert isinstance(mask, da.Array)
    assert isinstance(labels, da.Array)
    expected = pixels > skimage.filters.threshold_otsu(pixels)
    np.testing.assert_array_equal(mask.compute(), expected)
    np.testing.assert_array_equal(labels.compute(), skimage.measure.label(expected))


def test_nothing_is_read_before_it_is_computed():
    pixels = image()
    source = ArrayLike(pixels, (30, 40))
    smooth = ski.filters.gaussian(source, sigma=1)
    threshold = ski.filters.threshold_otsu(smooth)
    labels = ski.measure.label(smooth > threshold)
    assert source.reads == []
    expected = skimage.filters.gaussian(pixels, sigma=1)
    expected = skimage.measure.label(expected > skimage.filters.threshold_otsu(expected))
    np.testing.assert_array_equal(labels.compute(), expected)


def test_zarr_arrays_are_taken():
    pixels = image("uint8")
    stored = zarr.array(pixels, chunks=(32, 32))
    result = ski.filters.median(stored)
    assert isinstance(result, da.Array)
    np.testing.assert_array_equal(result.compute(), skimage.filters.median(pixels))


def test_a_lazy_mask_makes_a_lazy_result():
    pixels, mask = image(), image(seed=1) > 0.3
    result = ski.filters.sobel(pixels, mask=lazily(mask))
    assert isinstance(result, da.Array)
    np.testing.assert_array_equal(result.compute(), skimage.filters.sobel(pixels, mask=mask))


def test_lazy_scalars_are_computed():
    pixels = image()
    low, high = (da.from_array(np.array(v)) for v in (0.2, 0.7))
    expected = skimage.filters.apply_hysteresis_threshold(pixels, 0.2, 0.7)
    for values in (pixels, lazily(pixels)):
        result = ski.filters.apply_hysteresis_threshold(values, low, high)
        np.testing.assert_array_equal(np.asarray(result), expected)
    result = ski.exposure.rescale_intensity(lazily(pixels), in_range=(low, high))
    expected = skimage.exposure.rescale_intensity(pixels, in_range=(0.2, 0.7))
    np.testing.assert_array_equal(result.compute(), expected)


def test_what_a_lazy_image_cannot_have_is_said():
    volume = lazily(image())
    with pytest.raises(InvalidParameterType, match="expected two NumPy arrays"):
        ski.filters.gaussian(volume, 1, out=np.empty((90, 120)))
    with pytest.raises(InvalidParameter, match="sigma=-1"):
        ski.filters.gaussian(volume, -1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sgima'"):
        ski.filters.gaussian(volume, sgima=1)
    np.testing.assert_array_equal(  # said, but as scikit-image would do without
        ski.filters.gaussian(volume, 1, out=None).compute(), skimage.filters.gaussian(image(), 1)
    )


def test_a_lazy_image_is_never_loaded_by_accident(monkeypatch):
    monkeypatch.setattr(_dropin, "available_memory", lambda: 2**20)
    source = ArrayLike(image(), (30, 40))
    with pytest.raises(
        InvalidImage, match=r"84\.4 KiB in all.*64\.0 KiB or less.*pass numpy\.asarr"
    ):
        ski.metrics.structural_similarity(source, image())
    with pytest.raises(InvalidImage, match="takes no image"):
        ski.measure.moments_hu(source)
    assert source.reads == []
    assert ski.util.dtype_limits(source) == (-1, 1)
    two = da.from_array(np.array(2))
    np.testing.assert_array_equal(ski.morphology.disk(two), skimage.morphology.disk(2))


@pytest.mark.parametrize(
    "call",
    [
        lambda s, one, other: s.metrics.structural_similarity(one, other, data_range=1),
        lambda s, one, other: s.metrics.mean_squared_error(one, other),
        lambda s, one, other: s.registration.phase_cross_correlation(one, other)[0],
        lambda s, one, other: s.measure.moments_normalized(one[:4, :4]),
        lambda s, one, other: sorted(
            s.graph.rag_mean_color(one, (other * 4).astype(int)).edges(data="weight")
        ),
    ],
)
def test_what_is_no_operation_computes_lazy_arrays_that_fit(call):
    pixels, others = image(), image(seed=1)
    expected = call(skimage, pixels, others)
    np.testing.assert_array_equal(call(ski, lazily(pixels), lazily(others)), expected)


def test_deprecated_functions_warn_for_lazy_images_too():
    mask = image() > 0.5
    with pytest.warns(FutureWarning) as theirs:
        expected = skimage.morphology.binary_erosion(mask)
    with pytest.warns(FutureWarning) as ours:
        result = ski.morphology.binary_erosion(lazily(mask))
    assert str(ours[0].message) == str(theirs[0].message)
    assert ours[0].filename == __file__
    np.testing.assert_array_equal(np.asarray(result), expected)
