"""Which menu an operation belongs to follows from its category and its output, by one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise._napari import words
from napari_tilewise.operations.model import Output
from napari_tilewise.recipe import step_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_tilewise.operations.model import Operation

OUTPUTS: Mapping[Output, str] = {
    Output.MASK: "segment",
    Output.LABELS: "segment",
    Output.POINTS: "measure",
    Output.TABLE: "measure",
    Output.SCALAR: "measure",
}
"""Menus below ``Layers`` by what an operation gives, unless its category decides."""

CATEGORIES: Mapping[str, str] = {
    "transform": "transform",
    "registration": "register",
    "measure": "measure",
    "segmentation": "segment",
}
"""Menus by scikit-image's module, for operations that give images."""

NAMES: Mapping[tuple[str, str], str] = {
    ("segment", "filters"): "Thresholds and edges",
    ("segment", "feature"): "Thresholds and edges",
    ("segment", "morphology"): "Objects",
    ("segment", "measure"): "Objects",
    ("segment", "segmentation"): "Objects",
    ("measure", "feature"): "Measure",
    ("filter", "feature"): "Filters",
    ("filter", "exposure"): "Intensity",
    ("filter", "color"): "Intensity",
    ("filter", "util"): "Intensity",
}
"""Names of submenus by menu and category, where the category's own name would not do."""

LONGEST = 20
"""More entries than this are split into several submenus."""


@dataclass(frozen=True)
class Submenu:
    """One submenu below a menu of napari's."""

    id: str
    menu: str
    label: str
    operations: tuple[Operation, ...]


def menu_of(op: Operation) -> str:
    """Return the menu below ``napari/layers`` that an operation belongs to."""
    root = op.category.partition(".")[0]
    return OUTPUTS.get(step_output(op)) or CATEGORIES.get(root, "filter")


def submenus(operations: Iterable[Operation]) -> Iterator[Submenu]:
    """Yield the submenus that hold every operation once, none longer than `LONGEST`.

    Parameters
    ----------
    operations
        The catalogue, in its order.
    """
    groups: dict[tuple[str, str], list[Operation]] = {}
    for op in operations:
        menu = menu_of(op)
        name = NAMES.get((menu, op.category), words.category(op.category))
        groups.setdefault((menu, name), []).append(op)
    for (menu, name), found in groups.items():
        members = sorted(found, key=lambda op: bool(op.deprecated))
        base = f"{words.PLUGIN}/{menu}/{name.lower().replace(' ', '_')}"
        parts = _split(members)
        for number, part in enumerate(parts):
            many = len(parts) > 1
            span = f", {part[0].title} to {part[-1].title}" if many else ""
            yield Submenu(
                id=f"{base}_{number}" if many else base,
                menu=f"napari/layers/{menu}",
                label=f"{name}{span} (tilewise)",
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
