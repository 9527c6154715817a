"""What parameters must satisfy together, or with the image: no spec of one of them can say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Constraint:
    """A condition on parameters and the image, as values that satisfy it."""

    names: tuple[str, ...]
    """The parameters that change where the condition is not met."""
    satisfy: Callable[[Parameters, np.ndarray, int], Parameters]
    """Returns values of `names` that meet the condition, from the parameters (defaults may be left
    out), the image, and a number that selects among several solutions; 0 is the usual one. Nothing
    is returned for parameters that meet it already."""
