"""Decoded chunks that processes of one machine share: each is decoded once, and nothing stays."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest

from napari_tilewise.engine.system import machine_chunks
from napari_tilewise.engine.system.machine_chunks import MachineChunks

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = np.arange(12, dtype="u2").reshape(3, 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine_chunks.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def chunk_of(chunks: MachineChunks, position: tuple[int, ...], decoded: list[object]) -> np.ndarray:
    def load() -> np.ndarray:
        decoded.append(position)
        return CHUNK

    return chunks.get(position, CHUNK.shape, CHUNK.dtype, load)


def test_a_chunk_is_decoded_once_and_the_last_one_removes_it(folder: Path) -> None:
    key, decoded = uuid4().hex, []
    first, second = MachineChunks(key), MachineChunks(key)
    for chunks in (first, second, first):
        np.testing.assert_array_equal(chunk_of(chunks, (1, 2), decoded), CHUNK)
    assert decoded == [(1, 2)]
    del first, chunks
    gc.collect()
    chunk_of(second, (1, 2), decoded)
    assert decoded == [(1, 2)]
    del second
    gc.collect()
    assert not list(folder.iterdir())


def test_a_process_keeps_to_its_share(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_chunks, "SHARE", 2 * CHUNK.nbytes)
    chunks, decoded = MachineChunks(uuid4().hex), []
    for number in (0, 1, 2, 2, 1, 0):
        chunk_of(chunks, (number,), decoded)
    assert decoded == [(0,), (1,), (2,), (0,)]


def test_what_a_killed_process_left_is_done_again_and_removed(folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = folder / "napari-tilewise-chunks-abandoned"
    abandoned.mkdir()
    (abandoned / f"{ended.pid}-1.user").touch()
    key, decoded = uuid4().hex, []
    chunks = MachineChunks(key)
    assert not abandoned.exists()
    (folder / f"napari-tilewise-chunks-{key}" / "0.claim").write_text(str(ended.pid))
    np.testing.assert_array_equal(chunk_of(chunks, (0,), decoded), CHUNK)


def test_an_error_leaves_the_chunk_to_others(folder: Path) -> None:
    key, decoded = uuid4().hex, []

    def load() -> np.ndarray:
        raise OSError("gone")

    first, second = MachineChunks(key), MachineChunks(key)
    with pytest.raises(OSError, match="gone"):
        first.get((0,), CHUNK.shape, CHUNK.dtype, load)
    np.testing.assert_array_equal(chunk_of(second, (0,), decoded), CHUNK)
