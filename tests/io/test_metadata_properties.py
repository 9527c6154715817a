"""Whatever an image says of itself, each format gives back what it holds."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_tilewise.io.metadata.channels import Channel, xml_text
from napari_tilewise.io.metadata.details import Details
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.formats import HOLDS, SUFFIXES
from tests.io.test_formats import layout, told, write

FORMATS = ("OME-Zarr 0.5", "OME-Zarr 0.4", "OME-TIFF", "ImageJ TIFF")
AXES = ("yx", "zyx", "cyx", "tyx", "tczyx")
LENGTHS = {"t": 2, "c": 3, "z": 2, "y": 20, "x": 30}
DTYPES = ("uint8", "uint16", "float32")
LENGTH_UNITS = (None, "nanometer", "micrometer", "millimeter")
TIMES = (None, "millisecond", "second", "minute")
sizes = st.floats(1e-3, 1e3)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@st.composite
def images(draw):
    """Return pixels, axes, and what is said of them."""
    axes = draw(st.sampled_from(AXES))
    shape = tuple(LENGTHS[axis] for axis in axes)
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(draw(st.sampled_from(DTYPES)))
    length, time = draw(st.sampled_from(LENGTH_UNITS)), draw(st.sampled_from(TIMES))
    scale = {axis: draw(sizes) if axis != "c" else 1.0 for axis in axes}
    if time is None:
        scale["t"] = 1.0
    units = {axis: time if axis == "t" else None if axis == "c" else length for axis in axes}
    position = {a: draw(st.floats(-1e4, 1e4)) if a in "zyx" else 0.0 for a in axes}
    count = LENGTHS["c"] if "c" in axes else 1
    return pixels, axes, {
        "scale": tuple(scale[axis] for axis in axes),
        "units": tuple(units[axis] for axis in axes),
        "translate": tuple(position[axis] for axis in axes),
        "channels": draw(st.none() | st.tuples(*[channels()] * count)) or (),
        "details": Details(title=draw(st.none() | texts)),
        "labels": draw(st.booleans()),
    }  # fmt: skip


@st.composite
def channels(draw):
    """Return a channel, of which all is said."""
    low, high = sorted(draw(st.tuples(st.integers(0, 200), st.integers(201, 255))))
    color = f"{draw(st.integers(0, 2**24 - 1)):06X}"
    window, active = (float(low), float(high)), draw(st.booleans())
    return Channel(draw(texts), color, window, (0.0, 255.0), active)


def of_xml(text):
    """Return a text as an attribute of XML gives it back."""
    return re.sub("\r\n|[\t\n\r]", " ", xml_text(text))


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(image=images())
def test_what_is_written_is_read(form, image):
    pixels, axes, options = image
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, f"a{SUFFIXES[form]}"), pixels, axes, **options, **layout(form))
        opened, result = open_image(path), told(path)
        read = np.asarray(opened.data[...])
    order = [opened.axes.index(axis) for axis in axes]
    np.testing.assert_array_equal(read.transpose(order), pixels)
    text = of_xml if form == "OME-TIFF" else str
    named, title = options["channels"], options["details"].title
    expected = {
        "axes": set(axes),
        "pixel size": {a: pytest.approx(s) for a, s in zip(axes, options["scale"], strict=True)},
        "units": dict(zip(axes, options["units"], strict=True)),
        "channel names": [text(channel.name) for channel in named],
        "channel colours": [channel.color for channel in named],
        "labels": options["labels"],
        "position": {
            a: pytest.approx(p, rel=1e-5, abs=1e-5)
            for a, p in zip(axes, options["translate"], strict=True)
        },
        "name": title and text(title),
        "display windows": [channel.window for channel in named],
        "visible channels": [channel.active for channel in named],
    }
    held = HOLDS[form] & expected.keys()
    assert {word: result[word] for word in held} == {word: expected[word] for word in held}
