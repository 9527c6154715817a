"""What a list says about an operation, without the module that declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.titles import usual_title
from napari_tilewise.operations.summaries import SUMMARIES, TITLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.operations.spec.operation import Operation


class OperationSummary(NamedTuple):
    """An operation in a list."""

    name: str
    """Its key."""
    kind: str
    exactness: str
    tolerance: float
    output: str
    deprecated: bool
    title: str
    """A readable name, such as ``Median (rank)``."""

    @property
    def category(self) -> str:
        """The module of its library: ``filters.rank`` for ``filters.rank.median``."""
        return self.name.rpartition(".")[0]


def summary_of(operation: Operation) -> OperationSummary:
    """Return the summary of an operation.

    Parameters
    ----------
    operation
        The operation.
    """
    return OperationSummary(
        operation.name,
        str(operation.kind),
        str(operation.exactness),
        operation.tolerance,
        str(operation.output),
        bool(operation.deprecated),
        operation.title,
    )


def summary(operations: Mapping[str, Operation], name: str) -> OperationSummary:
    """Return the summary of one operation, without importing it if it is in the catalogue.

    Parameters
    ----------
    operations
        The operations by key.
    name
        One of the keys.
    """
    if operations is OPERATIONS and name in SUMMARIES:
        return _parsed(name, SUMMARIES[name].split())
    return summary_of(operations[name])


def summaries() -> list[OperationSummary]:
    """Return the summaries of all operations: those of the libraries, then users'.

    Only users' operations are imported; `SUMMARIES` is generated.
    """
    OPERATIONS.load_entry_points()
    libraries = (_parsed(name, fields.split()) for name, fields in SUMMARIES.items())
    return [*libraries, *map(summary_of, OPERATIONS.users())]


def _parsed(name: str, fields: Sequence[str]) -> OperationSummary:
    kind, exactness, tolerance, output, deprecated = fields
    title = TITLES.get(name) or usual_title(name)
    return OperationSummary(
        name, kind, exactness, float(tolerance), output, deprecated == str(True), title
    )
