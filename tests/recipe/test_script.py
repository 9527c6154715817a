"""An exported script gives what the recipe gives, for every operation, tiled and plain."""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from skimage import data as pictures
from skimage import feature, filters, io, measure, morphology
from skimage.segmentation import morphsnakes

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.cli import main
from napari_tilewise.engine.session import Session
from napari_tilewise.functions import load_file
from napari_tilewise.grid import Grid
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.values import write_value
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Exactness
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.pipeline.bind import bind_recipe
from napari_tilewise.pipeline.bind import recipe_images as run_on
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.script.code import lay_out, literal, wrap
from tests.io.writing import new_writer
from tests.strategies import cases
from tests.test_exact import assert_same

if TYPE_CHECKING:
    from napari_tilewise.engine.stack import Stack

ROOT = Path(__file__).parents[2]
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["tiled", "plain"])
HARDLY = ("transform.ifrt2",)
"""Operations that take hardly any image that is drawn: this one's side must be prime."""


def execute(script: str, *arguments: Any) -> None:
    """Run a script in this process."""
    before = sys.argv
    sys.argv = ["script.py", *map(str, arguments)]
    # As in a process of its own: scikit-image goes on with the operator it stopped at.
    reach("segmentation.morphsnakes", "_curvop").funcs = cycle((_inf_sup, _sup_inf))
    space = {"__name__": "__main__", "__doc__": ast.get_docstring(ast.parse(script))}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated operations and odd images are no news
            exec(compile(script, "script.py", "exec"), space)
    finally:
        sys.argv = before


def _inf_sup(level: np.ndarray) -> Any:
    return morphsnakes.sup_inf(morphsnakes.inf_sup(level))


def _sup_inf(level: np.ndarray) -> Any:
    return morphsnakes.inf_sup(morphsnakes.sup_inf(level))


def last_of(recipe: Recipe, image: Any, inputs: Any = None, axes: Any = None) -> Stack:
    """Return the last step of a recipe as a run has it."""
    spatial = "".join(a for a in axes if a in "zyx") if axes else None
    names = tuple(axes) if axes else None
    return bind_recipe(
        recipe, run_on(recipe, image, inputs, names=names, spatial=spatial), Session(1)
    ).last


def result_of(stack: Stack) -> Any:
    """Return a step's result as a run writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack.prepare()
        return (
            stack.read(tuple(slice(0, n) for n in stack.shape)) if stack.is_image else stack.value()
        )


def exported(
    folder: Path,
    recipe: Recipe,
    image: Any,
    inputs: Any = None,
    suffixes: Any = (".ome.zarr",),
    **options: Any,
) -> Path:
    """Run the script of a recipe on images in a folder, and return what it wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "the source.npy", image)
    arguments = []
    for name, further in (inputs or {}).items():
        np.save(folder / f"{name}.npy", further)
        arguments += [f"--{name}", folder / f"{name}.npy"]
    script = recipe.to_script(folder / "the source.npy", **options)
    default = re.search(r'"destination", nargs="\?", default="result(.*)"', script)[1]
    where = folder / f"result{'.npy' if default in suffixes else default}"
    where.unlink(missing_ok=True)
    execute(script, folder / "the source.npy", where, *arguments)
    return where


def with_inputs(name: str, params: dict[str, Any]) -> tuple[Recipe, dict[str, np.ndarray]]:
    """Return a recipe of one step whose further images are its inputs."""
    op = tw.OPERATIONS[name]
    images = {k: v for k, v in params.items() if v is not None and is_image(op.specs[k], v)}
    plain = {k: v for k, v in params.items() if k not in images}
    return Recipe([Step(name, plain, inputs={k: k for k in images})], inputs=list(images)), images


def holds_function(value: Any) -> bool:
    return callable(value) or (isinstance(value, tuple | list) and any(map(callable, value)))


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(
    max_examples=max(2, settings().max_examples // 10), suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_a_script_gives_what_its_recipe_gives(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = data.draw(cases(tw.OPERATIONS[name]))
    try:
        recipe, inputs = with_inputs(name, case.params)
        stack = last_of(recipe, case.image, inputs)
        expected = result_of(stack)
    except tw.TilewiseError:
        assume(name in HARDLY)  # what the image or the parameters do not fit is refused elsewhere
        return
    if any(map(holds_function, case.params.values())):
        with pytest.raises(errors.InvalidRecipe, match="holds a function as"):
            recipe.to_script()
        return
    folder = tmp_path_factory.mktemp("script")
    for plain in (False, True):
        # An array of values takes long as JSON.
        suffixes = (".ome.zarr", ".json" if isinstance(expected, np.ndarray) else "")
        where = exported(folder, recipe, case.image, inputs, suffixes, scikit_image_only=plain)
        compare(case.operation, where, expected, case.image, plain=plain)
    shutil.rmtree(folder)


def test_a_script_holds_sequences_of_numbers_as_scikit_image_takes_them(
    tmp_path: Path, coins: np.ndarray
) -> None:
    params = {"radius": 3, "step": 9, "sigmas": (0.5, 1.0)}  # a list is added to them
    recipe = Recipe([("feature.daisy", params)])
    where = exported(tmp_path, recipe, coins, scikit_image_only=True)
    expected = feature.daisy(coins, **{**params, "sigmas": [0.5, 1.0]})
    np.testing.assert_array_equal(np.load(where), expected)


def compare(op: Any, where: Path, expected: Any, image: Any, *, plain: bool) -> None:
    """Compare what a script wrote with what the recipe gives."""
    if where.suffix == ".npy":
        result = np.load(where)
        if plain and op.result.dtype_varies:
            result = result.astype(np.asarray(expected).dtype)
        assert_same(op, result, np.asarray(expected), image)
    elif where.suffix == ".pickle":
        assert_same(op, pickle.loads(where.read_bytes()), expected, image)
    else:
        write_value(where.with_stem("expected"), expected, overwrite=True)
        texts = [w.read_text() for w in (where, where.with_stem("expected"))]
        if op.exactness is Exactness.IDENTICAL:
            texts = [re.sub(r" at 0x\w+", "", text) for text in texts]
            read = json.loads if where.suffix == ".json" else str
            np.testing.assert_equal(*map(read, texts))
            return
        numbers = [
            np.array([float(n) for n in re.findall(r"-?\d[\d.e+-]*", text)]) for text in texts
        ]
        assert_same(op, *numbers, image)


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return pictures.coins()[60:124, 40:130]


def seeds_of(image: np.ndarray) -> np.ndarray:
    peaks = filters.gaussian(image, 2) > 0.6
    return morphology.label(peaks)


SMOOTH = Step("filters.gaussian", {"sigma": 1.5}, name="smooth")
OTSU = Step("filters.threshold_otsu", name="mask")
GRAPH = [
    SMOOTH,
    OTSU,
    Step("filters.sobel", inputs={"image": "source"}, enabled=False),
    Step(
        "segmentation.watershed",
        {"connectivity": 2},
        inputs={"image": "smooth", "markers": "my-seeds", "mask": "mask"},
    ),
]
CHAINS: dict[str, tuple[Recipe, tuple[str, ...]]] = {
    "graph": (Recipe(GRAPH, ["my-seeds"]), ("yx", "tyx", "tcyx", "zyx")),
    "table": (
        Recipe([SMOOTH, OTSU, "measure.label", "measure.regionprops_table"]), ("yx", "tyx", "ctyx"),
    ),
    "points": (Recipe([SMOOTH, "feature.peak_local_max"]), ("yx", "tyx", "tcyx")),
    "contours": (Recipe([SMOOTH, "measure.find_contours"]), ("yx", "tyx")),
    "scalar": (Recipe([SMOOTH, "measure.blur_effect"]), ("yx", "tyx", "tcyx")),
    "values": (Recipe(["measure.moments"]), ("yx", "tyx")),
    "regions": (Recipe([("filters.threshold_multiotsu", {"classes": 3})]), ("yx", "tyx", "yxc")),
    "lowest": (Recipe([("filters.threshold_isodata", {"return_all": True})]), ("yx", "tyx")),
    "local": (Recipe([("filters.threshold_local", {"block_size": 9})]), ("yx", "yxc", "tyx")),
    "hog": (Recipe(["feature.hog", OTSU]), ("yx", "tyx")),
    "two things": (
        Recipe([SMOOTH, OTSU, ("measure.label", {"return_num": True}), "morphology.erosion"]),
        ("yx", "tyx"),
    ),
    "several": (
        Recipe([
            Step("filters.gabor", {"frequency": 0.4}, name="waves"),
            Step("filters.sobel", inputs={"image": "waves[1]"}),
        ]),
        ("yx", "tyx"),
    ),
    "all of several": (Recipe([("filters.gabor", {"frequency": 0.4})]), ("yx", "tyx")),
    "colours": (Recipe(["color.rgb2gray", SMOOTH]), ("yxc", "cyx", "tyxc")),
    "new colours": (Recipe(["color.gray2rgb"]), ("yx", "tyx", "zyx")),
    "channel": (
        Recipe([("filters.gaussian", {"sigma": 2, "channel_axis": -1})]), ("yxc", "zyxc", "tyxc"),
    ),
    "planes": (
        Recipe([Step("filters.median", name="calm", spatial="yx"), SMOOTH]), ("zyx", "tzyx"),
    ),
    "footprints": (
        Recipe([
            ("morphology.dilation", {"footprint": {"shape": "disk", "radius": 2}}),
            ("morphology.erosion", {"footprint": {"shape": "square", "width": 3}}),
            ("morphology.opening", {"footprint": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 1]])}),
            ("morphology.closing", {"footprint": [(np.ones((3, 1)), 2), ([[0, 1, 1]], 1)]}),
        ]),
        ("yx",),
    ),
}  # fmt: skip
CASES = [(name, axes) for name, (_, many) in CHAINS.items() for axes in many]


def stack_of(coins: np.ndarray, axes: str) -> np.ndarray:
    """Return an image with these axes, each plane of it another."""
    lengths = {"t": 2, "c": 3, "z": 7, "y": coins.shape[0], "x": coins.shape[1]}
    image = np.empty([lengths[axis] for axis in axes], coins.dtype)
    plane = tuple(slice(None) if axis in "yx" else 0 for axis in axes)
    loops = [lengths[axis] if axis not in "yx" else 1 for axis in axes]
    for number, position in enumerate(np.ndindex(*loops)):
        index = tuple(
            i if axis not in "yx" else s for i, s, axis in zip(position, plane, axes, strict=True)
        )
        image[index] = np.roll(coins, 9 * number, axis=1) // (number % 3 + 1)
    return image


@PLAIN
@pytest.mark.parametrize(("chain", "axes"), CASES, ids=["-".join(case) for case in CASES])
def test_a_chain_of_steps_over_all_or_some_axes(
    chain: str, axes: str, plain: bool, coins: np.ndarray, tmp_path: Path
) -> None:
    recipe, _ = CHAINS[chain]
    image = stack_of(coins, axes)
    inputs = {name: seeds_of(image) for name in recipe.inputs}
    stack = last_of(recipe, image, inputs, axes)
    expected = result_of(stack)
    where = exported(tmp_path, recipe, image, inputs, scikit_image_only=plain, axes=axes)
    compare(recipe.steps[-1].op, where, expected, image, plain=plain)


SEVERAL = Recipe(
    [
        Step("numpy.take", {"indices": 0}),
        Step("filters.threshold_otsu"),
        Step("measure.label", name="labels"),
        Step(
            "measure.regionprops_table",
            {"properties": ("label", "intensity_mean")},
            inputs={"label_image": "labels", "intensity_image": "source"},
        ),
    ]
)
"""Segments one channel, and measures all."""


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("axes", ["cyx", "yxc", "tcyx"])
def test_all_channels_are_measured_in_the_objects_of_one(
    axes: str, plain: bool, tmp_path: Path
) -> None:
    shape = {"t": 2, "c": 3, "y": 20, "x": 20}
    image = np.random.default_rng(0).integers(0, 255, [shape[a] for a in axes], np.uint8)
    table = tw.run(SEVERAL, image, tmp_path / "run.csv", axes=axes).value
    names = [f"intensity_mean-{number}" for number in range(3)]
    assert list(table) == [*("t" * ("t" in axes)), "label", *names]
    frames = np.moveaxis(image, axes.index("c"), -1).reshape(-1, 20, 20, 3)
    for name, column in zip(names, np.moveaxis(frames, -1, 0), strict=True):
        masks = [frame[..., 0] > filters.threshold_otsu(frame[..., 0]) for frame in frames]
        means = [
            measure.regionprops_table(measure.label(mask), plane, ("intensity_mean",))
            for mask, plane in zip(masks, column, strict=True)
        ]
        expected = np.concatenate([mean["intensity_mean"] for mean in means])
        np.testing.assert_array_equal(table[name], expected)
    if plain and "t" in axes:
        with pytest.raises(errors.InvalidRecipe, match="Export the tiled script"):
            SEVERAL.to_script(axes=axes, scikit_image_only=True)
        return
    options = {"axes": axes, "scikit_image_only": plain}
    script = exported(tmp_path / "script", SEVERAL, image, **options).read_text()
    assert script.split() == (tmp_path / "run.csv").read_text().split()


ZARRS = ["graph-zyx", "graph-tyx", "local-yx", "new colours-yx", "colours-cyx", "regions-tyx"]


@pytest.mark.parametrize("case", ZARRS)
def test_what_is_saved_is_what_a_run_saves(case: str, coins: np.ndarray, tmp_path: Path) -> None:
    chain, axes = case.rsplit("-", 1)
    recipe, _ = CHAINS[chain]
    image = stack_of(coins, axes)
    seeds = {name: tmp_path / f"{name}.npy" for name in recipe.inputs}
    for path in seeds.values():
        np.save(path, seeds_of(image))
    source = zarr_of(tmp_path / "source.ome.zarr", image, axes)
    tw.run(recipe, source, tmp_path / "run.ome.zarr", inputs=seeds)
    flags = [text for name, path in seeds.items() for text in (f"--{name}", path)]
    execute(recipe.to_script(source, tmp_path / "script.ome.zarr", axes=axes), *flags)
    run, script = (open_image(tmp_path / f"{name}.ome.zarr") for name in ("run", "script"))
    assert (script.axes, script.scale, script.units) == (run.axes, run.scale, run.units)
    assert script.labels == run.labels
    for first, other in zip(script.levels, run.levels, strict=True):
        assert first.dtype == other.dtype
        np.testing.assert_array_equal(first[...], other[...])


def zarr_of(path: Path, image: np.ndarray, axes: str) -> str:
    """Write an OME-Zarr with a pixel size, chunk by chunk."""
    writer = new_writer(
        path, shape=image.shape, dtype=image.dtype, axes=tuple(axes),
        scale=tuple(0.5 if axis in "yx" else 2.0 for axis in axes),
        units=tuple("micrometer" if axis in "zyx" else None for axis in axes),
    )  # fmt: skip
    grid = Grid(writer.shape, writer.chunks)
    for position in grid.positions():
        writer.write(grid.region(position), image[grid.region(position)])
    return str(writer.finish())


# -- as a program ----------------------------------------------------------------------------------

NUCLEI = Recipe([SMOOTH, "filters.threshold_otsu", ("measure.label", {"connectivity": 1})])


@PLAIN
def test_a_script_runs_as_a_program(plain: bool, coins: np.ndarray, tmp_path: Path) -> None:
    source, destination = tmp_path / "source.tif", tmp_path / "labels.npy"
    tifffile.imwrite(source, coins)
    script = tmp_path / "nuclei.py"
    script.write_text(NUCLEI.to_script(source, destination, scikit_image_only=plain))
    forbidden = "napari_tilewise" if plain else "napari"
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['nuclei.py']\nrunpy.run_path({str(script)!r}, run_name='__main__')\n"
        f"assert {forbidden!r} not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    np.testing.assert_array_equal(np.load(destination), result_of(last_of(NUCLEI, coins)))


def test_a_number_is_printed_and_saved(
    coins: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blur = measure.blur_effect(coins)
    for plain in (False, True):
        where = exported(tmp_path, Recipe(["measure.blur_effect"]), coins, scikit_image_only=plain)
        assert float(capsys.readouterr().out) == blur
        assert (np.load(where) if plain else json.loads(where.read_text())["value"]) == blur


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png", ".ome.zarr", ".zarr"])
@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "told"])
def test_a_plain_script_reads_files(
    suffix: str, recorded: bool, coins: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / f"source{suffix}"
    if suffix == ".npy":
        np.save(source, coins)
    elif suffix == ".ome.zarr":
        zarr_of(source, coins, "yx")
    elif suffix == ".zarr":
        zarr.create_array(source, data=coins)
    elif suffix == ".tif":
        tifffile.imwrite(source, coins)
    else:
        io.imsave(source, coins, check_contrast=False)
    script = Recipe(["util.invert"]).to_script(source if recorded else None, scikit_image_only=True)
    execute(script, source, tmp_path / "result.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "result.npy"), 255 - coins)


def test_a_stack_of_three_planes_stays_one(tmp_path: Path, coins: np.ndarray) -> None:
    # skimage.io.imread takes three planes for three colours and moves them behind.
    image = stack_of(coins, "cyx")
    tifffile.imwrite(tmp_path / "three.tif", image, photometric="minisblack")
    script = Recipe([SMOOTH]).to_script(tmp_path / "three.tif", scikit_image_only=True)
    execute(script, tmp_path / "three.tif", tmp_path / "result.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "result.npy"), filters.gaussian(image, sigma=1.5)
    )


def test_an_image_with_other_axes_is_refused(coins: np.ndarray, tmp_path: Path) -> None:
    source = zarr_of(tmp_path / "stack.ome.zarr", stack_of(coins, "tyx"), "tyx")
    for axes, message in ((None, "spatial axes only"), ("yx", "the axes yx"), ("zyx", "axes zyx")):
        with pytest.raises(errors.InvalidAxes, match=f"the axes tyx.*{message}.*axes='tyx'"):
            execute(Recipe([SMOOTH]).to_script(axes=axes), source, tmp_path / "no.ome.zarr")
    np.save(tmp_path / "plane.npy", coins)
    with pytest.raises(errors.InvalidAxes, match="the axes yx"):
        execute(Recipe([SMOOTH]).to_script(axes="tyx"), tmp_path / "plane.npy", tmp_path / "n.npy")
    volume = zarr_of(tmp_path / "volume.ome.zarr", stack_of(coins, "zyx"), "zyx")
    execute(Recipe([SMOOTH]).to_script(), volume, tmp_path / "yes.ome.zarr")


def test_nothing_is_overwritten(coins: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", coins)
    script = NUCLEI.to_script(tmp_path / "image.npy", tmp_path / "labels.npy")
    execute(script)
    with pytest.raises(errors.DestinationExists, match=r"labels\.npy"):
        execute(script)


# -- the text --------------------------------------------------------------------------------------


def test_it_reads_like_one_that_a_person_wrote() -> None:
    assert (
        NUCLEI.to_script("slide.ome.zarr", "nuclei.ome.zarr")
        == f'''\
"""Gaussian, Otsu threshold, label: generated by napari-tilewise {tw.__version__}.

Reads, computes and writes tile by tile, whatever the size of the image.
"""

import argparse

import napari_tilewise.skimage as ski
from napari_tilewise.io.script_io import read, save

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", nargs="?", default="slide.ome.zarr")
parser.add_argument("destination", nargs="?", default="nuclei.ome.zarr")
args = parser.parse_args()

image = read(args.source)
smooth = ski.filters.gaussian(image, sigma=1.5)
mask = smooth > ski.filters.threshold_otsu(smooth)
labels = ski.measure.label(mask, connectivity=1)
save(labels, args.destination, like=args.source, labels=True)
'''
    )
    assert (
        NUCLEI.to_script("slide.npy", scikit_image_only=True)
        == f'''\
"""Gaussian, Otsu threshold, label: generated by napari-tilewise {tw.__version__}.

Needs only scikit-image and NumPy, and memory for the whole image.
"""

import argparse

import numpy as np
import skimage as ski

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("source", nargs="?", default="slide.npy")
parser.add_argument("destination", nargs="?", default="result.npy")
args = parser.parse_args()

image = np.load(args.source)
smooth = ski.filters.gaussian(image, sigma=1.5)
mask = smooth > ski.filters.threshold_otsu(smooth)
labels = ski.measure.label(mask, connectivity=1)
np.save(args.destination, labels)
'''
    )


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_ruff_finds_nothing_in_any_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "examples"  # where scripts may print
    folder.mkdir()
    for number, (name, axes) in enumerate(CASES):
        for plain in (False, True):
            options = {"axes": axes, "scikit_image_only": plain}
            text = CHAINS[name][0].to_script("a folder/a.npy", **options)
            assert text == CHAINS[name][0].to_script("a folder/a.npy", **options)
            (folder / f"script_{number}{'_plain' * plain}.py").write_text(text)
    config = ["--config", str(ROOT / "pyproject.toml"), "--config", f'src=["{ROOT / "src"}"]']
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, "--no-cache", "examples"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_variables_hide_nothing() -> None:
    steps = [
        Step("filters.rank.sum", {"footprint": np.ones((3, 3))}),
        Step("filters.gaussian", name="for"),
        Step("filters.gaussian", name="my-image"),
        Step("filters.gaussian", inputs={"image": "image"}),
        "filters.gaussian",
        Step("filters.gaussian", name="np"),
        "filters.threshold_otsu",
        Step("filters.threshold_otsu", inputs={"image": "np"}),
    ]
    tree = ast.parse(Recipe(steps, ["image", "source_image"]).to_script())
    names = [n.targets[0].id for n in tree.body if isinstance(n, ast.Assign)]
    assert names == [
        "parser", "args", "source_image_2", "image", "source_image", "sum_", "for_", "my_image",
        "gaussian", "gaussian_2", "np_2", "mask", "threshold_otsu",
    ]  # fmt: skip


@settings(max_examples=100)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_a_value_is_written_so_that_python_reads_it(value: Any) -> None:
    text = lay_out(wrap("found = ", literal(value), ""))
    space: dict[str, Any] = {"np": np}
    exec(text, space)
    np.testing.assert_equal(space["found"], value)
    assert type(space["found"]) is type(value)


def test_a_function_and_an_image_are_refused_as_a_file_refuses_them() -> None:
    mask = np.ones((5, 5), bool)
    for step, message in (
        (("filters.threshold_local", {"method": "generic", "param": np.mean}), "holds a function"),
        (("measure.find_contours", {"mask": mask}), "holds an image as 'mask'"),
    ):
        recipe = Recipe([SMOOTH, step])
        with pytest.raises(errors.InvalidRecipe, match=f"Step 2 .*{message}.*omit it"):
            recipe.to_script()
    with pytest.raises(errors.InvalidRecipe, match="switched off"):
        Recipe([Step("filters.gaussian", enabled=False)]).to_script()


def test_axes_that_a_script_cannot_know_are_asked_for() -> None:
    step = Step("filters.gaussian", spatial="zx")
    for plain in (False, True):
        with pytest.raises(errors.InvalidAxes, match="axes="):
            Recipe([step]).to_script(scikit_image_only=plain)
    assert 'spatial="zx"' in Recipe([step]).to_script(axes="zyx")
    with pytest.raises(errors.InvalidAxes, match="unknown letter 'w'"):
        Recipe([step]).to_script(axes="zwx")


def test_volumes_stay_volumes_where_nobody_names_the_axes() -> None:
    recipe = Recipe(["filters.gaussian"])
    plain = [recipe.to_script(scikit_image_only=True, spatial=s) for s in ("zyx", (-3, -2, -1))]
    assert plain[0] == plain[1]
    assert 'spatial="zyx"' in recipe.to_script(spatial="zyx")
    with pytest.raises(errors.InvalidAxes, match=r"spatial='tyx'.*axes="):
        recipe.to_script(spatial="tyx")


def test_a_plain_script_that_would_stack_planes_wrongly_is_refused() -> None:
    recipe = Recipe(["color.gray2rgb"])
    with pytest.raises(errors.InvalidRecipe, match="tiled script"):
        recipe.to_script(axes="yxt", scikit_image_only=True)
    assert "tw.apply" in recipe.to_script(axes="yxt")


# -- users' functions ------------------------------------------------------------------------------

MODULE = '''
import enum

import numpy as np
from napari_tilewise.functions import operation


class Way(enum.Enum):
    UP = 1
    DOWN = -1


@operation(halo=1)
def shifted(image: np.ndarray, way: Way = Way.UP) -> np.ndarray:
    """Shift an image by a pixel."""
    return np.roll(image, way.value, axis=0)
'''


def test_a_users_function_is_imported(
    coins: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_own_ops.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    load_file(tmp_path / "my_own_ops.py")
    try:
        recipe = Recipe([("my_own_ops.shifted", {"way": "DOWN"})])
        for plain in (False, True):
            where = exported(tmp_path / "o", recipe, coins, scikit_image_only=plain)
            assert np.load(where)[5:-5].tolist() == np.roll(coins, -1, axis=0)[5:-5].tolist()
        assert "my_own_ops.shifted(image, way=my_own_ops.Way.DOWN)" in recipe.to_script(
            scikit_image_only=True
        )
    finally:
        tw.OPERATIONS.forget("my_own_ops.shifted")


# -- in the shell ----------------------------------------------------------------------------------


def test_the_shell_writes_scripts(
    coins: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = NUCLEI.save(tmp_path / "nuclei.yaml")
    assert main(["script", str(recipe)]) == 0
    assert capsys.readouterr().out == NUCLEI.to_script()
    source = zarr_of(tmp_path / "a.ome.zarr", stack_of(coins, "tyx"), "tyx")
    script_file = tmp_path / "nuclei.py"
    command = ["script", str(recipe), "-o", str(script_file), "--plain", "--source", source]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{script_file}\n"
    assert script_file.read_text() == NUCLEI.to_script(source, axes="tyx", scikit_image_only=True)
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err
