"""Objects across chunks: labels and a table by several packages, right or wrong, time and memory.

Disks of all sizes, many of them cut by chunks, in a Zarr; each package labels and measures them in
a process of its own, one after the other in one run, and is compared with scikit-image on the whole
image: the same objects (whatever their numbers), the same areas, centroids and means. The packages
need not be installed here: ``--python`` names the interpreter of an environment that has them:
dask-image, patchworks and napari-chunked-regionprops.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from objects import write_cells
from skimage import measure

CHILD = Path(__file__).with_name("_object_peer.py")
LABELS = {
    "napari-tilewise": "our_labels",
    "dask-image": "dask_image_labels",
    "patchworks": "patchworks_labels",
}
TABLES = {
    "napari-tilewise": "our_table",
    "dask-image": "dask_image_table",
    "napari-chunked-regionprops": "chunked_regionprops_table",
}
CHUNK = 500
"""Pixels along the side of a chunk, which cuts the disks of every 32 pixels."""


def prepare(folder: Path, side: int) -> np.ndarray:
    """Write a mask, an image and scikit-image's labels in chunks that cut objects."""
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        write_cells(Path(inner), side)
        mask = np.asarray(zarr.open_array(Path(inner, "mask.zarr"))[:])
        image = np.asarray(zarr.open_array(Path(inner, "image.zarr"))[:])
    labels = np.asarray(measure.label(mask > 0)).astype(np.int32)
    for name, pixels in (("mask", mask), ("image", image), ("labels", labels)):
        array = zarr.create_array(
            folder / f"{name}.zarr", shape=pixels.shape, chunks=(CHUNK,) * 2, dtype=pixels.dtype
        )
        array[:] = pixels
    return labels


def same_objects(folder: Path, expected: np.ndarray) -> str:
    """Return whether the labels stored are the expected ones, or the same under other numbers."""
    path = folder / "found.ome.zarr"
    node: Any = zarr.open(path if path.exists() else folder / "found.zarr", mode="r")
    while isinstance(node, zarr.Group):
        members = dict(node.members())
        node = members.get("labels") or members.get("0") or next(iter(members.values()))
    result = np.asarray(node[:]).reshape(expected.shape)
    if np.array_equal(result, expected):
        return "right, with scikit-image's numbers"
    pairs = np.unique(np.stack([result.ravel(), expected.ravel()]), axis=1)
    ids, originals = len(np.unique(result)), len(np.unique(expected))
    if pairs.shape[1] == ids == originals:
        return "right, with other numbers"
    return f"WRONG: {ids - 1} objects instead of {originals - 1}"


def same_table(folder: Path, labels: np.ndarray) -> str:
    """Return whether the table stored is scikit-image's."""
    image = np.asarray(zarr.open_array(folder / "image.zarr")[:])
    names = ("label", "area", "centroid", "intensity_mean")
    expected = measure.regionprops_table(labels, image, names)
    with np.load(folder / "found.npz") as result:
        if not np.array_equal(result["label"], expected["label"]):
            return "WRONG: other labels"
        errors = {
            name: float(np.abs(result[name] - expected[name]).max())
            for name in ("area", "centroid-0", "intensity_mean")
        }
    if not any(errors.values()):
        return "right, to the last bit"
    worst = max(errors.values())
    return f"right within {worst:.1g}" if worst < 1e-6 else f"WRONG: {errors}"


def measured(command: list[Any], seconds: float) -> dict[str, float] | str:
    """Return what a child measured of itself, or in words why it did not."""
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} s"
    if child.returncode:
        return f"failed: {child.stderr.strip().splitlines()[-1]}"
    took: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return took


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    print("| task | package | seconds | processor (s) | peak (MiB) | result |")
    print("|---|---|---:|---:|---:|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as text:
        folder = Path(text)
        labels = prepare(folder, arguments.size)
        for task, packages in (("label", LABELS), ("table", TABLES)):
            for package, function in packages.items():
                ours = package == "napari-tilewise"
                if not (ours or arguments.python):
                    continue
                python = sys.executable if ours else arguments.python
                for path in folder.glob("found*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                took = measured([python, CHILD, function, folder], arguments.timeout)
                if isinstance(took, str):
                    print(f"| {task} | {package} | | | | {took} |", flush=True)
                    continue
                compare = same_objects if task == "label" else same_table
                print(
                    f"| {task} | {package} | {took['seconds']:.1f} | {took['busy']:.1f} | "
                    f"{took['peak'] / 2**20:.0f} | {compare(folder, labels)} |",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--python", help="an interpreter that has the other packages")
    parser.add_argument(
        "--timeout", type=float, default=600, help="seconds after which a package is given up"
    )
    parser.add_argument("--scratch", help="a folder with room for the images")
    main(parser.parse_args())
