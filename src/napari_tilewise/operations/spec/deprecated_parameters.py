"""Parameters that scikit-image still takes, under an older name or without effect on any pixel.

Each function here returns a `Modernize`, for `Adapter.modernize`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from napari_tilewise.errors import InvalidParameter

Modernize: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns parameters under their present names, from ones that may have deprecated names."""


def renamed(deprecated: str, present: str) -> Modernize:
    """Return the replacement of a deprecated name by the present one.

    Parameters
    ----------
    deprecated
        The deprecated name.
    present
        The present name of the same parameter.
    """

    def modernize(params: dict[str, Any]) -> dict[str, Any]:
        if deprecated not in params:
            return params
        value = params.pop(deprecated)
        if present in params:
            raise InvalidParameter(
                f"{deprecated}={value!r} is the deprecated name of {present}={params[present]!r}: "
                f"expected one of them. Give {present} only."
            )
        return {**params, present: value}

    return modernize


def without(*names: str) -> Modernize:
    """Return the removal of parameters that change no pixel, such as numbers of threads.

    Parameters
    ----------
    *names
        Their names.
    """
    return lambda params: {name: value for name, value in params.items() if name not in names}


def only(*names: str) -> Modernize:
    """Return the removal of all other keywords, which scikit-image ignores too.

    Parameters
    ----------
    *names
        Those that have an effect.
    """
    return lambda params: {name: value for name, value in params.items() if name in names}


def never_in_place(params: dict[str, Any]) -> dict[str, Any]:
    """Leave out `in_place=False`; refuse True, which only `apply` can do, for a NumPy image."""
    if params.pop("in_place", False):
        raise InvalidParameter(
            "in_place=True: only a NumPy image that is passed to apply is written to: expected "
            "False. Store the result instead."
        )
    return params
