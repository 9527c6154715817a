"""scikit-image's private functions are reached in one place, and are all there in this release."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import napari_tilewise
from napari_tilewise.errors import MissingExtra
from napari_tilewise.operations.shared.private import reach

SOURCES = sorted(Path(napari_tilewise.__file__).parent.rglob("*.py"))


def reached() -> list[tuple[str, str]]:
    """Return every (module, name) that the sources reach with plain texts."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                if len(texts) == 2:
                    found.add((str(texts[0]), str(texts[1])))
    return sorted(found)


@pytest.mark.parametrize(("module", "name"), reached())
def test_it_is_where_it_was(module: str, name: str) -> None:
    try:
        assert reach(module, name) is not None
    except MissingExtra as error:
        pytest.fail(f"scikit-image {version('scikit-image')} moved or renamed it: {error}")


def test_what_moved_is_told_with_the_release() -> None:
    with pytest.raises(MissingExtra, match=rf"no_such.*scikit-image {version('scikit-image')}"):
        reach("measure._regionprops", "no_such")


def test_nothing_private_is_imported_elsewhere() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skimage."):
                private = [n.name for n in node.names if n.name.startswith("_")]
                parts = [part for part in (node.module or "").split(".") if part.startswith("_")]
                assert not private + parts, f"{path}: use reach() for {node.module}"
