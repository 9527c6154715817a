"""Files and plugins with users' functions: loaded only when they are named, never by a recipe."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from keyword import iskeyword
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidFunction, SourceNotFound, TilewiseError
from napari_tilewise.operations import OPERATIONS, get_operation

if TYPE_CHECKING:
    import os
    from types import ModuleType

    from napari_tilewise.operations.spec.operation import Operation

MAIN_MODULES = ("__main__", "__mp_main__")
"""Names of the module that Python was started with, in this process and in its subprocesses."""


def load_entry_points() -> tuple[Operation, ...]:
    """Load the plugins' operations once, and return all operations that are not built in.

    A plugin that fails causes a warning that names it; the others are loaded.
    """
    OPERATIONS.load_entry_points()
    return OPERATIONS.users()


def load_file(path: str | os.PathLike[str]) -> tuple[Operation, ...]:
    """Run a Python file and return the operations that it declares.

    The module has the name of the file, and stays importable under that name. A file that has been
    loaded before is run again: its operations replace the earlier ones. If it fails, nothing
    changes.

    Parameters
    ----------
    path
        The file, such as ``my_ops.py``. It runs with your permissions: load only files you trust.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    InvalidFunction
        If the file fails, declares no operation, or its name is taken.
    """
    file = Path(realpath(Path(path).expanduser()))
    name = _module_name(file)
    previous = OPERATIONS.registered(str(file))
    previous_module = sys.modules.get(name)
    module = _new_module(name, file)
    sys.modules[name] = module
    try:
        _run(module, file)
        registered = OPERATIONS.registered(str(file))
        new = {key: op for key, op in registered.items() if previous.get(key) is not op}
        if not new:
            raise InvalidFunction(
                f"{file} declares no operation: expected a function below "
                "@napari_tilewise.operation(...)."
            )
    except BaseException:
        _undo(name, previous_module, str(file), previous)
        raise
    OPERATIONS.forget(*(previous.keys() - new.keys()))
    return tuple(new.values())


def _module_name(file: Path) -> str:
    """Return the name of a file's module, unless another module has that name."""
    name = file.stem
    if file.is_dir():
        raise InvalidFunction(
            f"{str(file)!r} is a folder: expected a Python file, so name the file in it."
        )
    if not file.is_file():
        raise SourceNotFound(
            f"The file {str(file)!r} does not exist: expected a Python file, so check the "
            "spelling of the path."
        )
    if file.suffix != ".py" or not name.isidentifier() or iskeyword(name):
        raise InvalidFunction(
            f"{str(file)!r} cannot be loaded: expected a Python file whose name can be a "
            "module's, such as my_ops.py. Rename it."
        )
    if name in sys.modules:
        location = getattr(sys.modules[name], "__file__", None) or "Python itself"
    else:
        spec = find_spec(name)
        location = None if spec is None else spec.origin or "a package of this name"
    if location is not None and realpath(location) != str(file):
        raise InvalidFunction(
            f"{str(file)!r} cannot be loaded: there is another module {name!r} ({location}). "
            "Rename the file."
        )
    return name


def _new_module(name: str, file: Path) -> ModuleType:
    loader = SourceFileLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file))
    spec.has_location = True
    return module_from_spec(spec)


def _run(module: ModuleType, file: Path) -> None:
    """Run a module from its source: bytecode is dated to the second, and may be out of date."""
    loader = SourceFileLoader(module.__name__, str(file))
    try:
        code = loader.source_to_code(loader.get_data(str(file)), str(file))
        exec(code, module.__dict__)
    except TilewiseError as error:
        raise InvalidFunction(f"{file}{_line(error, file)}: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InvalidFunction(
            f"{file}{_line(error, file)} cannot be loaded ({reason}); expected a Python file that "
            "runs: correct it, or install what it imports."
        ) from error


def _line(error: Exception, file: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def _undo(
    name: str, previous_module: ModuleType | None, origin: str, previous: dict[str, Operation]
) -> None:
    """Restore the module and the operations from before a file that failed."""
    if previous_module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = previous_module
    OPERATIONS.forget(*(OPERATIONS.registered(origin).keys() - previous.keys()))
    for operation in previous.values():
        OPERATIONS.register(operation, origin)


def restore_operation(key: str, module: str, file: str | None) -> Operation:
    """Return a user's operation when it is unpickled, loading its module or file if need be.

    Parameters
    ----------
    key
        The operation's key.
    module, file
        Name of the module and path of the file that declare it.
    """
    if key not in OPERATIONS:
        importable = module not in MAIN_MODULES and _is_importable(module)
        if importable and module not in sys.modules:
            import_module(module)
        elif file is not None and Path(file).is_file():
            load_file(file)
    return get_operation(key)


def _is_importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
