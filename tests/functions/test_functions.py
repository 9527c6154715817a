"""Users' functions are operations like any other: found, checked, run, recorded, pickled."""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import re
import subprocess
import sys
import threading
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Optional

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray  # noqa: TC002 - resolved where the function is declared
from scipy import ndimage as ndi
from skimage import filters

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.cli import main
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.engine.plane import QUICK
from napari_tilewise.functions import load_entry_points, load_file
from napari_tilewise.functions.annotations import EnumMember, FixedNumbers
from napari_tilewise.halo_check import check
from napari_tilewise.operations import BUILT_IN, OPERATIONS
from napari_tilewise.operations.spec.kinds import Exactness, Kind, Output
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    Number,
    Numbers,
    Text,
)
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from tests.strategies import cases
from tests.test_exact import assert_same, tiled, whole
from tests.test_import import modules_after

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_ops.py"

FILE = '''
import numpy as np
from scipy import ndimage as ndi

import napari_tilewise as tw


@tw.operation(halo=lambda size: size // 2)
def highest(image: np.ndarray, size: int = 5) -> np.ndarray:
    """Return the highest pixel around each.

    Parameters
    ----------
    image
        The image.
    size : int
        How far around.
    """
    return ndi.maximum_filter(image, size)


@tw.operation
def twice(image):
    return image * 2
'''


@pytest.fixture
def catalogue():
    """Leave the catalogue, and the modules, as they were."""
    keys, modules = {op.name for op in OPERATIONS.users()}, set(sys.modules)
    yield OPERATIONS
    OPERATIONS.forget(*({op.name for op in OPERATIONS.users()} - keys))
    for name in {"my_ops", "other_ops", "plugin_ops", "broken_ops"} - modules:
        sys.modules.pop(name, None)


@pytest.fixture
def file(catalogue, tmp_path):
    """Return the path of a file of functions that nobody loaded yet."""
    path = tmp_path / "my_ops.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def declared(catalogue):
    """Declare a function and return its operation."""

    def declare(function, **options):
        assert tw.operation(**options)(function) is function
        return OPERATIONS[f"test_functions.{function.__name__}"]

    return declare


@pytest.fixture
def image():
    return np.random.default_rng(0).random((90, 70))


# -- found -----------------------------------------------------------------------------------------


def test_a_file_is_loaded_and_behaves_like_the_catalogues_own(file, image):
    assert [op.name for op in load_file(file)] == ["my_ops.highest", "my_ops.twice"]
    op = tw.OPERATIONS["my_ops.highest"]
    assert list(tw.OPERATIONS)[: len(BUILT_IN)] == list(BUILT_IN)
    assert list(tw.OPERATIONS)[-2:] == ["my_ops.highest", "my_ops.twice"]
    assert op.title == "Highest"
    assert op.category == "my_ops"
    assert op.summary == "Return the highest pixel around each."
    assert op.parameters["size"].doc == "How far around."
    assert (op.kind, op.exactness, op.output) == (
        Kind.NEIGHBOURHOOD, Exactness.IDENTICAL, Output.IMAGE,
    )  # fmt: skip
    assert op.halo(ndim=2, size=9) == ((4, 4), (4, 4))
    assert tw.OPERATIONS["my_ops.twice"].kind is Kind.POINTWISE
    result = tw.apply("my_ops.highest", image, size=9, tiles=16)
    np.testing.assert_array_equal(result, ndi.maximum_filter(image, 9))
    lazy = tw.apply("my_ops.highest", da.from_array(image, chunks=20), size=9)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), result)


def test_the_module_of_a_loaded_file_is_importable_and_its_functions_are_plain(file, image):
    load_file(file)
    import my_ops

    assert inspect.isfunction(my_ops.highest)
    np.testing.assert_array_equal(my_ops.twice(image), image * 2)


def test_importing_a_module_declares_its_functions(file, monkeypatch):
    monkeypatch.syspath_prepend(str(file.parent))
    assert "my_ops.twice" not in tw.OPERATIONS
    import my_ops

    assert tw.OPERATIONS["my_ops.twice"].raw_function is my_ops.twice
    load_file(file)  # the same file by its path: no other function
    assert len(OPERATIONS.registered(str(file))) == 2


def test_an_edited_file_replaces_its_functions(file, image):
    (before, _) = load_file(file)
    calls = []
    OPERATIONS.listeners.append(lambda: calls.append(len(OPERATIONS)))
    try:
        file.write_text(FILE.replace("image * 2", "image * 3").replace("def highest", "def top"))
        assert {op.name for op in load_file(file)} == {"my_ops.top", "my_ops.twice"}
    finally:
        OPERATIONS.listeners.clear()
    assert calls[-1] == len(BUILT_IN) + 2
    assert "my_ops.highest" not in tw.OPERATIONS
    assert tw.OPERATIONS["my_ops.top"].adapter.digest != before.adapter.digest
    np.testing.assert_array_equal(tw.apply("my_ops.twice", image), image * 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n\n1 / 0\n", r"my_ops\.py, line 3 cannot be loaded \(ZeroDivisionError"),
        ("def f(:\n", "SyntaxError"),
        ("x = 1\n", "declares no operation"),
        (FILE + "1 / 0\n", "ZeroDivisionError"),
        (
            FILE.replace("size: int = 5", "size=object()"),
            "the type of the parameter 'size' is unknown",
        ),
    ],
)
def test_a_file_that_fails_changes_nothing(file, text, says):
    operations = load_file(file)
    module = sys.modules["my_ops"]
    file.write_text(text)
    with pytest.raises(errors.InvalidFunction, match=says):
        load_file(file)
    assert tuple(OPERATIONS.registered(str(file)).values()) == operations
    assert sys.modules["my_ops"] is module


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("my-ops.py", errors.InvalidFunction, "Rename it"),
        ("my_ops.txt", errors.InvalidFunction, "expected a Python file"),
        ("numpy.py", errors.InvalidFunction, "there is another module 'numpy'"),
        ("gone/my_ops.py", errors.SourceNotFound, "does not exist"),
    ],
)
def test_files_that_cannot_be_modules_are_refused(file, name, error, says):
    if "/" not in name:
        (file.parent / name).write_text(FILE)
    with pytest.raises(error, match=says):
        load_file(file.parent / name)
    assert not OPERATIONS.registered(str(file.parent / name))


def test_keys_are_taken_once(file, tmp_path):
    load_file(file)
    sys.modules.pop("my_ops")
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "my_ops.py"
    other.write_text(FILE)
    with pytest.raises(
        errors.InvalidFunction, match=r"'my_ops\.highest', as one of .*my_ops\.py is"
    ):
        load_file(other)
    assert OPERATIONS["my_ops.twice"].file == str(file)
    assert "my_ops" not in sys.modules


def test_scikit_images_keys_are_taken(catalogue):
    def gaussian(image):
        return image

    gaussian.__module__ = "somewhere.filters"
    with pytest.raises(errors.InvalidFunction, match="which is scikit-image's"):
        tw.operation(gaussian)
    assert OPERATIONS["filters.gaussian"] is BUILT_IN["filters.gaussian"]


def test_an_unknown_key_names_the_remedy(catalogue):
    with pytest.raises(errors.UnknownOperation, match=r"load_file\('my_ops\.py'\)"):
        tw.apply("my_ops.flatten", np.zeros((3, 3)))
    with pytest.raises(errors.UnknownOperation) as refused:
        tw.apply("filters.gausian", np.zeros((3, 3)))
    assert "load_file" not in str(refused.value)


# -- plugins ---------------------------------------------------------------------------------------


@pytest.fixture
def plugins(catalogue, tmp_path, monkeypatch):
    """Install a distribution with a plugin that works and one that does not."""
    info = tmp_path / "tilewise_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tilewise-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[napari_tilewise.operations]\nbroken = broken_ops\ngood = plugin_ops\n"
    )
    (tmp_path / "plugin_ops.py").write_text(FILE + "\nlist(tw.OPERATIONS)  # while it is loaded\n")
    (tmp_path / "broken_ops.py").write_text("raise OSError('no license')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(OPERATIONS, "_asked", False)
    return tmp_path


@pytest.mark.parametrize("ask", [lambda: tw.OPERATIONS["plugin_ops.twice"], load_entry_points,
                                 lambda: list(tw.OPERATIONS)])  # fmt: skip
def test_plugins_are_loaded_when_somebody_asks(plugins, ask):
    assert "filters.gaussian" in tw.OPERATIONS
    assert "plugin_ops" not in sys.modules
    with pytest.warns(
        RuntimeWarning, match="plugin 'broken' of tilewise-plugin .*no license"
    ) as notices:
        ask()
    assert len(notices) == 1
    assert {"plugin_ops.highest", "plugin_ops.twice"} <= set(tw.OPERATIONS)
    load_entry_points()  # the warning does not come again


def test_a_shell_lists_plugins_and_goes_on_without_the_broken_one(plugins):
    command = [sys.executable, "-m", "napari_tilewise", "list", "--category", "plugin_ops"]
    env = {**os.environ, "PYTHONPATH": str(plugins)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "plugin_ops.highest", "plugin_ops.twice",
    ]  # fmt: skip
    assert done.stderr.count("no license") == 1


# -- declared --------------------------------------------------------------------------------------


class Way(Enum):
    UP = 1
    DOWN = 2


def annotated(
    image: np.ndarray,
    size: int,
    sigma: float = 2.0,
    low: Annotated[float, Number(minimum=0)] = 0.5,
    high: Annotated[float | None, Number(minimum=0)] = None,
    sure: bool = False,
    word: str = "a",
    mode: Literal["a", "b"] = "a",
    method: Way = Way.UP,
    pair: tuple[float, int] = (1, 2),
    many: tuple[float, ...] = (1.0,),
    axes_each: float | tuple[float, ...] = 1.0,
    either: int | Literal["auto"] = "auto",
    maybe: Optional[int] = None,  # noqa: UP045 - people write it
    mask: NDArray[np.bool_] | None = None,
    label_image: np.ndarray | None = None,
    other: np.ndarray | None = None,
    channel_axis: int | None = None,
    plain=3,
    numbers=(1.5, 2),
):
    """Take everything."""
    return image


WANTED = {
    "size": Number(integer=True),
    "sigma": Number(usual=(1.0, 4.0)),
    "low": Number(minimum=0),
    "high": Number(minimum=0, optional=True),
    "sure": Flag(),
    "word": Text(),
    "mode": ChoiceSpec(choices=("a", "b")),
    "method": EnumMember(members=Way, choices=("UP", "DOWN")),
    "pair": FixedNumbers(item=Number(), least=2),
    "many": Numbers(item=Number()),
    "axes_each": Number(per_axis=True),
    "either": Either(options=(Number(integer=True), ChoiceSpec(choices=("auto",)))),
    "maybe": Number(integer=True, optional=True),
    "mask": AlignedImage(role="mask"),
    "label_image": AlignedImage(role="labels"),
    "other": AlignedImage(role="intensity"),
    "channel_axis": ChannelAxis(),
    "plain": Number(integer=True, usual=(2, 6)),
    "numbers": FixedNumbers(item=Number(), least=2),
}


def test_annotations_and_defaults_say_what_parameters_take(declared):
    op = declared(annotated)
    assert dict(op.specs) == WANTED
    assert op.images == ("mask", "label_image", "other")
    assert op.channel == "channel_axis"
    assert op.parameters["size"].required
    assert op.parameters["method"].default == "UP"
    for name, parameter in op.parameters.items():
        if not parameter.required:
            parameter.spec.check(name, parameter.default, 2)


def test_parameters_may_be_said_in_the_decorator(declared):
    def f(image, sigma=2.0, model=None):
        return image

    sigma, model = Number(minimum=0, usual=(1, 2)), ChoiceSpec(choices=("small", "large"))
    op = declared(f, parameters={"sigma": sigma, "model": model})
    assert op.specs["sigma"] == sigma
    assert op.specs["model"] == ChoiceSpec(choices=("small", "large"), optional=True)
    with pytest.raises(errors.InvalidParameter, match="at least 0"):
        op.bind({"sigma": -1})
    with pytest.raises(errors.UnknownParameter, match="Did you mean 'sigma'"):
        op.bind({"sigm": 1})


def no_image(*, image):
    return image


def takes_tiles(image, tiles: int = 1):
    return image


def untold(image, thing=None):
    return image


def wrong_default(image, size: Annotated[int, Number(integer=True, minimum=1)] = 0):
    return image


def good(image, size: int = 3):
    return image


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (no_image, {}, "takes no image"),
        (takes_tiles, {}, "'tiles' is a keyword of apply"),
        (untold, {}, "the type of the parameter 'thing' is unknown"),
        (wrong_default, {}, "the default size=0: expected an integer at least 1"),
        (lambda image: image, {}, "expected a function with a name"),
        (Way, {}, "expected a function with a name"),
        (good, {"parameters": {"sise": Number()}}, "no parameter 'sise'.*Did you mean 'size'"),
        (good, {"halo": -1}, "halo=-1: expected whole pixels"),
        (good, {"halo": 1.5}, "expected whole pixels"),
        (good, {"halo": ((1, 2, 3),)}, "expected whole pixels"),
        (good, {"halo": lambda sise: sise}, "depends on 'sise'.*Did you mean 'size'"),
        (good, {"halo": 3, "kind": "whole"}, "kind='whole' contradicts halo=3"),
        (good, {"output": "table"}, "expected one of image, mask, labels"),
        (good, {"dtype": "float33"}, "expected a data type"),
        (good, {"tolerance": -1}, "tolerance=-1: expected 0 or more"),
    ],
)
def test_what_is_declared_must_fit(catalogue, function, options, says):
    before = list(OPERATIONS)
    with pytest.raises(errors.InvalidFunction, match=says):
        tw.operation(**options)(function)
    assert list(OPERATIONS) == before


@pytest.mark.parametrize(
    ("halo", "expected"),
    [
        (3, ((3, 3), (3, 3))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (0, 4)), ((1, 2), (0, 4))),
        (lambda size: (size, 2 * size), ((3, 3), (6, 6))),
        (lambda size: np.float64(size), ((3, 3), (3, 3))),
        (lambda **params: params["size"], ((3, 3), (3, 3))),
    ],
)
def test_halos_take_many_forms(declared, halo, expected):
    assert declared(good, halo=halo).halo(ndim=2) == expected


def test_a_halo_that_is_none_names_the_parameters(declared):
    op = declared(good, halo=lambda size: size / 2)
    with pytest.raises(
        errors.InvalidParameter, match=r"the halo for size=3 is 1\.5: expected whole"
    ):
        op.halo()
    op = declared(good, halo=lambda size: 1 // (size - 3))
    with pytest.raises(
        errors.InvalidParameter, match="cannot be computed from size=3: ZeroDivision"
    ):
        op.halo()


def returns_float(image):
    return image / 2


@pytest.mark.parametrize("halo", [2, None])
@pytest.mark.parametrize(
    ("options", "dtype", "output"),
    [
        ({}, np.float64, Output.IMAGE),
        ({"dtype": float}, np.float64, Output.IMAGE),
        ({"dtype": lambda dtype: np.result_type(dtype, float)}, np.float64, Output.IMAGE),
        ({"dtype": "same"}, np.uint8, None),
        ({"output": "labels"}, np.float64, None),
        ({"output": "mask"}, np.bool_, None),
    ],
)
def test_data_types_are_declared_or_found_out(declared, options, dtype, output, halo):
    op = declared(returns_float, halo=halo, **options)
    image = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    call = op.call(image.shape, image.dtype)
    assert op.whole_part(call).dtype == dtype
    if output is None:
        with pytest.raises(errors.OperationFailed, match=r"returned float64|returns float64"):
            tw.apply(op.name, image, tiles=16)
        return
    assert op.whole_part(call).output is output
    result = tw.apply(op.name, image, tiles=16)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, image / 2)


def test_a_decorated_function_stands_for_its_key(catalogue, image):
    @tw.operation(halo=1)
    def neighbours(image: np.ndarray, size: int = 3) -> np.ndarray:
        return ndi.maximum_filter(image, size)

    np.testing.assert_array_equal(tw.apply(neighbours, image, tiles=7), neighbours(image))
    with pytest.raises(errors.UnknownOperation, match=r"maximum_filter is not an operation: put @"):
        tw.apply(ndi.maximum_filter, image)


def test_a_function_that_returns_bool_gives_a_mask(declared, image):
    def bright(image):
        return image > 0.5

    op = declared(bright)
    assert op.whole_part(op.call(image.shape, image.dtype)).output is Output.MASK
    assert declared(bright, dtype=bool).output is Output.MASK


def test_what_fails_on_the_small_block_says_so(declared):
    def refuses(image):
        raise ValueError("not today")

    declared(refuses)
    with pytest.raises(errors.InvalidImage, match=r"shape \(8, 8\).*not today.*dtype="):
        tw.apply("test_functions.refuses", np.zeros((50, 50)))


def test_the_whole_image_is_given_at_once(declared, image):
    def normalize(image):
        return image / image.max()

    op = declared(normalize, kind="whole")
    assert op.kind is Kind.WHOLE
    np.testing.assert_array_equal(tw.apply(op.name, image, tiles=16), image / image.max())


@pytest.mark.parametrize("channels", [{}, {"channel_axis": -1}])
@pytest.mark.parametrize("executor", [None, "threads", "serial"])
def test_a_cancel_does_not_wait_for_the_whole_image(declared, tmp_path, executor, channels):
    cancel, release, ends = threading.Event(), threading.Event(), []

    def waits(image, channel_axis: int | None = None):
        assert image.size > QUICK
        cancel.set()
        ends.append(release.wait(120))
        return image

    op, image = declared(waits, kind="whole", dtype="same"), np.zeros((300, 300))
    path = tmp_path / "out.npy"
    call = partial(tw.apply, op.name, image, cancel=cancel, **channels)
    if executor is not None:
        options = {"cancel": cancel, "executor": executor}
        call = partial(tw.run, (op.name, channels), image, path, **options)
    with pytest.raises(errors.Cancelled):
        call()
    assert not ends
    release.set()
    assert not path.exists()


def test_further_images_members_and_channels_reach_the_function(declared):
    seen = []

    def f(image, mask: np.ndarray, method: Way = Way.UP, channel_axis: int | None = None):
        seen.append((image.shape, mask.shape, method, channel_axis))
        return image * 2

    op = declared(f, dtype="same", halo=1)
    image = np.random.default_rng(1).random((40, 30, 3))
    mask = image[..., 0] > 0.5
    for method in ("DOWN", Way.DOWN):
        result = tw.apply(op.name, image, mask=mask, method=method, channel_axis=-1, tiles=20)
        np.testing.assert_array_equal(result, image * 2)
    assert ((21, 21, 3), (21, 21), Way.DOWN, 2) in seen
    assert {method for *_, method, _ in seen} == {Way.DOWN}


# -- what goes wrong on a tile ---------------------------------------------------------------------


def test_an_exception_names_the_function_the_tile_and_the_line(declared):
    def picky(image):
        if image.max() > 1:
            raise KeyError("too bright")
        return image

    image = np.zeros((64, 64))
    image[40, 10] = 2
    line = inspect.getsourcelines(picky)[1] + 2
    declared(picky, dtype="same")
    with pytest.raises(errors.OperationFailed) as raised:
        tw.apply("test_functions.picky", image, tiles=32)
    assert str(raised.value) == (
        "test_functions.picky failed on the tile [32:64, 0:32]: KeyError: 'too bright' "
        f"(test_functions.py, line {line})"
    )


@pytest.mark.parametrize(
    ("makes", "says"),
    [
        (lambda image: image[1:], r"returned an array of shape \(31, 32\): expected \(32, 32\)"),
        (lambda image: image.tolist(), "returned a list: expected a NumPy array"),
        (lambda image: None, "returned a NoneType"),
        (lambda image: np.ma.masked_less(image, 0), "returned a MaskedArray"),
        (lambda image: image.astype(np.float32), "returned float32 pixels: expected float64"),
    ],
)
def test_a_wrong_result_names_the_function_and_the_tile(declared, makes, says):
    def makes_it(image):
        return makes(image)

    declared(makes_it, dtype="same")
    with pytest.raises(
        errors.OperationFailed, match=rf"makes_it failed on the tile \[0:32, .*{says}"
    ):
        tw.apply("test_functions.makes_it", np.zeros((32, 64)), tiles=32)


# -- recipes ---------------------------------------------------------------------------------------


@pytest.fixture
def chain(file):
    load_file(file)
    return tw.Recipe(
        [
            ("filters.gaussian", {"sigma": 1}),
            ("my_ops.highest", {"size": 7}),
            "filters.threshold_otsu",
        ]
    )


def by_hand(image):
    highest = ndi.maximum_filter(filters.gaussian(image, sigma=1), 7)
    return highest > filters.threshold_otsu(highest)


def test_a_chain_with_a_users_function_equals_its_functions_by_hand(chain, image, tmp_path):
    (output,) = apply_recipe(chain, image, layout=StackLayout(tiles=32))
    np.testing.assert_array_equal(output.value, by_hand(image))
    result = tw.run(chain, image, tmp_path / "out.ome.zarr")
    np.testing.assert_array_equal(zarr.open_group(result.path)["0"][...], by_hand(image))


def test_a_recipe_never_loads_code(chain, file, tmp_path, monkeypatch):
    path = chain.save(tmp_path / "recipe.yaml")
    assert tw.Recipe.load(path) == chain
    OPERATIONS.forget("my_ops.highest", "my_ops.twice")
    sys.modules.pop("my_ops")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        errors.InvalidRecipe, match=r"recipe\.yaml, line \d+: .*load_file\('my_ops\.py'\)"
    ):
        tw.Recipe.load(path)
    assert "my_ops" not in sys.modules
    load_file(file)
    assert tw.Recipe.load(path) == chain


def test_scripts_run_beside_the_file(chain, image, file, tmp_path):
    zarr.create_array(tmp_path / "in.zarr", data=image, chunks=(32, 32))
    for plain, name in ((False, "out.ome.zarr"), (True, "out.npy")):
        script = tmp_path / "script.py"
        script.write_text(chain.to_script("in.zarr", name, scikit_image_only=plain))
        subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), by_hand(image))
    results = zarr.open_group(tmp_path / "out.ome.zarr")["0"][...]
    np.testing.assert_array_equal(results, by_hand(image))


# -- shells ----------------------------------------------------------------------------------------


def test_the_shell_knows_functions_from_files(chain, image, file, tmp_path, capfd):
    recipe, source = chain.save(tmp_path / "recipe.yaml"), tmp_path / "in.zarr"
    zarr.create_array(source, data=image, chunks=(32, 32))
    OPERATIONS.forget("my_ops.highest", "my_ops.twice")
    functions = ["--functions", str(file)]
    assert main(["run", str(recipe), str(source), str(tmp_path / "no.ome.zarr")]) == 2
    assert "--functions my_ops.py" in capfd.readouterr().err
    first, second = tmp_path / "one.ome.zarr", tmp_path / "two.ome.zarr"
    assert main(["run", str(recipe), str(source), str(first), *functions]) == 0
    np.testing.assert_array_equal(zarr.open_group(first)["0"][...], by_hand(image))
    assert (
        main([*functions, "run", "my_ops.highest", str(source), str(second), "-p", "size=9"]) == 0
    )
    np.testing.assert_array_equal(zarr.open_group(second)["0"][...], ndi.maximum_filter(image, 9))
    capfd.readouterr()
    assert main(["rerun", str(first), *functions]) == 0
    assert main(["list", "--category", "my_ops", *functions]) == 0
    assert "my_ops.twice" in capfd.readouterr().out
    assert main(["describe", "my_ops.highest", *functions]) == 0
    assert "bit for bit the result of the function" in capfd.readouterr().out
    assert main(["describe", "my_ops.highest", "--functions", "gone.py"]) == 1


# -- other processes -------------------------------------------------------------------------------

UNPICKLE = """
import pickle, sys
import numpy as np
import napari_tilewise as tw
with open(sys.argv[1], "rb") as file:
    operation = pickle.load(file)
assert tw.OPERATIONS[operation.name] is operation
sys.stdout.write(str(tw.apply(operation.name, np.arange(100.0).reshape(10, 10), size=3).sum()))
"""


@pytest.mark.parametrize("importable", [False, True])
def test_another_process_finds_a_pickled_operation(file, tmp_path, monkeypatch, importable):
    env = dict(os.environ)
    if importable:
        (tmp_path / "package").mkdir()
        file = file.rename(tmp_path / "package" / "my_ops.py")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.import_module("package.my_ops")

        folders = [str(tmp_path), *filter(None, [env.get("PYTHONPATH")])]
        env["PYTHONPATH"] = os.pathsep.join(folders)
    else:
        load_file(file)
    operation = OPERATIONS["my_ops.highest"]
    assert pickle.loads(pickle.dumps(operation)) is operation
    path = tmp_path / "operation.pickle"
    path.write_bytes(pickle.dumps(operation))
    command = [sys.executable, "-c", UNPICKLE, str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert float(done.stdout) == ndi.maximum_filter(np.arange(100.0).reshape(10, 10), 3).sum()


def test_a_started_script_is_called_after_its_file(file):
    text = FILE + "\nprint([op.name for op in tw.OPERATIONS.users()])\n"
    file.write_text(text)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['my_ops.highest', 'my_ops.twice']"


def test_declaring_needs_neither_dask_nor_napari():
    assert not modules_after("from napari_tilewise import operation") & {
        "napari",
        "qtpy",
        "dask",
        "distributed",
        "zarr",
    }
    assert not modules_after("import napari_tilewise") & {"numpy", "skimage"}


def test_the_page_says_what_works(file):
    page = (EXAMPLE.parent.parent / "docs" / "user_functions.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    file.write_text(code)
    assert [op.name for op in load_file(file)] == ["my_ops.flatten"]
    assert all(finding.ok for finding in check(file))


# -- the property test -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples():
    """Return the example file's operations by name."""
    operations = {op.name: op for op in load_file(EXAMPLE)}
    yield operations
    OPERATIONS.forget(*operations)
    sys.modules.pop("my_ops")


@pytest.mark.parametrize("name", ["flatten", "between", "normalize"])
@given(data=st.data())
def test_tiled_equals_whole(examples, name, data):
    """The catalogue's own property test takes users' functions as they are."""
    case = data.draw(cases(examples[f"my_ops.{name}"]))
    assert_same(case.operation, tiled(case), whole(case), case.image)
