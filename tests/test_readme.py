"""What the README shows works: its Python runs, its shell commands end with 0."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import zarr
from skimage import filters, measure

from napari_tilewise.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def after_python(tmp_path_factory):
    """Run the README's Python in a folder of its own and return what it made."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("readme")
        # A reader's process is small; this one holds what all tests before it have imported.
        patch.setattr("napari_tilewise.runs.planner.resident", lambda: 200 * 2**20)
        patch.chdir(folder)
        namespace = {}
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), namespace)
    return folder, namespace


def test_the_python_gives_scikit_images_answer(after_python):
    folder, made = after_python
    smooth = filters.gaussian(made["photo"], sigma=2)
    np.testing.assert_array_equal(made["smooth"], smooth)
    np.testing.assert_array_equal(made["view"], smooth[100:300, 100:300])
    expected = measure.label(smooth > filters.threshold_otsu(smooth))
    result = zarr.open_group(folder / "galaxies.ome.zarr")["0"][...]
    np.testing.assert_array_equal(result, expected)


def test_the_shell_commands_run(after_python, monkeypatch, capsys):
    monkeypatch.chdir(after_python[0])
    monkeypatch.setattr("napari_tilewise.runs.planner.resident", lambda: 200 * 2**20)
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(commands) >= 5
    for command in commands:
        program, *args = shlex.split(command, comments=True)
        assert program == "napari-tilewise"
        assert main(args) == 0, (command, capsys.readouterr().err)


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
