"""What a run writes for its worker processes is unpickled only if nobody changed it."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.executors.assignment import Assignment, read_assignment, write_assignment
from napari_tilewise.executors.sent_files import read_sent, write_sent
from napari_tilewise.executors.worker import SENT, Answer

if TYPE_CHECKING:
    from pathlib import Path


class MakesFolder:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_an_answer_in_a_file_comes_back(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(SENT))
    answer = Answer(b"", write_sent(tmp_path, "answer", content))
    np.testing.assert_array_equal(answer.open(tmp_path), np.arange(SENT))
    assert list(tmp_path.iterdir()) == []


def test_a_changed_answer_is_not_unpickled(tmp_path: Path) -> None:
    name = write_sent(tmp_path, "answer", pickle.dumps(3))
    (tmp_path / name).write_bytes(pickle.dumps(MakesFolder(tmp_path / "made")))
    with pytest.raises(SourceUnreadable, match="somebody changed it"):
        Answer(b"", name).open(tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_changed_assignment_is_not_unpickled(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    name = write_assignment(_assignment_of(checkpoint.folder, np.eye(9)))
    assert read_assignment(str(checkpoint.folder), name).tile == (9, 9)
    path = checkpoint.folder / name
    versions = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(versions + b"\n" + pickle.dumps(MakesFolder(tmp_path / "made")))
    with pytest.raises(SourceUnreadable, match="somebody changed it"):
        read_assignment(str(checkpoint.folder), name)
    assert not (tmp_path / "made").exists()
    checkpoint.close()


def _assignment_of(folder: Path, image: np.ndarray) -> Assignment:
    return Assignment(
        (), tw.Recipe(["filters.sobel"]), image, {}, None, None, (9, 9), (),
        str(folder), 2**24, 2**30, 2**28, 1, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_array_is_mapped_by_other_processes(tmp_path: Path, order: Any) -> None:
    image = np.asarray(np.random.default_rng(0).random((700, 901, 3)), ">f8", order=order)
    name = write_assignment(_assignment_of(tmp_path, image))
    result = read_assignment(str(tmp_path), name).source
    assert isinstance(result, np.memmap)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, image)


def test_a_changed_array_is_not_computed_with(tmp_path: Path) -> None:
    image = np.zeros((1024, 1024, 20), np.uint8)
    name = write_assignment(_assignment_of(tmp_path, image))
    (path,) = set(tmp_path.iterdir()) - {tmp_path / name}
    assert path.stat().st_size == image.nbytes
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"1")
    with pytest.raises(SourceUnreadable, match="somebody changed it"):
        read_assignment(str(tmp_path), name)
    path.unlink()
    with pytest.raises(SourceUnreadable, match="a folder that all workers see"):
        read_assignment(str(tmp_path), name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="a folder that all workers see"):
        read_sent(tmp_path, "assignment-1-2")
