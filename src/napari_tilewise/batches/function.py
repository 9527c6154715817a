"""A user's own function in a recipe's place: an array in; pixels, a table or numbers out.

It needs no declaration: it receives each item as a whole, and nothing is tiled.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin

import numpy as np

from napari_tilewise.errors import (
    InvalidFunction,
    InvalidImage,
    InvalidParameter,
    SourceNotFound,
    did_you_mean,
)
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from types import ModuleType

    from napari_tilewise.types import Value


@dataclass(frozen=True, eq=False)
class BatchFunction:
    """A function of an image, and of further ones if it is given any.

    Parameters
    ----------
    name
        Its qualified name in its module.
    module
        An importable module, or the path of a Python file.
    calls
        The function itself, if no other process can import it by its name.
    """

    name: str
    module: str
    calls: Callable[..., Any] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any] | str) -> Self:
        """Return a batch function from a function or its location.

        Parameters
        ----------
        function
            A function, or where to load it: ``my_ops.py:task`` or ``package.module:task``.

        Raises
        ------
        InvalidFunction
            When it is not callable, or its module cannot be loaded.
        SourceNotFound
            When there is no such file.
        """
        if isinstance(function, str):
            module, _, name = function.rpartition(":")
            if module.endswith(".py"):
                module = os.path.abspath(Path(module).expanduser())
            batch_function = cls(name, module)
        else:
            name = getattr(function, "__qualname__", type(function).__name__)
            module = getattr(function, "__module__", None) or ""
            imported = _attribute(sys.modules.get(module), name)
            is_importable = imported is function and module != "__main__"
            batch_function = cls(name, module, None if is_importable else function)
        if not callable(batch_function.function):
            raise InvalidFunction(
                f"{function!r} is not a function: expected one that takes an image."
            )
        _check_parameter(name, batch_function.function)
        return batch_function

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function, loaded when it is first used."""
        if self.calls is not None:
            return self.calls
        module = _from_file(self.module) if self.module.endswith(".py") else _module(self.module)
        function: Callable[..., Any] | None = _attribute(module, self.name)
        if function is None:
            raise InvalidFunction(f"There is no function {self.name!r} in {self.module!r}.")
        return function

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the loaded function: another process loads it itself."""
        return type(self), (self.name, self.module, self.calls)

    def to_dict(self) -> dict[str, Any]:
        """Return its name, its module and a digest of its source code, as plain data."""
        try:
            text = inspect.getsource(self.function)
        except (OSError, TypeError):
            text = repr(self.function)
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        return {"function": self.name, "module": self.module, "source": digest}

    def check_inputs(self, inputs: Iterable[str]) -> None:
        """Check that the function takes further images of these names.

        Parameters
        ----------
        inputs
            Names of arguments.

        Raises
        ------
        InvalidParameter
            When it has no parameter of a name, or its first one, the image itself, has it.
        """
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return  # compiled functions may not tell
        names = [
            name
            for name, parameter in [*parameters.items()][1:]
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for name in inputs:
            if name not in names and not (takes_any and name not in parameters):
                expected = ", ".join(map(repr, names)) or "none"
                raise InvalidParameter(
                    f"The function {self.name!r} has no further image {name!r}; its parameters "
                    f"after the image are {expected}.{did_you_mean(name, names)}"
                )

    def __call__(self, image: object, inputs: Mapping[str, Any] | None = None) -> Value:
        """Read an image and the further ones, and return the function's result."""
        pixels = _pixels(image)
        further = {name: _pixels(other) for name, other in (inputs or {}).items()}
        try:
            return self.function(pixels, **further)
        except (TypeError, ValueError, AttributeError, OSError) as error:
            if _PATH_EXPECTED.search(str(error)) or _first_parameter(self.function) in _PATHS:
                raise _not_a_path(self.name, f" ({error})") from error
            raise


def _pixels(image: object) -> Any:
    data = open_image(image).data
    return data[(slice(None),) * len(data.shape)]


_PATH_EXPECTED = re.compile(
    "PathLike|ndarray' object has no attribute '(read|open|exists|is_file|stem|"
    "suffix|parent|name|endswith|startswith|split|rpartition)'|embedded null|File name too long"
)
"""What errors say of a function that treats pixels as a path."""


_PATHS = {
    "path",
    "file",
    "files",
    "filename",
    "fname",
    "filepath",
    "file_path",
    "image_path",
    "uri",
}
"""Names of parameters that are paths."""


def _first_parameter(function: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):
        return None


def _check_parameter(name: str, function: Callable[..., Any]) -> None:
    """Refuse a function whose first parameter is declared to be a path."""
    try:
        first = next(iter(inspect.signature(function, eval_str=True).parameters.values()), None)
    except (TypeError, ValueError, NameError):
        return
    annotation = None if first is None else first.annotation
    is_union = isinstance(annotation, UnionType) or get_origin(annotation) is Union
    types = get_args(annotation) if is_union else (annotation,)
    if any(isinstance(item, type) and issubclass(item, str | os.PathLike) for item in types):
        raise _not_a_path(name, "")


def _not_a_path(name: str, cause: str) -> InvalidFunction:
    return InvalidFunction(
        f"The function {name!r} expects a path, and a batch passes the pixels of each image, an "
        f"array{cause}: read no file in it, and work on its argument."
    )


def _attribute(module: object, name: str) -> Any:
    """Return an attribute by its qualified name; None if there is none."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, ValueError, TypeError) as error:  # no name, or one that begins with a dot
        raise InvalidFunction(f"The module {name!r} cannot be imported: {error}.") from error


def _from_file(path: str) -> ModuleType:
    """Load a file that the caller named, once per process and change."""
    file = Path(path)
    if not file.is_file():
        raise SourceNotFound(
            f"The file {path!r} does not exist: expected the path of a Python file."
        )
    status = file.stat()
    version = f"{path}:{status.st_mtime_ns}:{status.st_size}"
    name = f"_tilewise_batch_{blake2b(version.encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    loader = SourceFileLoader(name, path)
    spec = ModuleSpec(name, loader, origin=path)
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InvalidFunction(
            f"{path!r} cannot be loaded: {type(error).__name__}: {error}."
        ) from error
    return module


def classify(value: Value) -> tuple[str, Value]:
    """Return the kind of a function's result, and the result in the form of that kind.

    Parameters
    ----------
    value
        What the function returned.

    Returns
    -------
    kind : str
        ``"image"``: an array of two or more axes. ``"table"``: columns of one length; arrays and
        lists of one axis are one column. ``"numbers"``: single values by name. ``"nothing"``: None.
    value : object
        An array, a dict of arrays, a dict of numbers, or None.

    Raises
    ------
    InvalidImage
        When it is none of these.
    """
    if value is None:
        return "nothing", None
    if isinstance(value, Mapping):
        shapes = {np.shape(column) for column in value.values()}
        if all(len(shape) == 0 for shape in shapes):
            return "numbers", dict(value)
        if len(shapes) == 1 and all(len(shape) == 1 for shape in shapes):
            return "table", {str(key): np.asarray(column) for key, column in value.items()}
    elif np.ndim(value) == 0 and not isinstance(value, set | bytes):
        return "numbers", {"result": value}
    elif isinstance(value, np.ndarray | list | tuple):
        array = np.asarray(value)
        if array.dtype != object:
            return ("image", array) if array.ndim > 1 else ("table", {"result": array})
    raise InvalidImage(
        f"The function returned a {type(value).__name__}, which a batch cannot store; expected "
        "pixels (an array), a number, a dict of numbers, or a table (a dict of columns of one "
        "length)."
    )
