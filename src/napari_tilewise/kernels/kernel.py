"""A kernel is a compiled function that gives the same bits as the function it stands for.

It is a value: a declaration can hold it, a plan can name it, a test can compare it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, wraps
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
    look: Callable[..., Callable[[], Any] | None] | None = None
    """Returns what computes the result from what it saw in the pixels; None where `exact_for` does
    not hold. No kernel has it whose two functions share nothing that takes time."""

    @classmethod
    def looking(cls, stands_for: str, look: Callable[..., Callable[[], Any] | None]) -> Kernel:
        """Return the kernel of a function that looks at the pixels once, for both questions.

        Parameters
        ----------
        stands_for
            Dotted path of the function that it replaces.
        look
            Has the signature of that function; see `look`.
        """

        @wraps(look)
        def exact_for(data: np.ndarray, *args: Any, **params: Any) -> bool:
            return look(data, *args, **params) is not None

        @wraps(look)
        def run(data: np.ndarray, *args: Any, **params: Any) -> Any:
            compute = look(data, *args, **params)
            if compute is None:
                raise ValueError(f"{stands_for}: ask Kernel.accepts before calling its kernel.")
            return compute()

        return cls(stands_for, exact_for, run, look)

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

    def computation(self, data: np.ndarray, *args: Any, **params: Any) -> Callable[[], Any] | None:
        """Return what computes the result, where to call it; None where not.

        Its call does not look at the pixels again for what deciding about them showed.

        Parameters
        ----------
        data, *args, **params
            As in `accepts`.
        """
        if self.look is not None:
            return self.look(data, *args, **params) if available() else None
        if self.accepts(data, *args, **params):
            return partial(self.run, data, *args, **params)
        return None
