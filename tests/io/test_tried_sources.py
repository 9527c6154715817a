"""The page of sources tells what comes of each of them; with threads, all give the pixels."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "sources.py"
spec = importlib.util.spec_from_file_location("docs_sources", PAGE)
assert spec is not None
assert spec.loader is not None
page = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)
NAMES = [*page.SOURCES, *page.COLOUR_STEPS]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_it_with_threads_is_equal(name: str, tmp_path: Path) -> None:
    outcome = page.row(name, "threads", tmp_path)
    if outcome.startswith("not tried"):
        pytest.skip(outcome)
    assert outcome == "equal"


def test_the_page_has_every_source_and_no_failure() -> None:
    rows = [
        line for line in page.PAGE.read_text(encoding="utf-8").splitlines() if "| equal |" in line
    ]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == NAMES
    assert {cell.strip() for row in rows for cell in row.split("|")[2:-1]} <= {"equal", "refused"}
