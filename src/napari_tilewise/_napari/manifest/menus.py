"""The submenus of napari's Layers menu, from the families that operations declare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.panel_titles import PLUGIN
from napari_tilewise.operations.spec.families import Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_tilewise.operations.spec.operation import Operation


LONGEST = 20
"""More entries than this are split into several submenus."""
PARENT = "scikit-image, tile by tile"
"""The label of our one line in each menu of napari's; all families are below it."""


def parent(menu: str) -> str:
    """Return the id of our submenu of one of napari's menus.

    Parameters
    ----------
    menu
        Such as ``"filter"``.
    """
    return f"{PLUGIN}/{menu}"


@dataclass(frozen=True)
class Submenu:
    """One submenu below a menu of napari's."""

    id: str
    menu: str
    """The menu of napari's below which it is, such as ``"filter"``."""
    label: str
    operations: tuple[Operation, ...]


def family_of(op: Operation) -> Family:
    """Return an operation's family; for a user's function one named after its module."""
    return op.family or Family("filter", wording.category(op.category))


def submenus(operations: Iterable[Operation]) -> Iterator[Submenu]:
    """Yield the submenus that hold every operation once, none longer than `LONGEST`.

    Parameters
    ----------
    operations
        All operations with a menu entry.
    """
    groups: dict[Family, list[Operation]] = {}
    for op in operations:
        groups.setdefault(family_of(op), []).append(op)
    for (menu, title, *_), family_members in groups.items():
        members = sorted(family_members, key=lambda op: bool(op.deprecated))
        base = f"{PLUGIN}/{menu}/{title.lower().replace(' ', '_')}"
        parts = _split(members)
        for number, part in enumerate(parts):
            many = len(parts) > 1
            span = f", {part[0].title[0]} to {part[-1].title[0]}" if many else ""
            yield Submenu(
                id=f"{base}_{number}" if many else base,
                menu=menu,
                label=f"{title}{span}",
                operations=tuple(part),
            )


def _split(members: Sequence[Operation]) -> list[list[Operation]]:
    """Return the operations in one list, or sorted in several of about the same length."""
    if len(members) <= LONGEST:
        return [list(members)]
    ordered = sorted(members, key=lambda op: (bool(op.deprecated), op.title.lower()))
    count = -(-len(ordered) // LONGEST)
    length = -(-len(ordered) // count)
    return [ordered[i : i + length] for i in range(0, len(ordered), length)]
