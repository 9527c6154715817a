"""--json: one document on stdout, with the keys that docs/shell.md lists."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from skimage import measure

import napari_tilewise as tw
from napari_tilewise.cli.documents import operation_document, print_json

ROOT = Path(__file__).parents[2]


def documented(command):
    """Return the keys that the table of docs/shell.md has for a command."""
    text = (ROOT / "docs" / "shell.md").read_text("utf-8")
    row = re.search(rf"^\| {re.escape(command)} \| (.*) \|$", text, re.MULTILINE)[1]
    keys = [key for key in re.findall(r"`([\w.]+)`", row) if key not in ("list", "tw.info")]
    return {*keys, *(documented("`list`") if "keys of `list`" in row else ())}


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, np.random.default_rng(0).integers(0, 4000, (40, 50), np.uint16))
    return path


@pytest.fixture
def document(shell):
    """Return a function that runs a command with --json and returns its document."""

    def call(*args, code=0):
        got, out, err = shell(*args, "--json")
        assert got == code, err
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return call


def test_list_and_describe(document):
    entries = document("list", "--kind", "statistic")
    assert entries
    assert all(set(entry) == documented("`list`") for entry in entries)
    assert [entry["name"] for entry in entries] == [
        op.name for op in tw.OPERATIONS.values() if op.kind == "statistic"
    ]
    description = document("describe", "filters.gaussian")
    assert set(description) == documented("`describe`")
    parameter = description["parameters"][0]
    assert set(parameter) == documented("`describe`: each of `parameters`") - {"parameters"}
    assert (parameter["name"], parameter["default"]) == ("sigma", 1)


def test_every_operation_can_be_described(capsys):
    for op in tw.OPERATIONS.values():
        print_json(operation_document(op))
        names = [
            parameter["name"] for parameter in json.loads(capsys.readouterr().out)["parameters"]
        ]
        assert names == list(op.parameters)


def test_run_dry_run_info_and_rerun(document, image, tmp_path):
    output = tmp_path / "out.ome.zarr"
    plan = document("run", "filters.gaussian", image, output, "--dry-run")
    assert set(plan) == documented("`run --dry-run`")
    assert plan["result"] == {"kind": "image", "shape": [40, 50], "dtype": "float64"}
    result = document("run", "filters.gaussian", image, output)
    assert set(result) == documented("`run`, `convert`")
    assert (result["output"], result["shape"]) == (str(output), [40, 50])
    assert result["tiles"] == plan["tiles"]
    info = document("info", output)
    assert set(info) == documented("`info`") == set(tw.info(output))
    assert info["recipe"]["steps"] == [{"operation": "filters.gaussian"}]
    comparison = document("rerun", output)
    assert set(comparison) == documented("`rerun`")
    assert comparison["identical"] is True
    assert set(document("convert", image, tmp_path / "b.ome.tif")) == documented("`run`, `convert`")


def test_a_number_is_a_value(document, image, tmp_path):
    result = document("run", "measure.shannon_entropy", image, tmp_path / "entropy.json")
    assert result["shape"] == []
    assert result["value"] == measure.shannon_entropy(np.load(image))


def test_batch_reports_every_item(document, image, tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    report = document("batch", "filters.sobel", tmp_path / "*.npy", tmp_path / "out", code=1)
    assert set(report) == documented("`batch`, `convert` of several images")
    assert [row["status"] for row in report["rows"]] == ["failed", "done"]
    assert (report["done"], report["failed"]) == (1, 1)


def test_runs_lists_unfinished_runs(document, monkeypatch, tmp_path):
    from napari_tilewise.runs import registry

    monkeypatch.setenv(registry.STATE, str(tmp_path / "state"))
    assert document("runs") == []
    registry.enter(registry.RUN, tmp_path / "out.ome.zarr")
    (entry,) = document("runs")
    assert set(entry) == documented("`runs`")
    assert (entry["state"], entry["destination"]) == ("running", str(tmp_path / "out.ome.zarr"))


def test_a_failure_leaves_stdout_empty(shell, tmp_path):
    code, out, err = shell("info", tmp_path / "nope.tif", "--json")
    assert (code, out) == (1, "")
    assert "nope.tif" in err
