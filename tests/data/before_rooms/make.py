"""Make the test data of `tests/test_written_before.py`: what a build left on disk.

It was run at commit b36aa5b9ba5998412be66af1f0b0ebd815463abc, before modules and classes were
renamed, with ``python tests/data/before_rooms/make.py``. It needs that commit: later builds would
write other data, and these files are here because they are old.

Each archive is a folder as it was left, with absolute paths below `ROOT`. Unfinished runs and the
batch were ended by SIGKILL. Only ``key.json`` is no file of the build: it holds the text that a
run's key is the digest of, so that a test can compute the key of the same run in another folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = Path("/tmp/before_rooms")
HOST = "workstation"

OPTIONS: dict[str, Any] = {"axes": "yx", "workers": 2, "executor": "threads", "memory": "2 GiB"}


def scene(height: int, width: int, count: int) -> np.ndarray:
    """Return an image of overlapping rectangles."""
    rng = np.random.default_rng(5)
    image = np.full((height, width), 20, np.uint8)
    for _ in range(count):
        y, x = rng.integers(0, height), rng.integers(0, width)
        tall, wide = rng.integers(3, height // 6), rng.integers(3, width // 6)
        image[y : y + tall, x : x + wide] = rng.integers(30, 250)
    return image


def maze() -> np.ndarray:
    """Return a meander that crosses tiles several times: a reconstruction follows it in sweeps."""
    mask = np.zeros((600, 1100), np.uint8)
    for number, row in enumerate((20, 200, 380, 560)):
        mask[row : row + 4, 10:1090] = 200
        side = 1086 if number % 2 == 0 else 10
        mask[row : row + 184, side : side + 4] = 200
    return mask


# -- recipes ---------------------------------------------------------------------------------------


def write_recipes() -> None:
    """Write the recipes of today's version; those of version 1 were written by hand."""
    import napari_tilewise as tw
    from napari_tilewise.functions.loading import load_file
    from napari_tilewise.recipe import Step

    load_file(HERE / "recipes" / "own_ops.py")
    recipes = {
        "chain": tw.Recipe(
            [
                ("filters.median", {"footprint": np.ones((3, 3), np.uint8)}),
                "filters.threshold_otsu",
                ("morphology.remove_small_objects", {"max_size": 20}),
                ("measure.label", {"connectivity": 1}),
            ]
        ),
        "inputs": tw.Recipe(
            [
                Step("filters.sobel", inputs={"mask": "inside"}),
                Step(
                    "segmentation.watershed",
                    {"connectivity": 2},
                    inputs={"markers": "seeds", "mask": "inside"},
                ),
            ],
            ["seeds", "inside"],
        ),
        "parts": tw.Recipe(
            [
                Step("filters.gaussian", {"sigma": (1.0, 2.0)}, "smooth", spatial="yx"),
                Step(
                    "feature.hessian_matrix",
                    {"sigma": 1.5, "order": "rc", "use_gaussian_derivatives": False},
                    "hessian",
                ),
                Step("filters.sobel", inputs={"image": "hessian[2]"}, enabled=False),
                Step("filters.scharr", inputs={"image": "hessian[2]"}, spatial=(-2, -1)),
            ]
        ),
        "seed": tw.Recipe(
            [
                ("util.random_noise", {"mode": "s&p", "rng": 7, "amount": 0.1}),
                ("filters.threshold_multiotsu", {"classes": 3, "nbins": 64}),
            ]
        ),
        "own_function": tw.Recipe([("own_ops.widen", {"radius": 2}), "filters.threshold_otsu"]),
    }
    for name, recipe in recipes.items():
        recipe.save(HERE / "recipes" / f"{name}.yaml")


# -- finished outputs ------------------------------------------------------------------------------


def write_outputs(folder: Path) -> None:
    """Write an output of each format beside its source."""
    import napari_tilewise as tw
    from napari_tilewise.recipe import Step

    np.save(folder / "source.npy", scene(40, 48, 30))
    np.save(folder / "inside.npy", scene(40, 48, 30) > 90)
    median = ("filters.median", {"footprint": np.ones((3, 3), np.uint8)})
    labels = tw.Recipe([median, "filters.threshold_otsu", "measure.label"])
    properties = {"properties": ("label", "area", "bbox", "intensity_max")}
    table = Step("measure.regionprops_table", properties, inputs={"intensity_image": "source"})
    masked = tw.Recipe([Step("segmentation.clear_border", inputs={"mask": "where"})], ["where"])
    noisy = tw.Recipe([("util.random_noise", {"mode": "s&p"}), "util.img_as_ubyte"])
    jobs: dict[str, Any] = {
        "labels.ome.zarr": (labels, {}),
        "labels-0.4.ome.zarr": (labels, {"ome_zarr": "0.4"}),
        "noise.ome.tif": (noisy, {}),
        "median.tif": (tw.Recipe([median]), {}),
        "inverted.png": (tw.Recipe(["util.invert"]), {}),
        "cleared.npy": (masked, {"inputs": {"where": folder / "inside.npy"}}),
        "regions.csv": (labels.then(table), {}),
        "euler.json": (tw.Recipe(["filters.threshold_otsu", "measure.euler_number"]), {}),
    }
    for name, (recipe, options) in jobs.items():
        tw.run(recipe, folder / "source.npy", folder / name, axes="yx", **options)


# -- unfinished runs -------------------------------------------------------------------------------


def die_at(kind: str, what: str | None, at: int) -> Any:
    """Return a listener that ends this process at the n-th event of a kind, of a pass."""
    count = 0

    def listen(event: Any) -> None:
        nonlocal count
        if type(event).__name__ == kind and what in (None, event.what):
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

    return listen


def note_preimage(folder: Path, **parts: Any) -> None:
    """Add to the file of what keys are digests of."""
    path = folder / "key.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **parts}))


def note_preimage_of_runs(folder: Path) -> None:
    """Have what the key of a run is the digest of noted."""
    from napari_tilewise import resuming

    key_of = resuming._key

    def noted(plan: Any, history: Any, pyramid: bool) -> str:
        key = key_of(plan, history, pyramid)
        grid = (plan.tile, plan.chunks, plan.axes, pyramid, tuple(map(str, plan.chain.kept)))
        text = json.dumps([resuming._deciding(history), grid])
        assert blake2b(text.encode(), digest_size=16).hexdigest() == key
        note_preimage(folder, deciding=json.loads(resuming._deciding(history)), grid=grid)
        return key

    resuming._key = noted


def neighbourhood(folder: Path) -> None:
    """Die when 2 of the 6 tiles are written."""
    import napari_tilewise as tw

    recipe = ("filters.median", {"footprint": np.ones((3, 3), np.uint8)})
    np.save(folder / "source.npy", scene(1100, 600, 60))
    listener = die_at("TileDone", "filters.median", 2)
    tw.run(recipe, folder / "source.npy", folder / "a.ome.zarr", progress=listener, **OPTIONS)


def statistic(folder: Path) -> None:
    """Die when both passes are done, and 2 tiles are written."""
    import napari_tilewise as tw

    np.save(folder / "source.npy", scene(1100, 600, 60))
    listener = die_at("TileDone", "exposure.equalize_hist", 2)
    options = {**OPTIONS, "pyramid": False, "progress": listener}
    tw.run("exposure.equalize_hist", folder / "source.npy", folder / "a.ome.zarr", **options)


def connected(folder: Path) -> None:
    """Die when all passes are done and 3 tiles are written; results between steps are stored."""
    _label(folder, "measure.label", 3)


def gathering(folder: Path) -> None:
    """Die in the middle of the pass that joins connected pieces."""
    from napari_tilewise.engine import findings

    findings.INTERVAL = 0
    _label(folder, "measure.label: connected pieces", 4)


def _label(folder: Path, what: str, at: int) -> None:
    import napari_tilewise as tw
    from napari_tilewise.functions.loading import load_file

    shutil.copy(HERE / "recipes" / "own_ops.py", folder)
    load_file(folder / "own_ops.py")
    np.save(folder / "source.npy", scene(1100, 600, 60))
    recipe = [("own_ops.widen", {"radius": 2}), "filters.threshold_otsu", "measure.label"]
    options = {**OPTIONS, "pyramid": False, "progress": die_at("TileDone", what, at)}
    tw.run(recipe, folder / "source.npy", folder / "a.ome.zarr", **options)


def sweep(folder: Path) -> None:
    """Die in the fifth sweep of a reconstruction under a mask that is a further image."""
    import napari_tilewise as tw
    from napari_tilewise.engine import sweeping
    from napari_tilewise.recipe import Step

    sweeping.IN_MEMORY = sweeping.INTERVAL = 0
    marker = np.zeros_like(maze())
    marker[20, 10] = 200
    np.save(folder / "source.npy", marker)
    np.save(folder / "mask.npy", maze())
    step = Step("morphology.reconstruction", inputs={"mask": "above"})
    listener = die_at("PassStarted", "morphology.reconstruction: reconstruction", 6)
    tw.run(
        tw.Recipe([step], ["above"]), folder / "source.npy", folder / "a.ome.zarr",
        inputs={"above": folder / "mask.npy"}, pyramid=False, progress=listener, **OPTIONS,
    )  # fmt: skip


def conversion(folder: Path) -> None:
    """Die when 3 of the 6 tiles of a conversion are written."""
    from napari_tilewise.convert import convert

    np.save(folder / "source.npy", scene(1100, 600, 60))
    options = {"axes": "yx", "labels": True, "workers": 2, "memory": "2 GiB"}
    listener = die_at("TileDone", None, 3)
    convert(folder / "source.npy", folder / "a.ome.zarr", progress=listener, **options)


def batch(folder: Path) -> None:
    """Die when three of six items are done and the pixels of the fourth are written."""
    from napari_tilewise.batching import work
    from napari_tilewise.engine.account import Account

    import napari_tilewise as tw

    (folder / "in").mkdir()
    for number in range(6):
        np.save(folder / "in" / f"c{number}.npy", scene(40, 48, 20 + number))
    items: dict[str, Any] = {}
    key_of, note = work.key_of, Account.note

    def noted(task: Any) -> str:
        item = task.item
        items[task.target.base] = (work.fingerprint(item.source), item.places, item.axes)
        note_preimage(folder, work=task.work.describe(), items=items)
        return key_of(task)

    def die_in_the_fourth(self: Account, what: str, position: tuple[int, ...]) -> None:
        note(self, what, position)
        if len(items) == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    work.key_of, Account.note = noted, die_in_the_fourth
    tw.batch(
        ("filters.median", {"footprint": np.ones((3, 3), np.uint8)}),
        str(folder / "in" / "*.npy"), folder / "out", backend="serial", name="{stem}_{recipe}.npy",
    )  # fmt: skip


RUNS = {
    run.__name__: run
    for run in (neighbourhood, statistic, connected, gathering, sweep, conversion, batch)
}


def leave(name: str) -> None:
    """Do an unfinished run in this process, which ends."""
    socket.gethostname = partial(str, HOST)
    note_preimage_of_runs(ROOT / name)
    RUNS[name](ROOT / name)


def main() -> None:
    """Make everything."""
    shutil.rmtree(ROOT, ignore_errors=True)
    write_recipes()
    for name in RUNS:
        (ROOT / name).mkdir(parents=True)
        state = {**os.environ, "NAPARI_TILEWISE_STATE": str(ROOT / name / "state")}
        child = subprocess.run([sys.executable, __file__, name], env=state, check=False)
        assert child.returncode == -signal.SIGKILL, name
        shutil.make_archive(str(HERE / name), "zip", ROOT / name)
    (ROOT / "outputs").mkdir()
    write_outputs(ROOT / "outputs")
    shutil.make_archive(str(HERE / "outputs"), "zip", ROOT / "outputs")
    shutil.rmtree(ROOT)


if __name__ == "__main__":
    leave(sys.argv[1]) if len(sys.argv) > 1 else main()
