"""Which menu an operation belongs to follows from its name, by one table."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from napari_tilewise._napari.widgets import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_tilewise.operations.spec.operation import Operation


class Family(NamedTuple):
    """Operations that a user looks for in one place."""

    menu: str
    """The menu below ``Layers``."""
    title: str
    module: str
    names: str = "*"
    """Names within the module, separated by blanks; ``*`` stands for anything."""

    def has(self, name: str) -> bool:
        """Return whether an operation belongs here."""
        return any(fnmatchcase(name, f"{self.module}.{pattern}") for pattern in self.names.split())


FAMILIES = (
    Family("filter", "Rank filters", "filters.rank"),
    Family("segment", "Thresholds", "filters", "threshold_* apply_hysteresis_threshold"),
    Family("filter", "Ridges", "filters", "sato frangi meijering hessian"),
    Family("filter", "Edges", "filters", "sobel* scharr* prewitt* farid* roberts* laplace"),
    Family("filter", "Edges", "feature", "canny"),
    Family("filter", "Smoothing and frequency", "filters"),
    Family("filter", "Intensity", "exposure"),
    Family("filter", "Denoising and restoration", "restoration"),
    Family("measure", "Corners", "feature", "corner_*"),
    Family("measure", "Blobs and peaks", "feature", "blob_* peak_* match_template"),
    Family("filter", "Structure and texture", "feature"),
    Family("segment", "Objects", "morphology", "remove_* label flood* convex_*"),
    Family("segment", "Objects", "morphology", "skeletonize thin medial_axis"),
    Family(
        "filter", "Morphology by area and height", "morphology", "area_* diameter_* h_* local_*"
    ),
    Family("filter", "Morphology by area and height", "morphology", "max_* reconstruction"),
    Family("filter", "Morphology", "morphology"),
    Family("segment", "Labels", "measure", "label"),
    Family("segment", "Labels", "segmentation", "*_labels *_border *_boundaries relabel_* join_*"),
    Family("segment", "Segmentation", "segmentation"),
    Family("measure", "Objects and regions", "measure", "regionprops* find_* marching_*"),
    Family("measure", "Colocalization", "measure", "pearson* manders* intersection*"),
    Family("transform", "Size and pyramids", "measure", "block_reduce"),
    Family("measure", "Whole image", "measure"),
    Family("transform", "Size and pyramids", "transform", "resize* rescale downscale* pyramid*"),
    Family(
        "transform", "Hough, Radon and integrals", "transform", "*hough* *radon* *frt2 integra*"
    ),
    Family("transform", "Warps", "transform"),
    Family("filter", "Colour", "color", "rgb2gray gray* rgba* label2rgb deltaE*"),
    Family("filter", "Colour spaces", "color"),
    Family("filter", "Pixel types and arithmetic", "util"),
)
"""The first family that has an operation decides; families of one title share a submenu."""

LONGEST = 20
"""More entries than this are split into several submenus."""


@dataclass(frozen=True)
class Submenu:
    """One submenu below a menu of napari's."""

    id: str
    menu: str
    label: str
    operations: tuple[Operation, ...]


def family_of(op: Operation) -> tuple[str, str]:
    """Return an operation's menu and the title of its submenu; its module's, where none fits."""
    for family in FAMILIES:
        if family.has(op.name):
            return family.menu, family.title
    return "filter", wording.category(op.category)


def submenus(operations: Iterable[Operation]) -> Iterator[Submenu]:
    """Yield the submenus that hold every operation once, none longer than `LONGEST`.

    Parameters
    ----------
    operations
        The catalogue, in its order.
    """
    groups: dict[tuple[str, str], list[Operation]] = {}
    for op in operations:
        groups.setdefault(family_of(op), []).append(op)
    for (menu, title), found in groups.items():
        members = sorted(found, key=lambda op: bool(op.deprecated))
        base = f"{wording.PLUGIN}/{menu}/{title.lower().replace(' ', '_')}"
        parts = _split(members)
        for number, part in enumerate(parts):
            many = len(parts) > 1
            span = f", {part[0].title} to {part[-1].title}" if many else ""
            yield Submenu(
                id=f"{base}_{number}" if many else base,
                menu=f"napari/layers/{menu}",
                label=f"{title}{span} (tilewise)",
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
