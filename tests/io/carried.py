"""What each door carries from a file to another of the same format: a table of the documentation.

``python -m tests.io.carried`` writes it into ``docs/formats.md``; a test compares it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_tilewise as tw
from napari_tilewise.io.writers.formats import FEATURES, HOLDS, OF_RUNS, SUFFIXES, markdown
from tests.io.test_formats import PAGE, STACK, layout, original, told

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("OME-Zarr 0.5", "OME-Zarr 0.4", "OME-TIFF", "ImageJ TIFF")
DILATION = ("morphology.dilation", {"footprint": np.ones((3, 3), int)})
"""Its result has the values, the labels and the pixels of its image."""
BEGIN, END = "<!-- carried: begin -->", "<!-- carried: end -->"


def _convert(source: Path, folder: Path, form: str) -> Path:
    return Path(tw.convert(source, folder / f"c{SUFFIXES[form]}", **layout(form)).path)


def _run(source: Path, folder: Path, form: str) -> Path:
    destination = folder / f"r{SUFFIXES[form]}"
    return Path(tw.run(DILATION, source, destination, spatial="yx", **layout(form)).path)


def _batch(source: Path, folder: Path, form: str) -> Path:
    options = {"name": f"b{SUFFIXES[form]}", "n_jobs": 1, "backend": "serial", "spatial": "yx"}
    report = tw.batch(DILATION, source, folder / "out", **options, **layout(form))
    return Path(folder, "out", str(report.rows[0]["output"]))


DOORS: dict[str, Callable[[Path, Path, str], Path]] = {
    "convert": _convert,
    "run": _run,
    "batch": _batch,
}


def carried(folder: Path, form: str) -> dict[str, list[str]]:
    """Return the doors that carry each feature that a format holds."""
    source = original(folder, form, STACK[:, :, :, :, :64])
    before = told(source)
    results = folder / form
    results.mkdir()
    after = {door: told(path(source, results, form)) for door, path in DOORS.items()}
    return {
        feature: [door for door in DOORS if after[door][feature] == before[feature]]
        for feature in FEATURES
        if feature in HOLDS[form] - OF_RUNS
    }


def carried_table(folder: Path) -> str:
    """Return the table as Markdown."""
    columns = {form: carried(folder, form) for form in FORMATS}
    rows = [["", *FORMATS]]
    for feature in FEATURES:
        if feature not in OF_RUNS:
            cells = (columns[form].get(feature) for form in FORMATS)
            rows.append([feature, *("" if c is None else ", ".join(c) or "no" for c in cells)])
    return markdown(rows)


def write_page(table: str) -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n{table}\n\n{END}"
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    PAGE.write_text(re.sub(pattern, lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write_page(carried_table(Path(name)))
