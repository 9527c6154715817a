"""A result is saved part by part: its file is no second copy of it in memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.checkpoints.pass_results import read_value, write_value

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_saved_takes_no_more_memory(tmp_path: Path) -> None:
    value = [np.arange(2**17) + number for number in range(16)]
    tracemalloc.start()
    try:
        write_value(tmp_path / "a.found", value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < sum(column.nbytes for column in value) / 4
    np.testing.assert_array_equal(read_value(tmp_path / "a.found"), value)
    content = bytearray((tmp_path / "a.found").read_bytes())
    content[1000] ^= 1
    (tmp_path / "a.found").write_bytes(content)
    assert read_value(tmp_path / "a.found") is None
