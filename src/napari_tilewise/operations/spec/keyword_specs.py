"""Parameters that, as functions, only Python can give: keyword arguments, flags by axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.spec.parameters import Flag, FunctionSpec
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from napari_tilewise.types import Value


@dataclass(frozen=True, kw_only=True)
class Keywords(FunctionSpec):
    """Keyword arguments of a function that is itself a parameter: a mapping of names to values."""

    optional: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        return dict(value)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a dict of keyword arguments" + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Flags(FunctionSpec):
    """True or False for every spatial axis."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        if ndim is not None and len(value) != ndim:
            raise InvalidParameter(
                f"{shown(name, value)}: expected {ndim} values, one per spatial axis."
            )
        return [Flag().check(name, bool(item), None) for item in value]

    def describe(self) -> str:
        """Return the expected values in words."""
        return "True or False for every spatial axis"


@dataclass(frozen=True, kw_only=True)
class Items(FunctionSpec):
    """A sequence of objects that only Python can give, such as slices of an image."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a sequence" + (" or None" if self.optional else "")
