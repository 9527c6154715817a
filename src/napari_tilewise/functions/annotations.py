"""A user's signature says what each parameter takes: annotations and defaults become specs.

What they leave open (limits, a range to draw from) is said with a spec: ``Annotated[float,
Number(minimum=0)]``, or `parameters` of the decorator.
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
from napari_tilewise.functions.type_hints import resolved
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
    from collections.abc import Callable, Mapping

TAKEN = ("axes", "cancel", "progress", "spatial", "tiles")
"""Keywords of `napari_tilewise.apply` itself."""

_PLACED = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_KINDS = {bool: Flag(), int: Number(integer=True), float: Number(), str: Text()}


@dataclass(frozen=True, kw_only=True)
class Member(ChoiceSpec):
    """A member of an enumeration, by name: what a form, a shell and a recipe can hold."""

    members: type[Enum]

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        return super()._check(name, value.name if isinstance(value, self.members) else value, ndim)


@dataclass(frozen=True, kw_only=True)
class Fixed(Numbers):
    """Exactly `least` numbers."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if not hasattr(value, "__len__") or len(value) != self.least:
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return f"{self.least} numbers, each {self.item.describe()}"


def specs_of(key: str, function: Callable[..., Any], given: Mapping[str, Spec]) -> dict[str, Spec]:
    """Return what each parameter of a function takes, behind the first, which is the image.

    Parameters
    ----------
    key
        The operation's key, for messages.
    function
        The function.
    given
        Specs that the user wrote, by parameter.

    Raises
    ------
    InvalidFunction
        When the function takes no image, or nothing tells what a parameter takes.
    """
    parameters = list(signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _PLACED:
        raise InvalidFunction(f"{key} takes no image: expected an array as its first parameter.")
    several = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    named = {p.name: p for p in parameters[1:] if p.kind not in several}
    for name in given:
        if name not in named:
            hint = did_you_mean(name, named) or f" It has {', '.join(named) or 'none'}."
            raise InvalidFunction(f"{key} has no parameter {name!r} besides its image.{hint}")
    return {name: _spec_of(key, function, p, given.get(name)) for name, p in named.items()}


def _spec_of(
    key: str, function: Callable[..., Any], parameter: Parameter, given: Spec | None
) -> Spec:
    name, default = parameter.name, parameter.default
    if name in TAKEN or parameter.kind is Parameter.POSITIONAL_ONLY:
        why = "is apply's own" if name in TAKEN else "cannot be given by name"
        raise InvalidFunction(f"{key}: the parameter {name!r} {why}: expected another one.")
    spec = given or _from_annotation(resolved(function, parameter), name, default)
    if spec is None:
        raise InvalidFunction(
            f"{key}: nothing tells what the parameter {name!r} takes (annotation "
            f"{parameter.annotation!r}): expected a number, text, flag, choice or array, such as "
            f"'{name}: float'. Annotate it, or give parameters={{{name!r}: a spec}}."
        )
    if default is None and not spec.optional:
        spec = replace(spec, optional=True)
    if default is not parameter.empty:
        try:
            spec.check(f"{key}: the default {name}", default, None)
        except InvalidParameter as error:
            raise InvalidFunction(str(error)) from error
    return spec


def _from_annotation(annotation: Any, name: str, default: Any) -> Spec | None:
    if annotation in (Parameter.empty, Any):
        annotation = Any if default in (Parameter.empty, None) else type(default)
        if annotation in (tuple, list):
            annotation = tuple[*map(type, default)]  # type: ignore[misc]
    if name == "channel_axis":
        return ChannelAxis(optional=default is None)
    spec = _plain(annotation, name)
    if type(spec) is Number and spec == replace(
        Number(), integer=spec.integer, optional=spec.optional
    ):
        return _around(spec, default)
    return spec


def _around(spec: Number, default: Any) -> Number:
    """Return a number's spec with a usual range around its default."""
    if isinstance(default, bool) or not isinstance(default, int | float) or not default:
        return spec
    low, high = sorted((default / 2, default * 2))
    return replace(spec, usual=(round(low), round(high)) if spec.integer else (low, high))


def _plain(annotation: Any, name: str) -> Spec | None:
    """Return what a type takes, whatever the default."""
    annotation = _meant(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        own = [item for item in inner[1:] if isinstance(item, Spec)]
        made = _plain(inner[0], name)
        if not own:
            return made
        return replace(own[0], optional=True) if made is not None and made.optional else own[0]
    if origin in (Union, types.UnionType):
        return _union([item for item in inner if item is not type(None)], len(inner), name)
    if origin is Literal:
        choices = tuple(item for item in inner if item is not None)
        return ChoiceSpec(choices=choices, optional=None in inner)
    if annotation is np.ndarray or origin is np.ndarray:
        return AlignedImage(role=_role(annotation, name), optional=False)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return Member(members=annotation, choices=tuple(annotation.__members__))
    if origin in (tuple, list, Sequence):
        return _sequence(origin, inner)
    return _KINDS.get(annotation)


def _meant(annotation: Any) -> Any:
    """Return what an alias of the ``type`` statement stands for, as `numpy.typing.NDArray` is."""
    alias = get_origin(annotation)
    if hasattr(alias, "__value__"):
        return _meant(alias.__value__[get_args(annotation)])
    return _meant(annotation.__value__) if hasattr(annotation, "__value__") else annotation


def _union(options: Sequence[Any], count: int, name: str) -> Spec | None:
    found = [_plain(option, name) for option in options]
    optional = len(options) < count
    if len(found) == 1:
        return None if found[0] is None else replace(found[0], optional=optional)
    numbers = [spec for spec in found if isinstance(spec, Number)]
    several = [spec for spec in found if isinstance(spec, Numbers)]
    if numbers and len(numbers) + len(several) == len(found):
        whole = all(spec.integer for spec in numbers)
        return Number(integer=whole, per_axis=bool(several), optional=optional)
    specs = tuple(spec for spec in found if spec is not None)
    return Either(options=specs, optional=optional) if len(specs) == len(found) else None


def _sequence(origin: Any, inner: tuple[Any, ...]) -> Spec | None:
    items = [_KINDS.get(item) for item in inner if item is not Ellipsis]
    if not items or not all(isinstance(item, Number) for item in items):
        return None
    item = Number(integer=all(item == _KINDS[int] for item in items))
    if origin is tuple and Ellipsis not in inner:
        return Fixed(item=item, least=len(items))
    return Numbers(item=item)


def _role(annotation: Any, name: str) -> str:
    """Return what a further image is, from its pixels' type or its name."""
    if "bool" in str(annotation) or "mask" in name:
        return "mask"
    return "labels" if "label" in name else "intensity"
