"""No output needs what Windows refuses: a name changed or removed while its file is open.

There a file that is open or mapped can be neither renamed nor removed, nor can a folder with such a
file in it, and only what is open for writing is flushed. Here Linux refuses the same.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROCESS = Path("/proc/self")
pytestmark = pytest.mark.skipif(not (PROCESS / "maps").exists(), reason="needs /proc")
PLANE = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
IMAGES = ("ome.zarr", "zarr", "ome.tif", "tif", "npy", "png")
TABLES = ("csv", "json")


def open_files() -> Iterator[str]:
    """Yield the paths of files that this process has open or mapped."""
    for descriptor in os.listdir(PROCESS / "fd"):
        try:
            yield os.readlink(PROCESS / "fd" / descriptor)
        except FileNotFoundError:
            continue  # the one that listed the others
    for line in (PROCESS / "maps").read_text().splitlines():
        yield line.partition("/")[1] + line.partition("/")[2]


def refuse_if_open(path: Any) -> None:
    name = os.path.abspath(path)
    for other in open_files():
        if other == name or other.startswith(f"{name}/"):
            raise PermissionError(errno.EACCES, f"open while it is renamed or removed: {other}")


def strict(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *args: Any, **options: Any) -> Any:
        if options.get("dir_fd") is None:  # those are `rmtree`'s own
            refuse_if_open(path)
            for other in args[:1]:
                if isinstance(other, str | os.PathLike):
                    refuse_if_open(other)
        return function(path, *args, **options)

    return call


def fsync(descriptor: int, flush: Callable[[int], None] = os.fsync) -> None:
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "flushed, but open for reading only")
    flush(descriptor)


@pytest.fixture(autouse=True)
def rules_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fsync)
    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        monkeypatch.setattr(os, name, strict(getattr(os, name)))
    monkeypatch.setattr(shutil, "rmtree", strict(shutil.rmtree))


def test_the_rules_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with (tmp_path / "a" / "b").open("w") as file:
        file.write("x")
        with pytest.raises(PermissionError):
            (tmp_path / "a").rename(tmp_path / "c")
    with (tmp_path / "a" / "b").open("rb") as file, pytest.raises(OSError, match="reading only"):
        os.fsync(file.fileno())
    mapped = np.memmap(tmp_path / "a" / "b", np.uint8, "r")
    with pytest.raises(PermissionError):
        (tmp_path / "a" / "b").unlink()
    del mapped
    (tmp_path / "a" / "b").unlink()


@pytest.mark.parametrize("suffix", IMAGES)
def test_images_are_written_and_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    for _ in range(2):
        tw.run("util.invert", PLANE, path, overwrite=True)
        np.testing.assert_array_equal(tw.open(path).data[...], 255 - PLANE)


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_are_written_and_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    for _ in range(2):
        tw.run("feature.peak_local_max", PLANE, path, overwrite=True)
        assert path.stat().st_size > 100


def test_an_interrupted_run_is_resumed_and_tidied(tmp_path: Path) -> None:
    path, count = tmp_path / "a.ome.zarr", 0

    def stop(event: object) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt

    recipe = tw.Recipe(["filters.threshold_otsu", "measure.label"])
    with pytest.raises(KeyboardInterrupt):
        tw.run(recipe, PLANE, path, progress=stop)
    tw.run(recipe, PLANE, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.zarr"]
