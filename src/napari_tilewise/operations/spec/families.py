"""Where users look for an operation: a menu of napari's and a submenu in it."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Operations that users look for in one submenu."""

    menu: str
    """The menu below napari's ``Layers``: filter, segment, measure or transform."""
    title: str


BLOBS = Family("measure", "Blobs and peaks")
COLOCALIZATION = Family("measure", "Colocalization")
COLOUR = Family("filter", "Colour")
COLOUR_SPACES = Family("filter", "Colour spaces")
CORNERS = Family("measure", "Corners")
DENOISING = Family("filter", "Denoising and restoration")
EDGES = Family("filter", "Edges")
INTEGRALS = Family("transform", "Hough, Radon and integrals")
INTENSITY = Family("filter", "Intensity")
LABELS = Family("segment", "Labels")
MORPHOLOGY = Family("filter", "Morphology")
MORPHOLOGY_BY_AREA = Family("filter", "Morphology by area and height")
OBJECTS = Family("segment", "Objects")
PIXEL_TYPES = Family("filter", "Pixel types and arithmetic")
PROJECTIONS = Family("transform", "Projections")
RANKS = Family("filter", "Rank filters")
REGIONS = Family("measure", "Objects and regions")
RIDGES = Family("filter", "Ridges")
SEGMENTATION = Family("segment", "Segmentation")
SIZES = Family("transform", "Size and pyramids")
SMOOTHING = Family("filter", "Smoothing and frequency")
TEXTURE = Family("filter", "Structure and texture")
THRESHOLDS = Family("segment", "Thresholds")
WARPS = Family("transform", "Warps")
WHOLE_IMAGE = Family("measure", "Whole image")
