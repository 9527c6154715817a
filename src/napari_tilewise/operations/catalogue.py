"""The catalogue: the libraries' operations, then users' own, in the order in which they came.

Plugins are asked for theirs only when somebody lists the catalogue, or looks up a key that nobody
has: what never meets a user's function never pays for one.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidFunction
from napari_tilewise.operations.spec.libraries import library_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint

    from napari_tilewise.operations.spec.operation import Operation

GROUP = "napari_tilewise.operations"
"""The entry point group where a plugin names the module of its operations."""


class Catalogue(Mapping[str, "Operation"]):
    """Operations by key; read-only but for `register` and `forget`.

    Parameters
    ----------
    own
        The operations that are always there.
    """

    def __init__(self, own: Mapping[str, Operation]) -> None:
        self._own = own
        self._users: dict[str, Operation] = {}
        self._origins: dict[str, str] = {}
        self._loading = threading.RLock()
        self._asked = self._asking = False
        self.listeners: list[Callable[[], None]] = []
        """Called, in the thread that registers, after operations came or went."""

    def __getitem__(self, key: str) -> Operation:
        """Return the operation of this key; plugins are asked where nobody else has it."""
        if key in self._own:
            return self._own[key]
        if key not in self._users:
            self.load_entry_points()
        return self._users[key]

    def __iter__(self) -> Iterator[str]:
        self.load_entry_points()
        return iter([*self._own, *self._users])

    def __len__(self) -> int:
        self.load_entry_points()
        return len(self._own) + len(self._users)

    def __repr__(self) -> str:
        return f"<{len(self)} operations>"

    def register(self, operation: Operation, origin: str) -> None:
        """Add a user's operation, or put it in the place of an earlier one from the same origin.

        Parameters
        ----------
        operation
            The operation.
        origin
            The file or module that it comes from.

        Raises
        ------
        InvalidFunction
            When scikit-image, or another origin, has an operation of this key.
        """
        key = operation.name
        if key in self._own:
            raise InvalidFunction(
                f"The function of {origin} would be called {key!r}, which is "
                f"{library_of(key).title}'s: "
                "expected a key of its own. Rename the function or its module."
            )
        if self._origins.get(key, origin) != origin:
            raise InvalidFunction(
                f"The function of {origin} would be called {key!r}, as one of "
                f"{self._origins[key]} is: expected a key of its own. Rename the function or its "
                "module."
            )
        self._users[key] = operation
        self._origins[key] = origin
        self._changed()

    def users(self) -> tuple[Operation, ...]:
        """Return the operations that users and plugins added so far."""
        return tuple(self._users.values())

    def registered(self, origin: str) -> dict[str, Operation]:
        """Return the operations that came from a file or module, by key.

        Parameters
        ----------
        origin
            The file or module.
        """
        return {key: op for key, op in self._users.items() if self._origins[key] == origin}

    def forget(self, *keys: str) -> None:
        """Take users' operations out again.

        Parameters
        ----------
        *keys
            Their keys; those that are not there are none the less gone.
        """
        for key in keys:
            self._users.pop(key, None)
            self._origins.pop(key, None)
        self._changed()

    def load_entry_points(self) -> None:
        """Import the modules that plugins name in the group `GROUP`, once.

        A plugin that fails costs its own operations and one warning that names it.
        """
        if not self._asked:
            with self._loading:
                self._ask()

    def _ask(self) -> None:
        if self._asked or self._asking:  # a plugin's module may itself list the catalogue
            return
        self._asking = True
        try:
            for entry in entry_points(group=GROUP):
                _load(entry)
            self._asked = True
        finally:
            self._asking = False

    def _changed(self) -> None:
        for listener in tuple(self.listeners):
            listener()


def _load(entry: EntryPoint) -> None:
    try:
        entry.load()
    except Exception as error:  # noqa: BLE001 - a plugin's own code may raise anything
        plugin = "" if entry.dist is None else f" of {entry.dist.name}"
        warnings.warn(
            f"The plugin {entry.name!r}{plugin} ({entry.value}) cannot be loaded, so its "
            f"operations are missing: {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
