"""How values look: short in a terminal, a table in a notebook, progress where it can be shown."""

from xml.etree import ElementTree

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.operations.notebook import html_table

STEPS = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """Values of every kind that a notebook shows."""
    folder = tmp_path_factory.mktemp("values")
    np.save(folder / "<b>.npy", np.random.default_rng(0).random((40, 50)))
    (folder / "bad.npy").write_bytes(b"")
    recipe = tw.Recipe(STEPS)
    source = folder / "<b>.npy"
    return {
        "operation": tw.OPERATIONS["filters.gaussian"],
        "operations": tw.OPERATIONS,
        "recipe": recipe,
        "image": tw.open(source),
        "plan": tw.plan(recipe, source),
        "result": tw.run(recipe, source, folder / "out.ome.zarr"),
        "number": tw.run("filters.threshold_otsu", source, folder / "out.json"),
        "report": tw.batch(recipe, folder / "*.npy", folder / "out", backend="serial"),
        "item": tw.items(source)[0],
    }


def test_reprs_are_short(values):
    for name, value in values.items():
        assert len(repr(value)) < 300, name
        assert "\n" not in repr(value)
    assert repr(values["image"]) == f"<Image {values['image'].name!r}: 40 x 50 float64, axes yx>"
    assert repr(values["report"]) == "<Report: 1 done, 1 failed, 0 skipped>"
    assert repr(values["plan"]).startswith("<RunPlan filters.gaussian -> filters.threshold_otsu")


def texts(value):
    """Return the texts in the HTML of a value, which is well-formed."""
    return list(ElementTree.fromstring(f"<div>{value._repr_html_()}</div>").itertext())


def test_the_repr_of_an_error_is_its_sentence(tmp_path):
    """Not the marks of options, which are for the doors that name them."""
    tw.convert(np.zeros((4, 4)), tmp_path / "out.npy")
    with pytest.raises(tw.errors.DestinationExists) as caught:
        tw.convert(np.zeros((4, 4)), tmp_path / "out.npy")
    assert "overwrite=True" in repr(caught.value)
    assert repr(caught.value) == f"DestinationExists({str(caught.value)!r})"


def test_notebooks_show_tables(values):
    assert "sigma" in texts(values["operation"])
    assert {"1", "filters.gaussian", "sigma=2"} <= set(texts(values["recipe"]))
    assert {"tiles", "memory", "step 3"} <= set(texts(values["plan"]))
    assert "40 x 50" in texts(values["result"])
    assert float(texts(values["number"])[4]) == values["number"].value
    rows = texts(values["report"])
    assert rows[0] == "Batch: 1 done, 1 failed, 0 skipped"
    assert rows.index("bad") < rows.index("<b>")


def test_markup_in_names_is_shown():
    html = html_table("<caption>", [("<i>", "&")], ("<h>", "<h>"), "<note>")
    root = ElementTree.fromstring(f"<div>{html}</div>")
    assert list(root.itertext()) == ["<caption>", "<h>", "<h>", "<i>", "&", "<note>"]


def test_progress_true_shows_itself(tmp_path, capfd):
    image = np.zeros((40, 50), np.uint8)
    np.save(tmp_path / "a.npy", image)
    tw.run("filters.sobel", image, tmp_path / "a.ome.zarr", progress=True)
    tw.convert(image, tmp_path / "b.ome.zarr", progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("1 tile per pass, at most ")
    assert lines[1].startswith("done in ")
    (tmp_path / "b.npy").write_bytes(b"")
    sources = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), str(tmp_path / "b.npy")]
    report = tw.batch("filters.sobel", sources, backend="serial", progress=True)
    assert report.failed == 2
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "3 items"
    assert "cannot be read" in lines[1]
    assert lines[2].startswith("1 more item failed like ")
    tw.run("filters.sobel", image, tmp_path / "c.ome.zarr", progress=False)
    assert capfd.readouterr().err == ""
