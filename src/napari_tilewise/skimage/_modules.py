"""A generated module looks up a name when it is first used, and imports nothing before.

A module of a drop-in holds no functions. An operation becomes its drop-in, any other function is
wrapped with a guard against lazy images, everything else is the library's own object.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

PACKAGE = "napari_tilewise"
LIBRARIES = ("skimage", "scipy.ndimage", "numpy")
"""The packages whose functions the drop-ins wrap."""


def attach(
    module: str,
    *,
    names: list[str],
    modules: Collection[str] = (),
    hidden: Collection[str] = (),
    origins: Mapping[str, str] | None = None,
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return a generated module's ``__all__``, ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    module
        The module's name, such as ``"napari_tilewise.skimage.filters"``.
    names
        Its public names.
    modules
        The names of its modules, if it is a package.
    hidden
        Names of modules that are hidden by a function of the same name.
    origins
        The library's module that has a name, if it is not the one of the module's name below this
        package; under the empty name the module that has all others.
    """
    origin = (origins or {}).get("", module.removeprefix(f"{PACKAGE}."))

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if name in modules and name not in hidden:
            return import_module(f"{module}.{name}")
        value = getattr(import_module((origins or {}).get(name, origin)), name)
        if inspect.isroutine(value) and _is_own(value):
            value = import_module(f"{PACKAGE}.skimage._dropin").dropin(value)
        vars(sys.modules[module])[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*names, *modules})

    # Python sets a module as its package's attribute when it is first imported. The hidden modules
    # are imported now, so that a later import cannot replace the function.
    for name in hidden:
        import_module(f"{module}.{name}")
        vars(sys.modules[module]).pop(name, None)
    return names, __getattr__, __dir__


def _is_own(function: Any) -> bool:
    return f"{getattr(function, '__module__', None)}.".startswith(tuple(f"{p}." for p in LIBRARIES))
