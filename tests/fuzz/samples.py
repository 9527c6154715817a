"""Small valid samples of everything that others may have written."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import h5py
import numpy as np
import tifffile
import yaml
import zarr
from PIL import Image as Picture

import napari_tilewise as tw
from napari_tilewise.errors import TilewiseError
from tests.io.leica import write_lif
from tests.io.nikon import write_nd2
from tests.io.test_formats import write

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 250, (40, 52), np.uint8)
STACK = RNG.integers(0, 60000, (3, 40, 52)).astype(np.uint16)
COLOURS = RNG.integers(0, 250, (40, 52, 3), np.uint8)
RECIPES = (
    "filters.gaussian", ("filters.median", {"footprint": np.ones((3, 3), int)}),
    ("morphology.white_tophat", {}), ("measure.label", {"connectivity": 1}),
    ("transform.resize", {"output_shape": [20, 20]}), "measure.regionprops_table",
)  # fmt: skip


def write_files(folder: Path) -> None:
    """Write an image in every format that is read."""
    folder.mkdir()
    channels = {"channels": tw.open(_zarr(folder / "s.ome.zarr")).channels}
    write(folder / "four.ome.zarr", STACK, "zyx", ome_zarr="0.4")
    write(folder / "shards.ome.zarr", STACK, "cyx", shards=(1, 40, 52), chunks=(1, 20, 26))
    write(folder / "a.ome.tif", STACK, "cyx", scale=(1.0, 0.5, 0.5), **channels)
    write(folder / "imagej.tif", STACK, "zyx", scale=(2.0, 0.5, 0.5))
    write(folder / "a.npy", STACK, "zyx")
    write(folder / "a.png", PLANE, "yx")
    zarr.create_array(folder / "two.zarr", data=STACK, chunks=(1, 20, 20), zarr_format=2)
    tifffile.imwrite(folder / "plain.tif", PLANE)
    tifffile.imwrite(folder / "tiles.tif", PLANE, tile=(16, 16), compression="deflate", predictor=2)
    tifffile.imwrite(
        folder / "lzw.tif", STACK, photometric="minisblack", compression="lzw", rowsperstrip=7
    )
    tifffile.imwrite(folder / "rgb.tif", COLOURS, photometric="rgb", compression="zstd")
    palette = RNG.integers(0, 65535, (3, 256)).astype(np.uint16)
    tifffile.imwrite(folder / "palette.tif", PLANE, photometric="palette", colormap=palette)
    tifffile.imwrite(
        folder / "big.btf", STACK, bigtiff=True, photometric="minisblack", metadata={"axes": "TYX"}
    )
    for suffix in ("jpg", "gif", "bmp", "webp", "jp2", "ppm", "tga"):
        Picture.fromarray(COLOURS).save(folder / f"a.{suffix}")
    Picture.fromarray(STACK[0]).save(folder / "deep.png")
    Picture.fromarray(PLANE).convert("P").save(folder / "palette.png")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("raw", data=STACK, chunks=(1, 20, 20), compression="gzip")
        file["raw"].attrs["element_size_um"] = [2.0, 0.5, 0.5]
    write_lif(folder / "a.lif", STACK[None], (2.0, 0.5, 0.5))
    write_nd2(folder / "a.nd2", STACK[None], (2.0, 0.5, 0.5))


def _zarr(path: Path) -> Path:
    result: Path = tw.convert(STACK, path, axes="cyx").path
    return result


def recipe_texts() -> list[str]:
    """Return recipes as the files of users have them."""
    texts = [_text(tw.Recipe([step])) for step in RECIPES]
    steps = [("filters.gaussian", {"sigma": [1, 2]}), "filters.threshold_otsu", "measure.label"]
    texts.append(_text(tw.Recipe(steps)))
    named = {
        "steps": [
            {"name": "smooth", "filters.gaussian": {"sigma": 1e-3}},
            {"name": "mask", "filters.threshold_local": {"image": "smooth", "block_size": 5}},
            {"morphology.remove_small_objects": {"ar": "mask", "max_size": 9}},
        ]
    }
    texts.append(yaml.safe_dump(named, sort_keys=False))
    return texts


def _text(recipe: tw.Recipe) -> str:
    return yaml.safe_dump(recipe.to_dict(), sort_keys=False)


def write_records(folder: Path) -> None:
    """Write outputs of runs, each with its record and beside its source."""
    folder.mkdir()
    np.save(folder / "source.npy", PLANE)
    recipe = tw.Recipe(["filters.gaussian", "filters.threshold_otsu", "measure.label"])
    tw.run(recipe, folder / "source.npy", folder / "out.ome.zarr")
    tw.run("filters.threshold_otsu", folder / "source.npy", folder / "out.json")
    labels = tw.Recipe(["filters.threshold_otsu", "measure.label", "measure.regionprops_table"])
    tw.run(labels, folder / "source.npy", folder / "out.csv")


def write_unfinished(folder: Path) -> None:
    """Leave a run interrupted, with its checkpoint, and a batch's folder with its journal."""
    folder.mkdir()
    np.save(folder / "source.npy", np.stack([STACK[0]] * 6))
    cancel = threading.Event()
    pending = [4]

    def listen(event: object) -> None:
        pending[0] -= type(event).__name__ == "TileDone"
        if not pending[0]:
            cancel.set()

    try:
        resumed_run(folder, cancel=cancel, progress=listen)
    except TilewiseError:
        pass
    for number in range(3):
        np.save(folder / f"item{number}.npy", PLANE[:, number:])
    resumed_batch(folder)


def resumed_run(folder: Path, **options: object) -> None:
    """Start the run of `write_unfinished`, or go on with it."""
    steps = ["filters.gaussian", ("exposure.rescale_intensity", {})]
    source, output = folder / "source.npy", folder / "out.ome.zarr"
    tw.run(tw.Recipe(steps), source, output, axes="zyx", spatial="yx", workers=1, **options)


def resumed_batch(folder: Path) -> None:
    """Start the batch of `write_unfinished`, or go on with it."""
    tw.batch("filters.sobel", folder / "item*.npy", folder / "out", n_jobs=1, backend="serial")


def write_arguments(folder: Path) -> None:
    """Write what the shell's arguments name."""
    folder.mkdir()
    np.save(folder / "a.npy", PLANE)
    np.save(folder / "b.npy", PLANE)
    (folder / "r.yaml").write_text(recipe_texts()[-2])
    tw.run("filters.gaussian", folder / "a.npy", folder / "g.ome.zarr")
    (folder / "plain.json").write_text(json.dumps({"a": 1}))
