"""Every benchmark still runs: each once, as small as it goes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NEEDS_DISPLAY = ("preview", "window")
"""Those that open a window: they run with the tests of windows."""
SMALL: dict[str, tuple[str, ...]] = {
    "basket": ("--size", "64", "--volumes", "16", "--rounds", "1", "--sample", "0", "--turn", "0"),
    "batch_backends": ("--case", "mean", "--share", "0.004", "--rounds", "1"),
    "batch_loop": ("--files", "8", "--side", "64", "--rounds", "1", "--cold"),
    "batch_thousand": ("--files", "20"),
    "cancel_time": ("--size", "64", "--delay", "0.01", "--executors", "threads"),
    "catalogue": ("--size", "48", "--rounds", "0", "--function", "exposure.adjust"),
    "counted_reads": ("--size", "256", "--only", "exposure.equalize_hist"),
    "dask_chunks": ("--side", "4", "--rounds", "1"),
    "decodes": (),
    "estimate_time": ("--sizes", "512", "--only", "pointwise"),
    "file_to_file": ("--size", "512", "--rounds", "1"),
    "far_away": ("--chunks", "8", "--delay", "0.01"),
    "fused_chain": ("--size", "1024", "--rounds", "1"),
    "growth": ("--most", "100", "--only", "large tiles with pixels"),
    "import_time": ("napari_tilewise",),
    "kernels": ("--size", "256", "--rounds", "1", "--only", "label"),
    "lazy_view": (),
    "lock": ("--name", "feature.hog", "--all"),
    "other_images": ("--size", "48", "--volumes", "12", "--function", "filters.threshold_"),
    "peers": ("--size", "128", "--rounds", "1", "--turn", "0"),
    "nuclei": ("--sides", "256"),
    "object_peers": ("--size", "1024"),
    "objects": ("--table", "512", "--watershed", "512"),
    "preview": ("--moves", "1", "--size", "1024", "--side", "64", "--window", "900", "700"),
    "run_memory": ("--size", "512"),
    "small_images": ("--size", "64", "--only", "adjust", "--seconds", "0.01"),
    "stated_memory": ("--size", "512", "--only", "table"),
    "window": ("--moves", "1", "--size", "512", "--panels", "Runs"),
}


def test_none_is_forgotten() -> None:
    assert set(SMALL) == {path.stem for path in FOLDER.glob("[!_]*.py")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.gui] * (n in NEEDS_DISPLAY)) for n in SMALL],
)
def test_figures_are_printed(name: str) -> None:
    result = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", *SMALL[name]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert any(letter.isdigit() for letter in result.stdout)
    assert "Traceback" not in result.stderr
