"""An operation is a value: one scikit-image function plus the declaration of how it tiles.

A declaration answers four questions: which parameters (`specs` over scikit-image's signature),
which neighbours a tile needs (`neighbourhood`), what comes out (`result`), and, where a tile
depends on more than its neighbours, what must be computed over the whole image first (`plan_of`). A
plan is a generator: it yields `Reduce` passes, receives the value of each, and returns the last
pass, `Tiles`, or a `Value`. The engine drives plans without knowing any operation.

A declaration is written with the names listed here, whatever module defines them; `declaration`
has the groups that it consists of, `declared_function` what is said of the function alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.notebook import html_table
from napari_tilewise.operations.spec import binding, titles
from napari_tilewise.operations.spec.accuracy import Accuracy
from napari_tilewise.operations.spec.adapter import Adapter
from napari_tilewise.operations.spec.as_step import AsStep
from napari_tilewise.operations.spec.binding import BoundParameters
from napari_tilewise.operations.spec.call import (
    first_axis,
    last_axis,
    no_channel,
    same_channel,
    same_shape,
)
from napari_tilewise.operations.spec.declaration import (
    ALL_AXES,
    IN_BANDS,
    IN_MEMORY,
    IN_ONE_CALL,
    KERNELS_AT_ONCE,
    LIGHT,
    PER_PIXEL,
    SLOW,
    SLOW_AT_ONCE,
    SMALL_WHOLE,
    WIDENED_IN_BANDS,
    AtOnce,
    Call,
    Cost,
    Declaration,
    Limits,
    Neighbourhood,
    OnDisk,
    ResultSpec,
    SingleAxes,
    Trial,
    tiled,
)
from napari_tilewise.operations.spec.declared_function import Constraint
from napari_tilewise.operations.spec.deviation import Deviation
from napari_tilewise.operations.spec.families import Family
from napari_tilewise.operations.spec.kinds import Exactness, Kind, Output
from napari_tilewise.operations.spec.passes import (
    Block,
    Final,
    HaloLike,
    Part,
    Parts,
    Plan,
    Reduce,
    Sweep,
    Tiles,
    Value,
    Walk,
    Workspace,
    normal_halo,
    tiles_of,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Halo
    from napari_tilewise.types import Parameters


__all__ = [
    "ALL_AXES",
    "IN_BANDS",
    "IN_MEMORY",
    "IN_ONE_CALL",
    "KERNELS_AT_ONCE",
    "LIGHT",
    "PER_PIXEL",
    "SLOW",
    "SLOW_AT_ONCE",
    "SMALL_WHOLE",
    "WIDENED_IN_BANDS",
    "Accuracy",
    "Adapter",
    "AsStep",
    "AtOnce",
    "Block",
    "BoundParameters",
    "Call",
    "Constraint",
    "Cost",
    "Deviation",
    "Exactness",
    "Family",
    "Final",
    "HaloLike",
    "Kind",
    "Limits",
    "Neighbourhood",
    "OnDisk",
    "Operation",
    "Output",
    "Part",
    "Parts",
    "Plan",
    "Reduce",
    "ResultSpec",
    "SingleAxes",
    "Sweep",
    "Tiles",
    "Trial",
    "Value",
    "Walk",
    "Workspace",
    "first_axis",
    "last_axis",
    "no_channel",
    "normal_halo",
    "same_channel",
    "tiled",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(Declaration):
    """One scikit-image function and how it tiles. See the module's first lines."""

    def __post_init__(self) -> None:
        """Give the operation its usual title if it declares none."""
        if not self.title:
            object.__setattr__(self, "title", titles.usual_title(self.name))

    def __repr__(self) -> str:
        """Return a short name."""
        return f"<Operation {self.name}>"

    def _repr_html_(self) -> str:
        """Return the operation and its parameters as a table for a notebook."""
        rows = [
            (item.name, item.spec.describe(), "required" if item.required else repr(item.default))
            for item in self.parameters.values()
        ]
        kinds = f"{self.kind}, {self.exactness}, returns {self.output}"
        caption = f"{self.name}: {self.summary} ({kinds})"
        return html_table(caption, rows, ("parameter", "expected", "default"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: another process has the same catalogue."""
        return _look_up, (self.name, self.is_step)

    def call(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        params: Parameters | None = None,
    ) -> Call:
        """Return the operation bound to parameters and an image's shape and dtype, checked."""
        params = params or {}
        axis = self._channel_axis(tuple(shape), params)
        bound: Parameters = self.bound_for(params, len(shape) - (axis is not None))
        if axis is not None and self.channel is not None:
            bound = {**bound, self.channel: axis}  # functions must not see it counted from the end
        call = Call(self, bound, tuple(shape), np.dtype(dtype), axis)
        self._check_image(call)
        return call

    def _channel_axis(self, shape: tuple[int, ...], params: Parameters) -> int | None:
        if self.channel is None:
            implied = self.limits.implied_channel
            return None if implied is None else implied(shape)
        return self.channel_index(params, shape)

    def _check_image(self, call: Call) -> None:
        limits = self.limits
        binding.check_axes(self.name, call, limits.ndim)
        binding.check_dtype(self.name, call.dtype, limits.dtypes)
        if limits.check is not None:
            limits.check(call)

    def halo(self, ndim: int = 2, *, shape: tuple[int, ...] | None = None, **params: Any) -> Halo:
        """Return the neighbours that a tile needs, ``((before, after), ...)`` per spatial axis.

        Parameters
        ----------
        ndim
            Number of spatial axes.
        shape
            The image's shape, where the halo depends on it; 1024 pixels per axis unless given.
        **params
            The operation's parameters; defaults where left out.

        Raises
        ------
        InvalidParameter
            When a parameter does not fit.
        """
        bound = self.bind(params, ndim)
        call = Call(self, bound, tuple(shape or (1024,) * ndim), np.dtype(float))
        return call.halo

    def as_step(self) -> Operation:
        """Return the operation as a recipe's step or a form runs it.

        Where `AsStep.apply` is declared (thresholds), that is the image it makes of the input.
        """
        return self._as_step

    @cached_property
    def _as_step(self) -> Operation:
        if isinstance(self.step.operation, Operation):
            return replace(self.step.operation, is_step=True)
        apply = self.step.apply
        if apply is None:
            return self

        def plan(call: Call) -> Plan:
            inner = yield from self.plan(call)
            if isinstance(inner, Value):
                return Tiles(
                    lambda block: apply(block.data, inner.value),
                    scalar=inner.value,
                    only_reads=True,
                )
            tiles = tiles_of(inner, self.name)
            return replace(tiles, compute=lambda block: apply(block.data, tiles.compute(block)))

        mask = self.step.output is Output.MASK
        result = replace(
            self.result,
            output=self.step.output,
            output_of=None,
            dtype=lambda call: np.bool_ if mask else np.intp,
            shape=same_shape,
        )
        step = replace(self.step, apply=None)
        return replace(self, result=result, plan_of=plan, step=step, is_step=True)


def _look_up(name: str, is_step: bool) -> Operation:
    from napari_tilewise.operations import get_operation

    operation = get_operation(name)
    return operation.as_step() if is_step else operation
