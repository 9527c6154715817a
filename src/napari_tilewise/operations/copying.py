"""The operation that changes nothing: converting a file is a run of it, with all that a run can."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.spec.operation import Kind, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


def copy(image: np.ndarray) -> np.ndarray:
    """Copy an image.

    Parameters
    ----------
    image
        The image.
    """
    return image


class _Copy(Operation):
    """An operation with `copy` in scikit-image's place."""

    @cached_property
    def raw_function(self) -> Callable[..., Any]:
        """Return `copy`."""
        return copy


COPY = _Copy(name="napari_tilewise.copy", kind=Kind.POINTWISE, dtypes="buifc", working=3.0)
"""Not listed: no menu shows it, and there is nothing to apply."""
