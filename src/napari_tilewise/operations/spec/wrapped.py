"""Operations that call scikit-image through a function of ours.

Some of its functions hide parameters behind ``**kwargs``, or take them in one way only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.spec.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WrappedOperation(Operation):
    """An operation with its own function in scikit-image's place."""

    calls: Callable[..., Any]
    """Calls scikit-image's function; its signature is the operation's."""

    @cached_property
    def raw_function(self) -> Callable[..., Any]:
        """The function that calls scikit-image's."""
        return self.calls
