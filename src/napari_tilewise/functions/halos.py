"""A declared halo, in any of its forms, as a function of a call: whole pixels, 0 or more."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidFunction, InvalidParameter, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.operations.spec.passes import HaloLike

_EXPECTED = "whole pixels, 0 or more: a number, one per axis, or pairs (before, after)"


def halo_from(
    key: str, halo: HaloLike | Callable[..., HaloLike] | None, parameters: Iterable[str]
) -> Callable[[Call], HaloLike]:
    """Return the function that computes the halo of a call.

    Parameters
    ----------
    key
        The operation's key, for messages.
    halo
        The declared halo, or a function of parameters that returns one.
    parameters
        Names of the operation's parameters.

    Raises
    ------
    InvalidFunction
        If it is neither, or takes a parameter that the operation does not have.
    """
    if not callable(halo):
        constant = _pixels(halo)
        if constant is None:
            raise InvalidFunction(f"{key}: halo={halo!r}: expected {_EXPECTED}.")
        return lambda call: constant
    names = _parameter_names(key, halo, list(parameters))

    def halo_of(call: Call) -> HaloLike:
        values = {name: call[name] for name in names}
        text = ", ".join(f"{name}={value!r}" for name, value in values.items())
        try:
            result = halo(**values)
        except Exception as error:
            raise InvalidParameter(
                f"{key}: the halo cannot be computed from {text}: {type(error).__name__}: {error}."
            ) from error
        pixels = _pixels(result)
        if pixels is None:
            raise InvalidParameter(
                f"{key}: the halo for {text} is {result!r}: expected {_EXPECTED}."
            )
        return pixels

    return halo_of


def _parameter_names(key: str, halo: Callable[..., HaloLike], parameters: list[str]) -> list[str]:
    """Return the names of the parameters that the halo depends on."""
    arguments = signature(halo).parameters
    if any(p.kind is Parameter.VAR_KEYWORD for p in arguments.values()):
        return parameters
    names = [name for name, p in arguments.items() if name in parameters or p.default is p.empty]
    for name in names:
        if name not in parameters:
            hint = did_you_mean(name, parameters) or f" It has {', '.join(parameters) or 'none'}."
            raise InvalidFunction(
                f"{key}: halo depends on {name!r}, which is not a parameter of the "
                f"function (or is its image).{hint}"
            )
    return names


def _pixels(halo: object) -> HaloLike | None:
    """Return a halo as Python integers; None if the value is not a halo."""
    if isinstance(halo, tuple | list | np.ndarray):
        items: list[Any] = [_pixels(item) for item in halo]
        fits = all(isinstance(item, int) or (item and len(item) == 2) for item in items)
        return tuple(items) if fits else None
    if isinstance(halo, bool) or not isinstance(halo, int | float | np.number):
        return None
    return int(halo) if halo >= 0 and float(halo).is_integer() else None
