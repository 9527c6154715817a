"""What the text of a path or a `file:` URL names, on Windows too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_tilewise.io.readers import locations
from napari_tilewise.io.readers.locations import odd_path, path_of_url


class Windows:
    """What `locations` asks of `os`, as it is on Windows."""

    name, sep, altsep, fsencode = "nt", "\\", "/", staticmethod(os.fsencode)


def windows_path(path: str) -> str:
    """Stand in for the `url2pathname` of Windows, for drives and shares."""
    path = path.replace("/", "\\").replace("%20", " ")
    return path[1:] if path[2:3] == ":" else path


def test_a_file_url_names_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a b#1.tif"
    assert path_of_url(path.as_uri()) == str(path)
    assert path_of_url("file://localhost/data/a%20b") == str(Path("/data/a b"))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/data/a%20b.tif", r"C:\data\a b.tif"),
        ("file://localhost/C:/data", r"C:\data"),
        ("file://server/data/a.tif", r"\\server\data\a.tif"),
    ],
)
def test_a_file_url_of_windows(monkeypatch: pytest.MonkeyPatch, url: str, path: str) -> None:
    monkeypatch.setattr(locations, "os", Windows)
    monkeypatch.setattr(locations, "url2pathname", windows_path)
    assert path_of_url(url) == path


def test_on_windows_a_name_is_what_separators_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = "\\".join(["C:", *["folder" * 10] * 6, "a.tif"])  # in all more than 255 characters
    assert odd_path(folders)
    monkeypatch.setattr(locations, "os", Windows)
    assert odd_path(folders) is None
    assert odd_path("画" * 255 + "\\a.tif") is None
    assert "more than 255" in str(odd_path("C:\\data/" + "a" * 256))
