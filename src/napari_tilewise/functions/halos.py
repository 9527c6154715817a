"""A declared halo, whatever its form, as a function of a call: whole pixels, none below zero."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidFunction, InvalidParameter, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.operations.spec.passes import HaloLike

_WANTED = "whole pixels, 0 or more: a number, one per axis, or pairs (before, after)"


def halo_from(key: str, halo: Any, parameters: Iterable[str]) -> Callable[[Call], HaloLike]:
    """Return what tells the halo of a call.

    Parameters
    ----------
    key
        The operation's key, for messages.
    halo
        As the user declared it: a halo, or a function of parameters that returns one.
    parameters
        The operation's parameters.

    Raises
    ------
    InvalidFunction
        When it is neither, or asks for a parameter that the operation does not have.
    """
    if not callable(halo):
        constant = _pixels(halo)
        if constant is None:
            raise InvalidFunction(f"{key}: halo={halo!r}: expected {_WANTED}.")
        return lambda call: constant
    names = _asked(key, halo, list(parameters))

    def halo_of(call: Call) -> HaloLike:
        given = {name: call[name] for name in names}
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        try:
            found = halo(**given)
        except Exception as error:
            raise InvalidParameter(
                f"{key}: its halo cannot be told from {told}: {type(error).__name__}: {error}."
            ) from error
        pixels = _pixels(found)
        if pixels is None:
            raise InvalidParameter(f"{key}: its halo for {told} is {found!r}: expected {_WANTED}.")
        return pixels

    return halo_of


def _asked(key: str, halo: Callable[..., Any], parameters: list[str]) -> list[str]:
    """Return the parameters that a halo is a function of."""
    asked = signature(halo).parameters
    if any(p.kind is Parameter.VAR_KEYWORD for p in asked.values()):
        return parameters
    names = [name for name, p in asked.items() if name in parameters or p.default is p.empty]
    for name in names:
        if name not in parameters:
            hint = did_you_mean(name, parameters) or f" It has {', '.join(parameters) or 'none'}."
            raise InvalidFunction(
                f"{key}: halo is a function of {name!r}, which is no parameter besides the "
                f"image.{hint}"
            )
    return names


def _pixels(halo: Any) -> HaloLike | None:
    """Return a halo of Python's integers; None where it is no halo."""
    if isinstance(halo, tuple | list | np.ndarray):
        items: list[Any] = [_pixels(item) for item in halo]
        fits = all(isinstance(item, int) or (item and len(item) == 2) for item in items)
        return tuple(items) if fits else None
    if isinstance(halo, bool) or not isinstance(halo, int | float | np.number):
        return None
    return int(halo) if halo >= 0 and float(halo).is_integer() else None
