"""`skimage.measure.marching_cubes`: the mesh of every tile, numbered as in the whole volume.

A vertex belongs to the tile that holds its edge's first voxel. That tile looks at all cells around
the edge, one step beyond its own, in the whole volume's order: so it knows the vertex's place among
all vertices, and adds up its normal and value as scikit-image does. Faces name vertices by their
edges until all tiles are joined; then they are numbered in the order in which scikit-image would
have made them.

Memory grows with the mesh, some 110 bytes per vertex (with its two faces) and twice that while it
is sorted; scikit-image's own result takes half of that.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.measure.cubes import EPSILON, triangles
from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, ChoiceSpec, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.grid import Region

BOX = 32
"""Cells along each axis that are worked on at once: up to a kilobyte each."""

CENTER = 12
"""The number of the vertex inside a cell, behind those of its twelve edges."""

CORNERS = np.array(
    [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]]
)
"""Where the corners of a cell lie (z, y, x), in scikit-image's order."""

BITWISE = np.array([0, 1, 3, 2, 4, 5, 7, 6])
"""The corner of each number ``4 * z + 2 * y + x``."""

ENDS = np.array([
    [[0, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 1, 1]], [[0, 1, 1], [0, 1, 0]], [[0, 1, 0], [0, 0, 0]],
    [[1, 0, 0], [1, 0, 1]], [[1, 0, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]],
    [[0, 0, 0], [1, 0, 0]], [[0, 0, 1], [1, 0, 1]], [[0, 1, 1], [1, 1, 1]], [[0, 1, 0], [1, 1, 0]],
])  # fmt: skip
"""The two ends of each edge (z, y, x), in scikit-image's order."""

NUMBERS = np.vstack([ENDS @ [4, 2, 1], [[0, 0]]])
"""The bitwise numbers of those ends (none for the center)."""

FIRST = np.vstack([ENDS.min(axis=1), [[0, 0, 0]]])
"""The first voxel of each edge, and of the center."""

DIRECTION = np.array([0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2, 3])
"""Which of the (up to four) vertices of that voxel it is."""

GRADIENTS = np.array([
    [[0, 1], [0, 3], [0, 4]], [[0, 1], [1, 2], [1, 5]], [[3, 2], [1, 2], [2, 6]],
    [[3, 2], [0, 3], [3, 7]], [[4, 5], [4, 7], [0, 4]], [[4, 5], [5, 6], [1, 5]],
    [[7, 6], [5, 6], [2, 6]], [[7, 6], [4, 7], [3, 7]],
])  # fmt: skip
"""Per number of a corner, the corners whose difference is the gradient along x, y and z."""


def _plan(call: Call) -> Plan:
    level = call["level"]
    low, high = yield Reduce(
        _extremes,
        lambda a, b: (np.minimum(a[0], b[0]), np.maximum(a[1], b[1])),
        description="smallest and largest value",
    )
    level = 0.5 * (low + high) if level is None else float(level)
    if level < low or level > high:
        raise InvalidImage(
            f"{call.operation.name}: level={level:g} lies outside the volume's values, {low:g} to "
            f"{high:g}: expected a level between them."
        )
    step = int(call["step_size"])
    mesh: _Mesh = yield Reduce(
        lambda block: _mesh(call, block, np.float64(level), step),
        _Mesh.extend,
        halo=step,
        description="triangles",
    )
    vertices, faces, normals, values = mesh.numbered()
    if not len(vertices):
        raise InvalidImage(
            f"{call.operation.name}: no surface found at level={level:g}. Choose another level."
        )
    return Value(_finished(call, vertices, faces, normals, values))


def _extremes(block: Block) -> tuple[Any, Any]:
    voxels = block.data[block.core]
    return voxels.min().astype(np.float32), voxels.max().astype(np.float32)


def _finished(
    call: Call, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the result as scikit-image gives it: z first, turned round, scaled."""
    vertices, normals = np.fliplr(vertices), np.fliplr(normals)
    if call["gradient_direction"] == "descent":
        faces = np.fliplr(faces)
    if not np.array_equal(call["spacing"], (1, 1, 1)):
        vertices = vertices * np.r_[call["spacing"]]
    if call["allow_degenerate"]:
        return vertices, faces, normals, values
    remove = reach("measure._marching_cubes_lewiner_cy", "remove_degenerate_faces")
    cleaned: tuple[np.ndarray, ...] = remove(vertices.astype(np.float32), faces, normals, values)
    return cleaned


# -- the mesh of a tile ----------------------------------------------------------------------------


class _Mesh:
    """Vertices and faces, each with its place in the whole volume's order."""

    def __init__(self, vertices: Collected, faces: Collected) -> None:
        self.vertices, self.faces = vertices, faces

    @property
    def nbytes(self) -> int:
        """What the engine compares with the memory set aside for gathered numbers."""
        return 2 * (self.vertices.nbytes + self.faces.nbytes)

    def extend(self, other: _Mesh) -> _Mesh:
        """Take in another tile's mesh, and return itself: a gather's merge."""
        self.vertices.extend(other.vertices)
        self.faces.extend(other.faces)
        return self

    def numbered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return vertices, faces (numbers of vertices), normals and values."""
        places, edges, vertices, normals, values = self.vertices.joined()
        order = np.argsort(places)
        del places
        by_edge = np.argsort(edges)
        numbers = np.empty(len(order), np.int32)
        numbers[order] = np.arange(len(order), dtype=np.int32)
        places, corners = self.faces.joined()
        corners = corners[np.argsort(places)]
        found = by_edge[np.searchsorted(edges, corners, sorter=by_edge)]
        return vertices[order], numbers[found], normals[order], values[order]


def _mesh(call: Call, block: Block, level: np.float64, step: int) -> _Mesh:
    """Return the vertices whose edges begin in the tile, and the faces of the cells that do."""
    meshes = [_box(call, block, box, level, step) for box in _boxes(block.tile)]
    for mesh in meshes[1:]:
        meshes[0].extend(mesh)
    return meshes[0]


def _boxes(tile: Region) -> Iterator[Region]:
    cuts = [
        [slice(start, min(start + BOX, s.stop)) for start in range(s.start, s.stop, BOX)]
        for s in tile
    ]
    return product(*cuts)


def _box(call: Call, block: Block, box: Region, level: np.float64, step: int) -> _Mesh:
    with np.errstate(all="ignore"):
        cells, values = _cells(call, block, box, level, step)
        edges = triangles(values, classic=call["method"] == "lorensen")
        cell, corner = np.nonzero(edges >= 0)
        edge = edges[cell, corner].astype(np.intp)
        first = cells[cell] + step * FIRST[edge]
        names = np.ravel_multi_index(first.T, call.shape) * 4 + DIRECTION[edge]
        places = np.ravel_multi_index(cells.T, call.shape)[cell] * 64 + corner
        whole, mine = _inside(cells, box)[cell], _inside(first, box)
        vertices = _vertices(cells, values, cell[mine], edge[mine], names[mine], places[mine], step)
    return _Mesh(
        Collected(*vertices),
        Collected(places[whole][::3], names[whole].reshape(-1, 3)),
    )


def _inside(points: np.ndarray, box: Region) -> np.ndarray:
    """Return which points lie in a box."""
    low, high = [s.start for s in box], [s.stop for s in box]
    return np.asarray(np.all((points >= low) & (points < high), axis=1))


def _cells(
    call: Call, block: Block, box: Region, level: np.float64, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the cells around a box lie that the surface runs through, in raster order.

    Next to their positions (z, y, x): the voxels at their corners, the level subtracted.
    """
    axes = []
    for span, n in zip(box, call.shape, strict=True):
        start = max(0, -(-(span.start - step) // step))
        axes.append(np.arange(start * step, min(span.stop, max(0, n - step)), step))
    empty = min(map(len, axes)) == 0
    if empty:
        return np.zeros((0, 3), np.int64), np.zeros((0, 8))
    steps = [_steps(axis, step, start) for axis, start in zip(axes, block.start, strict=True)]
    voxels = block.data[tuple(steps)].astype(np.float32)
    above = voxels > level
    shape = tuple(map(len, axes))
    views = [
        tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True)) for corner in CORNERS
    ]
    some = np.zeros(shape, bool)
    every = np.ones(shape, bool)
    for view in views:
        some |= above[view]
        every &= above[view]
    active = some & ~every
    if "mask" in block.images:
        active &= block.images["mask"][tuple(steps)][1:, 1:, 1:].astype(bool)
    chosen = np.nonzero(active)
    cells = np.stack([axis[index] for axis, index in zip(axes, chosen, strict=True)], axis=1)
    values = np.stack([voxels[view][chosen] for view in views], axis=1).astype(np.float64) - level
    return cells, values


def _steps(axis: np.ndarray, step: int, start: int) -> slice:
    """Return which voxels of a block the corners of cells at these positions are."""
    return slice(int(axis[0]) - start, int(axis[-1]) + step - start + 1, step)


# -- vertices --------------------------------------------------------------------------------------


def _vertices(
    cells: np.ndarray,
    values: np.ndarray,
    cell: np.ndarray,
    edge: np.ndarray,
    names: np.ndarray,
    places: np.ndarray,
    step: int,
) -> tuple[np.ndarray, ...]:
    """Return (place, name, position, normal, value) of vertices from the corners of triangles.

    `cell`, `edge`, `names` and `places` say of every corner, in order, which cell's triangle has
    it, on which edge of the cell it lies, and the edge's name and the corner's place among all.
    """
    found, first, vertex = np.unique(names, return_index=True, return_inverse=True)
    strengths = 1.0 / (EPSILON + np.abs(values))
    central = edge[first] == CENTER
    positions = np.empty((len(found), 3), np.float32)
    where = first[~central]
    positions[~central] = _on_edges(cells, strengths, cell[where], edge[where], step)
    positions[central] = _in_cells(cells, strengths, cell[first[central]], step)
    normals = _normals(values, strengths, cell, edge, vertex, len(found))
    span = np.fmax(values, 0).max(axis=1, initial=0) - np.fmin(values, 0).min(axis=1, initial=0)
    highest = np.zeros(len(found), np.float32)
    np.maximum.at(highest, vertex, span.astype(np.float32)[cell])
    return places[first], found, positions, normals, highest


def _on_edges(
    cells: np.ndarray, strengths: np.ndarray, cell: np.ndarray, edge: np.ndarray, step: int
) -> np.ndarray:
    """Return where on edges the surface lies (x, y, z), as the cell that comes first sees it."""
    ends = ENDS[edge][..., ::-1].astype(float)
    a, b = (strengths[cell, BITWISE[NUMBERS[edge, end]]][:, None] for end in (0, 1))
    shares = ends[:, 0] * a + ends[:, 1] * b
    return np.asarray(cells[cell][:, ::-1] + step * shares / (a + b), dtype=np.float32)


def _in_cells(cells: np.ndarray, strengths: np.ndarray, cell: np.ndarray, step: int) -> np.ndarray:
    """Return the centers of mass of cells (x, y, z)."""
    strength = strengths[cell]
    shares = np.zeros((len(cell), 3))
    total = np.zeros(len(cell))
    for corner, place in enumerate(CORNERS):
        shares += place[::-1] * strength[:, corner, None]
        total += strength[:, corner]
    return np.asarray(cells[cell][:, ::-1] + step * shares / total[:, None], dtype=np.float32)


def _normals(
    values: np.ndarray,
    strengths: np.ndarray,
    cell: np.ndarray,
    edge: np.ndarray,
    vertex: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return vertices' normals (x, y, z): sums over the triangles around them, in their order."""
    gradients = np.stack(
        [[values[:, a] - values[:, b] for a, b in corner] for corner in GRADIENTS.tolist()]
    ).transpose(2, 0, 1)
    # scikit-image looks gradients up by a corner's bitwise number, though they are stored in the
    # order of the corners
    weights = strengths[:, BITWISE].astype(np.float32).astype(float)
    weighted = (gradients * weights[..., None]).astype(np.float32)
    central = edge == CENTER
    parts = weighted[cell[:, None], NUMBERS[edge]]
    which = cell[central]
    mixed = strengths[which, 0, None] * gradients[which, 0]
    for number in range(1, 8):
        mixed = mixed + strengths[which, number, None] * gradients[which, number]
    parts[central, 0] = mixed
    counts = np.ones((len(cell), 2), bool)
    counts[central, 1] = False  # a center is added once, an edge's two ends one after the other
    targets = np.repeat(vertex, 2)[counts.ravel()]
    added = parts.reshape(-1, 3)[counts.ravel()]
    sums = np.zeros((count, 3), np.float32)
    for axis in range(3):
        np.add.at(sums[:, axis], targets, added[:, axis])
    wide = sums.astype(float)
    squares = np.square(wide)
    length = squares[:, 0] + squares[:, 1] + squares[:, 2]
    scale = np.where(length > 0, 1.0 / np.sqrt(length), length)
    return np.asarray(wide * scale[:, None], dtype=np.float32)


def _check(call: Call) -> None:
    name = call.operation.name
    if min(call.shape) < 2:
        raise InvalidImage(
            f"{name}: the volume of shape {call.shape} is too small: expected at least 2 voxels "
            "along each axis."
        )
    if np.ndim(call["spacing"]) == 0:
        raise InvalidParameter(f"{name}: spacing={call['spacing']!r}: expected three numbers.")
    mask = call["mask"]
    if mask is not None and mask.dtype.itemsize != 1:
        raise InvalidParameter(
            f"{name}: mask is of type {mask.dtype}: expected bool. Convert it, for example with "
            "mask > 0."
        )


OPERATIONS = (
    Operation(
        name="measure.marching_cubes",
        family=families.REGIONS,
        kind=Kind.CONNECTED,
        specs={
            "level": Number(optional=True, usual=(0, 1)),
            "spacing": Number(per_axis=True, minimum=0, exclusive=True, usual=(0.5, 3)),
            "gradient_direction": ChoiceSpec(choices=("descent", "ascent"), advanced=True),
            "step_size": Number(integer=True, minimum=1, usual=(1, 4)),
            "allow_degenerate": Flag(advanced=True),
            "method": ChoiceSpec(choices=("lewiner", "lorensen"), advanced=True),
            "mask": AlignedImage(),
        },
        result=ResultSpec(output=Output.MESH, shape=lambda call: None),
        neighbourhood=Neighbourhood(halo=lambda call: int(call["step_size"])),
        limits=Limits(ndim=(3, 3), check=_check),
        plan_of=_plan,
        cost=Cost(
            memory=80.0,  # every voxel of noise has three vertices
        ),
        note="Memory grows with the mesh: some 220 bytes per vertex.",
    ),
)
