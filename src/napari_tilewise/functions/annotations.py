"""The signature of a user's function becomes specs, by its annotations and defaults.

Limits and usual ranges are declared with a spec: ``Annotated[float, Number(minimum=0)]``, or
`parameters` of the decorator.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np

from napari_tilewise.errors import InvalidFunction, InvalidParameter, did_you_mean
from napari_tilewise.functions.type_hints import resolve_annotation
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    Number,
    Numbers,
    Spec,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.types import AnyFunction, Value

RESERVED_KEYWORDS = ("axes", "cancel", "progress", "spatial", "tiles")
"""Keywords of `napari_tilewise.apply` itself."""

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_KINDS = {bool: Flag(), int: Number(integer=True), float: Number(), str: Text()}


@dataclass(frozen=True, kw_only=True)
class EnumMember(ChoiceSpec):
    """A member of an enumeration, by name, so that forms, the shell and recipes can hold it."""

    members: type[Enum]

    def _check(self, name: str, value: Value, ndim: int | None) -> Any:
        return super()._check(name, value.name if isinstance(value, self.members) else value, ndim)


@dataclass(frozen=True, kw_only=True)
class FixedNumbers(Numbers):
    """Exactly `least` numbers."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Any:
        if not hasattr(value, "__len__") or len(value) != self.least:
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values, as a message names them."""
        return f"{self.least} numbers, each {self.item.describe()}"


def specs_of(key: str, function: AnyFunction, declared: Mapping[str, Spec]) -> dict[str, Spec]:
    """Return the spec of each parameter of a function after the first, which is the image.

    Parameters
    ----------
    key
        The operation's key, for messages.
    function
        The function.
    declared
        Specs that the user wrote, by parameter.

    Raises
    ------
    InvalidFunction
        If the function takes no image, or the type of a parameter is unknown.
    """
    parameters = list(signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _POSITIONAL:
        raise InvalidFunction(f"{key} takes no image: expected an array as its first parameter.")
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    named = {p.name: p for p in parameters[1:] if p.kind not in variadic}
    for name in declared:
        if name not in named:
            hint = did_you_mean(name, named) or f" It has {', '.join(named) or 'none'}."
            raise InvalidFunction(f"{key} has no parameter {name!r} besides its image.{hint}")
    return {name: _spec_of(key, function, p, declared.get(name)) for name, p in named.items()}


def _spec_of(key: str, function: AnyFunction, parameter: Parameter, declared: Spec | None) -> Spec:
    name, default = parameter.name, parameter.default
    if name in RESERVED_KEYWORDS or parameter.kind is Parameter.POSITIONAL_ONLY:
        reserved = "is a keyword of apply: rename it"
        reason = reserved if name in RESERVED_KEYWORDS else "is positional-only: remove the '/'"
        raise InvalidFunction(f"{key}: the parameter {name!r} {reason}.")
    spec = declared or _from_annotation(resolve_annotation(function, parameter), name, default)
    if spec is None:
        raise InvalidFunction(
            f"{key}: the type of the parameter {name!r} is unknown (annotation "
            f"{parameter.annotation!r}): expected a number, text, flag, choice or array, such as "
            f"'{name}: float'. Annotate it, or pass parameters={{{name!r}: a spec}}."
        )
    if default is None and not spec.optional:
        spec = replace(spec, optional=True)
    if default is not parameter.empty:
        try:
            spec.check(f"{key}: the default {name}", default, None)
        except InvalidParameter as error:
            raise InvalidFunction(str(error)) from error
    return spec


def _from_annotation(annotation: Any, name: str, default: Value) -> Spec | None:
    if annotation in (Parameter.empty, Any):
        annotation = Any if default in (Parameter.empty, None) else type(default)
        if annotation in (tuple, list):
            annotation = tuple[*map(type, default)]  # type: ignore[misc]  # of as many items as there are
    if name == "channel_axis":
        return ChannelAxis(optional=default is None)
    spec = _spec_of_type(annotation, name)
    if type(spec) is Number and spec == replace(
        Number(), integer=spec.integer, optional=spec.optional
    ):
        return _with_usual_range(spec, default)
    return spec


def _with_usual_range(spec: Number, default: Value) -> Number:
    """Return a number's spec with a usual range from half to twice its default."""
    if isinstance(default, bool) or not isinstance(default, int | float) or not default:
        return spec
    low, high = sorted((default / 2, default * 2))
    return replace(spec, usual=(round(low), round(high)) if spec.integer else (low, high))


def _spec_of_type(annotation: Any, name: str) -> Spec | None:
    """Return the spec of a type, whatever the default."""
    annotation = _aliased_type(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        declared = [item for item in inner[1:] if isinstance(item, Spec)]
        spec = _spec_of_type(inner[0], name)
        if not declared:
            return spec
        return (
            replace(declared[0], optional=True)
            if spec is not None and spec.optional
            else declared[0]
        )
    if origin in (Union, types.UnionType):
        return _union([item for item in inner if item is not type(None)], len(inner), name)
    if origin is Literal:
        choices = tuple(item for item in inner if item is not None)
        return ChoiceSpec(choices=choices, optional=None in inner)
    if annotation is np.ndarray or origin is np.ndarray:
        return AlignedImage(role=_role(annotation, name), optional=False)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return EnumMember(members=annotation, choices=tuple(annotation.__members__))
    if origin in (tuple, list, Sequence):
        return _sequence(origin, inner)
    return _KINDS.get(annotation)


def _aliased_type(annotation: Any) -> Any:
    """Return the type behind an alias of the ``type`` statement, such as `numpy.typing.NDArray`."""
    alias = get_origin(annotation)
    if hasattr(alias, "__value__"):
        return _aliased_type(alias.__value__[get_args(annotation)])
    return _aliased_type(annotation.__value__) if hasattr(annotation, "__value__") else annotation


def _union(options: Sequence[Any], count: int, name: str) -> Spec | None:
    specs = [_spec_of_type(option, name) for option in options]
    optional = len(options) < count
    if len(specs) == 1:
        return None if specs[0] is None else replace(specs[0], optional=optional)
    numbers = [spec for spec in specs if isinstance(spec, Number)]
    sequences = [spec for spec in specs if isinstance(spec, Numbers)]
    if numbers and len(numbers) + len(sequences) == len(specs):
        integer = all(spec.integer for spec in numbers)
        return Number(integer=integer, per_axis=bool(sequences), optional=optional)
    known_specs = tuple(spec for spec in specs if spec is not None)
    return (
        Either(options=known_specs, optional=optional) if len(known_specs) == len(specs) else None
    )


def _sequence(origin: Any, inner: tuple[Any, ...]) -> Spec | None:
    items = [_KINDS.get(item) for item in inner if item is not Ellipsis]
    if not items or not all(isinstance(item, Number) for item in items):
        return None
    item = Number(integer=all(item == _KINDS[int] for item in items))
    if origin is tuple and Ellipsis not in inner:
        return FixedNumbers(item=item, least=len(items))
    return Numbers(item=item)


def _role(annotation: Any, name: str) -> str:
    """Return the role of a further image, from the type of its pixels or its name."""
    if "bool" in str(annotation) or "mask" in name:
        return "mask"
    return "labels" if "label" in name else "intensity"
