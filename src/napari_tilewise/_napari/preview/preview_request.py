"""What the worker is asked for, and what it answers: plain data, no napari and no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise._napari.preview.view import View
    from napari_tilewise.operations.spec.pixel_positions import Sampling


@dataclass(frozen=True, eq=False)
class PreviewRequest:
    """A recipe on a layer, and what the viewer shows of it."""

    job: Job
    view: View


class Shown(StrEnum):
    """The type of layer that shows a preview."""

    IMAGE = "image"
    COLOURS = "colours"
    OUTLINES = "outlines"
    POINTS = "points"
    LINES = "lines"


class Basis(StrEnum):
    """What a preview was computed from."""

    EXACT = "exact"
    """The image at full resolution: these are the pixels that Apply gives."""
    OVERVIEW = "overview"
    """The image in larger pixels."""
    ESTIMATE = "estimate"
    """What is visible of the image, in the place of all of it."""


@dataclass(frozen=True, eq=False)
class GatherRequest:
    """Passes over the whole image that would make an estimate exact."""

    job: Job
    key: Hashable
    """Tells it apart from other passes."""
    box: Box
    """The visible part of the source, which chooses the planes."""


@dataclass(frozen=True, eq=False)
class PreviewResult:
    """A part of a result, ready to be shown."""

    shown: Shown
    pixels: Any
    """Pixels along the layer's axes (and samples); positions; or segments."""
    samplings: tuple[Sampling | None, ...]
    """Where the pixels lie along the layer's axes, in pixels of the source."""
    basis: Basis
    factor: float = 1.0
    """The length of a pixel that was computed from, in pixels of the source."""
    values: tuple[float, float] | None = None
    """The range of an image's values."""
    dtype: Any = None
    """The result's own data type."""
    is_opaque: bool = False
    """Whether an image has a colour everywhere: napari leaves out pixels that are not a number."""
    sizes: Any = None
    """The diameters of points, if they have some."""
    remark: str = ""
    """What else there is to say: more points than are shown, another of several results."""
    gather: GatherRequest | None = field(default=None)
    """What would make an estimate exact."""
