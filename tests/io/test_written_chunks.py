"""The list of chunk files: one mark per chunk, in whatever process the chunk was written."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_tilewise.errors import ChunksRemoved
from napari_tilewise.io.writers.level_files import GroupFile, LevelLayout
from napari_tilewise.io.writers.written_chunks import WrittenChunks

if TYPE_CHECKING:
    from pathlib import Path

REGION = slice(4, 12), slice(0, 7)
"""Four chunks, of which one is empty."""


def _list(folder: Path) -> WrittenChunks:
    layout = LevelLayout((12, 7), (4, 4), None, np.dtype("uint8"), ("y", "x"))
    level = GroupFile(folder).level("0", layout)
    block = np.zeros((8, 7), np.uint8)
    block[3, 0] = block[5, 1] = block[7, 6] = 1
    level.write(REGION, block)
    written = WrittenChunks(folder / "out", folder / "0", level)
    written.note(REGION, block)
    return written


@pytest.mark.parametrize("is_sent", [False, True])
def test_each_chunk_with_a_file_has_a_mark(tmp_path: Path, is_sent: bool) -> None:
    first = _list(tmp_path)
    written = pickle.loads(pickle.dumps(first)) if is_sent else first
    single = slice(0, 4), slice(4, 7)
    written.note(single, np.ones((4, 3), np.uint8))
    assert (tmp_path / "0" / ".chunks").read_bytes() == b"\0\1\1\0\1\1"
    written.note(single, np.zeros((4, 3), np.uint8))
    assert (tmp_path / "0" / ".chunks").read_bytes() == b"\0\0\1\0\1\1"
    written.check()
    (tmp_path / "0" / "c" / "2" / "1").unlink()
    with pytest.raises(ChunksRemoved, match=r"c/2/1"):
        written.check(REGION)
    first.remove()
    assert not (tmp_path / "0" / ".chunks").exists()


def test_a_closed_list_is_opened_again(tmp_path: Path) -> None:
    written = _list(tmp_path)
    written.close()
    written.close()
    written.note((slice(0, 4), slice(0, 4)), np.ones((4, 4), np.uint8))
    written.remove()
