"""Parameters that scikit-image takes and tiles have no need of: by other names, or to no effect.

Each function here returns an `Operation.former`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    Former = Callable[[dict[str, Any]], dict[str, Any]]


def renamed(former: str, today: str) -> Former:
    """Return what says a deprecated parameter by the name it has now.

    Parameters
    ----------
    former
        The deprecated name.
    today
        The present one, of the same meaning.
    """

    def modern(params: dict[str, Any]) -> dict[str, Any]:
        if former not in params:
            return params
        value = params.pop(former)
        if today in params:
            raise InvalidParameter(
                f"{former}={value!r} is the deprecated name of {today}={params[today]!r}: "
                f"expected one of them. Give {today} only."
            )
        return {**params, today: value}

    return modern


def without(*names: str) -> Former:
    """Return what leaves out parameters that change no pixel, such as numbers of threads.

    Parameters
    ----------
    *names
        Their names.
    """
    return lambda params: {name: value for name, value in params.items() if name not in names}


def only(*names: str) -> Former:
    """Return what leaves out all other keywords, of which scikit-image takes no notice either.

    Parameters
    ----------
    *names
        Those that mean something.
    """
    return lambda params: {name: value for name, value in params.items() if name in names}


def never_in_place(params: dict[str, Any]) -> dict[str, Any]:
    """Leave out `in_place`, unless it asks to write to an image that is not there to be written to.

    `apply` takes it for a NumPy image.
    """
    if params.pop("in_place", False):
        raise InvalidParameter(
            "in_place=True: only a NumPy image that is passed to apply is written to: expected "
            "False. Store the result instead."
        )
    return params
