"""Specs of plain values: numbers, flags, choices, names, functions, seeds, axes.

A spec adds to scikit-image's name and default what a form, a shell option, a recipe's validation
and a property test need to know. One spec serves all four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import InvalidParameter, InvalidParameterType, TilewiseError

if TYPE_CHECKING:
    from napari_tilewise.types import Value

Factors: TypeAlias = Sequence[float]
"""Lengths of larger pixels along the spatial axes, in pixels of the image."""

SHOWN = 120
"""Characters of a value that a message shows."""


LONGEST = 2**31 - 1
"""Pixels of the longest length: many functions compute with 32 bits, and end in a crash beyond."""


def shown(name: str, value: Any) -> str:
    """Return a parameter with its value in words, an array's shape instead of its items.

    Parameters
    ----------
    name
        The parameter's name.
    value
        Its value.
    """
    if getattr(value, "shape", ()):
        return f"{name} has shape {tuple(value.shape)}"
    text = repr(value.item() if isinstance(value, np.ndarray) and not value.shape else value)
    return f"{name}={text}" if len(text) <= SHOWN else f"{name}={text[:SHOWN]}..."


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What values a parameter takes."""

    optional: bool = False
    """Whether None is a value of its own (scikit-image then decides)."""

    advanced: bool = False
    """Whether forms show it among the advanced ones."""

    reproducible: bool = True
    """Whether scikit-image's own result is the same at every call with the same value."""

    pixel_size: bool = False
    """Whether it is the size of a pixel along each spatial axis (forms offer the layer's)."""

    def check(self, name: str, value: Value, ndim: int | None) -> Value:
        """Return the value, normalised; raise `InvalidParameter` when it does not fit."""
        if value is None:
            if self.optional:
                return None
            raise InvalidParameterType(f"{name}=None: expected {self.describe()}.")
        try:
            return self._check(name, value, ndim)
        except TilewiseError:
            raise
        except (TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
            # What Python or NumPy says of a value of no use: lists of unequal lengths, infinities.
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.") from error

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        raise NotImplementedError

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the value for the same image in larger pixels, as an overview shows it.

        Parameters
        ----------
        value
            A valid value.
        factors
            Lengths of the larger pixels along the spatial axes, in pixels of the image.
        """
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Number(Spec):
    """A number, or one per spatial axis where `per_axis`."""

    minimum: float = -math.inf
    maximum: float = math.inf
    exclusive: bool = False
    """Whether the minimum itself is out of range."""
    integer: bool = False
    odd: bool = False
    per_axis: bool = False
    length: bool = False
    """Whether it is a length in pixels (forms show the unit, previews scale it)."""
    measured_by: str = ""
    """The parameter with the size of a pixel, if it is set: a length is then in its unit."""
    area: bool = False
    """Whether it counts the pixels of an area or a volume (previews scale it)."""
    intensity: bool = False
    """Whether it is a value of the image's pixels (forms show it on their histogram)."""
    difference: bool = False
    """Whether it is a difference between values of the image's pixels."""
    start: float = 0.5
    """Where a form starts without a default: the part of the image's range, from 0 to 1, of an
    intensity or a difference; another number starts in the middle of what is usual."""
    finite: bool | None = None
    """Whether infinity is refused; None: if it is a length."""
    usual: tuple[float, float] = (0, 10)
    """The range that a form's slider and a property test draw from."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if (
            self.per_axis
            and isinstance(value, Sequence | np.ndarray)
            and not isinstance(value, str)
        ):
            if ndim is not None and len(value) != ndim:
                raise InvalidParameter(
                    f"{shown(name, value)}: expected one number, or {ndim} of them, "
                    "one per spatial axis."
                )
            return tuple(self._check_number(name, item) for item in value)
        return self._check_number(name, value)

    def _check_number(self, name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        kind = Integral if self.integer else Real
        if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
            if self.integer and isinstance(value, Real) and float(value).is_integer():
                value = int(float(value))
            else:
                raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        low = value <= self.minimum if self.exclusive else value < self.minimum
        if math.isnan(value) or low or value > self.maximum or (self.odd and value % 2 == 0):
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        if math.isinf(value) and (self.length if self.finite is None else self.finite):
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}, and finite.")
        if self.length and abs(value) > LONGEST:
            raise InvalidParameter(
                f"{shown(name, value)}: expected {self.describe()}, and at most {LONGEST} pixels."
            )
        return value if self.integer else self._of_numpy(name, value)

    def _of_numpy(self, name: str, value: Any) -> Any:
        """Return an integer for which NumPy has no type, and so no functions, as a float."""
        if not isinstance(value, Integral) or -(2**63) <= int(value) < 2**64:
            return value
        try:
            return float(value)
        except OverflowError as exc:
            raise InvalidParameter(
                f"{shown(name, value)}: expected {self.describe()}, and at most 1e308."
            ) from exc

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return a length or an area in larger pixels; any other number as it is."""
        if value is None or not (self.length or self.area):
            return value
        if self.per_axis and isinstance(value, Sequence | np.ndarray):
            pairs = zip(value, factors, strict=True)
            return tuple(self._divided(item, factor) for item, factor in pairs)
        if self.area:
            return self._divided(value, math.prod(factors))
        if self.per_axis and len(set(factors)) > 1:
            return tuple(self._divided(value, factor) for factor in factors)
        return self._divided(value, math.prod(factors) ** (1 / len(factors)))

    def _divided(self, value: Any, factor: float) -> Any:
        """Return the nearest valid number to a quotient."""
        if math.isinf(value) or factor == 1:
            return value
        quotient = value / factor
        if self.odd:
            quotient = 2 * round((quotient - 1) / 2) + 1
        elif self.integer:
            quotient = round(quotient)
        if self.exclusive and quotient <= self.minimum:
            return value
        return min(max(quotient, self.minimum), self.maximum)

    def describe(self) -> str:
        """Return the expected values in words."""
        noun = ("an odd integer" if self.odd else "an integer") if self.integer else "a number"
        bounds = []
        if self.minimum > -math.inf:
            bounds.append(f"{'above' if self.exclusive else 'at least'} {self.minimum:g}")
        if self.maximum < math.inf:
            bounds.append(f"at most {self.maximum:g}")
        text = " ".join([noun, " and ".join(bounds)]).strip()
        if self.per_axis:
            text += ", or one per spatial axis"
        return text + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Flag(Spec):
    """True or False."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if not isinstance(value, bool | np.bool_):
            raise InvalidParameterType(f"{shown(name, value)}: expected True or False.")
        return bool(value)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "True or False" + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class ChoiceSpec(Spec):
    """One of a few values."""

    choices: tuple[Any, ...]

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        plain = value.item() if isinstance(value, np.generic) else value
        for choice in self.choices:
            if type(choice) is type(plain) and choice == plain:
                return choice
        raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")

    def describe(self) -> str:
        """Return the expected values in words."""
        text = "one of " + ", ".join(map(repr, self.choices))
        return text + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Numbers(Spec):
    """A sequence of numbers, such as the scales of a ridge filter."""

    item: Number
    least: int = 1
    most: int | None = None
    """The most numbers; None: any number of them."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, Real) and not isinstance(value, bool):
            return self.item.check(name, value, None)
        if isinstance(value, str) or not isinstance(value, Sequence | range | np.ndarray):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        if isinstance(value, range):
            return value
        return tuple(self.item.check(name, item, None) for item in value)

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return lengths in larger pixels; other numbers as they are."""
        if value is None or not (self.item.length or self.item.area):
            return value
        if isinstance(value, Sequence | range | np.ndarray):
            return tuple(self.scaled(item, factors) for item in value)
        return self.item.scaled(value, factors)

    def describe(self) -> str:
        """Return the expected values in words."""
        count = str(self.least) if self.least == self.most else f"at least {self.least}"
        noun = "number" if self.least == 1 else "numbers"
        return f"{count} {noun}, each {self.item.describe()}"


@dataclass(frozen=True, kw_only=True)
class Range(Spec):
    """A (low, high) pair of numbers, a named range, or a data type's name."""

    names: tuple[str, ...] = ()
    intensity: bool = False
    """Whether it is a range of the image's pixels (forms show it on their histogram)."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str):
            if value in self.names:
                return value
        elif isinstance(value, Sequence | np.ndarray) and len(value) == 2:
            return tuple(Number().check(name, item, None) for item in value)
        elif isinstance(value, type) and np.dtype(value).name in self.names:
            return np.dtype(value).name
        raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a (low, high) pair or one of " + ", ".join(map(repr, self.names))


@dataclass(frozen=True, kw_only=True)
class Text(Spec):
    """Any text."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if not isinstance(value, str):
            raise InvalidParameterType(f"{shown(name, value)}: expected a text.")
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a text" + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Names(Spec):
    """A sequence of names out of a known set."""

    names: tuple[str, ...]
    usual: tuple[str, ...] = ()
    """Those that a form starts with, in the place of a default that says less."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        values = [value] if isinstance(value, str) else list(value)
        unknown = [item for item in values if item not in self.names]
        if unknown:
            raise InvalidParameter(
                f"{name} holds {unknown[0]!r}: expected names among {', '.join(self.names)}."
            )
        return tuple(values)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "names among " + ", ".join(self.names)


@dataclass(frozen=True, kw_only=True)
class FunctionSpec(Spec):
    """A function, or a sequence of them: from Python only, never in a recipe's file or a form."""

    several: bool = False
    choices: tuple[str, ...] = ()
    """Names that scikit-image takes instead of a function."""
    samples: tuple[Any, ...] = ()
    """Functions that a property test draws from."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str) and value in self.choices:
            return value
        items = value if self.several and isinstance(value, Sequence) else (value,)
        if not items or not all(callable(item) for item in items):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        return tuple(items) if self.several else value

    def describe(self) -> str:
        """Return the expected values in words."""
        names = "".join(f"{choice!r} or " for choice in self.choices)
        return f"{names}a function" + (", or several" if self.several else "")


@dataclass(frozen=True, kw_only=True)
class Seed(Spec):
    """Where random numbers begin: an integer, a NumPy Generator, or None for anywhere."""

    optional: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, np.random.Generator):
            return value
        return Number(integer=True, minimum=0).check(name, value, None)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an integer of at least 0, a numpy.random.Generator or None"


@dataclass(frozen=True, kw_only=True)
class ChannelAxis(Spec):
    """The axis that holds channels: never tiled, never blurred across."""

    optional: bool = True
    fewest_axes: int = 0
    """Of what it counts: the function appends those that an image lacks, each of one pixel."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        return Number(integer=True).check(name, value, None)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an axis number or None"


@dataclass(frozen=True, kw_only=True)
class Either(Spec):
    """A value of one of several kinds, such as a number or a name."""

    options: tuple[Spec, ...]
    """Tried in order; the first one that takes a value normalises it."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        for option in self.options:
            try:
                return option.check(name, value, ndim)
            except InvalidParameter:
                continue
        raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the value in larger pixels, as the kind that takes it says."""
        for option in self.options:
            try:
                option.check("value", value, None)
            except InvalidParameter:
                continue
            return option.scaled(value, factors)
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        text = ", or ".join(option.describe() for option in self.options)
        return text + (" or None" if self.optional else "")
