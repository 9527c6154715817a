"""An operation is a value: one scikit-image function plus the declaration of how it tiles.

A declaration answers four questions: which parameters (specs over scikit-image's signature), which
neighbours a tile needs (`halo_of`), what comes out (`dtype_of`, `shape_of`, `output`), and, where a
tile depends on more than its neighbours, what must be gathered over the whole image first
(`plan_of`). A plan is a generator: it yields `Gather` passes, receives what each one found, and
returns the last pass, `Tiles`, or a `Value`. The engine drives plans without knowing any operation.

A declaration is written with the names listed here, whatever module defines them.
"""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, UnknownParameter, did_you_mean
from napari_tilewise.operations.spec import docstrings
from napari_tilewise.operations.spec.call import (
    BoundParameters,
    Call,
    first_axis,
    last_axis,
    no_channel,
    same_channel,
)
from napari_tilewise.operations.spec.kinds import Exactness, Kind, Output
from napari_tilewise.operations.spec.parameters import AlignedImage, ChannelAxis, Parameter, Spec
from napari_tilewise.operations.spec.passes import (
    Block,
    Final,
    Gather,
    HaloLike,
    Part,
    Parts,
    Plan,
    Sweep,
    Tiles,
    Value,
    normal_halo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.grid import Halo


__all__ = [
    "Block",
    "BoundParameters",
    "Call",
    "Exactness",
    "Final",
    "Gather",
    "HaloLike",
    "Kind",
    "Operation",
    "Output",
    "Part",
    "Parts",
    "Plan",
    "Sweep",
    "Tiles",
    "Value",
    "first_axis",
    "last_axis",
    "no_channel",
    "normal_halo",
    "same_channel",
    "tiled",
]


def _same_shape(call: Call) -> tuple[int, ...] | None:
    return call.shape


def _same_dtype(call: Call) -> Any:
    return call.dtype


def _no_halo(call: Call) -> HaloLike:
    return 0


def tiled(call: Call) -> Tiles:
    """Apply scikit-image's function to every tile with its neighbours: a plan of nothing else."""
    return Tiles(
        lambda block: np.asarray(call.function(block.data, **block.images)),
        halo=call.operation.halo_of(call),
    )


_SILENCING = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One scikit-image function and how it tiles. See the module's first lines."""

    name: str
    """The dotted path below `skimage`."""
    kind: Kind
    specs: Mapping[str, Spec] = field(default_factory=dict)
    """Parameters in order; scikit-image's signature gives their defaults."""
    exactness: Exactness = Exactness.IDENTICAL
    tolerance: float = 0.0
    """For `close`: the largest difference, relative to the larger of 1 and the largest magnitude
    of the result. For float32 results see `tolerance_for`."""
    tolerance32: float = 0.0
    """The same when the result is computed in single precision."""
    tolerance_pixels: int = 0
    """The image size that the tolerance is meant for, where rounding grows with the root of the
    number of pixels (prefix sums); smaller images are held to less."""
    output: Output = Output.IMAGE
    output_of: Callable[[Call], Output] | None = None
    """Where parameters decide what it returns; `output` is then the usual."""
    halo_of: Callable[[Call], HaloLike] = _no_halo
    typical_halo_of: Callable[[Call], HaloLike] | None = None
    """What images usually need, where `halo_of` is a bound and the passes find the true one: tiles
    are chosen for it, memory is stated for the bound."""
    dtype_of: Callable[[Call], Any] = _same_dtype
    shape_of: Callable[[Call], tuple[int, ...] | None] = _same_shape
    """Shape of the result; None when only computing tells (points, tables)."""
    channel_of: Callable[[Call], int | None] = same_channel
    """Which axis of the result is none of the spatial ones (its length is `shape_of`'s)."""
    split: type[list[Any]] | type[tuple[Any, ...]] | None = None
    """Where scikit-image returns several images of one kind: list or tuple. The result is computed
    as one array with `channel_of` 0, which `apply` takes apart."""
    parts_of: Callable[[Call], tuple[Part, ...] | None] | None = None
    """Where scikit-image returns a tuple of different things: what each is (the plan then ends in
    `Parts`). None for a call that returns one thing. `output` is the first's."""
    plan_of: Callable[[Call], Plan | Final] = tiled
    border: str | None = None
    """Name of the parameter that holds the border mode."""
    ndim: tuple[int, int] = (1, 8)
    """Fewest and most spatial axes."""
    shortest: int = 1
    """Fewest pixels along any axis: scikit-image's function drops axes that are shorter."""
    dtypes: str = "buif"
    """Kinds of data types that scikit-image's function takes."""
    dtype_varies: bool = False
    """Whether scikit-image's dtype depends on the pixels (see `Tiles.dtype`). A lazy result, whose
    dtype is asked for before, has `dtype_of`'s whatever the pixels."""
    check: Callable[[Call], None] | None = None
    """Raises for what the function cannot take, known before any pixel is read."""
    finite: bool = False
    """Whether NaN and infinity are refused."""
    apply_result: Callable[[np.ndarray, Any], np.ndarray] | None = None
    """In a recipe or form: the image made from the input's pixels and the result (thresholds)."""
    apply_output: Output = Output.MASK
    step_text: str = "{call}"
    """How a script writes what a step makes of the call (thresholds: ``{image} > {call}``)."""
    step_params: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of that call, whatever the step's are."""
    step: Operation | None = None
    """What a recipe or form runs instead, of the same name: `feature.hog` makes its image there."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Defaults that differ from scikit-image's, each with a reason in `note`."""
    pick: int | None = None
    """Which item is the result where the function returns several."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments passed to the function always, not shown (such as ``workers=1``)."""
    working: float = 4.0
    """Peak working memory per pixel of a region (or of the output, where that is larger), in
    float64 images, input and output included."""
    former: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Says parameters that scikit-image still takes, but calls by another name now, or that change
    no pixel (numbers of threads), in today's names."""
    largest_of: Callable[[Call], int] | None = None
    """Pixels of the largest region that passes visit besides tiles, where that may be more."""
    holds_gil: bool = False
    """Whether it holds Python's global lock for most of its time: threads do not make it faster."""
    deprecated: str = ""
    """What scikit-image says to use instead; shown last."""
    note: str = ""
    digest: str = ""
    """Stands for the code of a user's function: another one where that was edited."""

    is_step: bool = False
    """Whether this is what `as_step` made."""

    def __repr__(self) -> str:
        """Return a short name."""
        return f"<Operation {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: another process has the same catalogue."""
        return _look_up, (self.name, self.is_step)

    @property
    def category(self) -> str:
        """The scikit-image module: ``filters.rank`` for ``filters.rank.median``."""
        return self.name.rpartition(".")[0]

    @cached_property
    def title(self) -> str:
        """A readable name, such as ``Rank: median``."""
        return docstrings.title(self.name)

    @cached_property
    def raw_function(self) -> Callable[..., Any]:
        """scikit-image's function."""
        return docstrings.resolve(self.name)

    def function(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call scikit-image's function with the arguments that are always fixed."""
        if self.deprecated:
            # Tiles would each say what the caller is told once. What such a function calls it
            # silences by the process's filters of warnings, which threads take from each other.
            with _SILENCING:
                result = inspect.unwrap(self.raw_function)(data, **params, **self.fixed)
        else:
            result = self.raw_function(data, **params, **self.fixed)
        return result if self.pick is None else result[self.pick]

    @cached_property
    def summary(self) -> str:
        """The first sentence of scikit-image's docstring."""
        return docstrings.summary(self.raw_function)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in order."""
        signature = docstrings.signature(self.raw_function)
        texts = docstrings.parameter_texts(self.raw_function)
        found = {}
        for name, spec in self.specs.items():
            default = self.overrides.get(name, signature[name].default)
            found[name] = Parameter(
                name=name,
                default=None if default is signature[name].empty else default,
                required=default is signature[name].empty,
                spec=spec,
                doc=texts.get(name, ""),
            )
        return found

    def parts(self, call: Call) -> tuple[Part, ...] | None:
        """Return what each of several results is; None where there is one."""
        return None if self.parts_of is None else self.parts_of(call)

    def whole_part(self, call: Call) -> Part:
        """Return what the only result is."""
        output = self.output if self.output_of is None else self.output_of(call)
        return Part(output, self.dtype_of(call), self.shape_of(call), self.channel_of(call))

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the parameters that are further images."""
        return tuple(n for n, s in self.specs.items() if isinstance(s, AlignedImage))

    @property
    def channel(self) -> str | None:
        """Name of the parameter that holds the channel axis."""
        return next((n for n, s in self.specs.items() if isinstance(s, ChannelAxis)), None)

    def bind(self, params: Mapping[str, Any], ndim: int | None = None) -> dict[str, Any]:
        """Return all parameters, defaults filled in and values checked.

        Raises
        ------
        UnknownParameter
            For a name that the operation does not have.
        InvalidParameter
            For a value of the wrong type or out of range, or a required one that is missing.
        """
        params = self.modern(params)
        for name in params:
            if name not in self.specs:
                raise UnknownParameter(self._unknown(name))
        bound = {}
        for name, parameter in self.parameters.items():
            if name in params:
                value = params[name]
                bound[name] = parameter.spec.check(f"{self.name}: {name}", value, ndim)
            elif parameter.required:
                raise UnknownParameter(
                    f"{self.name}: the parameter {name!r} is missing: "
                    f"expected {parameter.spec.describe()}."
                )
            else:
                bound[name] = parameter.default
        return bound

    def bound_for(self, params: Mapping[str, Any], ndim: int) -> dict[str, Any]:
        """Return all parameters for an image; those that a recipe's step bound are not bound again.

        Parameters
        ----------
        params
            The parameters by name, or what `bind` made of them before.
        ndim
            The image's number of spatial axes.

        Raises
        ------
        InvalidParameter
            For a value that does not fit.
        """
        if isinstance(params, BoundParameters):
            return params.for_image(ndim)
        return self.bind(params, ndim)

    def modern(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters in the names of `specs` where they have former ones."""
        return dict(params) if self.former is None else self.former(dict(params))

    def _unknown(self, name: str) -> str:
        if name in docstrings.signature(self.raw_function):
            return (
                f"{self.name}: {name!r} is a parameter of the function that tiled "
                "processing does not take; leave it out."
            )
        hint = did_you_mean(name, self.specs) or f" It has {', '.join(self.specs) or 'none'}."
        return f"{self.name} has no parameter {name!r}.{hint}"

    def call(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        params: Mapping[str, Any] | None = None,
    ) -> Call:
        """Return the operation bound to parameters and an image's shape and dtype, checked."""
        dtype = np.dtype(dtype)
        params = params or {}
        axis = params.get(self.channel, None) if self.channel else None
        if self.channel and self.channel not in params:
            axis = self.parameters[self.channel].default
        if axis is not None:
            if not -len(shape) <= axis < len(shape):
                raise InvalidImage(
                    f"{self.name}: {self.channel}={axis} does not exist in an image of shape "
                    f"{shape}: expected an axis from {-len(shape)} to {len(shape) - 1}."
                )
            axis %= len(shape)
        ndim = len(shape) - (axis is not None)
        call = Call(self, self.bound_for(params, ndim), tuple(shape), dtype, axis)
        self._check_image(call)
        return call

    def _check_image(self, call: Call) -> None:
        low, high = self.ndim
        if not low <= call.ndim <= high:
            wanted = f"{low}" if low == high else f"{low} to {high}"
            raise InvalidImage(
                f"{self.name} works on {wanted} spatial axes; the image of shape {call.shape} "
                f"has {call.ndim}. Name them with spatial= (such as spatial='yx'; the other "
                "axes are looped over)."
            )
        if 0 in call.shape:
            raise InvalidImage(f"{self.name}: the image is empty (shape {call.shape}).")
        if min(call.shape) < self.shortest:
            raise InvalidImage(
                f"{self.name}: the image of shape {call.shape} has an axis that is too short, "
                f"which scikit-image's function would drop: expected at least {self.shortest} "
                "pixels along each."
            )
        if call.dtype.kind not in self.dtypes:
            names = {"b": "bool", "u": "unsigned integer", "i": "integer", "f": "float"}
            wanted = ", ".join(names[k] for k in self.dtypes)
            raise InvalidImage(
                f"{self.name} does not take an image of type {call.dtype}: expected {wanted}. "
                "Convert it first."
            )
        if self.check is not None:
            self.check(call)

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
        call = Call(
            self,
            self.bind(params, ndim),
            tuple(shape or (1024,) * ndim),
            np.dtype(float),
        )
        return normal_halo(self.halo_of(call), ndim)

    def halo_for_tiles(self, call: Call) -> Halo:
        """Return the halo that tiles are chosen for, per spatial axis."""
        wanted = self.typical_halo_of or self.halo_of
        return normal_halo(wanted(call), call.ndim)

    def plan(self, call: Call) -> Plan:
        """Return the passes of a call as a generator (see the module's first lines)."""
        planned = self.plan_of(call)
        if isinstance(planned, Tiles | Value | Parts):
            return planned
        return (yield from planned)

    def as_step(self) -> Operation:
        """Return the operation as a recipe's step or a form runs it.

        Where `apply_result` is declared (thresholds), that is the image it makes of the input.
        """
        return self._as_step

    @cached_property
    def _as_step(self) -> Operation:
        if self.step is not None:
            return replace(self.step, is_step=True)
        made = self.apply_result
        if made is None:
            return self

        def plan(call: Call) -> Plan:
            inner = yield from self.plan(call)
            if isinstance(inner, Value):
                return Tiles(lambda block: made(block.data, inner.value), met=inner.value)
            assert isinstance(inner, Tiles)
            return replace(inner, compute=lambda block: made(block.data, inner.compute(block)))

        mask = self.apply_output is Output.MASK
        return replace(
            self,
            output=self.apply_output,
            output_of=None,
            dtype_of=lambda call: np.bool_ if mask else np.intp,
            shape_of=_same_shape,
            plan_of=plan,
            apply_result=None,
            is_step=True,
        )

    def tolerance_for(
        self, dtype: Any, pixels: int | None = None, params: Mapping[str, Any] | None = None
    ) -> float:
        """Return the tolerance for a result computed from this data type.

        Parameters
        ----------
        dtype
            The image's.
        pixels
            The image's size; any size that there is unless given.
        params
            The parameters, where they decide (a template's contrast); the usual ones unless given.
        """
        single = np.dtype(dtype) in (np.float32, np.float16)
        largest = max(self.tolerance, self.tolerance32) if single else self.tolerance
        if pixels is None or not self.tolerance_pixels:
            return largest
        return largest * min(1.0, float(np.sqrt(pixels / self.tolerance_pixels)))


def _look_up(name: str, is_step: bool) -> Operation:
    from napari_tilewise.operations import get_operation

    operation = get_operation(name)
    return operation.as_step() if is_step else operation
