"""Objects of large images: labels to a table, distances, watershed; what they take and are worth.

``--table 8192 32768``: a mask with an object in every 32 x 32 pixels and an image, from files to a
table of all properties that are sums; seconds per pixel should not grow with the image.
``--watershed 4096 16384``: distances of the objects of a mask and a watershed from their peaks; up
to 4096 both are compared with SciPy and scikit-image on the whole image. Each case runs in a
process of its own, in the memory given, and says what it took. ``--flood 2048 16384``: a watershed
without a mask, from 40 markers in every 512 x 512 pixels. `object_peers` has other packages beside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

CELL, TILE = 32, 1024
"""Pixels between the centres of objects, and along the side of a chunk."""
PROPERTIES = (
    "label", "bbox", "area", "area_bbox", "extent", "centroid", "intensity_mean", "intensity_min",
    "intensity_max",
)  # fmt: skip
WHOLE = 4096
"""Largest image that is compared with the libraries on the whole."""


def write_cells(path: Path, side: int) -> int:
    """Write a mask with a disk in each cell, and an image of 16 bits; return how many disks."""
    import zarr

    options: dict[str, Any] = {"shape": (side, side), "chunks": (min(TILE, side),) * 2}
    mask = zarr.create_array(path / "mask.zarr", dtype="uint8", **options)
    image = zarr.create_array(path / "image.zarr", dtype="uint16", **options)
    y, x = np.indices((TILE, TILE)) % CELL
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            rng = np.random.default_rng((top, left))
            shape = (TILE // CELL,) * 2
            middle = rng.integers(13, 19, (2, *shape)).repeat(CELL, 1).repeat(CELL, 2)
            radius = rng.integers(5, 12, shape).repeat(CELL, 0).repeat(CELL, 1)
            disks = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2
            box = np.s_[top : min(side, top + TILE), left : min(side, left + TILE)]
            height, width = (part.stop - part.start for part in box)
            mask[box] = disks[:height, :width]
            noise = rng.integers(0, 4096, (height, width), dtype=np.uint16)
            image[box] = noise
    return (side // CELL) ** 2


def write_touching(path: Path, side: int) -> int:
    """Write a mask of pairs of disks that touch, as nuclei do; return how many disks."""
    import zarr

    options: dict[str, Any] = {"shape": (side, side), "chunks": (min(TILE, side),) * 2}
    mask = zarr.create_array(path / "mask.zarr", dtype="uint8", **options)
    cell = 2 * CELL
    y, x = np.indices((TILE, TILE)) % cell
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            rng = np.random.default_rng((top, left))
            shape = (TILE // cell,) * 2
            radius = rng.integers(11, 15, (2, *shape)).repeat(cell, 1).repeat(cell, 2)
            shift = rng.integers(-4, 5, shape).repeat(cell, 0).repeat(cell, 1)
            first = (y - 31 - shift) ** 2 + (x - 20) ** 2 < radius[0] ** 2
            second = (y - 31 + shift) ** 2 + (x - 41) ** 2 < radius[1] ** 2
            box = np.s_[top : min(side, top + TILE), left : min(side, left + TILE)]
            height, width = (part.stop - part.start for part in box)
            mask[box] = (first | second)[:height, :width]
    return 2 * (side // cell) ** 2


def write_relief(path: Path, side: int) -> int:
    """Write a relief of 8 bits with many plateaus, and markers; return how many there are."""
    import zarr
    from scipy import ndimage

    options: dict[str, Any] = {"shape": (side, side), "chunks": (min(TILE, side),) * 2}
    relief = zarr.create_array(path / "relief.zarr", dtype="uint8", **options)
    markers = zarr.create_array(path / "markers.zarr", dtype="int32", **options)
    count, share = 0, 40 / 512**2
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            rng = np.random.default_rng((top, left))
            box = np.s_[top : min(side, top + TILE), left : min(side, left + TILE)]
            height, width = (part.stop - part.start for part in box)
            smooth = ndimage.gaussian_filter(rng.random((height, width)), 4)
            relief[box] = np.clip(128 + 1500 * (smooth - 0.5), 0, 255).astype(np.uint8)
            seeds = rng.random((height, width)) < share
            numbers = np.zeros((height, width), np.int32)
            numbers[seeds] = count + 1 + np.arange(seeds.sum())
            count += int(seeds.sum())
            markers[box] = numbers
    return count


# -- what runs in a process of its own -------------------------------------------------------------


def table(path: Path, memory: str) -> dict[str, Any]:
    """Label a mask and measure its objects, from files to a file."""
    import napari_tilewise as tw
    from napari_tilewise.recipe.step import Step

    options: dict[str, Any] = {"memory": memory, "pyramid": False, "overwrite": True}
    labels = tw.run("measure.label", path / "mask.zarr", path / "labels.ome.zarr", **options)
    step = Step(
        "measure.regionprops_table",
        {"properties": PROPERTIES},
        inputs={"intensity_image": "intensity"},
    )
    recipe = tw.Recipe([step], inputs=["intensity"])
    measured = tw.run(
        recipe, labels.path, path / "table.csv", inputs={"intensity": path / "image.zarr"},
        memory=memory, overwrite=True,
    )  # fmt: skip
    return {"objects": len(measured.value["label"]), "areas": float(measured.value["area"].sum())}


def distances(path: Path, memory: str) -> dict[str, Any]:
    """Compute the distances to the background, from a file to a file."""
    import napari_tilewise as tw

    tw.run(
        "ndimage.distance_transform_edt", path / "mask.zarr", path / "edt.ome.zarr",
        memory=memory, pyramid=False, overwrite=True,
    )  # fmt: skip
    return {}


def watershed(path: Path, memory: str) -> dict[str, Any]:
    """Split touching disks as scikit-image's example does: distances, peaks, watershed."""
    import napari_tilewise as tw
    from napari_tilewise.recipe.step import Step

    recipe = tw.Recipe(
        [
            Step("ndimage.distance_transform_edt", name="distances"),
            Step("filters.gaussian", {"sigma": 2}, name="smooth"),
            Step("morphology.local_maxima", name="peaks"),
            Step("measure.label", name="markers"),
            Step("util.invert", inputs={"image": "smooth"}, name="depth"),
            Step(
                "segmentation.watershed",
                inputs={"image": "depth", "markers": "markers", "mask": "source"},
            ),
        ]
    )
    tw.run(
        recipe, path / "mask.zarr", path / "split.ome.zarr", memory=memory, pyramid=False,
        overwrite=True,
    )  # fmt: skip
    return {}


def flood(path: Path, memory: str) -> dict[str, Any]:
    """Flood a relief from markers, without a mask."""
    import napari_tilewise as tw
    from napari_tilewise.recipe.step import Step

    step = Step("segmentation.watershed", inputs={"markers": "markers"})
    recipe = tw.Recipe([step], inputs=["markers"])
    tw.run(
        recipe, path / "relief.zarr", path / "flood.ome.zarr", pyramid=False, overwrite=True,
        inputs={"markers": path / "markers.zarr"}, memory=memory,
    )  # fmt: skip
    return {}


def run_one(task: str, path: Path, memory: str) -> None:
    """Print what a task took, as JSON."""
    from napari_tilewise.engine.system.resident import peak_resident

    started, computed = time.perf_counter(), time.process_time()
    tasks = {"table": table, "distances": distances, "watershed": watershed, "flood": flood}
    values = tasks[task](path, memory)
    seconds, busy = time.perf_counter() - started, time.process_time() - computed
    print(json.dumps({**values, "seconds": seconds, "busy": busy, "peak": peak_resident()}))


# -- comparisons -----------------------------------------------------------------------------------


def same_distances(path: Path) -> bool:
    """Return whether the distances are SciPy's on the whole image."""
    import zarr
    from scipy import ndimage

    import napari_tilewise as tw

    mask = np.asarray(zarr.open_array(path / "mask.zarr")[:])
    result = np.asarray(tw.open(path / "edt.ome.zarr").data[:, :])
    return bool(np.array_equal(result, ndimage.distance_transform_edt(mask)))


def same_split(path: Path) -> bool:
    """Return whether the split objects are scikit-image's on the whole image."""
    import zarr
    from scipy import ndimage
    from skimage import filters, measure, morphology, segmentation, util

    import napari_tilewise as tw

    mask = np.asarray(zarr.open_array(path / "mask.zarr")[:])
    smooth = filters.gaussian(ndimage.distance_transform_edt(mask), 2)
    markers = measure.label(morphology.local_maxima(smooth))
    expected = segmentation.watershed(util.invert(smooth), markers, mask=mask)
    return bool(np.array_equal(tw.open(path / "split.ome.zarr").data[:, :], expected))


def same_flood(path: Path) -> bool:
    """Return whether the basins are scikit-image's on the whole image."""
    import zarr
    from skimage import segmentation

    import napari_tilewise as tw

    relief, markers = (
        np.asarray(zarr.open_array(path / f"{name}.zarr")[:]) for name in ("relief", "markers")
    )
    expected = segmentation.watershed(relief, markers)
    return bool(np.array_equal(tw.open(path / "flood.ome.zarr").data[:, :], expected))


def measured(task: str, path: Path, memory: str) -> dict[str, Any] | None:
    """Run a task in a process of its own and return its figures; None where it failed."""
    command = [sys.executable, __file__, "--one", task, "--folder", str(path), "--memory", memory]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        print(f"{task} failed: {child.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    figures: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return figures


def show(title: str, side: int, figures: dict[str, Any] | None, verdict: str) -> None:
    """Print a row."""
    if figures is not None:
        print(
            f"| {title} | {side} | {figures['seconds']:.0f} | {figures['busy']:.0f} | "
            f"{1e9 * figures['busy'] / side**2:.0f} | {figures['peak'] / 2**20:.0f} | {verdict} |",
            flush=True,
        )


def main(arguments: argparse.Namespace) -> None:
    """Print the tables."""
    memory = arguments.memory
    print(f"Memory budget {memory}.\n")
    print("| task | side | seconds | processor (s) | ns per pixel | peak (MiB) | result |")
    print("|---|---:|---:|---:|---:|---:|---|", flush=True)
    tasks: list[tuple[list[int], Callable[[Path, int], int], tuple[str, ...]]] = [
        (arguments.table or [], write_cells, ("table",)),
        (arguments.watershed or [], write_touching, ("distances", "watershed")),
        (arguments.flood or [], write_relief, ("flood",)),
    ]
    for sides, write, names in tasks:
        for side in sides:
            with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
                count = write(Path(folder), side)
                for task in names:
                    figures = measured(task, Path(folder), memory)
                    show(task, side, figures, verdict(task, Path(folder), side, count, figures))


def verdict(task: str, path: Path, side: int, count: int, figures: dict[str, Any] | None) -> str:
    """Say whether a result is right, as far as that is known."""
    if figures is None:
        return "failed"
    if task == "table":
        return f"{figures['objects']} objects, {count} were drawn"
    if side > WHOLE:
        return "not compared"
    compare = {"distances": same_distances, "watershed": same_split, "flood": same_flood}[task]
    return "equal to the whole image" if compare(path) else "DIFFERENT"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=int, nargs="*", metavar="SIDE")
    parser.add_argument("--watershed", type=int, nargs="*", metavar="SIDE")
    parser.add_argument("--flood", type=int, nargs="*", metavar="SIDE")
    parser.add_argument("--memory", default="2 GiB")
    parser.add_argument("--scratch", help="a folder with room for the images")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options.folder, options.memory)
    else:
        main(options)
