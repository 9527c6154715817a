"""Folders and patterns: each image once, nothing left out unsaid, nothing that never ends."""

import os
import socket
import sys

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.batches.batch_events import BatchStarted
from napari_tilewise.cli import main
from napari_tilewise.errors import SourceNotFound, SourceUnreadable
from napari_tilewise.io.readers import hdf5, microscopes, npy, open_image, pictures, tiff_header
from napari_tilewise.io.readers.file_patterns import fixed_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and names of POSIX")


@pytest.fixture
def folder(tmp_path):
    """A folder with two images, one of them in a folder with brackets in its name."""
    (tmp_path / "plate[1]" / "deep").mkdir(parents=True)
    for name in ("a.npy", "plate[1]/b.npy"):
        np.save(tmp_path / name, np.zeros((8, 9), np.uint8))
    return tmp_path


def stems(source):
    return [item.stem for item in tw.items(source)]


def test_folders_with_brackets_are_literal_where_they_exist(folder):
    assert stems(folder / "plate[1]" / "*.npy") == ["b"]
    assert stems(f"{folder}/plate[1]") == ["b"]
    assert stems(folder / "**" / "*.npy") == ["a", "b"]
    assert stems(folder / "plate*" / "**" / "[ab].npy") == ["b"]
    (folder / "plate1").mkdir()
    np.save(folder / "plate1" / "c.npy", np.zeros((8, 9)))
    assert stems(folder / "plate[0-9]" / "*.npy") == ["c"]
    assert fixed_folder(f"{folder}/plate[1]/x*/y") == f"{folder}/plate[1]/"


@posix
def test_symbolic_links_to_a_parent_end(folder, monkeypatch):
    for name in ("up", "again"):
        (folder / "plate[1]" / name).symlink_to(folder, target_is_directory=True)
    assert stems(folder) == ["a", "b"]
    assert sorted(stems(folder / "**" / "*.npy")) == ["a", "b"]
    monkeypatch.chdir(folder)
    assert sorted(stems("**/*.npy")) == ["a", "b"]
    (folder / "deeper").symlink_to(folder / "plate[1]", target_is_directory=True)
    assert len(stems(folder)) == 2


@posix
def test_pipes_and_sockets_are_skipped_and_refused(folder, monkeypatch):
    os.mkfifo(folder / "pipe.tif")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.tif")
        assert stems(folder) == ["a", "b"]
        assert stems(folder / "*.npy") == ["a"]
        with pytest.raises(SourceNotFound, match="2 pipes or sockets cannot be read"):
            tw.items(folder / "*.tif")
        with pytest.raises(SourceUnreadable, match="is a named pipe"):
            tw.open(folder / "pipe.tif")
        with pytest.raises(SourceUnreadable, match="is a socket"):
            tw.open(folder / "socket.tif")


@posix
def test_a_tilde_before_a_name_is_a_character(folder, monkeypatch):
    monkeypatch.chdir(folder)
    np.save("~nobody.npy", np.ones((8, 9)))
    assert tw.open("~nobody.npy").data.shape == (8, 9)
    assert stems("~nobody.npy") == ["~nobody"]
    tw.run("filters.sobel", "~nobody.npy", "~out.ome.zarr")
    assert (folder / "~out.ome.zarr").is_dir()
    monkeypatch.setenv("HOME", str(folder))
    assert tw.open("~/a.npy").data.shape == (8, 9)


def test_what_is_left_out_is_one_line_with_the_count(folder, capsys):
    for name in ("notes.txt", "more.txt", "plan.csv", "plate[1]/deep/x"):
        (folder / name).write_text("")
    events = []
    report = tw.batch("filters.sobel", folder, backend="serial", progress=events.append)
    line = "left out: 4 files are not images (2 .txt, 1 .csv, 1 no suffix)"
    assert report.left_out == line
    assert [event.left_out for event in events if isinstance(event, BatchStarted)] == [line]
    assert main(["batch", "filters.sobel", str(folder), str(folder.parent / "out")]) == 0
    assert f"2 items; {line}" in capsys.readouterr().err
    assert tw.batch("filters.sobel", folder / "a.npy", backend="serial").left_out == ""


def test_a_folder_takes_what_the_readers_read(folder):
    names = {
        *tiff_header.SUFFIXES,
        *hdf5.SUFFIXES,
        *npy.SUFFIXES,
        *pictures.SUFFIXES,
        *microscopes.PLUGINS,
    }
    assert names < set(open_image.SUFFIXES)
    for suffix in names:
        (folder / f"odd{suffix}").write_bytes(b"")
    assert {item.source for item in tw.items(folder)} >= {str(folder / f"odd{s}") for s in names}
    longest = sorted(open_image.SUFFIXES, key=len)
    for number, suffix in enumerate(longest):  # else a longer suffix would never be found
        for other in longest[number + 1 :]:
            if other.endswith(suffix):
                assert open_image.SUFFIXES.index(other) < open_image.SUFFIXES.index(suffix)
