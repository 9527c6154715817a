"""`skimage.measure.marching_cubes`: the mesh of every tile, numbered as in the whole volume.

A vertex belongs to the tile with its edge's first voxel. That tile processes all cells around the
edge, up to one step beyond its own, in the whole volume's order: this gives the vertex's rank among
all vertices, and adds up its normal and value as scikit-image does. Faces refer to vertices by
their edges until all tiles are merged; then vertices are numbered in scikit-image's order.

Memory grows with the mesh, about 110 bytes per vertex (with its two faces) and twice that while it
is sorted; scikit-image's own result takes half of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.measure.cubes import EPSILON, triangles
from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AtOnce,
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
"""Cells along each axis that are processed at once, with up to a kilobyte each."""

CENTER = 12
"""The number of the vertex inside a cell, after those of its twelve edges."""

CORNERS = np.array(
    [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]]
)
"""The positions of a cell's corners (z, y, x), in scikit-image's order."""

BITWISE = np.array([0, 1, 3, 2, 4, 5, 7, 6])
"""The corner of each number ``4 * z + 2 * y + x``."""

ENDS = np.array([
    [[0, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 1, 1]], [[0, 1, 1], [0, 1, 0]], [[0, 1, 0], [0, 0, 0]],
    [[1, 0, 0], [1, 0, 1]], [[1, 0, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 0]], [[1, 1, 0], [1, 0, 0]],
    [[0, 0, 0], [1, 0, 0]], [[0, 0, 1], [1, 0, 1]], [[0, 1, 1], [1, 1, 1]], [[0, 1, 0], [1, 1, 0]],
])  # fmt: skip
"""The two ends of each edge (z, y, x), in scikit-image's order."""

END_NUMBERS = np.vstack([ENDS @ [4, 2, 1], [[0, 0]]])
"""The bitwise numbers of those ends (0 for the center)."""

FIRST_VOXELS = np.vstack([ENDS.min(axis=1), [[0, 0, 0]]])
"""The first voxel of each edge, and of the center."""

DIRECTION = np.array([0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2, 3])
"""The index of each edge among the (up to four) vertices of its first voxel."""

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
            f"{call.operation.name}: level={level:g} is outside the volume's range: expected a "
            f"level from {low:g} to {high:g}."
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
    """Return the result as scikit-image does: z first, oriented, scaled."""
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
    """Vertices and faces, each with its rank in the whole volume's order."""

    def __init__(self, vertices: Collected, faces: Collected) -> None:
        self.vertices, self.faces = vertices, faces

    @property
    def nbytes(self) -> int:
        """Memory for the mesh while it is sorted, which the engine compares with the budget."""
        return 2 * (self.vertices.nbytes + self.faces.nbytes)

    def extend(self, other: _Mesh) -> _Mesh:
        """Add another tile's mesh, and return this object, as a reduction's `merge` does."""
        self.vertices.extend(other.vertices)
        self.faces.extend(other.faces)
        return self

    def numbered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return vertices, faces (indices of vertices), normals and values."""
        ranks, edges, vertices, normals, values = self.vertices.joined()
        order = np.argsort(ranks)
        del ranks
        by_edge = np.argsort(edges)
        vertex_numbers = np.empty(len(order), np.int32)
        vertex_numbers[order] = np.arange(len(order), dtype=np.int32)
        ranks, corners = self.faces.joined()
        corners = corners[np.argsort(ranks)]
        vertex_indices = by_edge[np.searchsorted(edges, corners, sorter=by_edge)]
        return vertices[order], vertex_numbers[vertex_indices], normals[order], values[order]


def _mesh(call: Call, block: Block, level: np.float64, step: int) -> _Mesh:
    """Return the vertices whose edges start in the tile, and the faces of the cells that do."""
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
        first_voxels = cells[cell] + step * FIRST_VOXELS[edge]
        edge_ids = np.ravel_multi_index(first_voxels.T, call.shape) * 4 + DIRECTION[edge]
        corner_ranks = np.ravel_multi_index(cells.T, call.shape)[cell] * 64 + corner
        is_own_face, is_own_vertex = _inside(cells, box)[cell], _inside(first_voxels, box)
        corners = _Corners(cell, edge, edge_ids, corner_ranks).select(is_own_vertex)
        vertices = _vertices(cells, values, corners, step)
    return _Mesh(
        Collected(*vertices),
        Collected(corner_ranks[is_own_face][::3], edge_ids[is_own_face].reshape(-1, 3)),
    )


def _inside(points: np.ndarray, box: Region) -> np.ndarray:
    """Return which points lie in a box."""
    low, high = [s.start for s in box], [s.stop for s in box]
    return np.asarray(np.all((points >= low) & (points < high), axis=1))


def _cells(
    call: Call, block: Block, box: Region, level: np.float64, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells in and around a box that the surface crosses, in raster order.

    Returns their positions (z, y, x) and the voxels at their corners minus the level.
    """
    axes = []
    for span, n in zip(box, call.shape, strict=True):
        start = max(0, -(-(span.start - step) // step))
        axes.append(np.arange(start * step, min(span.stop, max(0, n - step)), step))
    is_empty = min(map(len, axes)) == 0
    if is_empty:
        return np.zeros((0, 3), np.int64), np.zeros((0, 8))
    steps = [_steps(axis, step, start) for axis, start in zip(axes, block.start, strict=True)]
    voxels = block.data[tuple(steps)].astype(np.float32)
    is_above = voxels > level
    shape = tuple(map(len, axes))
    views = [
        tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True)) for corner in CORNERS
    ]
    any_above = np.zeros(shape, bool)
    all_above = np.ones(shape, bool)
    for view in views:
        any_above |= is_above[view]
        all_above &= is_above[view]
    active = any_above & ~all_above
    if "mask" in block.images:
        active &= block.images["mask"][tuple(steps)][1:, 1:, 1:].astype(bool)
    active_cells = np.nonzero(active)
    cells = np.stack([axis[index] for axis, index in zip(axes, active_cells, strict=True)], axis=1)
    values = (
        np.stack([voxels[view][active_cells] for view in views], axis=1).astype(np.float64) - level
    )
    return cells, values


def _steps(axis: np.ndarray, step: int, start: int) -> slice:
    """Return the slice of a block's voxels that are corners of the cells at these positions."""
    return slice(int(axis[0]) - start, int(axis[-1]) + step - start + 1, step)


# -- vertices --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Corners:
    """The corners of triangles, in the whole volume's order."""

    cell: np.ndarray
    """The index of the triangle's cell."""
    edge: np.ndarray
    """The edge of that cell on which the corner lies."""
    edge_id: np.ndarray
    """The number of that edge in the whole volume."""
    rank: np.ndarray
    """The corner's rank among all corners of the whole volume."""

    def select(self, selected: np.ndarray) -> _Corners:
        return _Corners(
            self.cell[selected], self.edge[selected], self.edge_id[selected], self.rank[selected]
        )


def _vertices(
    cells: np.ndarray, values: np.ndarray, corners: _Corners, step: int
) -> tuple[np.ndarray, ...]:
    """Return the rank, edge, position, normal and value of the vertices at triangles' corners."""
    cell, edge = corners.cell, corners.edge
    vertex_ids, first_corners, vertex = np.unique(
        corners.edge_id, return_index=True, return_inverse=True
    )
    strengths = 1.0 / (EPSILON + np.abs(values))
    central = edge[first_corners] == CENTER
    positions = np.empty((len(vertex_ids), 3), np.float32)
    edge_corners = first_corners[~central]
    positions[~central] = _on_edges(cells, strengths, cell[edge_corners], edge[edge_corners], step)
    positions[central] = _in_cells(cells, strengths, cell[first_corners[central]], step)
    normals = _normals(values, strengths, cell, edge, vertex, len(vertex_ids))
    spans = np.fmax(values, 0).max(axis=1, initial=0) - np.fmin(values, 0).min(axis=1, initial=0)
    highest = np.zeros(len(vertex_ids), np.float32)
    np.maximum.at(highest, vertex, spans.astype(np.float32)[cell])
    return corners.rank[first_corners], vertex_ids, positions, normals, highest


def _on_edges(
    cells: np.ndarray, strengths: np.ndarray, cell: np.ndarray, edge: np.ndarray, step: int
) -> np.ndarray:
    """Return where the surface cuts edges (x, y, z), as computed from the edge's first cell."""
    ends = ENDS[edge][..., ::-1].astype(float)
    a, b = (strengths[cell, BITWISE[END_NUMBERS[edge, end]]][:, None] for end in (0, 1))
    shares = ends[:, 0] * a + ends[:, 1] * b
    return np.asarray(cells[cell][:, ::-1] + step * shares / (a + b), dtype=np.float32)


def _in_cells(cells: np.ndarray, strengths: np.ndarray, cell: np.ndarray, step: int) -> np.ndarray:
    """Return the centers of mass of cells (x, y, z)."""
    strength = strengths[cell]
    shares = np.zeros((len(cell), 3))
    total = np.zeros(len(cell))
    for corner, offset in enumerate(CORNERS):
        shares += offset[::-1] * strength[:, corner, None]
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
    # scikit-image looks gradients up by a corner's bitwise number, although they are stored in
    # the order of the corners
    weights = strengths[:, BITWISE].astype(np.float32).astype(float)
    weighted = (gradients * weights[..., None]).astype(np.float32)
    central = edge == CENTER
    corner_gradients = weighted[cell[:, None], END_NUMBERS[edge]]
    center_cells = cell[central]
    center_gradients = strengths[center_cells, 0, None] * gradients[center_cells, 0]
    for corner_index in range(1, 8):
        center_gradients = (
            center_gradients
            + strengths[center_cells, corner_index, None] * gradients[center_cells, corner_index]
        )
    corner_gradients[central, 0] = center_gradients
    is_added = np.ones((len(cell), 2), bool)
    is_added[central, 1] = False  # a center is added once, an edge's two ends one after the other
    targets = np.repeat(vertex, 2)[is_added.ravel()]
    gradients_added = corner_gradients.reshape(-1, 3)[is_added.ravel()]
    sums = np.zeros((count, 3), np.float32)
    for axis in range(3):
        np.add.at(sums[:, axis], targets, gradients_added[:, axis])
    doubles = sums.astype(float)
    squares = np.square(doubles)
    length = squares[:, 0] + squares[:, 1] + squares[:, 2]
    scale = np.where(length > 0, 1.0 / np.sqrt(length), length)
    return np.asarray(doubles * scale[:, None], dtype=np.float32)


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
            f"{name}: mask has dtype {mask.dtype}: expected bool. Convert it, for example with "
            "mask > 0."
        )


OPERATIONS = (
    Operation(
        name="measure.marching_cubes",
        family=families.REGIONS,
        kind=Kind.CONNECTED,
        specs={
            "level": Number(optional=True, intensity=True, usual=(0, 1)),
            "spacing": Number(
                per_axis=True, minimum=0, exclusive=True, usual=(0.5, 3), pixel_size=True
            ),
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
            numbers=660,
            at_once=AtOnce(function=IN_MEMORY, finite=True),
        ),
        note="Memory grows with the mesh: about 220 bytes per vertex.",
    ),
)
