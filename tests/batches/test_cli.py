"""The shell's door to batches: a final line, an exit code, failures as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from skimage import data, filters

from napari_tilewise.cli import main
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        tifffile.imwrite(tmp_path / f"im{number}.tif", data.camera()[number::8, ::8])
    return tmp_path


def test_a_batch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", "filters.gaussian", str(folder / "*.tif"), str(folder / "out")]
    command += ["-p", "sigma=2", "--backend", "serial", "--name", "{stem}_{recipe}"]
    assert main(command) == 0
    assert capsys.readouterr().out == "4 done, 0 failed, 0 skipped\n"
    made = open_image(folder / "out" / "im2_gaussian.ome.zarr").data[...]
    np.testing.assert_array_equal(made, filters.gaussian(data.camera()[2::8, ::8], sigma=2))
    (folder / "bad.tif").write_bytes(b"II*\0")
    assert main(command) == 1
    said = capsys.readouterr()
    assert said.out == "0 done, 1 failed, 4 skipped\n"
    assert len([line for line in said.err.splitlines() if "bad.tif" in line]) == 1
    assert "Traceback" not in said.err


def test_windows_and_functions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.py").write_text("def top(image):\n    return int(image.max())\n")
    command = ["batch", f"{folder}/mine.py:top", str(folder / "im0.tif"), str(folder / "out")]
    command += ["--window", "32", "--jobs", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out == "4 done, 0 failed, 0 skipped\n"
    lines = (folder / "out" / "report.csv").read_text().splitlines()
    image = data.camera()[::8, ::8]
    tops = [image[y : y + 32, x : x + 32].max() for y in (0, 32) for x in (0, 32)]
    assert [int(line.rpartition(",")[2]) for line in lines[1:]] == tops


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "a"], "--window a"),
        (["--backend", "cuda"], "--backend cuda: expected"),
        (["--overwrite", "--skip"], "give one"),
        (["--name", "{steam}"], "{steam}"),
    ],
)
def test_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    command = ["batch", "util.invert", str(folder / "*.tif"), str(folder / "out"), *options]
    assert main(command) == 2
    assert words in capsys.readouterr().err
    assert not (folder / "out").exists()
