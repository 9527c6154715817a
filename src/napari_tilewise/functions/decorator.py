"""The decorator: one line above a function declares how it tiles, and makes it an operation.

The function itself does not change.
"""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

import numpy as np

from napari_tilewise.errors import InvalidFunction
from napari_tilewise.functions.annotations import specs_of
from napari_tilewise.functions.halos import halo_from
from napari_tilewise.functions.instances import plan_instances, plan_labels
from napari_tilewise.functions.loading import MAIN_MODULES
from napari_tilewise.functions.probing import probed_dtype
from napari_tilewise.functions.user_function import UserFunction, plan_tiles, plan_whole
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.shared.whole import whole_halo
from napari_tilewise.operations.spec.kinds import Kind, Output
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    Cost,
    Limits,
    Neighbourhood,
    ResultSpec,
    no_channel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.operations.spec.passes import HaloLike
    from napari_tilewise.types import AnyFunction, DType

    F = TypeVar("F", bound=AnyFunction)
    DTypeRule: TypeAlias = DTypeLike | Callable[[DType], DTypeLike]


INSTANCES = "instances"
"""The output of functions that label the objects of a tile."""


@overload
def operation(function: F, /) -> F: ...
@overload
def operation(
    *,
    halo: HaloLike | Callable[..., HaloLike] | None = 0,
    kind: Kind | str | None = None,
    dtype: DTypeRule | None = None,
    output: Output | str | None = None,
    parameters: Mapping[str, Spec] | None = None,
    tolerance: float = 0.0,
    ndim: int | tuple[int, int] = (1, 8),
    working: float = 4.0,
) -> Callable[[F], F]: ...
def operation(
    function: AnyFunction | None = None,
    /,
    *,
    halo: HaloLike | Callable[..., HaloLike] | None = 0,
    kind: Kind | str | None = None,
    dtype: DTypeRule | None = None,
    output: Output | str | None = None,
    parameters: Mapping[str, Spec] | None = None,
    tolerance: float = 0.0,
    ndim: int | tuple[int, int] = (1, 8),
    working: float = 4.0,
) -> Any:
    """Declare a function as an operation, under the key ``module.function``.

    The function takes an image, a NumPy array, first, and returns one of the same shape. It is
    called from several threads at once, on tiles with their neighbours. Its other parameters are
    described by annotations, defaults and a NumPy docstring.

    Parameters
    ----------
    function
        The function, if the decorator is used without parentheses; `halo` is then 0.
    halo
        The neighbours that a pixel's result depends on: a number of pixels, one number per axis,
        pairs (before, after), or a function of parameters, by name, that returns one of these.
        0: each pixel alone; None: the whole image.
    kind
        ``"whole"`` is the same as ``halo=None``.
    dtype
        The data type of the result: a type, ``"same"``, or a function of the image's type. Unless
        given, a call on a small block finds it.
    output
        The meaning of the result's pixels: ``"image"``, ``"mask"``, ``"labels"`` or
        ``"instances"``. The default is a mask for bool, else an image. Ids of labels must not
        depend on the tile (classes, or ids that the image has). Instances are the objects that the
        function labels in a tile, with any ids: they are numbered over the whole image, each found
        once where the halo is at least as long as an object.
    parameters
        Specs of parameters whose annotations are not enough, such as
        ``{"sigma": Number(minimum=0)}`` (from `napari_tilewise.operations.spec.parameters`).
    tolerance
        The largest difference between tiled and whole results, relative to the largest magnitude in
        the whole result (or 1); 0: equal bit for bit.
    ndim
        The number of spatial axes that it takes, or the minimum and the maximum.
    working
        Peak memory of a call, the image and the result included, in images of float64.

    Raises
    ------
    InvalidFunction
        If the declaration does not fit the function, or its key is taken.
    """

    def declare(function: F) -> F:
        declared = _user_function(function, parameters or {}, ndim)
        declared = replace(declared, cost=Cost(memory=working), **_tiling(declared, halo, kind))
        if output == INSTANCES:
            declared = replace(declared, **_instance_fields(declared, dtype))
        else:
            declared = replace(declared, **_result_fields(declared, dtype, output, tolerance))
        OPERATIONS.register(declared, declared.origin)
        return function

    return declare if function is None else declare(function)


def _user_function(
    function: AnyFunction, parameters: Mapping[str, Spec], ndim: int | tuple[int, int]
) -> UserFunction:
    name = getattr(function, "__name__", "")
    if inspect.isclass(function) or not name.isidentifier():
        raise InvalidFunction(
            f"{function!r} cannot be an operation: expected a function with a name. Put "
            "@operation(...) above a def."
        )
    module = function.__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    path = None if file is None else os.path.realpath(file)
    prefix = module.rpartition(".")[2]
    if module in MAIN_MODULES and path is not None:
        prefix = Path(path).stem
    key = f"{prefix}.{name}"
    return UserFunction(
        name=key,
        kind=Kind.POINTWISE,
        specs=specs_of(key, function, parameters),
        module=module,
        file=path,
        adapter=Adapter(function=function, digest=_digest(function, path)),
        limits=Limits(ndim=(ndim, ndim) if isinstance(ndim, int) else ndim),
    )


def _digest(function: AnyFunction, path: str | None) -> str:
    """Return a digest of the function's code: of its whole file, which may hold helpers."""
    try:
        code = inspect.getsource(function).encode() if path is None else Path(path).read_bytes()
    except OSError:
        return ""  # typed into an interpreter
    return sha256(code).hexdigest()


def _tiling(
    function: UserFunction, halo: HaloLike | Callable[..., HaloLike] | None, kind: Kind | str | None
) -> dict[str, Any]:
    """Return the fields of `UserFunction` that declare how a function tiles."""
    declared = Kind.WHOLE if halo is None else Kind.NEIGHBOURHOOD
    if halo is not None and not callable(halo) and not np.any(halo):
        declared = Kind.WHOLE if kind == Kind.WHOLE else Kind.POINTWISE
    if kind is not None and kind != declared:
        raise InvalidFunction(
            f"{function.name}: kind={str(kind)!r} contradicts halo={halo!r}, which means "
            f"{str(declared)!r}. Omit kind, or pass kind='whole' alone."
        )
    if declared is Kind.WHOLE:
        neighbourhood = Neighbourhood(halo=whole_halo)
        return {"kind": declared, "neighbourhood": neighbourhood, "plan_of": plan_whole}
    neighbourhood = Neighbourhood(halo=halo_from(function.name, halo, function.specs))
    return {"kind": declared, "neighbourhood": neighbourhood, "plan_of": plan_tiles}


def _instance_fields(function: UserFunction, dtype: DTypeRule | None) -> dict[str, Any]:
    """Return the fields of `UserFunction` that declare objects, labelled tile by tile."""
    if dtype is not None:
        raise InvalidFunction(
            f"{function.name}: dtype={dtype!r}: instances are int32, whatever the function's "
            "labels are. Leave it out."
        )
    if function.kind is Kind.POINTWISE:
        raise InvalidFunction(
            f"{function.name}: instances with halo=0: expected a halo of at least the length of an "
            "object, so that a tile sees all of it."
        )
    return {
        "kind": Kind.WHOLE if function.kind is Kind.WHOLE else Kind.CONNECTED,
        "finds_instances": True,
        "plan_of": plan_instances,
        "result": ResultSpec(
            output=Output.LABELS,
            dtype=lambda call: np.int32,
            shape=lambda call: call.spatial_shape,
            channel=no_channel,
        ),
    }


def _result_fields(
    function: UserFunction, dtype: DTypeRule | None, output: Output | str | None, tolerance: float
) -> dict[str, Any]:
    """Return the fields of `UserFunction` that declare the result."""
    outputs = (Output.IMAGE, Output.MASK, Output.LABELS)
    if output is not None and output not in outputs:
        raise InvalidFunction(
            f"{function.name}: output={str(output)!r}: expected one of "
            f"{', '.join([*outputs, INSTANCES])}."
        )
    if not tolerance >= 0:
        raise InvalidFunction(f"{function.name}: tolerance={tolerance!r}: expected 0 or more.")
    if dtype is None and output == Output.MASK:
        dtype = np.bool_
    dtype_of, constant = _dtype_rule(function.name, dtype)
    if output is None and constant == np.bool_:
        output = Output.MASK
    output_of = None
    if output is None:

        def output_of(call: Call) -> Output:
            return Output.MASK if np.dtype(dtype_of(call)) == np.bool_ else Output.IMAGE

    usual = Output(output or Output.IMAGE)
    is_local = function.kind is not Kind.WHOLE
    fields = {"plan_of": plan_labels} if is_local and output == Output.LABELS else {}
    return fields | {
        "result": ResultSpec(output=usual, output_of=output_of, dtype=dtype_of),
        "accuracy": Accuracy(tolerance=tolerance),
    }


def _dtype_rule(key: str, dtype: DTypeRule | None) -> tuple[Callable[[Call], Any], DType | None]:
    """Return the function that gives a result's data type, and the type if it is constant."""
    if dtype is None:
        return probed_dtype, None
    if dtype == "same":
        return lambda call: call.dtype, None
    if callable(dtype) and not isinstance(dtype, type):
        return lambda call: np.dtype(dtype(call.dtype)), None
    try:
        constant = np.dtype(dtype)
    except TypeError as error:
        raise InvalidFunction(
            f"{key}: dtype={dtype!r}: expected a data type, 'same', or a function of the "
            "image's type."
        ) from error
    return lambda call: constant, constant
