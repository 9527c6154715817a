"""Files and plugins that hold users' functions: loaded only when somebody asks for them by name.

A recipe never loads any.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from keyword import iskeyword
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidFunction, SourceNotFound, TilewiseError
from napari_tilewise.functions.decorator import MAIN
from napari_tilewise.operations import OPERATIONS, get_operation

if TYPE_CHECKING:
    import os
    from types import ModuleType

    from napari_tilewise.operations.spec.operation import Operation


def load_entry_points() -> tuple[Operation, ...]:
    """Load the plugins' operations, unless that was done, and return all that are no built-in.

    A plugin that fails is told in a warning that names it; the others are loaded.
    """
    OPERATIONS.load_entry_points()
    return OPERATIONS.users()


def load_file(path: str | os.PathLike[str]) -> tuple[Operation, ...]:
    """Run a Python file and return the operations that it declares.

    The module is called as the file is, and stays importable under that name. A file that was
    loaded before is run anew: its operations replace the earlier ones. When it fails, everything
    stays as it was.

    Parameters
    ----------
    path
        The file, such as ``my_ops.py``. It runs with all that you may do: load only what you trust.

    Raises
    ------
    SourceNotFound
        When there is no such file.
    InvalidFunction
        When it fails, declares no operation, or its name is taken.
    """
    file = Path(realpath(Path(path).expanduser()))
    name = _module_name(file)
    before = OPERATIONS.registered(str(file))
    earlier = sys.modules.get(name)
    module = _new_module(name, file)
    sys.modules[name] = module
    try:
        _run(module, file)
        found = OPERATIONS.registered(str(file))
        fresh = {key: op for key, op in found.items() if before.get(key) is not op}
        if not fresh:
            raise InvalidFunction(
                f"{file} declares no operation: expected a function below "
                "@napari_tilewise.operation(...)."
            )
    except BaseException:
        _undo(name, earlier, str(file), before)
        raise
    OPERATIONS.forget(*(before.keys() - fresh.keys()))
    return tuple(fresh.values())


def _module_name(file: Path) -> str:
    """Return what the module of a file is called, where no other module is."""
    name = file.stem
    if not file.is_file():
        raise SourceNotFound(f"There is no file {str(file)!r}: expected a Python file.")
    if file.suffix != ".py" or not name.isidentifier() or iskeyword(name):
        raise InvalidFunction(
            f"{str(file)!r} cannot be loaded: expected a Python file that a module could be "
            "called after, such as my_ops.py. Rename it."
        )
    if name in sys.modules:
        there = getattr(sys.modules[name], "__file__", None) or "Python itself"
    else:
        spec = find_spec(name)
        there = None if spec is None else spec.origin or "a package of this name"
    if there is not None and realpath(there) != str(file):
        raise InvalidFunction(
            f"{str(file)!r} cannot be loaded: there is another module {name!r} ({there}). Rename "
            "the file."
        )
    return name


def _new_module(name: str, file: Path) -> ModuleType:
    loader = SourceFileLoader(name, str(file))
    spec = spec_from_loader(name, loader, origin=str(file))
    assert isinstance(spec, ModuleSpec)
    spec.has_location = True
    return module_from_spec(spec)


def _run(module: ModuleType, file: Path) -> None:
    """Run a module from its source: bytecode kept by the second could be an earlier version's."""
    loader = SourceFileLoader(module.__name__, str(file))
    try:
        code = loader.source_to_code(loader.get_data(str(file)), str(file))
        exec(code, module.__dict__)
    except TilewiseError as error:
        raise InvalidFunction(f"{file}{_line(error, file)}: {error}") from error
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidFunction(f"{file}{_line(error, file)} cannot be loaded: {what}.") from error


def _line(error: Exception, file: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def _undo(name: str, earlier: ModuleType | None, origin: str, before: dict[str, Operation]) -> None:
    """Bring back what was there before a file that failed."""
    if earlier is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = earlier
    OPERATIONS.forget(*(OPERATIONS.registered(origin).keys() - before.keys()))
    for operation in before.values():
        OPERATIONS.register(operation, origin)


def found_again(key: str, module: str, file: str | None) -> Operation:
    """Return a user's operation in another process: what one unpickles to.

    Parameters
    ----------
    key
        The operation's.
    module, file
        Where it was declared.
    """
    if key not in OPERATIONS:
        importable = module not in MAIN and _is_importable(module)
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
