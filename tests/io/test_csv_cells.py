"""Cells of a CSV: no text is a formula, and each is read back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tilewise.io.csv_cells import from_cell, to_cell

ODD = [
    "=1+1", "+1", "-2+3", "@SUM(A1)", "'=1", "''=1", "' =1", "  =1", "\t=1", "\r=1", "a\n=1",
    "a\0b", "\x1b[31m", "a\x7f", "\u202etxt.exe", "wrong \udcff byte", '"', '""', '"a"', '"=1"',
    '"\\u0041"', "'", "\uff1d1", "O'Neill", "<b>cell</b>", "a,b", "", "plain é",
]  # fmt: skip


def written(text: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([to_cell(text)])
    return next(iter(csv.reader(io.StringIO(file.getvalue(), newline=""))))[0]


@pytest.mark.parametrize("text", ODD)
def test_a_text_is_shown_and_comes_back(text):
    cell = written(text)
    assert from_cell(cell) == text
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\uff1d", "\t", "\r"))
    assert all(character.isprintable() for character in cell)
    cell.encode()


@given(st.text(st.characters(), max_size=9) | st.text("'=+-@\"\\ \t\nu0a", max_size=9))
def test_any_text_comes_back(text):
    assert from_cell(written(text)) == text


@pytest.mark.parametrize("value", [-1, -2.5, float("-inf"), None, True])
def test_numbers_stay_numbers(value):
    assert to_cell(value) is value


@pytest.mark.parametrize("cell", ['"not json', '"a\\"', '"\\x"', "'plain"])
def test_what_another_program_wrote_is_read_as_it_is(cell):
    assert from_cell(cell) == cell
