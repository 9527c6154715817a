"""The shell's door: results on stdout, one line on stderr for what went wrong, exit codes 0 1 2."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr
from skimage import filters, measure

from napari_tilewise import OPERATIONS, __version__, errors
from napari_tilewise.cli import main
from napari_tilewise.cli.arguments import parse_params, parse_recipe
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.recipe import Recipe
from napari_tilewise.sizes import format_size, parse_size


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return (filters.gaussian(rng.random((70, 90)), 2) * 4000).astype(np.uint16)


@pytest.fixture
def source(tmp_path, image):
    path = tmp_path / "source.zarr"
    zarr.create_array(path, data=image, chunks=(32, 32))
    return str(path)


@pytest.fixture
def shell(capfd):
    """Run a command and return its exit code, stdout and stderr; no traceback ever."""

    def call(*args):
        code = main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


def refused(result, code, *words):
    """Check the exit code, an empty stdout and one line on stderr that holds the words."""
    got, out, err = result
    assert got == code, err
    assert out == ""
    assert err.startswith("napari-tilewise: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_version(shell):
    assert shell("--version") == (0, __version__ + "\n", "")


def test_help_names_every_command(shell):
    code, out, _ = shell("--help")
    assert code == 0
    assert all(word in out for word in ("demo", "list", "describe", "run", "info"))
    assert "..." not in out.partition("Commands:")[2]  # each command's first sentence fits


def test_list_names_every_operation_once(shell):
    code, out, _ = shell("list")
    assert code == 0
    listed = [line.split()[0] for line in out.splitlines()]
    assert listed == sorted(OPERATIONS, key=lambda name: bool(OPERATIONS[name].deprecated))
    assert out.splitlines()[-1].endswith("(deprecated)")


def test_list_filters(shell):
    code, out, _ = shell("list", "--kind", "neighbourhood", "--category", "filters")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert "filters.gaussian" in names
    assert all(OPERATIONS[name].kind == "neighbourhood" for name in names)
    assert all(name.startswith("filters.") for name in names)


def test_list_refuses_what_is_not_there(shell):
    refused(shell("list", "--kind", "neighborhood"), 2, "Did you mean 'neighbourhood'")
    refused(shell("list", "--category", "filtres"), 2, "Did you mean 'filters'")


@pytest.mark.parametrize("name", OPERATIONS)
def test_describe_names_every_parameter(shell, name):
    code, out, _ = shell("describe", name)
    assert code == 0
    assert OPERATIONS[name].kind in out
    assert OPERATIONS[name].exactness in out
    assert all(f"  {parameter}: " in out for parameter in OPERATIONS[name].parameters)
    assert "https://scikit-\n" not in out  # addresses are on one line


def test_run_writes_the_result_and_says_where(shell, source, image, tmp_path):
    destination = tmp_path / "out.ome.zarr"
    code, out, err = shell(
        "run", "filters.gaussian", source, destination, "-p", "sigma=[1, 2]", "-p", "mode=mirror",
        "--memory", "4GiB", "--workers", "2",
    )  # fmt: skip
    assert code == 0, err
    assert out == f"{destination}\n"
    expected = filters.gaussian(image, (1, 2), mode="mirror")
    np.testing.assert_array_equal(zarr.open_group(destination)["0"][...], expected)


def test_run_takes_a_recipe(shell, source, image, tmp_path):
    recipe = Recipe([("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"])
    path = recipe.save(tmp_path / "r.yaml")
    code, out, err = shell("run", path, source, tmp_path / "out.ome.zarr", "--no-pyramid")
    assert code == 0, err
    smooth = filters.gaussian(image, 2)
    expected = measure.label(smooth > filters.threshold_otsu(smooth))
    np.testing.assert_array_equal(zarr.open_group(out.strip())["0"][...], expected)


def test_nothing_is_overwritten_unasked(shell, source, tmp_path):
    destination = tmp_path / "out.ome.zarr"
    assert shell("run", "filters.gaussian", source, destination)[0] == 0
    before = zarr.open_group(destination)["0"][...]
    again = ("run", "filters.gaussian", source, destination, "-p", "sigma=5")
    refused(last_line(shell(*again)), 1, "out.ome.zarr", "overwrite")
    np.testing.assert_array_equal(zarr.open_group(destination)["0"][...], before)
    assert shell(*again, "--overwrite")[0] == 0
    assert not np.array_equal(zarr.open_group(destination)["0"][...], before)


def last_line(result):
    """Leave the progress out of stderr."""
    code, out, err = result
    return code, out, err.splitlines(keepends=True)[-1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["filters.gausian"], ["Did you mean 'filters.gaussian'"]),
        (["filters.gaussian", "-p", "sigm=3"], ["Did you mean 'sigma'"]),
        (["filters.gaussian", "-p", "sigma=-1"], ["sigma=-1", "at least 0"]),
        (["filters.gaussian", "-p", "sigma=big"], ["'big'", "a number"]),
        (["filters.gaussian", "-p", "sigma=[1"], ["'[1'", "Invalid value"]),
        (["filters.gaussian", "-p", "sigma=2020-13-45"], ["Invalid value"]),
        (["filters.gaussian", "-p", "sigma"], ["expected -p name=value"]),
        (["filters.gaussian", "-p", "sigma=1", "-p", "sigma=2"], ["occurs twice"]),
        (["filters.gaussian", "--memory", "lots"], ["'lots'", "2 GiB"]),
        (["filters.gaussian", "--axes", "ab"], ["axes"]),
        (["filters.gaussian", "--axes", "yx", "--spatial", "z"], ["spatial"]),
        (["filters.gaussian", "--executor", "threds"], ["threds", "threads"]),
        (["nope.yaml"], ["nope.yaml"]),
    ],
)
def test_wrong_usage_is_2(shell, source, tmp_path, args, words):
    what, *options = args
    refused(last_line(shell("run", what, source, tmp_path / "out.ome.zarr", *options)), 2, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["source.zarr"]


def test_a_version_of_ome_zarr_that_is_not_written_is_2(shell, source, tmp_path):
    for command in ("batch", "run"):
        arguments = [command, "filters.gaussian", source, tmp_path / "out.ome.zarr"]
        refused(last_line(shell(*arguments, "--ome-zarr", "7")), 2, "--ome-zarr 7", "'0.5', '0.4'")
    assert [path.name for path in tmp_path.iterdir()] == ["source.zarr"]


@pytest.mark.parametrize(
    "args", [["--nope"], ["nope"], ["run"], ["run", "a", "b", "c", "--workers", "0"], ["list", "x"]]
)
def test_a_wrong_option_is_2(shell, args):
    code, out, err = shell(*args)
    assert code == 2
    assert out == ""
    assert "Error: " in err


def test_a_missing_source_is_1(shell, tmp_path):
    result = shell("run", "filters.gaussian", tmp_path / "nope.tif", tmp_path / "out.ome.zarr")
    refused(last_line(result), 1, "nope.tif")
    assert not any(tmp_path.iterdir())


def test_a_corrupt_source_is_1(shell, tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0 no tiff at all")
    result = shell("run", "filters.gaussian", tmp_path / "bad.tif", tmp_path / "out.ome.zarr")
    refused(last_line(result), 1, "bad.tif")
    refused(shell("info", tmp_path / "bad.tif"), 1, "bad.tif")


def test_parameters_of_a_recipe_stay_in_its_file(shell, source, tmp_path):
    path = Recipe(["filters.gaussian"]).save(tmp_path / "r.yaml")
    result = shell("run", path, source, tmp_path / "out.ome.zarr", "-p", "sigma=3")
    refused(result, 2, "Change them in the file")


def test_info_tells_shape_axes_and_the_recipe(shell, source, tmp_path):
    code, out, _ = shell("info", source)
    assert code == 0
    assert "70" in out
    assert "uint16" in out
    destination = tmp_path / "out.ome.zarr"
    shell("run", "filters.gaussian", source, destination, "-p", "sigma=3")
    code, out, _ = shell("info", destination)
    assert code == 0
    assert "filters.gaussian" in out
    refused(shell("info", tmp_path / "nope.zarr"), 1, "nope.zarr")


def test_an_unforeseen_error_is_one_line(shell, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("napari_tilewise.cli.run_commands.parse_recipe", fail)
    monkeypatch.delenv("NAPARI_TILEWISE_DEBUG", raising=False)
    result = shell("run", "filters.gaussian", "a", "b")
    refused(result, 1, "ZeroDivisionError: by nothing", "NAPARI_TILEWISE_DEBUG=1")
    monkeypatch.setenv("NAPARI_TILEWISE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["run", "filters.gaussian", "a", "b"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "out.zarr"), ["No space left on device: out.zarr"]),
        (KeyboardInterrupt(), ["Interrupted"]),
        (MemoryError(), ["memory"]),
        (errors.Cancelled("Cancelled; nothing was left."), ["Cancelled"]),
    ],
)
def test_what_the_machine_raises_is_one_line(shell, monkeypatch, error, words):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("napari_tilewise.cli.run_commands.parse_recipe", fail)
    code, _, err = shell("run", "filters.gaussian", "a", "b")
    assert code == 1
    assert all(word in err for word in words)
    assert len(err.strip().splitlines()) == 1


def test_values_are_read_as_yaml():
    values = parse_params(
        ["a=3", "b=1e-3", "c=[1, 2]", "d=nearest", "e={shape: disk, radius: 3}", "f=null", "g=None",
         "h=true", "i=x=y"]
    )  # fmt: skip
    assert values == {
        "a": 3, "b": 1e-3, "c": [1, 2], "d": "nearest", "e": {"shape": "disk", "radius": 3},
        "f": None, "g": None, "h": True, "i": "x=y",
    }  # fmt: skip


def test_a_further_image_is_an_input_given_by_its_path(shell, source, tmp_path):
    for op in OPERATIONS.values():
        required = [p for p in op.parameters.values() if p.required]
        if op.images and not required:
            recipe, inputs = parse_recipe(op.name, [f"{op.images[0]}={source}"])
            assert inputs == {op.images[0]: str(source)}
            assert recipe.steps[0].inputs == {op.images[0]: op.images[0]}
    mask, made = tmp_path / "mask.npy", tmp_path / "made.ome.zarr"
    pixels = np.asarray(open_image(source).data[:])
    np.save(mask, pixels > pixels.mean())
    code, _, _ = shell("run", "filters.sobel", source, made, "-p", f"mask={mask}")
    assert code == 0
    expected = filters.sobel(pixels, mask=np.load(mask))
    np.testing.assert_array_equal(open_image(made).data[:], expected)
    assert shell("rerun", made)[0] == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 * 2**30), ("1 GiB", 2**30), ("512MB", 512 * 10**6), ("1.5 kb", 1500),
        ("64 mib", 2**26), ("2G", 2 * 10**9), ("1e3", 1000), ("17", 17), (17, 17),
        (2.5e9, 25 * 10**8),
    ],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("size", ["", "GiB", "1 XB", "-1", "nan", "1 2", 0, -5, True, None, "0"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(errors.InvalidParameter, match="2 GiB"):
        parse_size(size)


def test_sizes_in_words():
    assert format_size(12) == "12 bytes"
    assert format_size(1536) == "1.5 KiB"
    assert format_size(2**30) == "1.0 GiB"
    assert parse_size(format_size(340 * 2**20)) == 340 * 2**20


def test_the_module_is_the_command():
    out = subprocess.run(
        [sys.executable, "-m", "napari_tilewise", "--version"], capture_output=True, text=True
    )
    assert (out.returncode, out.stdout.strip()) == (0, __version__)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize("resume", [False, True])
def test_ctrl_c_leaves_nothing_under_the_final_name(resume, tmp_path):
    source = tmp_path / "source.zarr"
    zarr.create_array(source, shape=(60000, 60000), chunks=(1024, 1024), dtype="uint8")
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_tilewise", "run", "filters.gaussian", source,
         tmp_path / "out.ome.zarr", "-p", "sigma=8", *["--no-resume"] * (not resume)],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    try:
        process.stderr.readline()  # it runs
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("napari-tilewise: ")
    names = {path.name for path in tmp_path.iterdir()}
    assert "out.ome.zarr" not in names
    assert resume or names == {"source.zarr"}
    assert ("the same command resumes the run" in err) == (len(names) > 1)
