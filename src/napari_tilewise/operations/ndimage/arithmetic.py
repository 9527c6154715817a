"""NumPy's arithmetic between an image and another, or a number: pixel by pixel."""

from __future__ import annotations

import functools
from dataclasses import replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import PixelType, untiled
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    LIGHT,
    Adapter,
    Call,
    Cost,
    Kind,
    Operation,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import ImageOr, Number

if TYPE_CHECKING:
    from collections.abc import Callable

OPERAND = ImageOr(other=Number(usual=(1, 50)), role="intensity", like=True, optional=False)
DEFAULTS = {"where": True, "casting": "same_kind", "order": "K", "subok": True, "signature": None}
"""Parameters of NumPy's own that change nothing here."""


def _by_name(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of two images that takes the second one by name too."""

    @functools.wraps(ufunc)
    def call(x1: Any, x2: Any, dtype: Any = None) -> Any:
        with np.errstate(all="ignore"):
            return ufunc(x1, x2, dtype=dtype)

    return call


def _result_type(ufunc: np.ufunc) -> Callable[[Call], Any]:
    def dtype(call: Call) -> Any:
        other = call["x2"]
        if hasattr(other, "dtype"):
            other = np.ones(1, other.dtype)
        try:
            with np.errstate(all="ignore"):
                return ufunc(np.ones(1, call.dtype), other, dtype=call["dtype"]).dtype
        except (TypeError, OverflowError) as error:
            raise InvalidParameter(
                f"numpy.{ufunc.__name__} of {call.dtype} pixels: {error}: expected other types. "
                "Convert the image first, or pass dtype=."
            ) from error

    return dtype


def _without_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """Leave out what has its default; refuse the rest."""
    for name, default in DEFAULTS.items():
        if name in params and params[name] == default:
            del params[name]
    return untiled(**dict.fromkeys(DEFAULTS, "Leave it out."))(params)


def _operation(ufunc: np.ufunc) -> Operation:
    return Operation(
        name=f"numpy.{ufunc.__name__}",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={"x2": OPERAND, "dtype": PixelType(choices=("float32", "float64"))},
        result=ResultSpec(dtype=_result_type(ufunc)),
        adapter=Adapter(wrap=_by_name, modernize=_without_defaults),
        cost=Cost(memory=4.0, at_once=LIGHT),
        note="x2 is an image of the same shape, or a number. Integers wrap around as in NumPy: "
        "pass dtype='float32' to leave them.",
    )


# -- choice between two images ---------------------------------------------------------------------


def _with_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return NumPy's `where` with names for its arguments, of which it has none."""

    @functools.wraps(function, updated=())
    def where(condition: Any, x: Any, y: Any) -> Any:
        return function(condition, x, y)

    # Scripts give NumPy's own function what has no name there by position. NumPy 2.4 tells a
    # signature, in which x and y may be left out; before it there is none.
    parameters = [Parameter(name, Parameter.POSITIONAL_ONLY) for name in ("condition", "x", "y")]
    where.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # for inspect
    return where


def _chosen_type(call: Call) -> Any:
    return np.where(True, *(_sample(call[name]) for name in ("x", "y"))).dtype


def _sample(operand: Any) -> Any:
    """Return a number as it is, and an image as one pixel of its type."""
    return np.ones(1, operand.dtype) if hasattr(operand, "dtype") else operand


CHOICE = ImageOr(other=Number(usual=(-50, 50)), role="intensity", optional=False)

WHERE = Operation(
    name="numpy.where",
    title="Choose where (NumPy)",
    family=families.PIXEL_TYPES,
    kind=Kind.POINTWISE,
    specs={"x": CHOICE, "y": CHOICE},
    result=ResultSpec(dtype=_chosen_type),
    adapter=Adapter(wrap=_with_names),
    cost=Cost(memory=4.0, at_once=LIGHT),
    note="The image is the condition: where it is not 0 the result is x, elsewhere y, each an "
    "image "
    "of the same shape or a number. The form with the condition alone is not an operation.",
)

OPERATIONS = (
    *map(_operation, (np.add, np.subtract, np.multiply, np.divide)),
    replace(_operation(np.minimum), title="Minimum of two images (NumPy)"),
    replace(_operation(np.maximum), title="Maximum of two images (NumPy)"),
    WHERE,
)
