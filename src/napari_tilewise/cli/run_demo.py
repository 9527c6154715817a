"""The promise on a real image: tile by tile gives what scikit-image gives on the whole image.

The Hubble deep field, a photograph inside scikit-image's wheel, is enlarged by mirroring; its
galaxies are found with Gaussian, Otsu and label, once tile by tile into an OME-Zarr and once with
scikit-image on the whole image; both answers are compared pixel by pixel.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.resident import peak_resident
from napari_tilewise.errors import DestinationExists, MissingExtra
from napari_tilewise.recipe import Recipe
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    import threading

    from napari_tilewise.engine.events import Listener

SIGMA = 2
STEPS = (("filters.gaussian", {"sigma": SIGMA}), "filters.threshold_otsu", "measure.label")
MEMORY = 240 * 2**20
"""Memory of the run besides the interpreter: little, so that there are many tiles."""
MARK = "made by napari-tilewise demo"
CHUNK = 512


@dataclass(frozen=True)
class DemoResult:
    """The images of a demo and its measurements."""

    source: Path
    labels: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tiles: int
    levels: int
    objects: int
    seconds: float
    """Time tile by tile, everything written."""
    peak: int
    """Peak resident memory until then in bytes, the interpreter included."""
    budget: int
    """The memory budget of the run in bytes."""
    seconds_whole: float
    """Time of scikit-image on the whole image, nothing written."""
    peak_whole: int
    difference: str
    """Where the two results differ, as text; empty if they are equal."""

    @property
    def equal(self) -> bool:
        """Whether the tiled labels are scikit-image's, bit for bit."""
        return not self.difference

    def summary(self) -> str:
        """Return the measurements as a few lines of text."""
        size = " x ".join(map(str, self.shape))
        amount = format_size(int(np.prod(self.shape)) * self.dtype.itemsize)
        memory = f"{format_size(self.peak)} (budget {format_size(self.budget)})"
        verdict = (
            "tile by tile equals scikit-image on the whole image, bit for bit"
            if self.equal
            else f"TILE BY TILE DIFFERS FROM SCIKIT-IMAGE: {self.difference}"
        )
        return "\n".join(
            [
                f"image         {size} {self.dtype}, {amount}: the Hubble deep field, mirrored",
                f"recipe        Gaussian (sigma {SIGMA}) -> Otsu -> label",
                f"tile by tile  {self.seconds:.1f} s, {plural(self.tiles, 'tile')}, written with "
                f"its pyramid ({plural(self.levels, 'level')}), peak memory {memory}",
                f"whole image   {self.seconds_whole:.1f} s, nothing written, "
                f"peak memory {format_size(self.peak_whole)}",
                f"objects       {self.objects}",
                f"check         {verdict}",
                f"source        {self.source}",
                f"result        {self.labels}",
            ]
        )


def run_demo(
    size: int = 4096,
    output: str | Path = "napari-tilewise-demo",
    *,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
) -> DemoResult:
    """Run the demo and return its measurements.

    Parameters
    ----------
    size
        Pixels a side.
    output
        Folder for the source and the result; an earlier demo's are replaced, nothing else.
    progress
        Called with each event of the run.
    cancel
        Ends the run soon after it is set.

    Raises
    ------
    DestinationExists
        When the folder holds something other than an earlier demo.
    """
    from napari_tilewise.engine.system.disk import writing
    from napari_tilewise.engine.system.resident import resident
    from napari_tilewise.runs.run import run

    folder = Path(output)
    source = folder / "hubble.zarr"
    labels = folder / "galaxies.ome.zarr"
    _claim(folder, source)
    with writing(folder, "give another folder with --output"):
        _write_source(source, size)
    budget = resident() + MEMORY
    start = time.perf_counter()
    result = run(
        Recipe(STEPS),
        source,
        labels,
        memory=budget,
        overwrite=True,
        progress=progress,
        cancel=cancel,
    )
    seconds, peak = time.perf_counter() - start, peak_resident()
    image = _open(source)
    start = time.perf_counter()
    expected = whole(image[...])
    seconds_whole, peak_whole = time.perf_counter() - start, peak_resident()
    group = _open(labels)
    return DemoResult(
        source=source,
        labels=labels,
        shape=image.shape,
        dtype=image.dtype,
        tiles=result.tiles,
        levels=sum(1 for _ in group.arrays()),
        objects=int(expected.max()),
        seconds=seconds,
        peak=peak,
        budget=budget,
        seconds_whole=seconds_whole,
        peak_whole=peak_whole,
        difference=_difference(group["0"][...], expected),
    )


def whole(image: np.ndarray) -> np.ndarray:
    """Return the labels that scikit-image finds on the whole image."""
    from skimage import filters, measure

    smooth = filters.gaussian(image, sigma=SIGMA)
    labels: np.ndarray = measure.label(smooth > filters.threshold_otsu(smooth))
    return labels


def photograph() -> np.ndarray:
    """Return the Hubble deep field in 8-bit gray, from scikit-image's wheel."""
    from skimage import color, data, util

    gray: np.ndarray = util.img_as_ubyte(color.rgb2gray(data.hubble_deep_field()))
    return gray


def mirrored(image: np.ndarray, size: int, rows: slice) -> np.ndarray:
    """Return some rows of the image continued by its mirror image to `size` pixels a side."""
    picked = [
        np.pad(np.arange(length), (0, max(size - length, 0)), mode="symmetric")[:size]
        for length in image.shape
    ]
    return image[np.ix_(picked[0][rows], picked[1])]


def require_napari() -> None:
    """Raise `MissingExtra` if napari, which only `_napari` knows, is not installed."""
    if find_spec("napari") is None:
        raise MissingExtra(
            "--view needs napari, which is not installed: "
            'pip install "napari-tilewise[all]" brings it.'
        )


def show(result: DemoResult) -> None:
    """Open the image and its labels in napari, until the window is closed.

    Parameters
    ----------
    result
        What `run_demo` returned.
    """
    require_napari()
    napari = import_module("napari")
    group = _open(result.labels)
    viewer = napari.Viewer(title="napari-tilewise demo")
    viewer.add_image(_open(result.source)[...], name="hubble deep field", contrast_limits=(0, 255))
    viewer.add_labels([group[str(i)] for i in range(result.levels)], name="galaxies")
    napari.run()


def _claim(folder: Path, source: Path) -> None:
    """Refuse a folder that holds anything but an earlier demo."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (source.is_dir() and MARK in _open(source).attrs):
        raise DestinationExists(
            f"{str(folder)!r} exists and is not an earlier demo: nothing was changed. "
            "Give another folder with --output."
        )


def _write_source(path: Path, size: int) -> None:
    import zarr

    image = photograph()
    array = zarr.create_array(
        path,
        shape=(size, size),
        chunks=(min(CHUNK, size),) * 2,
        dtype=image.dtype,
        attributes={MARK: True},
        overwrite=True,
    )
    for start in range(0, size, CHUNK):
        rows = slice(start, min(start + CHUNK, size))
        array[rows] = mirrored(image, size, rows)


def _open(path: Path) -> Any:
    import zarr

    return zarr.open(path, mode="r")


def _difference(labels: np.ndarray, expected: np.ndarray) -> str:
    """Return where two label images differ, as text; empty if they are equal."""
    if labels.shape != expected.shape or labels.dtype != expected.dtype:
        return f"{labels.shape} {labels.dtype} instead of {expected.shape} {expected.dtype} labels"
    wrong = np.flatnonzero(labels != expected)
    if not wrong.size:
        return ""
    first = tuple(int(i) for i in np.unravel_index(wrong[0], labels.shape))
    return f"{wrong.size} pixels, the first at {first}"
