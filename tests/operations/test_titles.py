"""Titles are what people call operations, each of them another."""

from __future__ import annotations

import re
from collections import defaultdict

from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.titles import TITLES, title

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
        "user.threshold_cells": "Threshold cells",
    }
    assert {key: title(key) for key in titles} == titles


def test_no_two_operations_have_one_title():
    keys = defaultdict(set)
    for key in OPERATIONS:
        keys[title(key)].add(key)
    assert [found for found in keys.values() if len(found) > 1] == SAME


def test_titles_are_words():
    assert not [title(key) for key in OPERATIONS if PARTS.search(title(key))]
    assert TITLES.keys() <= OPERATIONS.keys(), "a title of an operation that is gone"
