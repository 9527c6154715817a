"""Where users look for an operation: a menu of napari's and a submenu in it."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Operations that users look for in one submenu."""

    menu: str
    """The menu below napari's ``Layers``: filter, segment, measure or transform."""
    title: str
    keeps_intensities: bool = False
    """Whether values of a result are on the scale of the image's: an image shown with the same
    display window is then to be compared."""
    moves_pixels: bool = False
    """Whether results are the same pixels elsewhere: an alpha goes where its colours go."""
    mixes_channels: bool = False
    """Whether the channels of a result are others than those of the image."""


BLOBS = Family("measure", "Blobs and peaks")
COLOCALIZATION = Family("measure", "Colocalization")
COLOUR = Family("filter", "Colour", mixes_channels=True)
COLOUR_SPACES = Family("filter", "Colour spaces", mixes_channels=True)
CORNERS = Family("measure", "Corners")
DENOISING = Family("filter", "Denoising and restoration", keeps_intensities=True)
EDGES = Family("filter", "Edges")
INTEGRALS = Family("transform", "Hough, Radon and integrals")
INTENSITY = Family("filter", "Intensity")
LABELS = Family("segment", "Labels")
MORPHOLOGY = Family("filter", "Morphology", keeps_intensities=True)
MORPHOLOGY_BY_AREA = Family("filter", "Morphology by area and height", keeps_intensities=True)
OBJECTS = Family("segment", "Objects")
PIXEL_TYPES = Family("filter", "Pixel types and arithmetic")
PROJECTIONS = Family("transform", "Projections")
RANKS = Family("filter", "Rank filters", keeps_intensities=True)
REGIONS = Family("measure", "Objects and regions")
RIDGES = Family("filter", "Ridges")
SEGMENTATION = Family("segment", "Segmentation")
SIZES = Family("transform", "Size and pyramids", keeps_intensities=True, moves_pixels=True)
SMOOTHING = Family("filter", "Smoothing and frequency", keeps_intensities=True)
TEXTURE = Family("filter", "Structure and texture")
THRESHOLDS = Family("segment", "Thresholds")
WARPS = Family("transform", "Warps", keeps_intensities=True, moves_pixels=True)
WHOLE_IMAGE = Family("measure", "Whole image")
