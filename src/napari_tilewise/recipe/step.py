"""A step is one operation with explicit parameters, and where its images come from.

It holds plain values only (numbers, texts, tuples): arrays such as footprints become nested tuples,
NumPy's numbers become Python's. So a step equals the one read back from a file, can be sent to
another process, and cannot change during a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

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
from napari_tilewise.types import Parameters, StepLike, Value

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_tilewise.operations.spec.operation import Operation, Output

VERSION = 2
SOURCE = "source"
"""The name of the image that the recipe is run on, in a step's inputs."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LINKED = np.zeros((1, 1), bool)
"""Placeholder for an image that is known only when the recipe is run."""


@dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Parameters
    ----------
    operation
        The operation's key.
    parameters
        Values of scikit-image's parameters, by name; the others keep their defaults.
    name
        Name of the result, for steps other than the next one to refer to.
    inputs
        Where images come from, by scikit-image's name of the argument: an earlier step's name
        (``"seeds"``, or ``"seeds[1]"`` for the second of several results), ``"source"``, or one of
        the recipe's inputs. The default of the first argument is the previous step's result.
    spatial
        The axes to run over, as letters (``"yx"``) or numbers, counted from the end if negative.
        The default is the run's.
    enabled
        False switches the step off: the next step works on this step's image.
    """

    operation: str
    parameters: Parameters = field(default_factory=dict)
    name: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    spatial: str | tuple[int, ...] | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        """Check everything that does not depend on other steps, and convert it to plain values."""
        op = get_operation(self.operation)
        set_field = object.__setattr__
        set_field(self, "operation", op.name)
        if self.name is not None and (self.name == SOURCE or not is_name(self.name)):
            raise InvalidRecipe(
                f"Invalid step name {self.name!r}: use letters, digits, '_' and '-', starting with "
                f"a letter or '_', and not {SOURCE!r}."
            )
        set_field(self, "inputs", MappingProxyType(dict(self.inputs)))
        set_field(self, "parameters", _checked(op, self.parameters, self.inputs))
        set_field(self, "spatial", _spatial(self.spatial))
        if not isinstance(self.enabled, bool):
            raise InvalidRecipe(f"enabled={self.enabled!r}: expected true or false.")

    def __reduce__(self) -> tuple[type[Step], tuple[object, ...]]:
        """Pickle the arguments, since a mapping proxy cannot be pickled."""
        arguments = (self.operation, dict(self.parameters), self.name, dict(self.inputs))
        return type(self), (*arguments, self.spatial, self.enabled)

    def __hash__(self) -> int:
        """Return a hash in which an image is identified by its address."""
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        """Return whether another step has the same operation, parameters and images."""
        return isinstance(other, Step) and self.key == other.key

    def __repr__(self) -> str:
        """Return the expression that creates the step, without defaults."""
        items = [repr(self.operation)]
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
    def key(self) -> tuple[Hashable, ...]:
        """A hashable value that identifies the step."""
        images = (self.name, _key(self.inputs), self.spatial, self.enabled)
        return (self.operation, _key(self.parameters), *images)

    @property
    def computation(self) -> tuple[Hashable, ...]:
        """A hashable value that identifies the computation, whatever its images."""
        return (self.operation, self.op.adapter.digest, _key(self.parameters), self.spatial)

    @property
    def op(self) -> Operation:
        """The operation's declaration."""
        return get_operation(self.operation)

    @property
    def bound(self) -> BoundParameters:
        """All parameters, defaults included; an image of another step is a placeholder."""
        parameters = _checked(self.op, self.parameters, self.inputs)
        object.__setattr__(self, "parameters", parameters)  # new if a user's function was edited
        return parameters.bound

    @property
    def first(self) -> str:
        """scikit-image's name of the argument that is the image."""
        return first_argument(self.op)


MOST_STEPS = 100
"""Most steps of a recipe: the engine follows an image from the last step to the first."""


def check_count(count: int) -> None:
    """Raise `InvalidRecipe` for more steps than a recipe may have.

    Parameters
    ----------
    count
        Number of steps.
    """
    if count > MOST_STEPS:
        raise InvalidRecipe(
            f"A recipe has at most {MOST_STEPS} steps, this one has {count}: divide it, and run "
            "each part on the output of the one before."
        )


AnyStep: TypeAlias = StepLike | Step
"""An operation's key, a (key, parameters) pair, or a step."""


def is_name(text: object) -> bool:
    """Return whether a text can name a step or an input."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def to_step(step: object) -> Step:
    """Return a step, an operation's key, or a (key, parameters) pair as a step.

    Raises
    ------
    TilewiseError
        If it is none of these, or not valid.
    """
    if isinstance(step, Step):
        return step
    if isinstance(step, str):
        return Step(step)
    if isinstance(step, Sequence) and len(step) == 2 and isinstance(step[1], Mapping):
        return Step(step[0], step[1])
    raise InvalidRecipe(
        f"Invalid step {step!r}: expected an operation's key, a (key, parameters) pair or a Step."
    )


def step_output(op: Operation) -> Output:
    """Return the type of an operation's result as a step of a recipe (a threshold: a mask)."""
    return op.as_step().output


def record_name(name: str | None, operation: str, number: int) -> str:
    """Return what a record calls a step: its name, or its operation's with the step's number."""
    return name or f"step {number + 1}: {operation}"


def first_argument(op: Operation) -> str:
    """Return scikit-image's name of the argument that is the image."""
    return next(iter(signature(op.raw_function)))


class StepParameters(Mapping[str, Value]):
    """The explicit parameters of a step as plain values, together with all bound parameters.

    A step that is created with the parameters of another step does not check them again.

    Parameters
    ----------
    values
        Plain values by the parameters' current names.
    bound
        All parameters of the operation, defaults included.
    linked
        Names of the parameters that are images of other steps or inputs.
    """

    def __init__(self, values: Parameters, bound: BoundParameters, linked: frozenset[str]) -> None:
        self._values = dict(values)
        self.bound = bound
        self.linked = linked

    def __getitem__(self, name: str) -> Value:
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


def _checked(op: Operation, params: Parameters, inputs: Mapping[str, str]) -> StepParameters:
    """Return parameters under their current names as plain values, bound by the operation."""
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
        op.bind({**params, **placeholders})  # its error, if any, says what the parameter expects
        raise
    explicit = {**values, **placeholders}
    return StepParameters(values, BoundParameters(op, op.bind(explicit), explicit), linked)


def _plain_parameter(op: Operation, name: str, value: Value) -> Value:
    if name in op.specs and is_image(op.specs[name], value):
        return value
    return plain(f"{op.name}: {name}", value)


def _spatial(spatial: object) -> str | tuple[int, ...] | None:
    """Return the axes to run over as letters or a tuple of numbers."""
    if spatial is None or (isinstance(spatial, str) and spatial.isalpha()):
        return spatial
    if isinstance(spatial, Sequence) and not isinstance(spatial, str) and spatial:
        numbers = tuple(spatial)
        if all(type(number) is int for number in numbers):
            return numbers
    raise InvalidRecipe(
        f"spatial={spatial!r}: expected letters such as 'yx', or axis numbers such as [-2, -1]."
    )


def plain(name: str, value: Value) -> Value:
    """Return a parameter's value as numbers, texts, tuples and mappings."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(name, value.tolist())
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value) and not isinstance(value, type):
        return value  # only in Python: a file cannot hold a function
    if isinstance(value, type):
        return np.dtype(value).name
    if isinstance(value, Mapping):
        return {str(key): plain(name, item) for key, item in value.items()}
    if isinstance(value, Sequence | range):
        return tuple(plain(name, item) for item in value)
    raise InvalidParameterType(
        f"{name}={value!r}: a recipe takes only plain values: numbers, text and lists."
    )


def _key(value: Value) -> Hashable:
    """Return a hashable value that identifies a parameter's value; an image by its address."""
    if isinstance(value, Mapping):
        return frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    is_hashable = value is None or isinstance(value, bool | int | float | str | Callable)
    return value if is_hashable else ("image", id(value))


def invalid_parameter(op: Operation, params: Parameters) -> str | None:
    """Return the name of the first parameter that is invalid by itself, or None."""
    for key, value in params.items():
        try:
            op.specs[key].check(key, value, None)
        except (KeyError, InvalidParameter):
            return key
    return None
