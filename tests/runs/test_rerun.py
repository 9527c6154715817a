"""Made again: identical, or said how not, or refused with what is missing; nothing is left."""

import json
import os
import shutil
import threading
from itertools import product

import numpy as np
import pytest
import tifffile
import zarr
from skimage import filters

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    DestinationUnwritable,
    SourceNotFound,
)
from napari_tilewise.io.image import KEY
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.formats import SUFFIXES
from napari_tilewise.recipe import Step
from napari_tilewise.runs.convert import convert
from napari_tilewise.runs.rerun import NotRepeatable, OutsideFolder, Repetition, rerun

LABELS = tw.Recipe([("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"])
TABLE = LABELS.then(("measure.regionprops_table", {"properties": ("label", "area", "centroid")}))
JOBS = {
    "image.ome.zarr": tw.Recipe([("filters.gaussian", {"sigma": 2})]),
    "labels.ome.zarr": LABELS,
    "table.csv": TABLE,
    "table.json": TABLE,
    "points.csv": tw.Recipe(["feature.peak_local_max"]),
    "scalar.json": tw.Recipe(["measure.shannon_entropy"]),
    "scalar.csv": tw.Recipe(["measure.shannon_entropy"]),
}
IMAGES = {
    "gaussian": ["filters.gaussian", "util.img_as_ubyte"],
    "mask": ["filters.threshold_otsu"],
    "label": ["filters.threshold_otsu", "measure.label"],
    "rescale": [("transform.rescale", {"scale": 0.5}), "util.img_as_ubyte"],
}
CASES = [
    (suffix, job, axes)
    for suffix, job, axes in product(sorted(set(SUFFIXES.values())), IMAGES, ("yx", "tyx", "zcyx"))
    if (job != "label" or suffix not in (".tif", ".png")) and (axes == "yx" or suffix != ".png")
]
"""What each format can hold."""


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "out" / "data" / "source.tif"  # in the folder of the outputs
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, (filters.gaussian(rng.random((70, 90)), 2) * 4000).astype(np.uint16))
    return path


@pytest.fixture
def made(tmp_path, source):
    """Run one of the jobs and return the output's path."""

    def call(name="labels.ome.zarr", **options):
        return tw.run(JOBS[name], source, tmp_path / "out" / name, **options).path

    return call


@pytest.fixture
def shell(capfd):
    """Run the command and return its exit code, stdout and stderr."""

    def call(*args):
        code = main(["rerun", *map(str, args)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", JOBS)
def test_identical(made, shell, name):
    path = made(name)
    there = sorted(os.listdir(path.parent))
    code, out, err = shell(path)
    assert (code, out) == (0, "identical\n")
    assert "has changed" not in err
    assert sorted(os.listdir(path.parent)) == there
    again = rerun(path, workers=1, executor="serial")
    assert again.identical
    assert (again.path, again.notes) == (None, ())


def run_stack(folder, suffix, job, axes):
    """Run one of the jobs for images on a small stack, whose file does not name its axes."""
    source = folder / "stack.npy"
    shape = (2, 3, 20, 24)[-len(axes) :]
    np.save(source, np.random.default_rng(1).random(shape, np.float32))
    return tw.run(tw.Recipe(IMAGES[job]), source, folder / f"made{suffix}", axes=axes).path


@pytest.mark.parametrize(("suffix", "job", "axes"), CASES)
def test_identical_in_every_format(tmp_path, suffix, job, axes):
    path = run_stack(tmp_path, suffix, job, axes)
    there = sorted(os.listdir(tmp_path))
    again = rerun(path)
    assert again.identical, str(again.difference)
    assert sorted(os.listdir(tmp_path)) == there
    if suffix == ".npy":
        pixels = np.load(path, mmap_mode="r+")
        pixels.flat[0] = not pixels.flat[0]
        pixels.flush()
        assert rerun(path).difference.differing == 1


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize("converted", [".npy", ".tif", ".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("job", ["mask", "rescale"])
def test_identical_after_a_conversion(tmp_path, suffix, converted, job):
    path, other = run_stack(tmp_path, suffix, job, "zcyx"), tmp_path / f"other{converted}"
    convert(path, other, axes="zcyx" if suffix == ".npy" else None)
    there = sorted(os.listdir(tmp_path))
    again = rerun(other)
    assert again.identical, str(again.difference)
    assert sorted(os.listdir(tmp_path)) == there


def test_identical_with_axes_and_inputs(tmp_path, source):
    film = np.stack([tifffile.imread(source)] * 2)
    paths = [tmp_path / name for name in ("film.zarr", "mask.zarr")]
    for path, image in zip(paths, (film, film + 3), strict=True):
        zarr.create_array(path, data=image, chunks=(1, 70, 90))
    recipe = tw.Recipe([Step("morphology.reconstruction", inputs={"mask": "above"})], ["above"])
    path = tw.run(
        recipe, paths[0], tmp_path / "a.ome.zarr",
        inputs={"above": paths[1]}, axes="tyx", spatial="yx",
    ).path  # fmt: skip
    assert rerun(path).identical
    zarr.open_array(paths[1], mode="r+")[0] += 1
    again = rerun(path)
    assert not again.identical
    assert "input 'above'" in again.notes[0]
    shutil.rmtree(paths[1])
    with pytest.raises(SourceNotFound, match="input 'above'"):
        rerun(path)


def test_levels_of_pyramids(tmp_path):
    source = tmp_path / "a.npy"
    np.save(source, np.arange(1500 * 30, dtype="u2").reshape(30, 1500))
    path = tw.run("util.invert", source, tmp_path / "a.ome.zarr").path
    assert rerun(path).identical
    flat = tw.run("util.invert", source, tmp_path / "flat.ome.zarr", pyramid=False).path
    assert rerun(flat).identical
    half = tw.run("util.invert", open_image(path, level=1), tmp_path / "half.ome.zarr").path
    assert rerun(half).identical
    zarr.open_array(path / "1", mode="r+")[0, 0] += 1
    assert "level 1" in str(rerun(path).difference)
    assert not rerun(half).identical


def test_one_pixel_changed(made, shell):
    path = made()
    zarr.open_array(path / "0", mode="r+")[5, 6] += 7
    code, out, _ = shell(path)
    assert (code, out) == (1, "1 of 6300 pixels differ, by 7 at most\n")


def test_one_number_changed(made, shell):
    path = made("scalar.json")
    change(path, lambda content: content.update(value=content["value"] + 0.5))
    code, out, _ = shell(path)
    assert (code, out) == (1, "1 of 1 values differ, by 0.5 at most\n")
    path = made("table.csv")
    path.write_text(path.read_text().replace("\n1,", "\n99,", 1))
    code, out, _ = shell(path)
    assert code == 1
    assert "values differ, by 98 at most" in out


def test_changed_source(made, shell, source):
    path = made()
    tifffile.imwrite(source, tifffile.imread(source)[::-1])
    code, out, err = shell(path)
    assert code == 1
    assert "pixels differ" in out
    assert f"The source {str(source)!r} has changed" in err


def test_a_change_that_changes_nothing(made, shell, source):
    path = made()
    tifffile.imwrite(source, tifffile.imread(source), description="the same pixels")
    code, out, err = shell(path)
    assert (code, out) == (0, "identical\n")
    assert "has changed" in err


def test_other_versions(made, shell):
    path = made("scalar.json")
    change(path, lambda content: content[KEY]["versions"].update(numpy="1.0"))
    code, _, err = shell(path)
    assert code == 0
    assert err.startswith("numpy was 1.0, now it is ")


def test_source_is_gone(made, shell, source):
    path = made()
    source.unlink()
    code, out, err = shell(path)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert f"there is nothing at {str(source)!r}" in err


def test_moved_together(made, tmp_path, shell, source):
    path = made()
    here = tmp_path / "elsewhere"
    here.mkdir()
    shutil.copytree(tmp_path / "out", here / "out")
    tifffile.imwrite(source, tifffile.imread(source)[::-1])  # the old one is not what it was
    code, out, err = shell(here / "out" / path.name)
    assert (code, out) == (0, "identical\n")
    assert f"was found at {str(here / 'out' / 'data' / source.name)!r}" in err
    shutil.rmtree(tmp_path / "out" / "data")
    shutil.move(here / "out" / "data" / source.name, here / "out" / source.name)
    code, out, _ = shell(here / "out" / path.name)
    assert (code, out) == (0, "identical\n")


def test_relative_paths(made, tmp_path, monkeypatch, source, shell):
    monkeypatch.chdir(source.parent)
    path = tw.run(LABELS, source.name, "../a.ome.zarr").path
    monkeypatch.chdir(tmp_path / "out")
    assert shell("a.ome.zarr")[:2] == shell(path.as_uri())[:2] == (0, "identical\n")


@pytest.mark.parametrize("name", ["labels.ome.zarr", "table.csv"])
def test_kept(made, shell, tmp_path, name):
    path = made(name)
    kept = tmp_path / "kept" / name
    assert shell(path, "--to", kept)[:2] == (0, "identical\n")
    assert rerun(kept, allow_outside=True).identical
    with pytest.raises(DestinationExists):
        rerun(path, to=kept)
    with pytest.raises(DestinationExists):
        rerun(path, to=path)


def test_kept_under_another_format(made, shell, tmp_path):
    code, _, err = shell(made("table.csv"), "--to", tmp_path / "t.json")
    assert code == 2
    assert ".csv" in err
    for name in ("t.json", "t.tif", "t"):
        code, _, err = shell(made("labels.ome.zarr", overwrite=True), "--to", tmp_path / name)
        assert code == 2
        assert "ends in '.ome.zarr'" in err


def test_nothing_is_left_of_a_cancelled_one(made):
    path = made()
    there = sorted(os.listdir(path.parent))
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        rerun(path, cancel=cancel)
    assert sorted(os.listdir(path.parent)) == there


def test_what_cannot_be_made_again(tmp_path, source, shell):
    pixels = tifffile.imread(source)
    path = tw.run(LABELS, pixels, tmp_path / "array.ome.zarr").path
    with pytest.raises(NotRepeatable, match=r"numpy\.ndarray of shape \(70, 90\)"):
        rerun(path)
    step = ("measure.regionprops_table", {"intensity_image": pixels, "properties": ("label",)})
    path = tw.run(LABELS.then(step), source, tmp_path / "t.json").path
    code, _, err = shell(path)
    assert code == 1
    assert "intensity_image" in err
    path = tw.run("measure.shannon_entropy", source, tmp_path / "e.json").path
    change(path, lambda content: content[KEY]["recipe"].update(steps=["my.function"]))
    code, _, err = shell(path)
    assert code == 1
    assert "my.function" in err


def test_no_record(shell, source):
    code, out, err = shell(source)
    assert (code, out) == (1, "")
    assert "has no record of how it was made" in err


def test_unfinished(made, shell):
    path = made()
    change(path / "zarr.json", lambda content: content["attributes"][KEY].update(complete=False))
    code, _, err = shell(path)
    assert code == 1
    assert "unfinished" in err


def test_behind_a_url(made, shell, tmp_path):
    import fsspec

    files = fsspec.filesystem("memory")
    files.put(str(made()), "/rerun/labels.ome.zarr", recursive=True)
    url = "memory://rerun/labels.ome.zarr"
    with pytest.raises(OutsideFolder):
        rerun(url)
    with pytest.raises(DestinationUnwritable, match="destination with to="):
        rerun(url, allow_outside=True)
    arguments = (url, "--to", tmp_path / "here.ome.zarr", "--allow-outside")
    assert shell(*arguments)[:2] == (0, "identical\n")


# -- a record is data ------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path, source):
    """Return an output whose source is in another folder."""
    return tw.run("measure.shannon_entropy", source, tmp_path / "other" / "e.json").path


def edited(path, edit):
    change(path, lambda content: edit(content[KEY]))
    return path


def test_what_is_outside_needs_a_word(outside, source, shell):
    code, out, err = shell(outside)
    assert (code, out) == (1, "")
    assert f"the source {str(source)!r}" in err
    assert "--allow-outside" in err
    code, out, err = shell(outside, "--allow-outside")
    assert (code, out) == (0, "identical\n")
    assert f"The source is read from {str(source)!r}" in err
    with pytest.raises(OutsideFolder, match="allow_outside=True"):
        rerun(outside)
    assert rerun(outside, allow_outside=True).identical


@pytest.mark.parametrize("kind", ["url", "file"])
@pytest.mark.parametrize("role", ["source", "inputs"])
def test_no_url_is_read_without_a_word(outside, source, monkeypatch, kind, role):
    url, opened = "https://example.org/secret.zarr", []
    description = {"kind": kind, "location": url, "fingerprint": "blake2b-1:0"}
    edit = {role: description if role == "source" else {"mask": description}}
    edited(outside, lambda record: record.update(edit))
    shutil.copy(source, outside.parent)

    def fail(location, **options):
        opened.append(str(location))
        raise ConnectionError(location)

    monkeypatch.setattr("napari_tilewise.runs.recorded_images.fingerprint", fail)
    monkeypatch.setattr("napari_tilewise.runs.recorded_images.open_image", fail)
    with pytest.raises(OutsideFolder, match=url):
        Repetition.of(outside)
    assert opened == []
    sentences = []
    with pytest.raises(ConnectionError):
        Repetition.of(outside, allow_outside=True, announce=sentences.append)
    assert any(url in sentence for sentence in sentences)  # said before


@pytest.mark.parametrize("location", ["../out/data/source.tif", "link.tif", "file:///etc/passwd"])
def test_a_path_that_leads_outside_is_outside(outside, source, location):
    (outside.parent / "link.tif").symlink_to(source)
    path = location if "://" in location else str(outside.parent / location)
    edited(outside, lambda record: record["source"].update(location=path, from_output=location))
    with pytest.raises(OutsideFolder):
        rerun(outside)


def test_a_record_cannot_replace_an_output(made, tmp_path, shell):
    path, other = made("scalar.json"), tmp_path / "precious.json"
    other.write_text("{}")
    edited(path, lambda record: record["run"].update(overwrite=True, memory=1, resume=True))
    with pytest.raises(DestinationExists):
        rerun(path, to=other)
    assert other.read_text() == "{}"
    code, out, err = shell(path)
    assert (code, out) == (0, "identical\n")
    assert "cannot set 'overwrite', 'memory', 'resume'" in err


DEEP = [[]]
for _ in range(200):
    DEEP = [DEEP]
WRONG = {
    "source": [None, 7, {}, {"kind": "file"}, {"location": 7}, {"location": "a\0b"},
               {"part_of": 7, "part": []}, {"kind": "array", "shape": 7}],
    "inputs": [None, [], {"mask": 7}],
    "run": [None, [], {"axes": {"a": 1}}, {"spatial": [[0]]}, {"axes": 7}, {"spatial": "qq"}],
    "versions": [None, []],
    "functions": [7, {"no.such": "digest"}],
    "recipe": [None, [], {}, {"version": 2, "steps": DEEP}, {"version": 2, "steps": [7]},
               {"version": 2, "steps": ["util.invert"] * 3000},
               {"version": 2, "steps": [{"operation": "filters.gaussian",
                                         "parameters": {"sigma": float("inf")}}]}],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_a_wrong_record_is_refused_in_a_sentence(made, shell, key, value):
    path = edited(made("scalar.json"), lambda record: record.update({key: value}))
    code, out, err = shell(path)
    assert (code, out) in ((1, ""), (2, ""))
    assert "unforeseen" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("key", ["source", "inputs", "run", "versions", "recipe"])
def test_a_record_without_an_entry_is_refused_in_a_sentence(made, shell, key):
    code, _, err = shell(edited(made("scalar.json"), lambda record: record.pop(key)))
    assert code == 1
    assert f"{key!r} is missing" in err


def test_what_exists_is_not_replaced_and_no_such_option_is_named(made, shell, tmp_path):
    path, other = made("labels.ome.zarr"), tmp_path / "other.ome.zarr"
    shutil.copytree(path, other)
    code, _, err = shell(path, "--to", other)
    assert code == 1
    assert "other.ome.zarr' exists, and a record replaces nothing: give another " in err
    assert "with --to." in err
    assert "--overwrite" not in err
