"""Classes that release 0.1 pickled into checkpoints are found, whatever they are called now."""

from __future__ import annotations

import io
import pickle
import zlib
from io import BytesIO
from typing import Any

import pytest

from napari_tilewise.engine import former_names
from napari_tilewise.engine.former_names import CLASSES, MODULES, PACKAGE
from napari_tilewise.engine.pass_results import unpickled

PICKLED = [
    ("operations.collected", "Collected"),
    ("operations.combined", "_Totals"),
    ("operations.components", "Components"),
    ("operations.components", "Joined"),
    ("operations.components", "_Tile"),
    ("operations.exposure.matching", "Tally"),
    ("operations.feature.peaks", "Candidates"),
    ("operations.filters.rank_order", "Values"),
    ("operations.grid", "Grid"),
    ("operations.measure.labelling", "_Counts"),
    ("operations.measure.marching", "_Mesh"),
    ("operations.measure.regionprops", "Window"),
    ("operations.prefix_sums", "Band"),
    ("operations.segmentation.floods", "Basins"),
    ("operations.segmentation.watershed", "_Answer"),
    ("operations.segmentation.watershed", "_Kept"),
    ("operations.transform.hough", "_Votes"),
    ("operations.transform.ranges", "Extremes"),
    ("operations.window_sums", "Band"),
]
"""The classes that passes of release 0.1 found or merged, over all its operations."""


def global_named(module: str, name: str) -> bytes:
    """Return a pickle of a class by name."""
    return pickle.PROTO + bytes([4]) + b"c" + f"{module}\n{name}\n".encode() + pickle.STOP


@pytest.mark.parametrize(("module", "name"), PICKLED)
def test_a_class_is_found_by_its_former_name(module: str, name: str) -> None:
    found = former_names.load(BytesIO(global_named(PACKAGE + module, name)))
    assert isinstance(found, type)
    assert found.__module__.startswith(PACKAGE)


def test_tables_name_modules_and_classes_that_exist() -> None:
    for module in MODULES.values():
        __import__(PACKAGE + module)
    for (module, _), name in CLASSES.items():
        assert isinstance(former_names.load(BytesIO(global_named(PACKAGE + module, name))), type)


@pytest.mark.parametrize("value", [(1, {"a": [2.5]}), io.BytesIO, None])
def test_other_values_are_as_they_were(value: Any) -> None:
    assert former_names.load(BytesIO(pickle.dumps(value))) == value


def test_a_pass_whose_class_is_gone_is_done_again(tmp_path) -> None:
    data = global_named(f"{PACKAGE}.operations.no_such_module", "Gone")
    path = tmp_path / "step-0-pass-0.found"
    path.write_bytes(zlib.crc32(data).to_bytes(4, "big") + data)
    assert unpickled(path) is None
