"""A user's function as an operation: its results are checked, and its errors name their line.

It pickles as its key and the place of its code, so that another process finds it.
"""

from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import Cancelled
from napari_tilewise.functions.annotations import EnumMember
from napari_tilewise.functions.loading import restore_operation
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec.operation import Call, Operation, Output, Plan, Tiles
from napari_tilewise.operations.spec.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from napari_tilewise.operations.spec.operation import Block
    from napari_tilewise.types import AnyFunction, Array, DType, Value


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UserFunction(Operation):
    """An operation with a user's function in scikit-image's place."""

    module: str
    """The name of the module that holds it."""
    file: str | None = None
    """The file of that module, if it has one."""
    finds_instances: bool = False
    """Whether it labels the objects of a tile, which are numbered over the whole image."""
    probed: dict[Hashable, DType] = field(default_factory=dict)
    """Data types of results, by shape, type and parameters of the block that was probed."""

    def __reduce__(self) -> tuple[AnyFunction, tuple[str, str, str | None]]:
        """Pickle as the key and the place where another process finds the function."""
        return restore_operation, (self.name, self.module, self.file)

    @property
    def origin(self) -> str:
        """The file or module that declares it: a key can be declared in one place only."""
        return self.file or self.module

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in order; members of enumerations by name."""
        parameters = dict(super().parameters)
        for name, parameter in parameters.items():
            if isinstance(parameter.spec, EnumMember) and not parameter.required:
                default = parameter.spec.check(name, parameter.default, None)
                parameters[name] = Parameter(name, default, False, parameter.spec, parameter.doc)
        return parameters

    def function(self, data: Array, /, **params: Value) -> Array:
        """Call the user's function and check that an image of the same shape comes back."""
        shape = data.shape
        for name, value in params.items():
            spec = self.specs[name]
            if isinstance(spec, EnumMember) and isinstance(value, str):
                params[name] = spec.members[value]
        try:
            result = self.raw_function(data, **params)
        except (MemoryError, Cancelled):
            raise  # the engine reports these itself
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}{self._line(error)}") from error
        if not isinstance(result, np.ndarray) or isinstance(result, np.ma.MaskedArray):
            raise TypeError(
                f"it returned a {type(result).__name__}: expected a NumPy array of the image's "
                f"shape, {shape}"
            )
        channel = params.get(self.channel) if self.finds_instances and self.channel else None
        if channel is not None:
            shape = tuple(np.delete(shape, channel).tolist())
        if result.shape != shape:
            raise ValueError(
                f"it returned an array of shape {result.shape}: expected {shape}, the image's shape"
            )
        return result

    def _line(self, error: Exception) -> str:
        """Return the file and line of the user's code that an exception came from."""
        code = getattr(inspect.unwrap(self.raw_function), "__code__", None)
        if code is None:
            return ""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == code.co_filename]
        return f" ({Path(code.co_filename).name}, line {lines[-1]})" if lines else ""


def plan_tiles(call: Call) -> Tiles:
    """Return the plan that calls the function on every tile with its neighbours."""
    compute = _checked(call)
    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def plan_whole(call: Call) -> Plan:
    """Yield the plan that calls the function once, on the whole image, and returns its tiles."""
    result = yield gather_whole(call, _checked(call))
    return handed_out(call, result)


def _checked(call: Call) -> Callable[[Block], Array]:
    """Return the function that computes a block and checks the data type of its pixels."""
    result_part = call.operation.whole_part(call)
    expected = np.dtype(result_part.dtype)
    if result_part.output is Output.LABELS and expected.kind not in "ui":
        raise TypeError(f"it returns {expected} pixels, but declares labels: expected integers")

    def compute(block: Block) -> Array:
        result: Array = call.function(block.data, **block.images)
        if result.dtype != expected:
            raise TypeError(
                f"it returned {result.dtype} pixels: expected {expected}. Convert them, or "
                "declare the type with dtype= of the decorator"
            )
        return result

    return compute
