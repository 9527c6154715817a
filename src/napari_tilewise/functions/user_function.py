"""A user's function as an operation: what it returns is checked, what it raises names its line.

It pickles by its key and where its code is, so that another process finds it.
"""

from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import Cancelled
from napari_tilewise.functions.annotations import Member
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec.operation import Call, Operation, Output, Plan, Tiles
from napari_tilewise.operations.spec.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.operations.spec.operation import Block


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UserFunction(Operation):
    """An operation with a user's function in scikit-image's place."""

    module: str
    """The name of the module that holds it."""
    file: str | None = None
    """The file of that module, where it has one."""
    probed: dict[Any, np.dtype[Any]] = field(default_factory=dict)
    """Data types that a call on a small block told."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by key, and by where another process finds the function."""
        from napari_tilewise.functions.loading import found_again

        return found_again, (self.name, self.module, self.file)

    @property
    def origin(self) -> str:
        """Where it comes from: two functions of one key must come from one place."""
        return self.file or self.module

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in order; members of enumerations by name."""
        found = dict(super().parameters)
        for name, parameter in found.items():
            if isinstance(parameter.spec, Member) and not parameter.required:
                default = parameter.spec.check(name, parameter.default, None)
                found[name] = Parameter(name, default, False, parameter.spec, parameter.doc)
        return found

    def function(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call the user's function and check that an image of the same shape comes back."""
        shape = data.shape
        for name, value in params.items():
            spec = self.specs[name]
            if isinstance(spec, Member) and isinstance(value, str):
                params[name] = spec.members[value]
        try:
            result = self.raw_function(data, **params)
        except (MemoryError, Cancelled):
            raise  # the engine has words for these
        except Exception as error:
            raise RuntimeError(f"{type(error).__name__}: {error}{self._line(error)}") from error
        if not isinstance(result, np.ndarray) or isinstance(result, np.ma.MaskedArray):
            raise TypeError(
                f"it returned a {type(result).__name__}: expected a NumPy array of the shape of "
                f"its image, {shape}"
            )
        if result.shape != shape:
            raise ValueError(
                f"it returned an array of shape {result.shape}: expected {shape}, its image's"
            )
        return result

    def _line(self, error: Exception) -> str:
        """Return where in the user's file an exception came from, in words."""
        code = getattr(inspect.unwrap(self.raw_function), "__code__", None)
        if code is None:
            return ""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == code.co_filename]
        return f" ({Path(code.co_filename).name}, line {lines[-1]})" if lines else ""


def by_tiles(call: Call) -> Tiles:
    """Call the function on every tile with its neighbours: a plan of nothing else."""
    compute = _checked(call)
    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def at_once(call: Call) -> Plan:
    """Call the function once, on the whole image, and hand out what it returns."""
    result = yield gather_whole(call, _checked(call))
    return handed_out(call, result)


def _checked(call: Call) -> Callable[[Block], np.ndarray]:
    """Return what computes a block, and refuses pixels of another type than the declared one."""
    part = call.operation.whole_part(call)
    expected = np.dtype(part.dtype)
    if part.output is Output.LABELS and expected.kind not in "ui":
        raise TypeError(
            f"it returns {expected} pixels, and labels were declared: expected integers"
        )

    def compute(block: Block) -> np.ndarray:
        result: np.ndarray = call.function(block.data, **block.images)
        if result.dtype != expected:
            raise TypeError(
                f"it returned {result.dtype} pixels: expected {expected}. Convert them, or say "
                "what it returns with dtype= of the decorator"
            )
        return result

    return compute
