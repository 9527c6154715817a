"""A step is one operation with the parameters that were given, and where its images come from.

It holds plain values only (numbers, texts, tuples), whatever it was made from: arrays such as
footprints become nested tuples, NumPy's numbers become Python's. So a step equals what a file gives
back, can be sent to another process, and cannot be changed behind a run's back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import (
    InvalidParameter,
    InvalidParameterType,
    InvalidRecipe,
    did_you_mean,
)
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.binding import BoundParameters
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.parameters import is_image

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Operation, Output

VERSION = 2
SOURCE = "source"
"""How a step names the image that the recipe is run on."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LINKED = np.zeros((1, 1), bool)
"""Stands for an image that is known only when the recipe is run."""


@dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Parameters
    ----------
    operation
        The operation's key.
    parameters
        scikit-image's parameters that were given; others keep their defaults.
    name
        What later steps call the result; needed only where one of them is not the next.
    inputs
        Where images come from, by scikit-image's name of the argument: an earlier step's name
        (``"seeds"``, or ``"seeds[1]"`` for the second of several results), ``"source"``, or one of
        the recipe's inputs. The first argument is the previous step's result unless given.
    spatial
        The axes to run over, as letters (``"yx"``) or numbers, counted from the end where negative;
        the run's unless given.
    enabled
        A step that is switched off hands on what it would have worked on.
    """

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    spatial: str | tuple[int, ...] | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        """Check everything that the step alone can tell, and make it plain."""
        op = get_operation(self.operation)
        put = object.__setattr__
        put(self, "operation", op.name)
        if self.name is not None and (self.name == SOURCE or not is_name(self.name)):
            raise InvalidRecipe(
                f"The step's name {self.name!r} will not do: expected letters, digits, '_' and "
                f"'-', a letter first, and not {SOURCE!r}."
            )
        put(self, "inputs", MappingProxyType(dict(self.inputs)))
        put(self, "parameters", _checked(op, self.parameters, self.inputs))
        put(self, "spatial", _spatial(self.spatial))
        if not isinstance(self.enabled, bool):
            raise InvalidRecipe(f"enabled={self.enabled!r}: expected true or false.")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of (a mapping proxy cannot be)."""
        made_of = (self.operation, dict(self.parameters), self.name, dict(self.inputs))
        return type(self), (*made_of, self.spatial, self.enabled)

    def __hash__(self) -> int:
        """Return a hash; an image among the parameters stands for itself only."""
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        """Tell whether another step does the same with the same."""
        return isinstance(other, Step) and self.key == other.key

    def __repr__(self) -> str:
        """Return what makes it again, defaults left out."""
        items: list[Any] = [repr(self.operation)]
        if self.parameters:
            items.append(repr(dict(self.parameters)))
        if self.name is not None:
            items.append(f"name={self.name!r}")
        if self.inputs:
            items.append(f"inputs={dict(self.inputs)!r}")
        if self.spatial is not None:
            items.append(f"spatial={self.spatial!r}")
        if not self.enabled:
            items.append("enabled=False")
        return f"Step({', '.join(items)})"

    @property
    def key(self) -> Any:
        """Something hashable that stands for the step."""
        images = (self.name, _key(self.inputs), self.spatial, self.enabled)
        return (self.operation, _key(self.parameters), *images)

    @property
    def work(self) -> Any:
        """Something hashable that stands for what it does, wherever its images come from."""
        return (self.operation, self.op.adapter.digest, _key(self.parameters), self.spatial)

    @property
    def op(self) -> Operation:
        """The operation's declaration."""
        return get_operation(self.operation)

    @property
    def bound(self) -> BoundParameters:
        """All parameters, defaults included; a linked image is a placeholder in them."""
        parameters = _checked(self.op, self.parameters, self.inputs)
        object.__setattr__(self, "parameters", parameters)  # others where a function was edited
        return parameters.bound

    @property
    def first(self) -> str:
        """scikit-image's name of the argument that is the image."""
        return first_argument(self.op)


StepLike: TypeAlias = "str | tuple[str, Mapping[str, Any]] | Step"


def is_name(text: Any) -> bool:
    """Tell whether a text can name a step or an input."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def step_of(step: Any) -> Step:
    """Return the step that is meant: a step, an operation's key, or a (key, parameters) pair.

    Raises
    ------
    TilewiseError
        When it is none of these, or wrong.
    """
    if isinstance(step, Step):
        return step
    if isinstance(step, str):
        return Step(step)
    if isinstance(step, Sequence) and len(step) == 2 and isinstance(step[1], Mapping):
        return Step(step[0], step[1])
    raise InvalidRecipe(
        f"The step {step!r} is neither an operation's key nor an (operation, parameters) pair nor "
        "a Step."
    )


def step_output(op: Operation) -> Output:
    """Return what an operation gives as a step of a recipe (a threshold gives its mask)."""
    return op.as_step().output


def first_argument(op: Operation) -> str:
    """Return scikit-image's name of the argument that is the image."""
    return next(iter(signature(op.raw_function)))


class StepParameters(Mapping[str, Any]):
    """A step's own parameters, as plain values, with what the operation made of them.

    A step that is made with another one's parameters does not check them again.

    Parameters
    ----------
    values
        Plain values by today's names.
    bound
        All parameters of the operation.
    linked
        Names of the parameters that are images from elsewhere.
    """

    def __init__(
        self, values: Mapping[str, Any], bound: BoundParameters, linked: frozenset[str]
    ) -> None:
        self._values = dict(values)
        self.bound = bound
        self.linked = linked

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names in order."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the parameters as a dictionary shows them."""
        return repr(self._values)


def _checked(op: Operation, params: Mapping[str, Any], inputs: Mapping[str, str]) -> StepParameters:
    """Return parameters in today's names as plain values, bound by the operation."""
    roles = (first_argument(op), *op.images)
    for role, target in inputs.items():
        if role not in roles:
            hint = did_you_mean(str(role), roles)
            raise InvalidRecipe(
                f"{op.name} takes no image {role!r}: expected one of {', '.join(roles)}.{hint}"
            )
        if not isinstance(target, str):
            raise InvalidRecipe(f"{op.name}: {role} comes from {target!r}: expected a step's name.")
        if role in params:
            raise InvalidRecipe(
                f"{op.name}: {role} is given twice, as a parameter and as an input: expected one."
            )
    linked = frozenset(role for role in inputs if role in op.specs)
    if isinstance(params, StepParameters):
        if params.bound.operation is op and params.linked == linked:
            return params
    placeholders = dict.fromkeys(linked, _LINKED)
    params = op.modern(params)
    try:
        values = {key: _plain_parameter(op, key, value) for key, value in params.items()}
    except InvalidParameterType:
        # An operation that refuses the value says what it expects.
        op.bind({**params, **placeholders})
        raise
    explicit = {**values, **placeholders}
    return StepParameters(values, BoundParameters(op, op.bind(explicit), explicit), linked)


def _plain_parameter(op: Operation, name: str, value: Any) -> Any:
    if name in op.specs and is_image(op.specs[name], value):
        return value
    return plain(f"{op.name}: {name}", value)


def _spatial(spatial: Any) -> str | tuple[int, ...] | None:
    """Return the axes to run over as a text or a tuple of numbers."""
    if spatial is None or (isinstance(spatial, str) and spatial.isalpha()):
        return spatial
    if isinstance(spatial, Sequence) and not isinstance(spatial, str) and spatial:
        numbers = tuple(spatial)
        if all(type(number) is int for number in numbers):
            return numbers
    raise InvalidRecipe(
        f"spatial={spatial!r}: expected letters such as 'yx', or axis numbers such as [-2, -1]."
    )


def plain(name: str, value: Any) -> Any:
    """Return a parameter's value as numbers, texts, tuples and mappings."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(name, value.tolist())
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value) and not isinstance(value, type):
        return value  # from Python only: no file holds it
    if isinstance(value, type):
        return np.dtype(value).name
    if isinstance(value, Mapping):
        return {str(key): plain(name, item) for key, item in value.items()}
    if isinstance(value, Sequence | range):
        return tuple(plain(name, item) for item in value)
    raise InvalidParameterType(f"{name}={value!r}: a recipe takes only plain values.")


def _key(value: Any) -> Any:
    """Return something hashable that stands for the value; an image stands for itself only."""
    if isinstance(value, Mapping):
        return frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    known = value is None or isinstance(value, bool | int | float | str | Callable)
    return value if known else ("image", id(value))


def culprit(op: Operation, params: Mapping[str, Any]) -> str | None:
    """Return which parameter is refused by itself, where one is."""
    for key, value in params.items():
        try:
            op.specs[key].check(key, value, None)
        except (KeyError, InvalidParameter):
            return key
    return None
