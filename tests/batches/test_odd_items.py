"""One odd item costs one row: names, plates and journals that others have written."""

from __future__ import annotations

import csv
import json
import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.batches import Item, batch_journal
from napari_tilewise.batches.tables import read_csv
from napari_tilewise.cli import main
from tests.io.test_formats import write

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.arange(30, dtype=np.uint8).reshape(5, 6)


def table(image: np.ndarray) -> dict[str, Any]:
    return {"=name": ["=1+1", "-x", "a\nb"], "value": [-1.5, 2, 3]}


def statuses(report: Any) -> list[str]:
    return [row["status"] for row in report.rows]


def files_outside(tmp_path: Path) -> list[Path]:
    """Return what is in the folder of the test beside the sources and the outputs."""
    return [path for path in tmp_path.iterdir() if path.name not in ("source", "out")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    tifffile.imwrite(folder / "plain.tif", PIXELS)
    return folder


# -- reports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["=1+1", "-2", "@SUM(A1)", "tab\tname", b"caf\xe9"])
def test_a_report_shows_names_as_text_and_gives_them_back(source, tmp_path, name):
    stem = os.fsdecode(name)
    tifffile.imwrite(source / f"{stem}.tif", PIXELS)
    out = tmp_path / "out"
    report = tw.batch(table, source, out, backend="serial")
    assert statuses(report) == ["done", "done"]
    with (out / "report.csv").open(newline="", encoding="utf-8") as file:
        cells = [row["item"] for row in csv.DictReader(file)]
    assert "plain" in cells
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert all(cell.isprintable() for cell in cells)
    assert {row["item"] for row in read_csv(out / "report.csv")} == {"plain", stem}
    rows = [row for row in read_csv(out / "table.csv") if row["item"] == stem]
    assert [row["=name"] for row in rows] == ["=1+1", "-x", "a\nb"]
    assert [row["value"] for row in rows] == [-1.5, 2, 3]
    assert "=name" not in (out / "table.csv").read_text().splitlines()[0].split(",")
    report.to_parquet(out / "report.parquet")


def test_a_name_that_is_not_utf8_goes_through_the_shell(source, tmp_path, capfd):
    tifffile.imwrite(source / os.fsdecode(b"caf\xe9.tif"), PIXELS)
    (source / os.fsdecode(b"broken\xe9.tif")).write_bytes(b"II*\0")
    assert main(["batch", "util.invert", str(source), str(tmp_path / "out")]) == 1
    assert "2 done, 1 failed" in "".join(capfd.readouterr())
    assert main(["batch", "util.invert", str(source), str(tmp_path / "out"), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["failed"] == 1


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif", ".tif", ".npy", ".png"])
def test_a_name_that_is_not_utf8_is_written_in_every_format(source, tmp_path, suffix):
    path = source / os.fsdecode(b"caf\xe9.tif")
    tifffile.imwrite(path, PIXELS)
    output = tmp_path / f"{path.stem}{suffix}"
    assert main(["run", "util.invert", str(path), str(output)]) == 0
    np.testing.assert_array_equal(tw.open(output).data[:], 255 - PIXELS)


# -- items and plates ------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["..", "a/..", "{elsewhere}", "../../b", "a/../.."])
def test_an_item_never_goes_above_the_folder(source, tmp_path, tmp_path_factory, folder):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    folder = folder.format(elsewhere=elsewhere)
    odd = Item(0, "odd", str(source / "plain.tif"), folder)
    items = [odd, Item(1, "good", str(source / "plain.tif"))]
    report = tw.batch("util.invert", items, tmp_path / "out", backend="serial")
    assert statuses(report) == ["failed", "done"]
    assert "not in the batch's folder" in report.rows[0]["error"]
    assert files_outside(tmp_path) == []
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["...tif", "...ome.zarr"])
def test_a_name_of_dots_is_a_name(source, tmp_path, name):
    if name.endswith("zarr"):
        write(source / name, PIXELS, "yx")
    else:
        tifffile.imwrite(source / name, PIXELS)
    images = {"..": str(source / "plain.tif"), "b": str(source / name)}
    report = tw.batch("util.invert", list(images.values()), tmp_path / "out", backend="serial")
    assert statuses(report) == ["done", "done"]
    report = tw.batch("util.invert", images, tmp_path / "out", backend="serial")
    assert statuses(report) == ["failed", "done"]
    assert files_outside(tmp_path) == []


ODD_FIELDS = ["..", "../../../other.zarr", "/etc", "", ".", 7, None, "a\0b", ["0"], "0"]
ODD_WELLS = [
    {"path": "A"}, {"path": "../.."}, {"path": "A/1/2"}, {"path": None}, {}, "A/1", 7, None,
    {"path": "/A/1"}, {"path": "A/1", "rowIndex": 0},
]  # fmt: skip


def plate(path: Path, wells: list[object], fields: list[object]) -> Path:
    """Write a plate with one good field of one good well."""
    root = zarr.open_group(path, mode="w")
    good = {"path": "A/1", "rowIndex": 0, "columnIndex": 0}
    root.attrs["ome"] = {"version": "0.5", "plate": {"wells": [*wells, good]}}
    well = root.create_group("A/1")
    images = [{"path": field} for field in fields]
    well.attrs["ome"] = {"version": "0.5", "well": {"images": [*images, 7, {"path": "0"}]}}
    write(path.parent / "field.zarr", PIXELS, "yx").rename(path / "A" / "1" / "0")
    return path


def test_odd_fields_and_wells_cost_a_row_each(tmp_path):
    write(tmp_path / "other.zarr", PIXELS, "yx")
    path = plate(tmp_path / "source" / "plate.zarr", ODD_WELLS, ODD_FIELDS)
    (tmp_path / "other.zarr").rename(tmp_path / "source" / "other.zarr")
    for name in ("{stem}", "{field}/{well}"):
        report = tw.batch("util.invert", path, tmp_path / "out", backend="serial", name=name)
        rows = [row for row in report.rows if row["status"] == "failed"]
        assert report.done == 1
        assert len(rows) == len(ODD_WELLS) + len(ODD_FIELDS) + 1
        assert all("expected" in row["error"] for row in rows)
    assert files_outside(tmp_path) == []


@pytest.mark.parametrize("entry", [{}, {"wells": None}, {"wells": []}, {"wells": {"a": 1}}])
def test_a_plate_without_wells_costs_a_row(source, tmp_path, entry):
    root = zarr.open_group(source / "plate.zarr", mode="w")
    root.attrs["ome"] = {"version": "0.5", "plate": entry}
    report = tw.batch("util.invert", source, tmp_path / "out", backend="serial")
    assert statuses(report) == ["done", "failed"]
    assert "names no wells" in report.rows[1]["error"]


@pytest.mark.parametrize("images", [[], "zero", {"path": "0"}])
def test_a_well_without_fields_costs_a_row(tmp_path, images):
    path = plate(tmp_path / "source" / "plate.zarr", [{"path": "A/2"}], [])
    well = zarr.open_group(path / "A" / "2", mode="w")
    well.attrs["ome"] = {"version": "0.5", "well": {"images": images}}
    report = tw.batch("util.invert", path, tmp_path / "out", backend="serial")
    rows = [row for row in report.rows if row["well"] == "A2"]
    assert [row["status"] for row in rows] == ["failed"]
    assert "names no fields" in rows[0]["error"]


# -- journals --------------------------------------------------------------------------------------

FOREIGN = [
    {"target": 7}, {"target": "x"}, {"begun": ["x"]}, {"batch": 7}, {"batch": {"asked": 7}}, {},
    {"begun": "../x"}, {"replaced": "/x"}, {"begun": "x", "suffix": "/../../y"}, {"begun": None},
    {"target": None, "item": "a"}, {"batch": {"items": "many", "asked": {}}},
]  # fmt: skip
DAMAGED = [
    b"",
    b"{",
    b"null",
    b"[1]",
    b"\xff\xfe",
    b'{"target": "x"',
    b"[" * 99999,
    b'{"a":' * 9999,
]


def line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry)
    comma = ", " if entry else ""
    return f'{text[:-1]}{comma}"crc32": "{zlib.crc32(text.encode()):08x}"}}'.encode()


def test_a_batch_logs_a_damaged_line_once(source, tmp_path, caplog):
    out = tmp_path / "out"
    tw.batch("util.invert", source, out, backend="serial")
    with (out / batch_journal.NAME).open("ab") as journal:
        journal.write(b"x\n" + line({"target": "../x"}) + b"\n")
    caplog.clear()
    tw.batch("util.invert", source, out, backend="serial")
    logged = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert [message.split(" of ")[0] for message in logged] == ["Line 4", "An entry"]


def test_damaged_and_foreign_lines_of_a_journal_are_left_out(source, tmp_path):
    out = tmp_path / "out"
    (row,) = tw.batch("util.invert", source, out, backend="serial").items
    journal = out / batch_journal.NAME
    good = journal.read_bytes()
    changes = ({"output": "../../../etc/passwd"}, {"target": "../x"}, {"values": 7})
    entries = [*FOREIGN, *({**row, **change} for change in changes)]
    lines = [*DAMAGED, *map(line, entries)]
    journal.write_bytes(good + b"\n".join([*lines, b""]))
    assert [entry["target"] for entry in batch_journal.each_row(str(out))] == ["plain"]
    assert statuses(tw.batch("util.invert", source, out, backend="serial")) == ["skipped"]
    assert batch_journal.latest_batch(str(out))[1] == 1
    assert batch_journal.unfinished_outputs(str(out)) == {}
    assert main(["runs"]) == 0
