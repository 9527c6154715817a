"""How far a tiled result may be from the whole image's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.operations.spec.kinds import Exactness

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.deviation import Deviation
    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Accuracy:
    """The largest difference between a tiled result and the whole image's; none unless declared.

    Tolerances are relative to the larger of 1 and the largest magnitude of the result.
    """

    tolerance: float = 0.0
    single: float = 0.0
    """The tolerance of a result that is computed in single precision, where that is larger."""
    half: float = 0.0
    """The same in half precision, in which few functions compute what float16 images hold."""
    pixels: int = 0
    """The image size that the tolerances are meant for, where rounding grows with the root of the
    number of pixels (prefix sums); smaller images are held to less."""
    scale: Callable[[Parameters], float] | None = None
    """A factor of the tolerance that depends on parameters (a template's contrast)."""
    approximate: bool = False
    """Whether there is no such bound."""
    deviations: tuple[Deviation, ...] = ()
    """Calls for which the library's answer is not repeatable, and ours is."""

    @property
    def exactness(self) -> Exactness:
        """The name of this accuracy."""
        if self.approximate:
            return Exactness.APPROXIMATE
        return Exactness.CLOSE if self.tolerance else Exactness.IDENTICAL

    def limit(
        self, dtype: DTypeLike, pixels: int | None = None, params: Parameters | None = None
    ) -> float:
        """Return the tolerance for one image.

        Parameters
        ----------
        dtype
            The image's data type.
        pixels
            The number of its pixels; the largest image that is meant unless given.
        params
            The parameters; the usual ones unless given.
        """
        dtype = np.dtype(dtype)
        single = self.single if dtype in (np.float32, np.float16) else 0.0
        limit = max(self.tolerance, single, self.half if dtype == np.float16 else 0.0)
        if pixels is not None and self.pixels:
            limit *= min(1.0, float(np.sqrt(pixels / self.pixels)))
        if params is not None and self.scale is not None:
            limit *= self.scale(params)
        return limit


IDENTICAL = Accuracy()
"""Bit for bit."""
