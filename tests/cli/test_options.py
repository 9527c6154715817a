"""Options that several commands share: further images, data types, functions, completion."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from skimage import filters, util

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 4000, (40, 50), np.uint16)


@pytest.fixture
def source(tmp_path, image):
    path = tmp_path / "image.npy"
    np.save(path, image)
    return path


def pixels(path):
    return np.asarray(tw.open(path).data[:])


def test_a_further_image_needs_no_recipe(shell, source, image, tmp_path):
    mask, output = tmp_path / "mask.npy", tmp_path / "edges.ome.zarr"
    np.save(mask, image > 2000)
    code, _, err = shell("run", "filters.sobel", source, output, "-i", f"mask={mask}")
    assert code == 0, err
    np.testing.assert_array_equal(pixels(output), filters.sobel(image, mask=image > 2000))
    code, _, err = shell("run", "filters.sobel", source, output, "-i", f"msak={mask}")
    assert code == 2
    assert "Did you mean 'mask'" in err
    code, _, err = shell("run", "filters.gaussian", source, output, "-i", f"mask={mask}")
    assert code == 2
    assert "it takes only SRC" in err


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_a_threshold_into_a_file_of_values_is_its_number(shell, source, image, tmp_path, suffix):
    output = tmp_path / f"threshold{suffix}"
    code, out, err = shell("run", "filters.threshold_otsu", source, output)
    assert code == 0, err
    assert float(out) == filters.threshold_otsu(image)
    text = output.read_text()
    value = json.loads(text)["value"] if suffix == ".json" else float(text.splitlines()[-1])
    assert value == filters.threshold_otsu(image)


def test_thresholds_of_a_stack_are_one_row_per_plane(shell, tmp_path):
    stack = np.random.default_rng(1).integers(0, 99, (3, 30, 40), np.uint8) * np.uint8(
        [[[1]], [[2]], [[2]]]
    )
    np.save(tmp_path / "stack.npy", stack)
    args = ("run", "filters.threshold_li", tmp_path / "stack.npy", tmp_path / "t.csv")
    code, _, err = shell(*args, "--axes", "tyx", "--spatial", "yx")
    assert code == 0, err
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "t,value"
    assert [float(line.split(",")[1]) for line in lines[1:]] == [
        filters.threshold_li(plane) for plane in stack
    ]


def test_data_types_are_rescaled_or_refused(shell, source, image, tmp_path):
    code, _, err = shell("convert", source, tmp_path / "a.ome.tif", "--dtype", "uint8")
    assert code == 0, err
    np.testing.assert_array_equal(pixels(tmp_path / "a.ome.tif"), util.img_as_ubyte(image))
    shell("run", "filters.gaussian", source, tmp_path / "b.ome.zarr", "--dtype", "float32")
    expected = util.img_as_float32(filters.gaussian(image))
    np.testing.assert_array_equal(pixels(tmp_path / "b.ome.zarr"), expected)
    steps = tw.info(tmp_path / "b.ome.zarr")["recipe"]["steps"]
    assert [step["operation"] for step in steps] == ["filters.gaussian", "util.img_as_float32"]
    assert shell("rerun", tmp_path / "b.ome.zarr")[0] == 0
    np.save(tmp_path / "float.npy", image.astype(float))
    code, _, err = shell("convert", tmp_path / "float.npy", tmp_path / "c.npy", "--dtype", "uint8")
    assert code == 1
    assert "between -1 and 1" in err
    assert not (tmp_path / "c.npy").exists()
    code, _, err = shell("convert", source, tmp_path / "c.npy", "--dtype", "uint9")
    assert code == 2
    assert "Did you mean 'uint8'" in err
    with pytest.raises(InvalidImage, match="labels"):
        tw.convert(source, tmp_path / "c.npy", labels=True, dtype="uint8")


def test_convert_takes_folders_and_patterns(shell, source, image, tmp_path):
    (tmp_path / "more").mkdir()
    np.save(tmp_path / "more" / "b.npy", image[:20])
    code, out, err = shell("convert", tmp_path, tmp_path / "out", "--name", "{stem}.ome.tif")
    assert code == 0, err
    assert out == "2 done, 0 failed, 0 skipped\n"
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "image.ome.tif"), image)
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "more" / "b.ome.tif"), image[:20])
    options = ["--ome-zarr", "0.4", "--no-pyramid", "--dtype", "uint8"]
    code, _, err = shell("convert", tmp_path / "*.npy", tmp_path / "zarrs", *options)
    assert code == 0, err
    info = tw.info(tmp_path / "zarrs" / "image.ome.zarr")
    assert (info["format"], info["dtype"]) == ("ome-zarr 0.4", "uint8")
    code, _, err = shell("convert", tmp_path / "*.npy", tmp_path / "zarrs", "--level", "1")
    assert code == 2
    assert "--level" in err


@pytest.mark.parametrize("command", ["batch", "convert", "info"])
def test_functions_are_loaded_wherever_operations_are_named(shell, source, tmp_path, command):
    file = tmp_path / f"shell_{command}.py"
    file.write_text(
        "import napari_tilewise as tw\n\n"
        "@tw.operation(output='image', dtype='same', halo=0)\ndef twice(image):\n"
        "    return image * 2\n"
    )
    output = tmp_path / "out"
    args = {
        "batch": ("shell_batch.twice", source, output),
        "convert": (source, output / "a.ome.zarr"),
        "info": (source,),
    }[command]
    code, _, err = shell(command, *args, "--functions", file)
    assert code == 0, err
    assert f"shell_{command}.twice" in tw.OPERATIONS


def completed(shell, monkeypatch, line):
    """Return what bash would be given for a command line, which ends at the cursor."""
    monkeypatch.setenv("_NAPARI_TILEWISE_COMPLETE", "complete_bash")
    words = re.findall(r"=|[^ =]+", line) + [""] * line.endswith(" ")  # bash splits at "=" too
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    return shell()[1].split()


def test_tab_completes_operations_parameters_and_recipes(shell, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tw.Recipe(["filters.sobel"]).save("filters_mine.yaml")
    (tmp_path / "filters_data").mkdir()
    assert completed(shell, monkeypatch, "napari-tilewise describe filters.gauss") == [
        "filters.gaussian"
    ]
    names = completed(shell, monkeypatch, "napari-tilewise run filters")
    assert {"filters.gaussian", "filters_mine.yaml", "filters_data/"} <= set(names)
    assert completed(shell, monkeypatch, "napari-tilewise run ./filters_m") == [
        "./filters_mine.yaml"
    ]
    line = "napari-tilewise run filters.gaussian a.tif b.tif -p "
    assert {"sigma=", "sigma=1.0", "mode=nearest"} <= set(completed(shell, monkeypatch, f"{line}"))
    assert completed(shell, monkeypatch, f"{line}mode=wrap -p mode=r") == ["reflect"]
    assert "wrap" in completed(shell, monkeypatch, f"{line}mode=")
    assert completed(shell, monkeypatch, f"{line}sigma=2 --dtype u") == ["uint8", "uint16"]
    assert completed(shell, monkeypatch, "napari-tilewise list --kind=p") == ["pointwise"]
    line = "napari-tilewise run filters.sobel a.tif b.tif -i "
    assert completed(shell, monkeypatch, f"{line}m") == ["mask="]
    assert completed(shell, monkeypatch, f"{line}mask=f") == []  # bash completes files by itself
    assert "convert" in completed(shell, monkeypatch, "napari-tilewise con")
    assert "--functions" in completed(shell, monkeypatch, "napari-tilewise batch --fun")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_tab_completes_in_other_shells(shell, monkeypatch, name):
    monkeypatch.setenv("_NAPARI_TILEWISE_COMPLETE", f"complete_{name}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "napari-tilewise describe measure.regionprops")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    assert "measure.regionprops_table" in shell()[1]


def test_fish_gets_a_line_for_each_candidate(shell, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mask.tif").touch()
    monkeypatch.setenv("_NAPARI_TILEWISE_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("COLUMNS", "40")
    line = "napari-tilewise run filters.sobel a.tif b.tif"
    for rest, start in ((" -p ", ""), (" --", "--"), (" -i ", "mask="), (" -i mask=", "mask=mask")):
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line + rest)
        candidates = shell()[1].splitlines()
        assert candidates, rest
        for candidate in candidates:
            text, _, description = candidate.partition("\t")
            assert text.startswith(start)
            assert " " not in text
            assert "`" not in text
            assert rest != " -p " or len(description) <= 70
    assert os.environ["COLUMNS"] == "40"


def test_the_first_tab_in_zsh_completes(shell, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    script = tmp_path / ".zfunc" / "_napari-tilewise"
    for _ in range(2):
        assert shell("--install-completion", "zsh")[0] == 0
        text = script.read_text()
        # The first Tab in a shell loads the script, which then has to complete, too.
        assert text.count("loadautofunc") == text.count('_napari_tilewise_completion "$@"') == 1
        assert text.index("compdef _napari") < text.index("loadautofunc")
    if zsh := shutil.which("zsh"):
        # The file as an autoloaded function, as Tab calls it.
        candidates = (
            "CURRENT=1; words=(napari-tilewise); "
            'compdef() { }; _arguments() { print -r -- "$@" }; env() { print _arguments gaussian }'
            f"; fpath=({script.parent}); autoload -Uz _napari-tilewise; _napari-tilewise"
        )
        result = subprocess.run([zsh, "-f", "-c", candidates], capture_output=True, text=True)
        assert result.stdout == "gaussian\n", result.stderr
