"""Where a call of scikit-image's function differs from what its signature says."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.deprecated_parameters import Modernize
    from napari_tilewise.types import Parameters

Function: TypeAlias = Callable[..., Any]
"""scikit-image's function, or one that is called in its place."""

_WARNING_FILTERS = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapter:
    """How an operation calls its function."""

    function: Function | None = None
    """The function, where it is not the one of scikit-image that the operation is named after; its
    signature is the operation's."""
    wrap: Callable[[Function], Function] | None = None
    """Returns what is called, from scikit-image's function: for a result or an argument of another
    type. It keeps the name and the docstring (`functools.wraps`)."""
    overrides: Parameters = field(default_factory=dict)
    """Defaults that differ from scikit-image's, each with a reason in the operation's `note`."""
    pick: int | None = None
    """Which item is the result where the function returns several."""
    fixed: Parameters = field(default_factory=dict)
    """Arguments that are always passed and never shown (such as ``workers=1``)."""
    modernize: Modernize | None = None
    """Replaces deprecated parameters by today's, and drops those that change no pixel (numbers of
    threads). See `deprecated_parameters`."""
    kernels: tuple[str, ...] = ()
    """Dotted paths of the functions that compiled kernels stand in for where they are exact: the
    operation's own, such as ``skimage.filters.gaussian``, or those that its passes call."""
    digest: str = ""
    """Stands for the code of a user's function: it changes when the function is edited."""

    def resolve(self, scikit_image: Callable[[], Function]) -> Function:
        """Return the function whose signature is the operation's.

        Parameters
        ----------
        scikit_image
            Imports scikit-image's function; not called where another is in its place.
        """
        function = scikit_image() if self.function is None else self.function
        return function if self.wrap is None else self.wrap(function)

    def call(self, function: Function, /, *args: Any, warns: bool = False, **params: Any) -> Any:
        """Call a function with the fixed arguments, and pick its result.

        Parameters
        ----------
        function
            What `resolve` returned.
        *args
            The pixels.
        warns
            Whether the function is deprecated: it then warns of it at every tile, and the functions
            that it calls are silenced by the filters of the process, which threads share.
        **params
            The parameters.
        """
        if warns:
            with _WARNING_FILTERS:
                result = inspect.unwrap(function)(*args, **params, **self.fixed)
        else:
            result = function(*args, **params, **self.fixed)
        return result if self.pick is None else result[self.pick]


DIRECT = Adapter()
"""scikit-image's function as it is."""
