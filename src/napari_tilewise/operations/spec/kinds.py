"""How an operation tiles, how exact it is, and what it returns: the words of a declaration."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """How an operation tiles."""

    POINTWISE = "pointwise"
    NEIGHBOURHOOD = "neighbourhood"
    STATISTIC = "statistic"
    CONNECTED = "connected"
    GEOMETRY = "geometry"
    ITERATIVE = "iterative"
    WHOLE = "whole"


class Exactness(StrEnum):
    """How close a tiled result is to the whole image's."""

    IDENTICAL = "identical"
    CLOSE = "close"
    APPROXIMATE = "approximate"


class Output(StrEnum):
    """What an operation returns."""

    IMAGE = "image"
    MASK = "mask"
    LABELS = "labels"
    SCALAR = "scalar"
    POINTS = "points"
    """An array of one row per point, its first columns coordinates in pixels."""
    TABLE = "table"
    CONTOURS = "contours"
    """A list of arrays, each one row per vertex."""
    MESH = "mesh"
    """Vertices, faces, normals and values."""
    VALUES = "values"
    """Anything else: a histogram, descriptors, a matrix, a tuple of such."""

    @property
    def is_image(self) -> bool:
        """Whether it is an array of pixels."""
        return self is Output.IMAGE or self is Output.MASK or self is Output.LABELS
