"""The operation that changes nothing: converting a file is a run of it, with all that a run can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.operations.spec.operation import Adapter, Cost, Kind, Limits, Operation

if TYPE_CHECKING:
    import numpy as np


def copy(image: np.ndarray) -> np.ndarray:
    """Copy an image.

    Parameters
    ----------
    image
        The image.
    """
    return image


COPY = Operation(
    name="napari_tilewise.copy",
    kind=Kind.POINTWISE,
    limits=Limits(dtypes="buifc", takes_alpha=True),
    cost=Cost(memory=3.0),
    adapter=Adapter(function=copy),
)
"""Not listed: no menu shows it, and there is nothing to apply."""
