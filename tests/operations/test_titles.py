"""Titles are what people call operations, each of them another."""

from __future__ import annotations

import re
from collections import defaultdict

from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.titles import usual_title
from napari_tilewise.operations.summaries import TITLES
from napari_tilewise.operations.summary import summaries

SAME = [{"measure.label", "morphology.label"}] + [
    {f"{module}.{name}" for module in ("morphology", "segmentation")}
    for name in ("flood", "flood_fill")
]
"""Functions that scikit-image has under two paths."""
PARTS = re.compile(
    r"\b(?:(?<!:)[b-z](?!:)|dog|log|doh|[a-z]+\d+|pos|neg|diag|det|subpix|coeff|eigvals)\b"
)
"""Parts of functions' names that no sentence has."""


def test_titles_of_functions_whose_names_say_little():
    titles = {
        "feature.blob_dog": "Blobs (difference of Gaussians)",
        "transform.frt2": "Finite Radon transform",
        "filters.sobel_h": "Sobel, horizontal edges",
        "filters.threshold_otsu": "Otsu threshold",
        "filters.rank.pop_percentile": "Population between percentiles (rank)",
        "restoration.denoise_wavelet": "Wavelet denoising",
        "color.rgb2lab": "RGB to Lab",
        "ndimage.distance_transform_edt": "Distance transform, Euclidean (SciPy)",
    }
    assert {key: OPERATIONS[key].title for key in titles} == titles
    assert usual_title("user.threshold_cells") == "Threshold cells"


def test_lists_and_declarations_have_the_same_titles():
    assert {item.name: item.title for item in summaries()} == {
        key: operation.title for key, operation in OPERATIONS.items()
    }


def test_no_two_operations_have_one_title():
    keys = defaultdict(set)
    for item in summaries():
        keys[item.title].add(item.name)
    assert [found for found in keys.values() if len(found) > 1] == SAME


def test_titles_are_words():
    assert not [item.title for item in summaries() if PARTS.search(item.title)]


def test_a_title_that_is_declared_is_not_the_usual_one():
    assert not {key for key, declared in TITLES.items() if declared == usual_title(key)}
