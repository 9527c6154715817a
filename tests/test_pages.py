"""What the pages show works: blocks of `python`, `bash` and `yaml` run in order, in one folder.

Other fences (`sh`, `py`) are for what needs a cluster, a model or another program.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from distributed import LocalCluster
from skimage import data, measure

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.runs.registry import STATE

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|bash|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```{toctree}\n(.*?)^```", re.MULTILINE | re.DOTALL)
LAYERS = "scripting.md"
"""A page about napari's layers, which is run with a viewer elsewhere."""
PAGES = [page.name for page in sorted(DOCS.glob("*.md")) if BLOCK.search(page.read_text("utf-8"))]
SCHEDULER = "tcp://10.0.0.1:8786"
RECIPE = "version: 2"
"""How a block begins that is the file of a recipe; other YAML configures other programs."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the files that the pages name."""
    monkeypatch.setattr("napari_tilewise.runs.planner.resident", lambda: 200 * 2**20)
    monkeypatch.setenv(STATE, str(tmp_path / "state"))  # no page resumes other tests' runs
    monkeypatch.chdir(tmp_path)
    coins = data.coins()
    tw.convert(coins, "slide.ome.zarr")
    tw.convert(measure.label(coins > 150), "seeds.ome.zarr", labels=True)
    recipe = tw.Recipe([("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu"])
    recipe.save("nuclei.yaml")
    for number in range(2):
        path = tmp_path / f"plates/{number}/a.tif"
        path.parent.mkdir(parents=True)
        tifffile.imwrite(path, np.roll(coins, number)[:100, :100])
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if page != LAYERS])
def test_a_page_runs(page, folder, capsys):
    text = (DOCS / page).read_text(encoding="utf-8").replace('"/data/', f'"{folder}/')
    space = {"__name__": "my_ops"}
    # Any free port: without a dashboard it takes 8787 all the same, which another test may have.
    with LocalCluster(1, processes=False, dashboard_address=":0") as cluster:
        for language, block in BLOCK.findall(text.replace(SCHEDULER, cluster.scheduler_address)):
            if language == "python":
                exec(compile(block, page, "exec"), space)
            elif language == "bash":
                for command in block.splitlines():
                    program, *arguments = shlex.split(command, comments=True)
                    assert program == "napari-tilewise"
                    assert main(arguments) == 0, (command, capsys.readouterr().err)
            elif block.startswith(RECIPE):
                (folder / "cells.yaml").write_text(block)


def test_the_site_has_every_page():
    texts = {page.stem: page.read_text(encoding="utf-8") for page in DOCS.glob("*.md")}
    reached, unread = set(), {"index"}
    while unread:
        reached |= unread
        blocks = [
            re.findall(r"^```{toctree}\n(.*?)^```", texts[page], re.M | re.S) for page in unread
        ]
        entries = {line for block in blocks for text in block for line in text.splitlines()}
        unread = (entries & texts.keys()) - reached
    assert reached == texts.keys()


def test_every_picture_has_a_script_that_takes_it_again():
    scripts = "".join(path.read_text("utf-8") for path in DOCS.glob("screenshot*.py"))
    pictures = [path.name for path in (DOCS / "images").iterdir()]
    assert pictures
    assert [name for name in pictures if name not in scripts] == []


def test_the_picture_of_the_site_says_which_program_it_needs(tmp_path):
    script = DOCS / "screenshot_site.py"
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "needs a browser" in done.stderr
    assert "install Chromium" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_gallery_has_a_heading():
    """sphinx-gallery puts it into a page of reStructuredText."""
    heading = (DOCS / "gallery" / "GALLERY_HEADER.rst").read_text(encoding="utf-8").splitlines()
    assert heading[0] == "Gallery"
    assert heading[1] == "=" * len(heading[0])
    assert not (DOCS / "gallery" / "README.md").exists()
