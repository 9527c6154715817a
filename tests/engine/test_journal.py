"""What a journal holds is what was written, or it is not believed."""

from __future__ import annotations

import json
import logging
import zlib
from typing import TYPE_CHECKING

import pytest

from napari_tilewise.engine.checkpoints.journal import (
    Journal,
    entry_at,
    leading_entries,
    read_entries,
    repair,
)

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [{"a": 1}, {"b": [1, 2], "c": "ü"}, {"d": None}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "journal"
    journal = Journal(path, sync_interval=0)
    for entry in ENTRIES:
        journal.append(entry)
    journal.close()
    return path


def test_entries_are_read_as_they_were_written(path: Path) -> None:
    assert list(read_entries(path)) == ENTRIES
    assert list(leading_entries(path)) == [line.entry for line in repair(path)] == ENTRIES
    assert [entry_at(path, line.start) for line in repair(path)] == ENTRIES


def test_a_journal_is_json_lines(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [{key: row[key] for key in row if key != "crc32"} for row in rows] == ENTRIES


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert list(read_entries(tmp_path / "none")) == list(repair(tmp_path / "none")) == []


@pytest.mark.parametrize("cut", range(1, 32))
def test_a_torn_line_is_dropped_and_written_over(
    cut: int, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_entries(path)) == ENTRIES[:-1]
    journal = Journal(path)
    journal.append({"e": 5})
    journal.close()
    assert list(read_entries(path)) == [*ENTRIES[:-1], {"e": 5}]
    assert not caplog.records


def test_every_damaged_byte_is_noticed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    second = whole.index(b"\n", first)
    for position in range(first, second):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        if damaged[position] == ord("\n"):
            continue
        path.write_bytes(damaged)
        caplog.clear()
        assert list(read_entries(path)) == [ENTRIES[0], ENTRIES[2]]
        assert "Line 2 of" in caplog.text
        assert list(leading_entries(path)) == ENTRIES[:1]
    assert [line.entry for line in repair(path)] == ENTRIES[:1]
    assert path.read_bytes() == whole[:first]


def test_lines_of_the_first_release_are_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    texts = [json.dumps(entry).encode() for entry in ENTRIES]
    path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))
    assert list(read_entries(path)) == ENTRIES  # of a run
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    journal = Journal(path)  # of a batch
    journal.append({"new": True})
    journal.close()
    assert list(read_entries(path)) == [*ENTRIES, {"new": True}]


def test_a_line_without_checksum_among_checked_ones_is_damaged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with path.open("a") as file:
        file.write('{"f": 6}\n')
    with caplog.at_level(logging.WARNING):
        assert list(read_entries(path)) == ENTRIES
    assert "Line 4" in caplog.text


def test_a_removed_file_is_noticed(path: Path) -> None:
    journal = Journal(path)
    assert not journal.is_gone
    path.rename(path.with_name("other"))
    assert journal.is_gone
    journal.close()
