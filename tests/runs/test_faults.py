"""A fault ends in one sentence and exit code 1; the same command resumes once it is fixed."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.io.writers.values import write_value
from tests.runs import faulty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOISE = np.random.default_rng(0).integers(0, 60000, (320, 320)).astype(np.uint16)
TILES = 25
CHAIN = tw.Recipe(
    [
        ("filters.gaussian", {"sigma": 1}),
        ("filters.threshold_otsu", {}),
        ("measure.label", {}),
    ]
)
FILES = ["a.ome.zarr", "a.ome.tif", "a.tif", "a.npy", "a.png"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the faults are those of Unix")


class Shell:
    """Runs commands in children, and keeps checkpoint of the tiles that they finish."""

    def __init__(self, children: Any, folder: Path) -> None:
        self._children = children
        self._folder = folder
        self._runs = 0
        self.said = ""

    def start(self, log: str, *argv: Any, **how: Any) -> tuple[Any, Path]:
        """Start a command; give its process, and the file that takes what it says."""
        self._runs += 1
        said = self._folder / f"said-{self._runs}"
        arguments = ([*map(str, argv), "--memory", "2GiB"], said, self._folder / f"{log}.log")
        process = self._children.Process(target=faulty.shell, args=arguments, kwargs=how)
        process.start()
        return process, said

    def __call__(self, log: str, *argv: Any, **how: Any) -> int:
        """Run a command to its end and return its exit code."""
        process, said = self.start(log, *argv, **how)
        process.join()
        self.said = said.read_text()
        return int(process.exitcode)

    def refused(self, log: str, *argv: Any, **how: Any) -> str:
        """Run a command that fails, as it should: in one sentence, which is returned."""
        code = self(log, *argv, **how)
        assert code == 1, (code, self.said)
        assert "Traceback" not in self.said
        assert "Exception" not in self.said
        *_, last = self.said.splitlines()
        assert last.startswith("napari-tilewise: ")
        return last

    def tiles(self, log: str) -> list[str]:
        """Return the tiles that were finished, one after the other."""
        path = self._folder / f"{log}.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def shell(children: Any, tmp_path: Path) -> Shell:
    return Shell(children, tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.npy"
    np.save(path, NOISE)
    return path


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "nuclei.yaml"
    CHAIN.save(path)
    return path


class Disk:
    """A file system of its own, that is soon full and can be made larger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kib: int) -> None:
        """Give it another size."""
        options = ["-o", f"remount,size={kib}k"]
        subprocess.run(["mount", *options, self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Any:
    """Return a tmpfs; without the right to mount one, `ulimit -f` is the test that remains."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tilewise", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no tmpfs can be mounted here: {getattr(error, 'stderr', error)}")
    yield Disk(folder)
    subprocess.run(["umount", folder], check=True)


def content(path: Path) -> dict[str, bytes]:
    """Return the bytes of an output and of the record beside it."""
    if path.is_file():
        beside = path.with_name(f"{path.name}.provenance.json")
        return {file.name: file.read_bytes() for file in (path, beside) if file.exists()}
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def entries(folder: Path) -> list[str]:
    """Return what stands in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


# -- the disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kib"), [(n, 120 if n == FILES[0] else 420) for n in FILES])
def test_a_full_disk(name: str, kib: int, shell: Shell, disk: Disk, source: Path) -> None:
    whole, path = disk.folder.parent / "whole" / name, disk.folder / name
    assert shell("whole", "run", "util.invert", source, whole) == 0
    disk.resize(kib)
    told = shell.refused("full", "run", "util.invert", source, path)
    assert f"{disk.folder}/" in told
    assert "no space is left" in told
    assert "make room" in told
    assert not path.exists()
    assert "the same command resumes" in shell.said
    assert (len(shell.tiles("full")) < TILES) == (name == FILES[0])  # the others while they pour
    disk.resize(4096)
    assert shell("full", "run", "util.invert", source, path) == 0
    assert "resuming" in shell.said
    assert content(path) == content(whole)
    assert entries(disk.folder) == entries(whole.parent)
    assert len(shell.tiles("full")) == len(set(shell.tiles("full"))) == TILES


def test_a_disk_that_is_full_again_and_again(
    shell: Shell, disk: Disk, source: Path, chain: Path
) -> None:
    whole, path = disk.folder.parent / "whole" / "a.ome.zarr", disk.folder / "a.ome.zarr"
    assert shell("whole", "run", chain, source, whole) == 0
    needed = sum(-(-len(file) // 4096) * 4 for file in content(whole).values())  # KiB, by pages
    for kib in (4, 8, 16, 24, 40, *(needed * part // 100 for part in (60, 80, 90))):
        disk.resize(kib)
        assert "no space is left" in shell.refused("full", "run", chain, source, path)
        assert not path.exists()
    disk.resize(8192)
    assert shell("full", "run", chain, source, path) == 0
    assert content(path) == content(whole)
    assert entries(disk.folder) == ["a.ome.zarr"]
    assert len(shell.tiles("full")) == len(set(shell.tiles("full"))) == TILES


def test_a_full_disk_under_a_batch(shell: Shell, disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    for number in range(3):
        np.save(tmp_path / "plate" / f"{number}.npy", NOISE + number)
    command = ["batch", "util.invert", tmp_path / "plate"]
    whole = tmp_path / "whole"
    assert shell("whole", *command, whole, "--backend", "serial") == 0
    disk.resize(400)
    assert shell("full", *command, disk.folder, "--backend", "serial") == 1
    assert "Traceback" not in shell.said
    assert "no space is left" in shell.said
    disk.resize(8192)
    assert shell("full", *command, disk.folder, "--backend", "serial") == 0
    for number in range(3):
        assert content(disk.folder / f"{number}.ome.zarr") == content(whole / f"{number}.ome.zarr")
    assert len(shell.tiles("full")) == len(set(shell.tiles("full"))) == 3 * TILES


def test_a_table_has_its_record_or_is_not_there(disk: Disk) -> None:
    path, record = disk.folder / "a.csv", {"recipe": "areas"}
    with pytest.raises(DestinationUnwritable, match="no space is left"):
        write_value(path, {"area": [1, 2, 3]}, provenance=record)  # one page is enough for one file
    assert entries(disk.folder) == []
    disk.resize(64)
    write_value(path, {"area": [1, 2, 3]}, provenance=record)
    assert entries(disk.folder) == ["a.csv", "a.csv.provenance.json"]


@pytest.mark.parametrize("name", ["a.ome.tif", "a.npy"])
def test_a_limit_on_the_length_of_files(name: str, shell: Shell, source: Path) -> None:
    whole, path = source.parent / "whole" / name, source.parent / "limited" / name
    assert shell("whole", "run", "util.invert", source, whole) == 0
    told = shell.refused("log", "run", "util.invert", source, path, largest=2**16)
    assert str(path) in told
    assert "ulimit -f" in told
    assert shell("log", "run", "util.invert", source, path) == 0
    assert content(path) == content(whole)
    assert len(shell.tiles("log")) == len(set(shell.tiles("log"))) == TILES


# -- the source ------------------------------------------------------------------------------------


def small_zarr(folder: Path) -> tuple[Path, Path, int]:
    """Return a Zarr of small chunks, the file of its last chunk, and the middle of that."""
    path = folder / "source.zarr"
    codec = zarr.codecs.ZstdCodec(level=1, checksum=True)
    zarr.create_array(path, data=NOISE, chunks=(64, 64), compressors=codec)
    last = path / "c" / "4" / "4"
    return path, last, last.stat().st_size // 2


def small_tiff(folder: Path) -> tuple[Path, Path, int]:
    """Return a TIFF, the file itself, and the middle of its last tile."""
    path = folder / "source.tif"
    tifffile.imwrite(path, NOISE, tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        return path, path, page.dataoffsets[-1] + page.databytecounts[-1] // 2


def mapped_npy(folder: Path) -> tuple[Path, Path, int]:
    """Return a NumPy file, the file itself, and the middle of it."""
    path = folder / "source.npy"
    np.save(path, NOISE)
    return path, path, NOISE.nbytes // 2


def mapped_tiff(folder: Path) -> tuple[Path, Path, int]:
    """Return a TIFF that is mapped, the file itself, and the middle of it."""
    path = folder / "source.tif"
    tifffile.imwrite(path, NOISE)
    return path, path, NOISE.nbytes // 2


@pytest.mark.parametrize(
    ("make", "damage"),
    [
        (small_zarr, faulty.flip),
        (small_zarr, faulty.cut),
        (small_tiff, faulty.flip),
        (small_tiff, faulty.cut),
        # Bytes that are the pixels themselves are never wrong, but they may be gone.
        (mapped_npy, faulty.cut),
        (mapped_tiff, faulty.cut),
    ],
)
def test_a_source_that_is_damaged_meanwhile(
    make: Callable[[Path], tuple[Path, Path, int]],
    damage: Callable[[Path, int], None],
    shell: Shell,
    tmp_path: Path,
) -> None:
    source, file, offset = make(tmp_path)
    intact = file.read_bytes()
    whole, path = tmp_path / "whole" / "a.ome.zarr", tmp_path / "out" / "a.ome.zarr"
    command = ["run", "filters.gaussian", source]
    assert shell("whole", *command, whole, "--axes", "yx") == 0
    fault = partial(damage, file, offset)
    told = shell.refused("log", *command, path, "--axes", "yx", fault=fault)
    assert str(source) in told
    assert "restore" in told
    assert not path.exists()
    file.write_bytes(intact)
    assert shell("log", *command, path, "--axes", "yx") == 0
    assert "resuming" in shell.said
    assert content(path) == content(whole)
    assert len(shell.tiles("log")) == len(set(shell.tiles("log"))) == TILES


# -- the function ----------------------------------------------------------------------------------

FUNCTION = '''
from pathlib import Path
import napari_tilewise as tw

@tw.operation(halo=0)
def careful(image):
    """Return the image, unless the licence is in use."""
    if Path(__file__).with_name("in-use").exists():
        raise RuntimeError("the licence is in use")
    return image + 1
'''


def test_a_function_that_raises(shell: Shell, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "my_ops.py"
    file.write_text(FUNCTION)
    whole, path = tmp_path / "whole" / "a.ome.zarr", tmp_path / "out" / "a.ome.zarr"
    command = ["--functions", file, "run", "my_ops.careful", source]
    assert shell("whole", *command, whole) == 0
    told = shell.refused("log", *command, path, fault=partial(faulty.lock, tmp_path / "in-use"))
    assert "my_ops.careful failed on the tile [" in told
    assert "RuntimeError: the licence is in use (my_ops.py, line 9)" in told
    (tmp_path / "in-use").unlink()
    assert shell("log", *command, path) == 0
    assert content(path) == content(whole)
    assert len(shell.tiles("log")) == len(set(shell.tiles("log"))) == TILES


# -- the destination -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
@pytest.mark.parametrize(
    ("where", "what"),
    [("..", "out"), (".", ".a.*.partial-*"), (".", ".a.*.run")],
    ids=["folder", "growing output", "checkpoint"],
)
def test_what_the_run_needs_is_removed(
    where: str, what: str, name: str, shell: Shell, source: Path, chain: Path, tmp_path: Path
) -> None:
    whole, path = tmp_path / "whole" / name, tmp_path / "out" / name
    assert shell("whole", "run", chain, source, whole) == 0
    fault = partial(faulty.remove, (path.parent / where).resolve(), what)
    told = shell.refused("log", "run", chain, source, path, fault=fault)
    assert str(path.parent) in told
    assert re.search("start (the run )?again", told)
    assert not path.exists()
    lost = len(shell.tiles("log"))
    assert shell("log", "run", chain, source, path) == 0
    assert content(path) == content(whole)
    assert entries(path.parent) == [name]
    assert len(shell.tiles("log")) == TILES + lost  # nothing of it was there any more
    assert lost < 6


@pytest.mark.parametrize(
    ("name", "options"), [("a.ome.zarr", []), ("a.ome.zarr", ["--no-pyramid"]), ("a.ome.tif", [])]
)
def test_a_chunk_of_the_growing_output_is_removed(
    name: str, options: list[str], shell: Shell, source: Path, chain: Path, tmp_path: Path
) -> None:
    """The pyramid would be made of zeros, and the output would have a hole."""
    path = tmp_path / "out" / name
    fault = partial(faulty.remove_file, path.parent, ".a.*.partial-*/0/c/0/*")
    told = shell.refused("log", "run", chain, source, path, *options, fault=fault)
    assert re.search(r"chunk '.*' was removed .* start again", told)
    assert not path.exists()
    assert shell("log", "run", chain, source, path, *options) == 0
    assert shell("whole", "run", chain, source, tmp_path / "whole" / name, *options) == 0
    assert content(path) == content(tmp_path / "whole" / name)
    assert entries(path.parent) == [name]


# -- another run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--no-resume"]])
def test_two_runs_at_once(
    options: list[str], shell: Shell, children: Any, source: Path, tmp_path: Path
) -> None:
    path, other = tmp_path / "out" / "a.ome.zarr", tmp_path / "other" / "a.ome.zarr"
    assert shell("other", "run", "util.invert", source, other) == 0
    started, go = children.Event(), children.Event()
    command = ["run", "util.invert", source, path, *options]
    first, _ = shell.start("first", *command, fault=partial(faulty.wait, started, go))
    assert started.wait(60)
    for more in ([], ["--no-resume"], ["--overwrite"]):
        told = shell.refused("second", *command, *more)
        assert str(path.parent) in told
        assert "Another run is writing to the same destination" in told
        assert "wait for it" in told
    go.set()
    first.join()
    assert first.exitcode == 0
    assert content(path) == content(other)
    assert entries(path.parent) == ["a.ome.zarr"]
