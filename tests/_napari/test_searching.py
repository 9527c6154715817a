"""Operations are found by the words that people know, and kept at hand."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from skimage import data

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.forms.chooser import FAVOURITES, RECENT, Chooser
from napari_tilewise._napari.forms.operation_search import OperationSearch
from napari_tilewise._napari.forms.synonyms import SYNONYMS
from napari_tilewise._napari.manifest import samples
from napari_tilewise._napari.widgets import wording
from napari_tilewise.operations.summary import summary

WORDS = {
    "blur": "filters.gaussian",
    "erode": "morphology.erosion",
    "Distance Map": "ndimage.distance_transform_edt",
    "find maxima": "feature.peak_local_max",
    "watershed": "segmentation.watershed",
    "analyze particles": "measure.regionprops_table",
    "rolling ball": "restoration.rolling_ball",
    "median": "filters.median",
    "otsu": "filters.threshold_otsu",
    "label": "measure.label",
    "add": "numpy.add",
    "background subtraction": "restoration.rolling_ball",
    "Z-Project": "numpy.max",
    "spot detection": "feature.blob_log",
    "3D objects counter": "measure.label",
    "template matching": "feature.match_template",
    "gausian": "filters.gaussian",
    "treshold": "filters.threshold_otsu",
    "blob_dog": "feature.blob_dog",
    "frt2": "transform.frt2",
    "denoise_tv_bregman": "restoration.denoise_tv_bregman",
    "skeletonise": "morphology.skeletonize",
}


@pytest.mark.gui
def test_other_names_lead_to_operations(qtbot):
    chooser = Chooser(OPERATIONS)
    qtbot.addWidget(chooser)
    for word, name in WORDS.items():
        chooser.search.setText(word)
        assert chooser.visible()[0] == name, word
        qtbot.keyClick(chooser.search, Qt.Key.Key_Return)
        assert chooser.current == name, word
    chooser.search.setText("blur")
    qtbot.keyClick(chooser.search, Qt.Key.Key_Return)
    assert chooser.list.topLevelItem(0).text(0) == "Gaussian"
    names = chooser.visible()
    qtbot.keyClick(chooser.search, Qt.Key.Key_Down)
    assert chooser.current == names[names.index("filters.gaussian") + 1]
    qtbot.keyClick(chooser.search, Qt.Key.Key_Up)
    assert chooser.current == "filters.gaussian"


@pytest.mark.gui
def test_nothing_found_is_said(qtbot):
    chooser = Chooser(OPERATIONS)
    qtbot.addWidget(chooser)
    chooser.search.setText("teleport")
    assert chooser.nothing.isVisibleTo(chooser)
    assert "No operation is called 'teleport'" in chooser.nothing.text()
    chooser.search.clear()
    assert not chooser.nothing.isVisibleTo(chooser)


@pytest.mark.gui
def test_favourites_and_recent_ones_are_remembered(qtbot):
    chooser = Chooser(OPERATIONS)
    qtbot.addWidget(chooser)
    chooser.choose("filters.sobel")
    chooser.favourite.click()
    chooser.used("filters.median")
    chooser.used("filters.sobel")
    again = Chooser(OPERATIONS)
    qtbot.addWidget(again)
    again.category.setCurrentText(FAVOURITES)
    assert again.visible() == ["filters.sobel"]
    again.category.setCurrentText(RECENT)
    assert again.visible() == ["filters.sobel", "filters.median"], "the last one comes first"
    again.used("filters.median")
    assert again.visible() == ["filters.median", "filters.sobel"]
    again.choose("filters.sobel")
    assert again.favourite.isChecked()
    again.category.setCurrentText(FAVOURITES)
    again.favourite.click()
    assert again.visible() == []
    assert again.nothing.isVisibleTo(again)
    assert again.current == "filters.sobel", "its form stays"
    again.favourite.click()
    assert again.visible() == ["filters.sobel"]


@pytest.mark.gui
def test_a_favourite_has_another_star(qtbot):
    chooser = Chooser(OPERATIONS)
    qtbot.addWidget(chooser)
    chooser.choose("filters.sobel")
    before = chooser.favourite.text()
    chooser.favourite.click()
    assert chooser.favourite.text() != before
    chooser.choose("filters.median")
    assert chooser.favourite.text() == before


@pytest.mark.gui
def test_return_takes_what_the_arrow_keys_chose(qtbot):
    """Else the best match, also if the one chosen before is in the list."""
    chooser = Chooser(OPERATIONS)
    qtbot.addWidget(chooser)
    confirmed = []
    chooser.confirmed.connect(lambda: confirmed.append(chooser.current))
    chooser.search.setText("threshold")
    names = chooser.visible()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(chooser.search, key)
    assert confirmed == [names[2]]
    chooser.search.setText("thresholds")
    chooser.search.setText("threshold")
    qtbot.keyClick(chooser.search, Qt.Key.Key_Return)
    assert confirmed == [names[2], names[0]]


def test_a_text_finds_what_its_words_begin():
    search = OperationSearch({name: summary(OPERATIONS, name).title for name in OPERATIONS})
    assert search.find("") == list(OPERATIONS)
    assert not search.find("?")
    assert not any("morphology" in name for name in search.find("log")), "inside a word"
    assert "segmentation.watershed" not in search.find("hed")
    for name in OPERATIONS:
        title = summary(OPERATIONS, name).title
        assert name in search.find(title), title
        assert name in search.find(name), name


def test_other_names_belong_to_operations():
    assert {key for keys in SYNONYMS.values() for key in keys} <= set(OPERATIONS)


def test_every_operation_has_its_page():
    assert wording.page(OPERATIONS["filters.rank.median"]) == (
        "https://scikit-image.org/docs/stable/api/skimage.filters.rank.html"
        "#skimage.filters.rank.median"
    )
    assert wording.page(OPERATIONS["ndimage.sobel"]).endswith("/scipy.ndimage.sobel.html")
    assert all(wording.page(op).startswith("https://") for op in OPERATIONS.values())


def test_samples_are_images():
    for sample in samples.SAMPLES[:-1]:
        ((pixels, arguments, kind),) = getattr(samples, sample.function)()
        assert kind == "image"
        assert pixels.ndim == 2 + arguments["rgb"]
    np.testing.assert_array_equal(samples.coins()[0][0], data.coins())


def test_the_huge_sample_is_lazy_and_the_same_at_every_reading():
    ((levels, _, _),) = samples.huge_plane()
    assert levels[0].shape == (131_072, 131_072)
    part = levels[0][70_000:70_300, 9_000:9_200]
    pixels = part.compute()
    np.testing.assert_array_equal(
        samples.SyntheticPlane(1)[70_100:70_200, 9_050:9_100], pixels[100:200, 50:100]
    )
    assert pixels.max() > 2 * np.median(pixels), "there are cells"
    means = [np.asarray(level[:256, :256]).mean() for level in levels[::3]]
    assert max(means) < 2 * min(means)
