"""How an operation differs as a step or in a form: a threshold becomes the mask above it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.spec.kinds import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from napari_tilewise.operations.spec.declared_function import DeclaredFunction
    from napari_tilewise.operations.spec.measuring.calibration import Calibration, PixelLengths
    from napari_tilewise.types import Array, Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class AsStep:
    """How an operation differs as a step of a recipe, or in a form."""

    apply: Callable[[np.ndarray, Any], np.ndarray] | None = None
    """Makes an image from the input's pixels and the result (thresholds); it only reads them."""
    output: Output = Output.MASK
    """What `apply` makes."""
    text: str = "{call}"
    """How a script writes what a step makes of the call (thresholds: ``{image} > {call}``)."""
    params: Parameters = field(default_factory=dict)
    """Arguments of that call, whatever the step's are."""
    operation: DeclaredFunction | None = None
    """What runs instead, of the same name: `feature.hog` makes its image there."""
    samples: tuple[str, ...] = ()
    """Names of the channels that the result has, whatever those of the image are; none unless
    given."""
    radius: Callable[[Array, int], Array] | None = None
    """Where points are shown as blobs: their radii in pixels, from the columns behind the
    coordinates and the number of spatial axes."""
    calibration: Calibration | PixelLengths | None = None
    """How a table is measured in the units of its image, or which other numbers count pixels; None
    for what has no lengths."""
