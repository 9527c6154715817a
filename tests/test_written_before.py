"""What an earlier build wrote still loads: recipes, records inside outputs, unfinished runs.

`data/before_rooms/make.py` made the files, at a commit before modules and classes were renamed.
Archives are unpacked to another folder, on whatever machine: paths, host, processes and versions of
libraries in them become those of the test, and the keys that depend on these are computed from the
recorded text. So a test fails if the text of a key changes, or if journals or names of files are
no longer read. What its passes found is pickled there: no pickle is read from a folder that others
may write to, so those passes are done again, and nothing else.
"""

from __future__ import annotations

import json
import platform
import shutil
import socket
import sys
import time
import zlib
from collections import Counter
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zarr
from skimage import exposure, feature, filters, measure, morphology, segmentation, util

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.engine.checkpoints.pass_results import read_value
from napari_tilewise.functions import load_file
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance.record import read
from napari_tilewise.recipe import Step
from napari_tilewise.runs.convert import convert

DATA = Path(__file__).parent / "data" / "before_rooms"
ROOT = "/tmp/before_rooms"
"""The folder that every path in the archives is below."""
NO_PROCESS = 2**22 + 1
"""A number above those of processes."""
SQUARE = np.ones((3, 3), np.uint8)
MEDIAN = ("filters.median", {"footprint": SQUARE})


@pytest.fixture
def own_ops():
    """Load a user's functions from a file, and unload them in the end."""
    users = {op.name for op in tw.OPERATIONS.users()}
    yield load_file
    tw.OPERATIONS.forget(*({op.name for op in tw.OPERATIONS.users()} - users))
    sys.modules.pop("own_ops", None)


def widened(image: np.ndarray) -> np.ndarray:
    """Return what the user's function makes of a whole image."""
    return morphology.dilation(image, np.ones((5, 5)))


def whole_wide_labels(image: np.ndarray) -> np.ndarray:
    wide = widened(image)
    return measure.label(wide > filters.threshold_otsu(wide))


# -- recipes ---------------------------------------------------------------------------------------

IMAGE = np.random.default_rng(3).integers(0, 255, (40, 48)).astype(np.uint8)
INSIDE = IMAGE > 20
SEEDS = np.where(IMAGE > 250, np.arange(IMAGE.size).reshape(IMAGE.shape), 0).astype(np.int32)


def whole_watershed(image: np.ndarray) -> np.ndarray:
    edges = filters.sobel(image, mask=INSIDE)
    return segmentation.watershed(edges, SEEDS, mask=INSIDE, connectivity=2)


def whole_edges(image: np.ndarray) -> np.ndarray:
    smooth = filters.gaussian(image, (1.0, 2.0))
    parts = feature.hessian_matrix(smooth, 1.5, order="rc", use_gaussian_derivatives=False)
    return filters.scharr(parts[2])


def whole_regions(image: np.ndarray) -> np.ndarray:
    noisy = util.random_noise(image, "s&p", rng=7, amount=0.1)
    return np.digitize(noisy, filters.threshold_multiotsu(noisy, 3, 64))


def whole_labels(image: np.ndarray, connectivity: int | None = None) -> np.ndarray:
    mask = morphology.remove_small_objects(image > filters.threshold_otsu(image), max_size=20)
    return measure.label(mask, connectivity=connectivity)


RECIPES: dict[str, tuple[tw.Recipe, Any]] = {
    "chain": (
        tw.Recipe(
            [
                MEDIAN,
                "filters.threshold_otsu",
                ("morphology.remove_small_objects", {"max_size": 20}),
                ("measure.label", {"connectivity": 1}),
            ]
        ),
        lambda image: whole_labels(filters.median(image, SQUARE), 1),
    ),
    "inputs": (
        tw.Recipe(
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
        whole_watershed,
    ),
    "parts": (
        tw.Recipe(
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
        whole_edges,
    ),
    "seed": (
        tw.Recipe(
            [
                ("util.random_noise", {"mode": "s&p", "rng": 7, "amount": 0.1}),
                ("filters.threshold_multiotsu", {"classes": 3, "nbins": 64}),
            ]
        ),
        whole_regions,
    ),
    "version_1": (
        tw.Recipe(
            [
                "filters.threshold_otsu",
                ("morphology.remove_small_objects", {"max_size": 20}),
                "measure.label",
            ]
        ),
        whole_labels,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_and_does_what_it_did(name: str, tmp_path: Path) -> None:
    """A file is the recipe that was saved to it, and gives scikit-image's result on the whole."""
    expected, whole = RECIPES[name]
    recipe = tw.Recipe.load(DATA / "recipes" / f"{name}.yaml")
    assert recipe == expected
    assert tw.Recipe.load(recipe.save(tmp_path / "again.yaml")) == expected
    inputs = {key: {"seeds": SEEDS, "inside": INSIDE}[key] for key in recipe.inputs}
    path = tw.run(recipe, IMAGE, tmp_path / "a.ome.zarr", inputs=inputs, axes="yx").path
    np.testing.assert_array_equal(open_image(path).data[:], whole(IMAGE))


def test_a_recipe_of_a_users_function_loads_with_its_file(own_ops: Any, tmp_path: Path) -> None:
    """A recipe names a user's function as it did, and an old file of functions loads."""
    path = DATA / "recipes" / "own_function.yaml"
    with pytest.raises(tw.TilewiseError, match=r"own_ops\.widen"):
        tw.Recipe.load(path)
    own_ops(shutil.copy(DATA / "recipes" / "own_ops.py", tmp_path))
    recipe = tw.Recipe.load(path)
    assert recipe == tw.Recipe([("own_ops.widen", {"radius": 2}), "filters.threshold_otsu"])
    output = tw.run(recipe, IMAGE, tmp_path / "a.ome.zarr", axes="yx").path
    wide = widened(IMAGE)
    np.testing.assert_array_equal(open_image(output).data[:], wide > filters.threshold_otsu(wide))


# -- outputs ---------------------------------------------------------------------------------------

LABELS = tw.Recipe([MEDIAN, "filters.threshold_otsu", "measure.label"])
TABLE = Step(
    "measure.regionprops_table",
    {"properties": ("label", "area", "bbox", "intensity_max")},
    inputs={"intensity_image": "source"},
)
CLEARED = tw.Recipe([Step("segmentation.clear_border", inputs={"mask": "where"})], ["where"])
NOISE = ["util.random_noise", "util.img_as_ubyte"]
OUTPUTS: dict[str, tw.Recipe | list[str]] = {
    "labels.ome.zarr": LABELS,
    "labels-0.4.ome.zarr": LABELS,
    "noise.ome.tif": NOISE,
    "median.tif": tw.Recipe([MEDIAN]),
    "inverted.png": tw.Recipe(["util.invert"]),
    "cleared.npy": tw.Recipe(
        [Step("segmentation.clear_border", inputs={"mask": "where"})], ["where"]
    ),
    "regions.csv": LABELS.then(TABLE),
    "euler.json": tw.Recipe(["filters.threshold_otsu", "measure.euler_number"]),
}


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Return a folder of outputs, which was moved together with their sources."""
    shutil.unpack_archive(DATA / "outputs.zip", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_record_tells_what_made_the_output(name: str, outputs: Path, capfd: Any) -> None:
    """The recipe in a record is the one that ran; the shell's info shows source and versions."""
    recipe, expected = tw.Recipe.from_dict(read(outputs / name)["recipe"]), OUTPUTS[name]
    if isinstance(expected, list):
        assert [step.operation for step in recipe.steps] == expected
        assert isinstance(recipe.steps[0].parameters["rng"], int)  # chosen for the run
    else:
        assert recipe == expected
    assert main(["info", str(outputs / name)]) == 0
    history = yaml.safe_load(capfd.readouterr().out)["made_by"]
    assert history["source"]["location"] == f"{ROOT}/outputs/source.npy"
    assert history["versions"]["napari-tilewise"] == "0.1.0"
    steps = [step.operation for step in recipe.steps]
    assert ("filters.threshold_otsu" in str(history.get("values"))) == (
        "filters.threshold_otsu" in steps
    )


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_is_made_again_from_its_record(name: str, outputs: Path, capfd: Any) -> None:
    """The shell's rerun finds the moved source and makes the same pixels, numbers or rows."""
    assert main(["rerun", str(outputs / name)]) == 0
    out, err = capfd.readouterr()
    assert out == "identical\n"
    assert str(outputs / "source.npy") in err
    assert "has changed" not in err


# -- unfinished runs -------------------------------------------------------------------------------


def localized(value: Any, folder: Path) -> Any:
    """Return facts of a run as if it had run in this folder, on this machine, just now."""
    if isinstance(value, dict):
        return {key: _localized_fact(key, item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [localized(item, folder) for item in value]
    if isinstance(value, str) and value.startswith(ROOT):
        return str(folder.joinpath(*value.removeprefix(ROOT).split("/")[2:]))
    return value


def _localized_fact(key: str, value: Any, folder: Path) -> Any:
    if key == "versions":
        return {name: _version(name) for name in value}
    if key == "time" and isinstance(value, int):
        return int(time.time())
    facts = {"host": socket.gethostname(), "pid": NO_PROCESS, "process": NO_PROCESS}
    return facts[key] if key in facts else localized(value, folder)


def _version(name: str) -> str:
    return platform.python_version() if name == "python" else metadata.version(name)


def digest(text: str, size: int = 16) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()


def unpacked(name: str, folder: Path) -> Path:
    """Unpack what a run left, as if it had run in this folder and on this machine."""
    shutil.unpack_archive(DATA / f"{name}.zip", folder)
    preimage = localized(json.loads((folder / "key.json").read_text()), folder)
    (folder / "key.json").unlink()
    for path in (*folder.glob("**/zarr.json"), *folder.glob("**/*.provenance.json")):
        path.write_text(json.dumps(localized(json.loads(path.read_text()), folder)))
    deciding = json.dumps(preimage["deciding"], sort_keys=True)
    key = digest(json.dumps([deciding, preimage["grid"]]))
    for path in folder.glob("**/.*.run/journal"):
        texts = [line.partition(" ")[2] for line in path.read_text().splitlines()]
        entries = [localized(json.loads(text), folder) for text in texts]
        assert entries[0]["key"]
        entries[0]["key"] = key
        lines = (json.dumps(entry).encode() for entry in entries)
        path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    for path in folder.glob("**/batch.jsonl"):
        rows = [localized(json.loads(line), folder) for line in path.read_text().splitlines()]
        work = digest(json.dumps(preimage["work"], sort_keys=True), 64)
        for row in rows:
            if "key" in row:
                row["key"] = digest(json.dumps([work, *preimage["items"][row["target"]]]))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path,) = (folder / "state").glob("*.json")
    entry = localized(json.loads(path.read_text()), folder)
    path.unlink()
    name_of_entry = digest(f"{entry['kind']} {entry['destination']}", 12)
    path.with_name(f"{name_of_entry}.json").write_text(json.dumps(entry))
    return folder


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the register, which the archives hold."""
    folder = tmp_path / "state"
    monkeypatch.setenv("NAPARI_TILEWISE_STATE", str(folder))
    return folder


class Run:
    """An unfinished run: what it does, and what is left to do."""

    def __init__(self, recipe: Any, whole: Any, done: int, todo: list[int], **options: Any) -> None:
        self.recipe = recipe
        self.whole = whole
        self.done = done
        """Tiles of the output that are done, of 6."""
        self.todo = todo
        """How many tiles each pass has left, the first pass that is not done first."""
        self.options = {"axes": "yx", "workers": 2, "executor": "threads", **options}

    def inputs(self, folder: Path) -> dict[str, Path]:
        names = self.recipe.inputs if isinstance(self.recipe, tw.Recipe) else ()
        return dict.fromkeys(names, folder / "mask.npy")

    def expected(self, folder: Path) -> np.ndarray:
        """Return scikit-image's result on the whole images."""
        images = ("source.npy", *(path.name for path in self.inputs(folder).values()))
        return self.whole(*(np.load(folder / image) for image in images))


UNDER = tw.Recipe([Step("morphology.reconstruction", inputs={"mask": "above"})], ["above"])
WIDE_LABELS = [("own_ops.widen", {"radius": 2}), "filters.threshold_otsu", "measure.label"]
SWEEPS = [6, 6, 4, 6, 4, 6, 4, 6, 4, 4, 6, 4, 6]
"""A start and all sweeps: their state was pickled."""
# That build took the range of an image and then its histogram; today one pass counts every level of
# 8- and 16-bit images, so that this pass, of 6 tiles, is done again. Tiles of the output are not,
# nor are those of the user's function.
RUNS = {
    "neighbourhood": Run(MEDIAN, lambda image: filters.median(image, SQUARE), 2, [4, 2]),
    "statistic": Run("exposure.equalize_hist", exposure.equalize_hist, 2, [6, 4], pyramid=False),
    "connected": Run(WIDE_LABELS, whole_wide_labels, 3, [6, 6, 3], pyramid=False),
    "gathering": Run(WIDE_LABELS, whole_wide_labels, 0, [6, 6, 6], pyramid=False),
    "sweep": Run(UNDER, morphology.reconstruction, 0, SWEEPS, pyramid=False),
}
ALL_RUNS = {**RUNS, "conversion": Run(None, lambda image: image, 3, [])}


def prepared(name: str, folder: Path, load: Any) -> Path:
    """Return where a run writes to, after all that it needs is there."""
    unpacked(name, folder)
    if (folder / "own_ops.py").exists():
        load(folder / "own_ops.py")
    return folder / "a.ome.zarr"


def check_complete(run: Run, path: Path, state: Path) -> None:
    """Check pixels, and that nothing is left of the unfinished run."""
    pixels = zarr.open_group(path, mode="r")["0"][:]
    np.testing.assert_array_equal(pixels, run.expected(path.parent))
    assert not list(path.parent.glob(".*"))
    assert not list(state.iterdir())


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_resumed_and_no_tile_is_written_again(
    name: str, tmp_path: Path, state: Path, own_ops: Any
) -> None:
    """What is written or stored of a run counts: only what is not done, or pickled, is done."""
    run, events = RUNS[name], []
    path = prepared(name, tmp_path, own_ops)
    calls = tmp_path / "own_ops.calls"
    before = calls.read_text() if calls.exists() else ""
    source, inputs = tmp_path / "source.npy", run.inputs(tmp_path)
    tw.run(run.recipe, source, path, inputs=inputs, progress=events.append, **run.options)
    (resumed,) = (event for event in events if type(event).__name__ == "RunResumed")
    assert (resumed.done, resumed.tiles) == (run.done, 6)
    assert tiles_of_passes(events) == run.todo
    assert (calls.read_text() if calls.exists() else "") == before  # its pixels are stored
    check_complete(run, path, state)


def tiles_of_passes(events: list[Any]) -> list[int]:
    """Return how many tiles each pass did."""
    counts: list[int] = []
    for event in events:
        if type(event).__name__ == "PassStarted":
            counts.append(0)
        elif type(event).__name__ == "TileDone":
            counts[-1] += 1
    return counts


def test_a_conversion_is_resumed_and_writes_no_tile_again(tmp_path: Path, state: Path) -> None:
    """A conversion that was interrupted has its own past, and resumes like a run."""
    path, events = prepared("conversion", tmp_path, None), []
    options = {"axes": "yx", "labels": True, "workers": 2}
    convert(tmp_path / "source.npy", path, progress=events.append, **options)
    assert [event.done for event in events if type(event).__name__ == "RunResumed"] == [3]
    assert tiles_of_passes(events)[0] == 3
    assert open_image(path).labels
    check_complete(ALL_RUNS["conversion"], path, state)


@pytest.mark.parametrize("name", ALL_RUNS)
def test_the_shell_lists_and_resumes_a_run(
    name: str, tmp_path: Path, state: Path, own_ops: Any, capfd: Any
) -> None:
    """The registry's entry leads to the run; all that it was asked for stands beside its output."""
    run, path = ALL_RUNS[name], prepared(name, tmp_path, own_ops)
    assert main(["runs"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert f"  {path}  " in line
    assert str(tmp_path / "source.npy") in line
    assert f"{run.done} of 6 tiles" in line
    assert main(["runs", "--resume", str(path)]) == 0
    assert capfd.readouterr().out.strip() == str(path)
    check_complete(run, path, state)


def check_batch(folder: Path, state: Path) -> None:
    """Check the images of a batch, and that nothing is left of the unfinished one."""
    for number in range(6):
        image = np.load(folder / "in" / f"c{number}.npy")
        output = np.load(folder / "out" / f"c{number}_median.npy")
        np.testing.assert_array_equal(output, filters.median(image, SQUARE))
    assert not list((folder / "out").glob(".*"))
    assert not list(state.iterdir())


def test_a_batch_is_resumed_and_does_no_item_again(tmp_path: Path, state: Path) -> None:
    """Three of six items are done, and the other three are made, also the one that was in work."""
    events: list[Any] = []
    unpacked("batch", tmp_path)
    report = tw.batch(
        MEDIAN, str(tmp_path / "in" / "*.npy"), tmp_path / "out", backend="serial",
        name="{stem}_{recipe}.npy", progress=events.append,
    )  # fmt: skip
    rows = [event.row for event in events if type(event).__name__ == "ItemDone"]
    assert Counter(row["status"] for row in rows) == {"skipped": 3, "done": 3}
    assert {row["item"] for row in rows if row["status"] == "skipped"} == {"c0", "c1", "c2"}
    assert (report.done, report.skipped, report.failed) == (3, 3, 0)
    check_batch(tmp_path, state)


def test_a_batch_replaces_what_an_item_left_before_its_row(tmp_path: Path, state: Path) -> None:
    """An item that the journal says was begun, but not what came of it, is made once more."""
    unpacked("batch", tmp_path)
    folder = tmp_path / "out"
    shutil.copy(folder / "c2_median.npy", folder / "c3_median.npy")
    assert main(["runs", "--resume", str(folder)]) == 0
    check_batch(tmp_path, state)


def test_the_shell_lists_and_resumes_a_batch(tmp_path: Path, state: Path, capfd: Any) -> None:
    """The registry's entry leads to the batch; its journal tells all that it was asked for."""
    unpacked("batch", tmp_path)
    assert main(["runs"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    assert f"  {tmp_path / 'out'}  " in line
    assert "3 of 6 items" in line
    assert main(["runs", "--resume", str(tmp_path / "out")]) == 0
    assert "3 done" in capfd.readouterr().out
    check_batch(tmp_path, state)


@pytest.mark.parametrize(
    ("name", "file"),
    [("connected", "step-2-pass-0.found"), ("gathering", "step-2-pass-0.so-far")],
)
def test_what_was_pickled_is_not_read(name: str, file: str, tmp_path: Path) -> None:
    """The test data hold whole pickles of that build, which are no values to this one."""
    path = unpacked(name, tmp_path) / ".a.ome.zarr.run" / file
    content = path.read_bytes()
    assert int.from_bytes(content[:4], "big") == zlib.crc32(content[4:])
    assert b"napari_tilewise.operations.components" in content
    assert read_value(path) is None
