"""Every pair of formats: pixels always, and whatever of the metadata both can hold."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from napari_tilewise.grid import Grid
from napari_tilewise.io.metadata.channels import Channel
from napari_tilewise.io.metadata.details import Details, PlaneDetails
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.formats import FEATURES, HOLDS, SUFFIXES, table
from napari_tilewise.provenance import record
from napari_tilewise.runs.convert import convert
from tests.io.writing import new_writer

RNG = np.random.default_rng(0)
PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
SIZES = {"t": 2.5, "c": 1.0, "z": 0.8, "y": 0.25, "x": 0.5}
UNITS = {"t": "second", "c": None, "z": "micrometer", "y": "micrometer", "x": "micrometer"}
CHANNELS = (
    Channel("DAPI", "0000FF", (7.0, 800.0), (0.0, 4095.0)),
    Channel("GFP é", "00FF00", (0.0, 60000.0), (0.0, 65535.0), active=False),
    Channel("Cy5", "FF8000", (100.0, 20000.0), (0.0, 65535.0)),
)
POSITION = {"t": 0.0, "c": 0.0, "z": 4.0, "y": -3.0, "x": 2.5}
COLOURS = {
    "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}],
    "properties": [{"label-value": 1, "area": 7}],
}
NAMES = {"z": "depth", "y": "row", "x": "column"}
ATTRIBUTES = {"microscope": {"objective": 40, "notes": ["dry", None]}}
STACK = RNG.integers(0, 60000, (2, 3, 4, 40, 1030)).astype(np.uint16)
PLANE = STACK[1, 2, 3]
AXES = {5: "tczyx", 2: "yx"}


def write(path, pixels, axes, **options):
    """Write an array through the writer that the name asks for."""
    writer = new_writer(path, shape=pixels.shape, dtype=pixels.dtype, axes=axes, **options)
    grid = Grid(pixels.shape, writer.shards or writer.chunks)
    for region in map(grid.region, grid.positions()):
        writer.write(region, pixels[region])
    for level in range(1, len(writer.pyramid_levels())):
        for task in writer.pyramid_tasks(level):
            task()
    return writer.finish()


def layout(form):
    return {"ome_zarr": "0.4"} if form == "OME-Zarr 0.4" else {}


def details(axes, shape):
    """Return all that is carried along with an image."""
    lengths = dict(zip(axes, shape, strict=True))
    counts = tuple(lengths.get(axis, 1) for axis in "tcz")
    times = [f"{number / 4}" for number in range(prod(counts))]
    return Details(
        title="Sample 7",
        axes={a: {"name": NAMES[a], "type": "space"} for a in axes if a in NAMES},
        rendering={"rdefs": {"model": "color"}},
        label_entries=COLOURS,
        attributes=ATTRIBUTES,
        planes=PlaneDetails(counts, {"DeltaT": times, "DeltaTUnit": ["s"] * len(times)}),
        annotations={"MapAnnotation": [{"Namespace": "lab", "Value": {"mouse": "12 é"}}]},
        info="Stained on Monday.\nTwice.",
    )


def original(folder, form, pixels):
    """Write an image with all that is known of it, as far as the format holds it."""
    axes = AXES[pixels.ndim]
    path = folder / f"{form.replace(' ', '')}-{axes}{SUFFIXES.get(form, '')}"
    if form in SUFFIXES:
        return write(
            path, pixels, tuple(axes), scale=tuple(SIZES[a] for a in axes), labels=True,
            units=tuple(UNITS[a] for a in axes),
            channels=CHANNELS if "c" in axes else CHANNELS[1:2],
            translate=tuple(POSITION[a] for a in axes), details=details(axes, pixels.shape),
            record={"record": record.VERSION, "values": {"t": 7}}, **layout(form),
        )  # fmt: skip
    if form == "HDF5":
        with h5py.File(path, "w") as file:
            file["image"] = pixels
            file["image"].attrs["element_size_um"] = [SIZES[axis] for axis in "zyx"]
            for dimension, axis in zip(file["image"].dims, axes, strict=True):
                dimension.label = axis
    elif form == "Zarr 2":
        zarr.create_array(path, data=pixels, zarr_format=2, attributes=ATTRIBUTES)
    else:
        chunks = (*pixels.shape[:-2], 20, 103)
        shards = (*pixels.shape[:-2], 40, 206)
        options = {"shards": shards, "dimension_names": axes, "attributes": ATTRIBUTES}
        zarr.create_array(path, data=pixels, chunks=chunks, **options)
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A stack and a plane in every format (a plane only in PNG)."""
    folder = tmp_path_factory.mktemp("originals")
    return {
        (form, pixels.ndim): original(folder, form, pixels)
        for form, pixels in product(HOLDS, (STACK, PLANE))
        if form != "PNG" or pixels is PLANE
    }


def told(path):
    """Return what a file tells, by the words of the table."""
    image = open_image(path)
    known = {a: (s, u) for a, s, u in zip(image.axes, image.scale, image.units, strict=False)}
    try:
        values = record.read(path)["values"]
    except OSError:
        values = None
    return {
        "axes": set(image.axes),
        "pixel size": {axis: pytest.approx(size) for axis, (size, _) in known.items()},
        "units": {axis: unit for axis, (_, unit) in known.items()},
        "channel names": [channel.name for channel in image.channels],
        "channel colours": [channel.color for channel in image.channels],
        "labels": image.labels,
        "pyramid": len(image.levels) > 1,
        "record": values,
        "position": {a: round(p, 6) for a, p in zip(image.axes, image.translate, strict=False)},
        "name": image.details.title,
        "display windows": [channel.window for channel in image.channels],
        "visible channels": [channel.active for channel in image.channels],
        "label colours": image.details.label_entries,
        "axis names": {a: entry["name"] for a, entry in image.details.axes.items()},
        "attributes": image.details.attributes,
        "plane times": image.details.planes and image.details.planes.values.get("DeltaT"),
        "annotations": image.details.annotations,
        "info text": image.details.info,
    }


def pixels_of(image, ndim, axes=()):
    """Return the pixels with their axes in one order, whatever the file's is."""
    axes = image.axes or axes or tuple(AXES[ndim])
    return np.asarray(image.data[...]).transpose([axes.index(axis) for axis in AXES[ndim]])


@pytest.mark.parametrize("form", HOLDS)
def test_each_format_holds_what_the_table_says(originals, form):
    image = STACK if form != "PNG" else PLANE
    axes = AXES[image.ndim]
    path = originals[form, image.ndim]
    opened, result = open_image(path), told(path)
    np.testing.assert_array_equal(pixels_of(opened, image.ndim), image)
    known = details(axes, image.shape)
    spatial = "zyx" if form == "HDF5" else axes
    expected = {
        "axes": set(axes),
        "pixel size": {a: SIZES[a] if a in spatial else 1.0 for a in axes},
        "units": {a: UNITS[a] if a in spatial else None for a in axes},
        "channel names": [channel.name for channel in CHANNELS],
        "channel colours": [channel.color for channel in CHANNELS],
        "labels": True,
        "pyramid": True,
        "record": {"t": 7},
        "position": {a: POSITION[a] for a in axes},
        "name": "Sample 7",
        "display windows": [channel.window for channel in CHANNELS],
        "visible channels": [channel.active for channel in CHANNELS],
        "label colours": COLOURS,
        "axis names": {a: NAMES.get(a, a) for a in axes},
        "attributes": ATTRIBUTES,
        "plane times": known.planes.values["DeltaT"],
        "annotations": known.annotations,
        "info text": known.info,
    }
    assert {word for word in FEATURES if result[word] == expected[word]} == HOLDS[form]


@pytest.mark.parametrize(
    ("first", "second"),
    list(product(HOLDS, SUFFIXES)),
    ids=lambda form: form.replace(" ", "-"),
)
def test_what_both_formats_hold_survives(originals, tmp_path, first, second):
    ndim = 2 if "PNG" in (first, second) else 5
    path, destination = originals[first, ndim], tmp_path / f"out{SUFFIXES[second]}"
    unnamed = "axes" not in HOLDS[first]
    convert(path, destination, axes=AXES[ndim] if unnamed else None, **layout(second))
    source = open_image(path)
    np.testing.assert_array_equal(
        pixels_of(open_image(destination), ndim, source.axes), pixels_of(source, ndim)
    )
    before, after = told(path), told(destination)
    both = HOLDS[first] & HOLDS[second]
    assert {word: after[word] for word in both} == {word: before[word] for word in both}
    assert after["pyramid"] == ("pyramid" in HOLDS[second])
    assert sorted(p.name for p in tmp_path.iterdir())[0] == f"out{SUFFIXES[second]}"


def test_the_page_shows_the_table():
    assert table() in PAGE.read_text(encoding="utf-8"), "put formats.table() there"
