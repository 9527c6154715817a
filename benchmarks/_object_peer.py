"""One library's labels or table of objects, in a process of its own; see `object_peers`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def our_labels(folder: Path) -> None:
    """Label with napari-tilewise, from a file to a file."""
    import napari_tilewise as tw

    tw.run("measure.label", folder / "mask.zarr", folder / "found.ome.zarr", pyramid=False)


def dask_image_labels(folder: Path) -> None:
    """Label with dask-image, and store."""
    import dask.array as da
    from dask_image import ndmeasure

    mask = da.from_zarr(str(folder / "mask.zarr"))
    labels, _ = ndmeasure.label(mask, structure=np.ones((3, 3), int))
    da.to_zarr(labels, str(folder / "found.zarr"))


def label_tile(tile: np.ndarray) -> np.ndarray:
    """Label one tile, as a user of patchworks does."""
    from skimage import measure

    return np.asarray(measure.label(tile > 0).astype(np.int32))


def patchworks_labels(folder: Path) -> None:
    """Label tile by tile with patchworks, which joins what touches."""
    import dask.array as da
    from patchworks import tile_process

    mask = da.from_zarr(str(folder / "mask.zarr"))
    result = str(folder / "found.zarr")
    tile_process(
        mask,
        label_tile,
        write_to=result,
        progress=False,
        channel=None,
        pyramid_levels=1,
        overlap=16,
    )


def our_table(folder: Path) -> dict[str, Any]:
    """Measure with napari-tilewise."""
    import napari_tilewise as tw
    from napari_tilewise.recipe.step import Step

    step = Step(
        "measure.regionprops_table",
        {"properties": ("label", "area", "centroid", "intensity_mean")},
        inputs={"intensity_image": "intensity"},
    )
    recipe = tw.Recipe([step], inputs=["intensity"])
    inputs = {"intensity": folder / "image.zarr"}
    value = tw.run(recipe, folder / "labels.zarr", folder / "table.csv", inputs=inputs).value
    columns = ("label", "area", "centroid-0", "intensity_mean")
    return {name: np.asarray(value[name]) for name in columns}


def dask_image_table(folder: Path) -> dict[str, Any]:
    """Measure with dask-image."""
    import dask
    import dask.array as da
    from dask_image import ndmeasure

    labels = da.from_zarr(str(folder / "labels.zarr"))
    image = da.from_zarr(str(folder / "image.zarr"))
    ids = np.arange(1, int(labels.max().compute()) + 1)
    area = ndmeasure.area(image, labels, ids)
    centre = ndmeasure.center_of_mass(labels > 0, labels, ids)
    mean = ndmeasure.mean(image, labels, ids)
    area, centre, mean = dask.compute(area, centre, mean)
    return {"label": ids, "area": area, "centroid-0": centre[:, 0], "intensity_mean": mean}


def chunked_regionprops_table(folder: Path) -> dict[str, Any]:
    """Measure with napari-chunked-regionprops."""
    import dask.array as da
    from napari_chunked_regionprops import measure_labels

    frame = measure_labels(
        da.from_zarr(str(folder / "image.zarr")),
        da.from_zarr(str(folder / "labels.zarr")),
        stats=("area_voxels", "centroid", "mean_intensity"),
    )
    first = next(name for name in frame if name.startswith("centroid"))
    columns = {"area": "area_voxels", "centroid-0": first, "intensity_mean": "mean_intensity"}
    return {"label": frame.index.to_numpy()} | {
        ours: frame[theirs].to_numpy() for ours, theirs in columns.items()
    }


def peak() -> int:
    """Return the most memory that this process held, in bytes.

    What `getrusage` says begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run the function that is named, store its table, and print what it took."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    started = time.perf_counter()
    table = globals()[name](folder)
    seconds, busy = time.perf_counter() - started, time.process_time()
    if table is not None:
        np.savez(folder / "found.npz", **table)
    print(json.dumps({"seconds": seconds, "busy": busy, "peak": peak()}))


if __name__ == "__main__":
    main()
