"""A user's own function in a recipe's place: an array in; pixels, a table or numbers out.

It needs no declaration, as an item is handed to it whole; nothing is tiled.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_tilewise.errors import InvalidFunction, InvalidImage, SourceNotFound
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True, eq=False)
class BatchFunction:
    """A function of one image.

    Parameters
    ----------
    name
        Its name in its module.
    module
        The module, importable; or the file, where one was chosen.
    calls
        The function itself, where no other process would find it by its name.
    """

    name: str
    module: str
    calls: Callable[..., Any] | None = None

    @classmethod
    def of(cls, thing: Callable[..., Any] | str) -> Self:
        """Return the function that is meant.

        Parameters
        ----------
        thing
            A function, or where one is: ``my_ops.py:task`` or ``package.module:task``.

        Raises
        ------
        InvalidFunction
            When it is no function, or its module cannot be loaded.
        SourceNotFound
            When there is no such file.
        """
        if isinstance(thing, str):
            module, _, name = thing.rpartition(":")
            if module.endswith(".py"):
                module = os.path.abspath(Path(module).expanduser())
            made = cls(name, module)
        else:
            name = getattr(thing, "__qualname__", type(thing).__name__)
            module = getattr(thing, "__module__", None) or ""
            found: Any = sys.modules.get(module)
            for part in name.split("."):
                found = getattr(found, part, None)
            made = cls(name, module, None if found is thing and module != "__main__" else thing)
        if not callable(made.function):
            raise InvalidFunction(f"{thing!r} is no function: expected one that takes an image.")
        return made

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function, loaded when it is first asked for."""
        if self.calls is not None:
            return self.calls
        found: Any = (
            _from_file(self.module) if self.module.endswith(".py") else _module(self.module)
        )
        for part in self.name.split("."):
            found = getattr(found, part, None)
        if found is None:
            raise InvalidFunction(f"There is no function {self.name!r} in {self.module!r}.")
        return found  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without what was loaded: another process loads it itself."""
        return type(self), (self.name, self.module, self.calls)

    def to_dict(self) -> dict[str, Any]:
        """Return what it is as plain data, its text's digest included."""
        try:
            text = inspect.getsource(self.function)
        except (OSError, TypeError):
            text = repr(self.function)
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        return {"function": self.name, "module": self.module, "source": digest}

    def __call__(self, image: Any) -> Any:
        """Return what the function makes of an image, which is read now."""
        opened = open_image(image)
        return self.function(opened.data[(slice(None),) * len(opened.data.shape)])


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise InvalidFunction(f"The module {name!r} cannot be imported: {error}.") from error


def _from_file(path: str) -> ModuleType:
    """Run a file that was chosen explicitly, once per process and change."""
    file = Path(path)
    if not file.is_file():
        raise SourceNotFound(f"There is no file {path!r}: expected a Python file.")
    status = file.stat()
    version = f"{path}:{status.st_mtime_ns}:{status.st_size}"
    name = f"_tilewise_batch_{blake2b(version.encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    loader = SourceFileLoader(name, path)
    spec = spec_from_loader(name, loader, origin=path)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        what = f"{type(error).__name__}: {error}"
        raise InvalidFunction(f"{path!r} cannot be loaded: {what}.") from error
    return module


def sorted_out(value: Any) -> tuple[str, Any]:
    """Return of which kind a function's result is, and the result in that kind's form.

    ``"image"``: an array of two or more axes. ``"table"``: columns of one length, which one-axis
    arrays and lists are too. ``"numbers"``: single values by name. ``"nothing"``: None.

    Raises
    ------
    InvalidImage
        When it is none of these.
    """
    if value is None:
        return "nothing", None
    if isinstance(value, Mapping):
        lengths = {np.shape(column) for column in value.values()}
        if all(len(shape) == 0 for shape in lengths):
            return "numbers", dict(value)
        if len(lengths) == 1 and all(len(shape) == 1 for shape in lengths):
            return "table", {str(key): np.asarray(column) for key, column in value.items()}
    elif np.ndim(value) == 0 and not isinstance(value, set | bytes):
        return "numbers", {"result": value}
    elif isinstance(value, np.ndarray | list | tuple):
        array = np.asarray(value)
        if array.dtype != object:
            return ("image", array) if array.ndim > 1 else ("table", {"result": array})
    raise InvalidImage(
        f"The function returned a {type(value).__name__} that a batch cannot keep; expected pixels "
        "(an array), a number, a dict of numbers, or a table (a dict of columns of one length)."
    )
