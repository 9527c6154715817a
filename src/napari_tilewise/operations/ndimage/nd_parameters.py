"""What the functions of `scipy.ndimage` have in common: parameters, reaches, data types."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Signature
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import check_mirroring
from napari_tilewise.operations.spec.adapter import Adapter
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Footprint, Number
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.deprecated_parameters import Modernize
    from napari_tilewise.operations.spec.operation import Block, Call
    from napari_tilewise.types import Parameters, Value

NOTHING = (None, False, Signature.empty, np._NoValue)
"""Values that are the same as leaving a parameter out."""
SYNONYMS = {"grid-mirror": "reflect", "grid-constant": "constant", "grid-wrap": "wrap"}
"""Border modes that filters do not distinguish from others."""


@dataclass(frozen=True, kw_only=True)
class FilterMode(ChoiceSpec):
    """A border mode of a filter, under any of its names."""

    choices: tuple[Any, ...] = ("reflect", "constant", "nearest", "mirror", "wrap")
    advanced: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        return super()._check(name, SYNONYMS.get(str(value), value), ndim)


@dataclass(frozen=True, kw_only=True)
class PixelType(ChoiceSpec):
    """The data type of the result, by name or as NumPy has it; None: the image's."""

    choices: tuple[Any, ...] = (
        *("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
        *("float32", "float64"),
    )
    optional: bool = True
    advanced: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str | type | np.dtype):
            try:
                value = np.dtype(value).name
            except TypeError as error:
                raise InvalidParameter(
                    f"{shown(name, value)}: expected {self.describe()}."
                ) from error
        return super()._check(name, value, ndim)


MODE = FilterMode()
CVAL = Number(usual=(0, 1), advanced=True)
OUTPUT = PixelType()
SIZE = Number(integer=True, minimum=1, per_axis=True, length=True, usual=(1, 5))
OPTIONAL_SIZE = Number(
    integer=True, minimum=1, per_axis=True, length=True, usual=(1, 5), optional=True
)
WINDOW = Footprint(optional=True, sequences=False)
ORIGIN = Number(integer=True, per_axis=True, usual=(-1, 1), advanced=True)
AXIS = Number(integer=True, usual=(-1, 1))
AXIS_ORIGIN = Number(integer=True, usual=(-1, 1), advanced=True)


def untiled(**advice: str) -> Modernize:
    """Return the removal of parameters that change nothing, and the refusal of others.

    Parameters
    ----------
    **advice
        The parameters' names, and what to do instead of giving one.
    """

    def modernize(params: dict[str, Any]) -> dict[str, Any]:
        for name, remedy in advice.items():
            value = params.pop(name, None)
            if not any(value is nothing for nothing in NOTHING) and np.size(value):
                raise InvalidParameter(
                    f"{shown(name, value)}: not for tiled processing, expected None. {remedy}"
                )
        return params

    return modernize


AXES = "Name the axes to run over with spatial=, or leave the others unfiltered with a size of 1."
ARRAY = "The result is returned; convert or store it."
ARGUMENTS = "Bind them with functools.partial."
NO_AXES = Adapter(modernize=untiled(axes=AXES))
NO_ARRAY = Adapter(modernize=untiled(axes=AXES, output=ARRAY))


def result_type(call: Call) -> DTypeLike:
    """Return the data type of the result: `output`, or the image's own."""
    output = call.params.get("output")
    return call.dtype if output is None else output


def centred(call: Call, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return how far windows of these lengths, moved by `origin`, reach to either side."""
    origins = call.per_axis(call.params.get("origin", 0))
    return tuple(n // 2 + abs(int(o)) for n, o in zip(lengths, origins, strict=True))


def axis_of(call: Call) -> int:
    """Return the axis that a call works along, counted from 0."""
    return int(call["axis"]) % call.ndim


def along_axis(call: Call, reach: int) -> tuple[int, ...]:
    """Return a halo along the call's axis only."""
    return tuple(reach if axis == axis_of(call) else 0 for axis in range(call.ndim))


def check_axis(call: Call) -> None:
    """Refuse an axis that the image does not have."""
    if not -call.ndim <= call["axis"] < call.ndim:
        raise InvalidParameter(
            f"{call.operation.name}: axis={call['axis']}: expected an axis of the image, from "
            f"{-call.ndim} to {call.ndim - 1}."
        )


def check_precision(call: Call) -> None:
    """Refuse floats that are longer than those which tiles add up."""
    if call.dtype == np.longdouble and call.dtype != np.float64:
        raise InvalidImage(
            f"{call.operation.name} does not take an image of type {call.dtype}: convert it to "
            "float64 first."
        )


def check_type(call: Call) -> None:
    """Refuse data types that SciPy's filters do not have."""
    if call.dtype in (np.float16, np.longdouble) and call.dtype != np.float64:
        raise InvalidImage(
            f"{call.operation.name}: SciPy does not take an image of type {call.dtype}: convert "
            "it to float32 or float64 first."
        )


def check_window(call: Call, lengths: Sequence[int], *, separable: bool) -> None:
    """Refuse windows that SciPy refuses, or for which it reads beyond the image.

    Parameters
    ----------
    call
        The bound operation.
    lengths
        The window's length along every axis.
    separable
        Whether SciPy filters along one axis after the other.
    """
    origins = call.per_axis(call.params.get("origin", 0))
    for length, origin in zip(lengths, origins, strict=True):
        skipped = separable and length == 1
        if not (skipped or 0 <= length // 2 + origin < length):
            raise InvalidParameter(
                f"{call.operation.name}: origin={call['origin']!r} moves a window of "
                f"{length} pixels off its centre: expected values from {-(length // 2)} to "
                f"{(length - 1) // 2} along that axis."
            )
    if not separable:
        check_mirroring(call, centred(call, lengths))


def checked(*checks: Callable[[Call], None]) -> Callable[[Call], None]:
    """Return a check that makes several in turn."""

    def check(call: Call) -> None:
        for one_of_them in checks:
            one_of_them(call)

    return check


def refuse_nan(call: Call, block: Block) -> None:
    """Refuse NaN where SciPy's running minima and maxima carry it on from pixel to pixel."""
    if block.data.dtype.kind == "f" and np.isnan(block.data).any():
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN, which SciPy's running minima and maxima "
            "carry from where the filter begins: expected an image without. Replace NaN first, "
            "for example with numpy.nan_to_num, or pass a footprint that is not a full box."
        )


def is_one_window(call: Call) -> bool:
    """Return whether one parameter alone gives the window: SciPy warns of a size beside others."""
    windows = [call.params.get(name) for name in ("size", "footprint", "structure")]
    return sum(window is not None for window in windows) == 1


def default_size(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return parameters with a window, where none is given; a constraint's solution."""
    windows = [params.get(name) for name in ("size", "footprint", "structure")]
    changes: dict[str, Any] = {} if any(w is not None for w in windows) else {"size": 3}
    if windows[1] is not None and windows[2] is not None:
        changes["footprint"] = None
    if windows[0] is not None and any(w is not None for w in windows[1:]):
        changes["size"] = None
    return changes
