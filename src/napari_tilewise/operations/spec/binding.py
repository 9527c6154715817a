"""Parameters checked against their specs, images against the limits of an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from napari_tilewise.errors import InvalidImage, UnknownParameter, did_you_mean, option

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from napari_tilewise.operations.spec.call import CallGeometry
    from napari_tilewise.operations.spec.parameters import Parameter, Spec
    from napari_tilewise.types import DType, Parameters


class SpecifiedParameters(Protocol):
    """An operation, as far as its parameters go."""

    @property
    def name(self) -> str:
        """The operation's name, for messages."""

    @property
    def specs(self) -> Mapping[str, Spec]:
        """The parameters' specs by name."""


class BoundParameters(dict[str, Any]):
    """All parameters of an operation, bound as far as that is possible without an image.

    What depends on the number of axes is checked by `for_image`; nothing else is checked again.

    Parameters
    ----------
    operation
        The operation that bound them.
    values
        All its parameters, defaults filled in.
    explicit
        Names of the parameters that are not left to their defaults.
    """

    def __init__(
        self, operation: SpecifiedParameters, values: Parameters, explicit: Iterable[str]
    ) -> None:
        super().__init__(values)
        self.operation = operation
        self.explicit = frozenset(explicit)

    def __or__(self, values: Parameters) -> BoundParameters:  # type: ignore[override]  # of names only
        """Return these parameters with other values in place of some."""
        return BoundParameters(self.operation, {**self, **values}, self.explicit | values.keys())

    def for_image(self, ndim: int) -> dict[str, Any]:
        """Return the parameters for an image; raise `InvalidParameter` where one does not fit.

        Parameters
        ----------
        ndim
            Its number of spatial axes.
        """
        name, specs = self.operation.name, self.operation.specs
        return {
            key: specs[key].check(f"{name}: {key}", value, ndim) if key in self.explicit else value
            for key, value in self.items()
        }


KINDS = {"b": "bool", "u": "unsigned integer", "i": "integer", "f": "float", "c": "complex"}
"""Kinds of data types, as NumPy abbreviates them."""


def bind(
    operation: str, parameters: Mapping[str, Parameter], params: Parameters, ndim: int | None
) -> dict[str, Any]:
    """Return all parameters, defaults filled in and values checked.

    Parameters
    ----------
    operation
        The operation's name, for messages.
    parameters
        Its parameters.
    params
        Values by name.
    ndim
        The number of spatial axes; None where it is not known yet.

    Raises
    ------
    UnknownParameter
        When a required parameter is missing.
    InvalidParameter
        For a value of the wrong type or out of range.
    """
    bound = {}
    for name, parameter in parameters.items():
        if name in params:
            bound[name] = parameter.spec.check(f"{operation}: {name}", params[name], ndim)
        elif parameter.required:
            raise UnknownParameter(
                f"{operation}: the parameter {name!r} is missing: "
                f"expected {parameter.spec.describe()}."
            )
        else:
            bound[name] = parameter.default
    return bound


def unknown_parameter(
    operation: str, name: str, specs: Mapping[str, Spec], signature: Container[str]
) -> UnknownParameter:
    """Return the error for a parameter that an operation does not have.

    Parameters
    ----------
    operation
        The operation's name.
    name
        The parameter's.
    specs
        The parameters that it has.
    signature
        The names of scikit-image's parameters.
    """
    if name in signature:
        return UnknownParameter(
            f"{operation}: {name!r} is a parameter of the function that tiled processing does not "
            "take; leave it out."
        )
    hint = did_you_mean(name, specs) or f" It has {', '.join(specs) or 'none'}."
    return UnknownParameter(f"{operation} has no parameter {name!r}.{hint}")


def check_axes(operation: str, call: CallGeometry, ndim: tuple[int, int]) -> None:
    """Check the number of an image's axes, and that none is empty.

    Parameters
    ----------
    operation
        The operation's name, for messages.
    call
        The image's shape and channel axis.
    ndim
        Fewest and most spatial axes.

    Raises
    ------
    InvalidImage
        When they do not fit.
    """
    low, high = ndim
    if not low <= call.ndim <= high:
        expected = f"{low}" if low == high else f"{low} to {high}"
        raise InvalidImage(
            f"{operation} works on {expected} spatial axes; the image of shape {call.shape} "
            f"has {call.ndim}. Name them, such as {option('spatial', 'yx')} (the other "
            "axes are looped over)."
        )
    if 0 in call.shape:
        raise InvalidImage(f"{operation}: the image is empty (shape {call.shape}).")


def check_dtype(operation: str, dtype: DType, kinds: str) -> None:
    """Check an image's data type.

    Parameters
    ----------
    operation
        The operation's name, for messages.
    dtype
        The image's data type.
    kinds
        The kinds that the operation takes, as NumPy abbreviates them.

    Raises
    ------
    InvalidImage
        When it is of another kind.
    """
    if dtype.kind not in kinds:
        expected = ", ".join(KINDS[kind] for kind in kinds)
        raise InvalidImage(
            f"{operation} does not take an image of type {dtype}: expected {expected}. "
            "Convert it first."
        )
