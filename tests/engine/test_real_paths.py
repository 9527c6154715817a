"""The path of a folder without links is the right one, also when a link leads elsewhere later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from napari_tilewise.engine.system import real_paths
from napari_tilewise.engine.system.real_paths import real_folder, real_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    a, b, link = (tmp_path / name for name in ("a", "b", "link"))
    a.mkdir()
    b.mkdir()
    try:
        link.symlink_to(a, target_is_directory=True)
    except OSError:
        pytest.skip("this system lets no link be made")
    return a, b, link


def test_a_link_is_followed_where_it_leads_now(folders: tuple[Path, Path, Path]) -> None:
    a, b, link = folders
    (a / "file").write_text("")
    for _ in range(2):
        assert real_folder(str(link)) == os.path.realpath(a)
        assert real_path(str(link / "file")) == os.path.realpath(a / "file")
    link.unlink()
    link.symlink_to(b, target_is_directory=True)
    assert real_folder(str(link)) == os.path.realpath(b)
    assert real_path(str(link / "file")) == os.path.realpath(b / "file")
    link.unlink()
    assert real_folder(str(link)) == os.path.realpath(link)


def test_every_path_is_that_of_the_system(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _, link = folders
    (a / "below").mkdir()
    (a / "other").symlink_to("missing")
    monkeypatch.chdir(a)
    texts = ("", ".", "..", "below", "below/", "below/..", "other", "missing/../a", "../link/below")
    for text in (*texts, str(link), str(link / ".."), str(link / "below" / ".." / "other"), "/"):
        for _ in range(2):
            assert real_path(text) == os.path.realpath(text), text
    monkeypatch.chdir(a / "below")
    assert real_path("x") == os.path.realpath("x")


def test_few_folders_are_remembered(tmp_path: Path) -> None:
    for number in range(real_paths.MOST + 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        real_folder(str(folder))
    assert len(real_paths._real) <= real_paths.MOST
