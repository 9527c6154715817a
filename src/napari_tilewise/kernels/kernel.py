"""A kernel is a compiled function that gives the same bits as the function it stands for.

It is a value: a declaration can hold it, a plan can name it, a test can compare it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_tilewise.kernels.library import available

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataclass(frozen=True)
class Kernel:
    """One compiled function and what it is exact for."""

    stands_for: str
    """Dotted path of the function that it replaces, such as ``skimage.filters.gaussian``."""
    exact_for: Callable[..., bool]
    """Whether the bits are the same for this image and these parameters; knows no library."""
    run: Callable[..., Any]
    """Has the signature and the result of the function that it replaces."""

    def accepts(self, data: np.ndarray, *args: Any, **params: Any) -> bool:
        """Return whether to call `run` here instead of the function it stands for.

        Parameters
        ----------
        data
            The image, of any shape and strides.
        *args, **params
            The other arguments of the function.
        """
        return available() and self.exact_for(data, *args, **params)
