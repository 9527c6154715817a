"""What Windows refuses while a scanner has a new file open is tried again, and then raised."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.system import file_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ZARR = ".partial"
"""How zarr's own new files end."""
REFUSALS = len(file_names.PAUSES) or 2


class Scanner:
    """Has each name open for some attempts to change it."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.attempts: dict[str, int] = {}

    def watching(self, change: Callable[..., object]) -> Callable[..., object]:
        def call(path: Any, *args: Any, **options: Any) -> object:
            if os.fspath(path).endswith(ZARR):
                return change(path, *args, **options)
            name = f"{change.__name__} {os.fspath(path)}"
            self.attempts[name] = self.attempts.get(name, 0) + 1
            if self.attempts[name] <= self.refusals:
                raise PermissionError(13, "another program has the file open", str(path))
            return change(path, *args, **options)

        return call


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> Scanner:
    scanner = Scanner(REFUSALS)
    monkeypatch.setattr(file_names, "PAUSES", (0.0,) * REFUSALS)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, scanner.watching(getattr(os, name)))
    return scanner


@pytest.mark.parametrize("name", ["rename", "replace"])
def test_a_change_is_tried_again(tmp_path: Path, scanner: Scanner, name: str) -> None:
    (tmp_path / "a").write_text("new")
    getattr(file_names, name)(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"
    assert scanner.attempts == {f"{name} {tmp_path / 'a'}": REFUSALS + 1}


def test_what_stays_refused_is_raised(tmp_path: Path, scanner: Scanner) -> None:
    scanner.refusals += 1
    (tmp_path / "a").write_text("new")
    with pytest.raises(PermissionError, match="another program"):
        file_names.replace(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == "new"


def test_a_file_that_cannot_be_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "another program has the file open", str(path))

    (tmp_path / "a").touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        file_names.remove_if_possible(tmp_path / "a")
        with pytest.raises(PermissionError):
            file_names.remove(tmp_path / "a")
    file_names.remove(tmp_path / "a")
    file_names.remove(tmp_path / "a")  # nothing is there
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["ome.zarr", "ome.tif", "npy", "csv"])
def test_outputs_are_written_while_a_scanner_looks_at_new_files(
    tmp_path: Path, scanner: Scanner, suffix: str
) -> None:
    image = np.arange(300, dtype=np.uint8).reshape(15, 20)
    task = "feature.peak_local_max" if suffix == "csv" else "util.invert"
    path = tmp_path / f"a.{suffix}"
    for _ in range(2):
        tw.run(task, image, path, overwrite=True)
    assert path.name in {entry.name for entry in tmp_path.iterdir()}
    assert max(scanner.attempts.values()) > REFUSALS
