"""An operation is a value: one scikit-image function plus the declaration of how it tiles.

A declaration answers four questions: which parameters (`specs` over scikit-image's signature),
which neighbours a tile needs (`neighbourhood`), what comes out (`result`), and, where a tile
depends on more than its neighbours, what must be computed over the whole image first (`plan_of`). A
plan is a generator: it yields `Reduce` passes, receives the value of each, and returns the last
pass, `Tiles`, or a `Value`. The engine drives plans without knowing any operation.

A declaration is written with the names listed here, whatever module defines them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec import binding, docstrings, titles
from napari_tilewise.operations.spec.accuracy import IDENTICAL, Accuracy
from napari_tilewise.operations.spec.adapter import DIRECT, Adapter, Function
from napari_tilewise.operations.spec.binding import BoundParameters
from napari_tilewise.operations.spec.call import (
    CallGeometry,
    first_axis,
    last_axis,
    no_channel,
    same_channel,
)
from napari_tilewise.operations.spec.consistency import checked_part
from napari_tilewise.operations.spec.constraint import Constraint
from napari_tilewise.operations.spec.deviation import Deviation
from napari_tilewise.operations.spec.families import Family
from napari_tilewise.operations.spec.kinds import Exactness, Kind, Output
from napari_tilewise.operations.spec.libraries import function_path
from napari_tilewise.operations.spec.notebook import html_table
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    ChannelAxis,
    Parameter,
    Spec,
    is_image,
)
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
from napari_tilewise.operations.spec.pixel_positions import unmoved
from napari_tilewise.operations.spec.substitution import run_fastest
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Halo
    from napari_tilewise.operations.spec.calibration import Calibration, PixelLengths
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import Array, DType, Parameters


__all__ = [
    "ALL_AXES",
    "SMALL_WHOLE",
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


@dataclass(frozen=True)
class Call(CallGeometry):
    """An operation's parameters, bound, and the image they are applied to (one plane or volume)."""

    operation: Operation
    params: Parameters
    shape: tuple[int, ...]
    dtype: DType
    channel_axis: int | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value."""
        return self.params[name]

    def image_dtype(self, name: str) -> DType:
        """Return a further image's or array's data type in this machine's byte order."""
        return native_dtype(self.params[name].dtype)

    @property
    def wraps(self) -> bool:
        """Whether the border mode continues the image periodically."""
        border = self.operation.neighbourhood.border
        return border is not None and self.params[border] == "wrap"

    @property
    def halo(self) -> Halo:
        """The neighbours that a tile needs, ``((before, after), ...)`` per spatial axis."""
        return normal_halo(self.operation.neighbourhood.halo(self), self.ndim, self.operation.name)

    def function(self, data: np.ndarray, /, **overrides: Any) -> Any:
        """Call the function, or its kernel, on an array with the bound parameters."""
        return self.operation.function(data, **{**self.keywords, **overrides})

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The parameters as scikit-image's function takes them, without the further images."""
        return {
            name: value
            for name, value in self.params.items()
            if not is_image(self.operation.specs[name], value)
        }


# -- groups of a declaration -----------------------------------------------------------------------


def _same_shape(call: Call) -> tuple[int, ...] | None:
    return call.shape


def _same_dtype(call: Call) -> DTypeLike:
    return call.dtype


def _no_halo(call: Call) -> HaloLike:
    return 0


def _no_padding(call: Call) -> int:
    return 0


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultSpec:
    """What a function returns, known before any pixel is read."""

    output: Output = Output.IMAGE
    output_of: Callable[[Call], Output] | None = None
    """Where parameters decide what it returns; `output` is then the usual."""
    dtype: Callable[[Call], DTypeLike] = _same_dtype
    shape: Callable[[Call], tuple[int, ...] | None] = _same_shape
    """None for a result whose shape is known only once it is computed (points, tables)."""
    channel: Callable[[Call], int | None] = same_channel
    """Which axis of the result is none of the spatial ones (its length is `shape`'s)."""
    split: type[list[Any]] | type[tuple[Any, ...]] | None = None
    """Where scikit-image returns several images of one kind: list or tuple. The result is computed
    as one array with `channel` 0, which `apply` takes apart."""
    parts: Callable[[Call], tuple[Part, ...] | None] | None = None
    """Where scikit-image returns a tuple of different results: what each is (the plan then ends in
    `Parts`). None for a call that returns one result. `output` is the first's."""
    dtype_varies: bool = False
    """Whether scikit-image's dtype depends on the pixels (see `Tiles.dtype`). A lazy result, whose
    dtype is asked for before, has `dtype`'s whatever the pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbourhood:
    """Which pixels around a tile its result depends on, and where those of the result lie."""

    halo: Callable[[Call], HaloLike] = _no_halo
    typical_halo: Callable[[Call], HaloLike] | None = None
    """What images usually need, where `halo` is a bound and the passes find the true one: tiles are
    chosen for it, memory is stated for the bound."""
    border: str | None = None
    """Name of the parameter that holds the border mode."""
    padding: Callable[[Call], int] = _no_padding
    """By how many pixels the function pads every region at each end, wherever it lies."""
    sampling: Callable[[Call, tuple[int, ...]], Samplings] = unmoved
    """Where the pixels of a result of this shape lie, per spatial axis."""
    channels: Callable[[Call], slice] | None = None
    """Which positions along the channel axis its result depends on, and blocks hold; None: all."""


def _keeps_axes(call: Call, image: Any) -> bool:
    return False


class SingleAxes(NamedTuple):
    """Whether the function drops axes of one pixel; tiles keep them, and `apply` drops them too."""

    of_image: int | None = None
    """Of the image, before it begins: the first spatial axis that it may drop; the others count as
    the spatial ones. None: it drops none."""
    of_result: Callable[[Call, Any], bool] = _keeps_axes
    """Of the result of a call on an image, as the image has them; the image may be lazy."""


ALL_AXES = SingleAxes()


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Which images a function takes."""

    ndim: tuple[int, int] = (1, 8)
    """Fewest and most spatial axes."""
    single: SingleAxes = ALL_AXES
    """What the function makes of axes of one pixel."""
    dtypes: str = "buif"
    """Kinds of data types, as NumPy abbreviates them."""
    check: Callable[[Call], None] | None = None
    """Raises for what the function cannot take, known before any pixel is read."""
    finite: bool = False
    """Whether NaN and infinity are refused."""
    implied_channel: Callable[[tuple[int, ...]], int | None] | None = None
    """Which axis of an image of this shape holds channels, where no parameter says so."""
    nearest_shape: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    """The nearest shape that the function takes, where the lengths of axes depend on each other."""
    takes_alpha: bool = False
    """Whether the alpha of a picture is one of the channels that it takes."""


class AtOnce(NamedTuple):
    """Up to how many pixels an image in memory goes through a function whole, in one call."""

    function: int = 0
    """Through the function itself: its plan checks nothing that the declaration does not. Where the
    plan is `tiled`, or on the whole image, 2**16 in any case."""
    kernel: int = 2**18
    """Through a kernel that stands for the function."""
    finite: bool = False
    """Whether the plan has its own answer to NaN and infinity: the function gets no such images."""
    counted: bool = False
    """Whether the function takes memory by the range of integers: images of a long one get
    tiles."""
    when: Callable[[Call], bool] | None = None
    """The calls of which the function holds; None: all."""
    passes: int = 2**16
    """Through its passes, as one tile in the calling thread: those that take less time for it than
    handing out tiles."""
    suits: Callable[[Array], bool] | None = None
    """The images of which it does, where their pixels decide; None: all."""
    copies: int | None = None
    """What the kernel takes, in images of the image's own data type, image and result included;
    unless given, what `Cost` says."""


KERNELS_AT_ONCE = AtOnce()
SMALL_WHOLE = AtOnce(function=2**16, finite=True)
"""Of functions whose plans refuse nothing but NaN and infinity, and need more time for one tile."""
IN_BANDS = AtOnce(kernel=2**26, copies=4)
"""Of kernels that go through an image by bands, each in memory that the next one uses again."""
WIDENED_IN_BANDS = AtOnce(kernel=2**26)
"""Of those whose result, and an image in between, are of floating-point numbers."""


class Trial(NamedTuple):
    """The largest images to try an operation on; None: of any size."""

    length: int | None = None
    """Longest axis."""
    volume_length: int | None = None
    """The same in three dimensions, where a halo reaches through every volume of such a size."""
    levels: int | None = None
    """Most grey levels of images of integers, where the function takes a time that grows with a
    power of their number."""


ANY_IMAGE = Trial()
PER_PIXEL = 32
"""Bytes that passes gather for a pixel at most, where they gather a value, a place or a label of
each: what `Cost.numbers` is unless a declaration measures its own."""


class OnDisk(NamedTuple):
    """What reductions gather that goes to disk where it outgrows its share."""

    nbytes: int = PER_PIXEL
    """Bytes per pixel of the image at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """What computing takes."""

    memory: float = 4.0
    """Peak working memory per pixel of a region (or of the output, where that is larger), in
    float64 images, input and output included."""
    whole: float | None = None
    """The same where the whole image is computed at once, for an operation that may need that;
    measured, not guessed, as nothing else runs then. Unless given, it is what tiles take."""
    in_order: Callable[[Call], int] | None = None
    """The most bytes that a `Walk` of a call uses; those that do not fit are on disk. 0 for a call
    that needs none."""
    numbers: int | OnDisk | Callable[[Call], int] | None = None
    """Bytes that reductions gather per pixel of the image at most, for those that gather more than
    a few numbers; or the function for them. Unless given, kinds of operations whose passes find
    what holds for the whole image gather a few numbers, and the rest `PER_PIXEL`."""
    at_once: AtOnce = KERNELS_AT_ONCE
    """Which images in memory go through the function in one call."""
    largest_region: Callable[[Call], int] | None = None
    """Pixels of the largest region that passes visit besides tiles, or of what parameters take
    however small the image is, such as a kernel of weights, where that may be more."""
    holds_gil: bool = False
    """Whether it holds Python's global lock for most of its time: threads do not make it faster."""
    trial: Trial = ANY_IMAGE
    """Which images to try it on, where scikit-image's own function is slow."""

    def padded(self, call: Call, box: Iterable[int]) -> int:
        """Return the pixels of a box as the function pads it.

        Parameters
        ----------
        call
            The parameters.
        box
            Lengths along the spatial axes.
        """
        padding = call.operation.neighbourhood.padding(call)
        return prod(length + 2 * padding for length in box)

    def least(self, call: Call) -> int:
        """Return the pixels that have to be in memory, however small the tiles.

        Parameters
        ----------
        call
            The parameters.
        """
        largest = 0 if self.largest_region is None else self.largest_region(call)
        return max(largest, self.padded(call, [1] * call.ndim))


@dataclass(frozen=True, kw_only=True, eq=False)
class AsStep:
    """How an operation differs as a step of a recipe, or in a form."""

    apply: Callable[[np.ndarray, Any], np.ndarray] | None = None
    """Makes an image from the input's pixels and the result (thresholds); it only reads them."""
    output: Output = Output.MASK
    """What `apply` makes."""
    text: str = "{call}"
    """How a script writes what a step makes of the call (thresholds: ``{image} > {call}``)."""
    params: Parameters = field(default_factory=dict)
    """Arguments of that call, whatever the step's are."""
    operation: Operation | None = None
    """What runs instead, of the same name: `feature.hog` makes its image there."""
    samples: tuple[str, ...] = ()
    """Names of the channels that the result has, whatever those of the image are; none unless
    given."""
    radius: Callable[[Array, int], Array] | None = None
    """Where points are shown as blobs: their radii in pixels, from the columns behind the
    coordinates and the number of spatial axes."""
    calibration: Calibration | PixelLengths | None = None
    """How a table is measured in the units of its image, or which other numbers count pixels; None
    for what has no lengths."""


def tiled(call: Call) -> Tiles:
    """Apply scikit-image's function to every tile with its neighbours: a plan of nothing else."""
    return Tiles(
        lambda block: np.asarray(call.function(block.data, **block.images)),
        halo=call.operation.neighbourhood.halo(call),
    )


# -- the declaration -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One scikit-image function and how it tiles. See the module's first lines."""

    name: str
    """The dotted path below `skimage`; for a function of `scipy.ndimage`, below `scipy`."""
    kind: Kind
    title: str = ""
    """A readable name; unless given, what the function's name says (`titles`)."""
    family: Family | None = None
    """Where users look for it; its category, unless given."""
    specs: Mapping[str, Spec] = field(default_factory=dict)
    """Parameters in order; scikit-image's signature gives their defaults."""
    plan_of: Callable[[Call], Plan | Final] = tiled
    result: ResultSpec = field(default_factory=ResultSpec)
    accuracy: Accuracy = IDENTICAL
    neighbourhood: Neighbourhood = field(default_factory=Neighbourhood)
    limits: Limits = field(default_factory=Limits)
    cost: Cost = field(default_factory=Cost)
    step: AsStep = field(default_factory=AsStep)
    adapter: Adapter = DIRECT
    constraints: tuple[Constraint, ...] = ()
    deprecated: str = ""
    """What scikit-image says to use instead; shown last."""
    note: str = ""
    is_step: bool = False
    """Whether this is what `as_step` made."""

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

    @property
    def category(self) -> str:
        """The scikit-image module: ``filters.rank`` for ``filters.rank.median``."""
        return self.name.rpartition(".")[0]

    @property
    def output(self) -> Output:
        """What it usually returns."""
        return self.result.output

    @property
    def exactness(self) -> Exactness:
        """How close tiled results are to the whole image's."""
        return self.accuracy.exactness

    @property
    def tolerance(self) -> float:
        """The largest difference, relative to the larger of 1 and the largest magnitude."""
        return self.accuracy.tolerance

    @cached_property
    def raw_function(self) -> Function:
        """The function whose signature is the operation's: scikit-image's, unless adapted."""
        return self.adapter.resolve(lambda: docstrings.resolve(self.name))

    def function(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call the kernel of scikit-image's function where it gives the same, else the function."""
        if not self.has_kernel:
            return self.reference(data, **params)
        return run_fastest(function_path(self.name), self.reference, data, **params)

    @cached_property
    def has_kernel(self) -> bool:
        """Whether a kernel stands for the function itself."""
        return function_path(self.name) in self.adapter.kernels

    def reference(self, data: np.ndarray, /, **params: Any) -> Any:
        """Call scikit-image's own function with the arguments that are always fixed."""
        return self.adapter.call(self.raw_function, data, warns=bool(self.deprecated), **params)

    @cached_property
    def summary(self) -> str:
        """The first sentence of scikit-image's docstring."""
        return docstrings.summary(self.raw_function)

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in order."""
        signature = docstrings.signature(self.raw_function)
        texts = docstrings.parameter_texts(self.raw_function)
        parameters = {}
        for name, spec in self.specs.items():
            default = self.adapter.overrides.get(name, signature[name].default)
            required = default is signature[name].empty
            parameters[name] = Parameter(
                name, None if required else default, required, spec, texts.get(name, "")
            )
        return parameters

    def parts(self, call: Call) -> tuple[Part, ...] | None:
        """Return what each of several results is; None where there is one."""
        parts = None if self.result.parts is None else self.result.parts(call)
        return None if parts is None else tuple(checked_part(self.name, p, call) for p in parts)

    def whole_part(self, call: Call) -> Part:
        """Return what the only result is."""
        result = self.result
        output = result.output if result.output_of is None else result.output_of(call)
        part = Part(output, result.dtype(call), result.shape(call), result.channel(call))
        return checked_part(self.name, part, call)

    @property
    def moves_pixels(self) -> bool:
        """Whether the axes of its result, or where pixels lie along them, are not the image's."""
        result = self.result
        is_same = result.shape is _same_shape and result.channel is same_channel
        return not is_same or self.neighbourhood.sampling is not unmoved

    @property
    def takes_alpha(self) -> bool:
        """Whether the alpha of a picture is one of the channels that it takes.

        It is where it follows the colours: where pixels are moved, resampled or converted.
        """
        is_moved = self.family is not None and self.family.moves_pixels
        return self.limits.takes_alpha or is_moved

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the parameters that are further images."""
        return tuple(n for n, s in self.specs.items() if isinstance(s, AlignedImage))

    @property
    def channel(self) -> str | None:
        """Name of the parameter that holds the channel axis."""
        return next((n for n, s in self.specs.items() if isinstance(s, ChannelAxis)), None)

    def bind(self, params: Parameters, ndim: int | None = None) -> dict[str, Any]:
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
                raw_parameters = docstrings.signature(self.raw_function)
                raise binding.unknown_parameter(self.name, name, self.specs, raw_parameters)
        return binding.bind(self.name, self.parameters, params, ndim)

    def bound_for(self, params: Parameters, ndim: int) -> dict[str, Any]:
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

    def modern(self, params: Parameters) -> dict[str, Any]:
        """Return parameters with deprecated ones replaced by those in `specs`."""
        modernize = self.adapter.modernize
        return dict(params) if modernize is None else modernize(dict(params))

    def satisfying(
        self, params: Parameters, image: np.ndarray, solution: int = 0
    ) -> dict[str, Any]:
        """Return parameters that meet all constraints, as near to the ones passed as possible.

        Parameters
        ----------
        params
            The parameters by name; one left out keeps its default if that meets the constraints.
        image
            The image that they are for.
        solution
            Selects among several values that meet a constraint.
        """
        params = dict(params)
        for constraint in self.constraints:
            params |= constraint.satisfy(params, image, solution)
        return params

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

    def channel_index(self, params: Parameters, shape: tuple[int, ...]) -> int | None:
        """Return which axis of an image holds channels, as a parameter says; None: it has none.

        Parameters
        ----------
        params
            The parameters by name; the default counts where it is left out.
        shape
            The image's shape.

        Raises
        ------
        InvalidImage
            For an axis that does not exist.
        """
        spec = None if self.channel is None else self.specs[self.channel]
        if not isinstance(spec, ChannelAxis) or self.channel is None:
            return None
        axis = params.get(self.channel, self.parameters[self.channel].default)
        if axis is None:
            return None
        count = max(len(shape), spec.fewest_axes)
        if not -count <= axis < count:
            raise InvalidImage(
                f"{self.name}: {self.channel}={axis} does not exist in an image of shape "
                f"{shape}: expected an axis from {-count} to {count - 1}."
            )
        index = int(axis % count)
        return index if index < len(shape) else None

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

    def halo_for_tiles(self, call: Call) -> Halo:
        """Return the halo that tiles are chosen for, per spatial axis."""
        typical = self.neighbourhood.typical_halo
        return call.halo if typical is None else normal_halo(typical(call), call.ndim, self.name)

    def plan(self, call: Call) -> Plan:
        """Return the passes of a call as a generator (see the module's first lines)."""
        planned = self.plan_of(call)
        if isinstance(planned, Tiles | Value | Parts):
            return planned
        return (yield from planned)

    def as_step(self) -> Operation:
        """Return the operation as a recipe's step or a form runs it.

        Where `AsStep.apply` is declared (thresholds), that is the image it makes of the input.
        """
        return self._as_step

    @cached_property
    def _as_step(self) -> Operation:
        if self.step.operation is not None:
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
            shape=_same_shape,
        )
        step = replace(self.step, apply=None)
        return replace(self, result=result, plan_of=plan, step=step, is_step=True)


def _look_up(name: str, is_step: bool) -> Operation:
    from napari_tilewise.operations import get_operation

    operation = get_operation(name)
    return operation.as_step() if is_step else operation
