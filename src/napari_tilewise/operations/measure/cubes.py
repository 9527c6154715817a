"""Marching cubes, cell by cell: the triangles of scikit-image's algorithm for 2 x 2 x 2 voxels.

The case analysis of Lewiner et al. as in scikit-image (BSD-3-Clause), on arrays of cells instead of
one cell at a time, with scikit-image's own lookup tables. A cell's corners have the same numbers:
0 to 3 around the lower z face, 4 to 7 around the upper one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from napari_tilewise.operations.shared.private import reach

EPSILON = np.spacing(1.0)

MOST_CORNERS = 36
"""A cell has at most twelve triangles."""

FACES = np.array([
    [0, 0, 0, 0], [0, 4, 5, 1], [1, 5, 6, 2], [2, 6, 7, 3], [3, 7, 4, 0], [0, 3, 2, 1],
    [4, 7, 6, 5],
])  # fmt: skip
"""The corners A, B, C, D of each face, numbered from 1."""

ACROSS = np.array([
    [[0, 1], [3, 2], [7, 6], [4, 5]], [[1, 2], [0, 3], [4, 7], [5, 6]],
    [[2, 3], [1, 0], [5, 4], [6, 7]], [[3, 0], [2, 1], [6, 5], [7, 4]],
    [[4, 5], [7, 6], [3, 2], [0, 1]], [[5, 6], [4, 7], [0, 3], [1, 2]],
    [[6, 7], [5, 4], [1, 0], [2, 3]], [[7, 4], [6, 5], [2, 1], [3, 0]],
    [[0, 4], [3, 7], [2, 6], [1, 5]], [[1, 5], [0, 4], [3, 7], [2, 6]],
    [[2, 6], [1, 5], [0, 4], [3, 7]], [[3, 7], [2, 6], [1, 5], [0, 4]],
])  # fmt: skip
"""Per reference edge: its ends, and those of the three edges parallel to it."""


@cache
def table(name: str) -> np.ndarray:
    """Return one of scikit-image's lookup tables, such as ``"TILING6_1_1"``."""
    luts = reach("measure._marching_cubes_lewiner", "mcluts")
    entries: np.ndarray = reach("measure._marching_cubes_lewiner", "_to_array")(getattr(luts, name))
    return entries


def triangles(values: np.ndarray, *, classic: bool) -> np.ndarray:
    """Return the edges (cell, corner of triangle) of the triangles' corners, padded with -1.

    Parameters
    ----------
    values
        The voxels at the corners of cells (cell, corner), minus the level.
    classic
        Whether to look the triangles up by the corners' signs alone (Lorensen and Cline).
    """
    index = ((values > 0) << np.arange(8)).sum(axis=1)
    edges = np.full((len(values), MOST_CORNERS), -1, np.int8)
    if classic:
        tiling = table("CASESCLASSIC")[index]
        edges[:, : tiling.shape[1]] = tiling
        return edges
    cells = _Cells(values, edges, table("CASES")[index])
    for name, count in _UNAMBIGUOUS.items():
        selected = cells.in_case(name)
        cells.put(selected, f"TILING{name}", count)
    for name, decide in _AMBIGUOUS.items():
        if (selected := cells.in_case(name)).any():
            decide(cells, selected)
    return edges


class _Cells:
    """Cells with their case and configuration, and the triangles of the cases processed so far."""

    def __init__(self, values: np.ndarray, edges: np.ndarray, cases: np.ndarray) -> None:
        self.values, self.edges = values, edges
        self.case, self.config = cases[:, 0], cases[:, 1].astype(np.intp)

    def in_case(self, case: int) -> np.ndarray:
        """Return which cells have this case."""
        return np.asarray(self.case == case)

    def put(self, selected: np.ndarray, name: str, count: int, subcase: Any = None) -> None:
        """Store the triangles of a table (and of its subcase, if any) for the selected cells."""
        tilings = table(name)
        config = self.config[selected]
        rows = tilings[config] if subcase is None else tilings[config, subcase]
        self.edges[selected, : 3 * count] = rows[:, : 3 * count]

    def face(self, selected: np.ndarray, name: str, column: int | None = None) -> np.ndarray:
        """Return which of the selected cells connect their positive corners on the tested face."""
        tests = table(name)
        tests = tests if column is None else tests[:, column]
        faces = tests[self.config[selected]].astype(np.int64)
        values = self.values[selected]
        a, b, c, d = np.take_along_axis(values, FACES[np.abs(faces)], axis=1).T
        difference = a * c - b * d
        flat = (difference > -EPSILON) & (difference < EPSILON)
        is_connected = np.zeros(len(self.values), bool)
        is_connected[selected] = np.where(flat, faces >= 0, faces * a * difference >= 0)
        return is_connected

    def inside(
        self, selected: np.ndarray, signs: np.ndarray, edge: np.ndarray | None = None
    ) -> np.ndarray:
        """Return which of the selected cells connect their positive corners through the inside.

        Parameters
        ----------
        selected
            The mask of the cells to test.
        signs
            Per configuration, the sign of a test that means connected.
        edge
            Per selected cell, the edge that the tested plane cuts; None: a horizontal plane.
        """
        values = self.values[selected]
        sign = signs[self.config[selected]]
        if edge is None:
            section, is_outside = _horizontal_section(values)
        else:
            section, is_outside = _edge_section(values, edge), np.zeros(len(values), bool)
        test = ((section >= 0) << np.arange(4)).sum(axis=1)
        product = section[:, 0] * section[:, 2] - section[:, 1] * section[:, 3]
        answer = np.where(np.isin(test, (7, 11, 13, 14, 15)), sign < 0, sign > 0)
        answer &= ~((test == 5) & ~(product < EPSILON))
        answer &= ~((test == 10) & ~(product >= EPSILON))
        is_connected = np.zeros(len(self.values), bool)
        is_connected[selected] = np.where(is_outside, sign > 0, answer)
        return is_connected


def _horizontal_section(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values on the saddle's plane between bottom and top, and if it lies outside."""
    difference = v[:, 4:] - v[:, :4]
    a = difference[:, 0] * difference[:, 2] - difference[:, 3] * difference[:, 1]
    b = (
        v[:, 2] * difference[:, 0]
        + v[:, 0] * difference[:, 2]
        - v[:, 1] * difference[:, 3]
        - v[:, 3] * difference[:, 1]
    )
    t = -b / (2 * a + EPSILON)
    section = v[:, :4] + difference * t[:, None]
    return section[:, [0, 3, 2, 1]], (t < 0) | (t > 1)


def _edge_section(v: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Return the values on the plane where the surface cuts an edge, 0 on that edge itself."""
    ends = np.take_along_axis(v, ACROSS[edge].reshape(len(v), 8), axis=1).reshape(len(v), 4, 2)
    start, stop = ends[:, :, 0], ends[:, :, 1]
    t = start[:, 0] / (start[:, 0] - stop[:, 0] + EPSILON)
    section = start + (stop - start) * t[:, None]
    section[:, 0] = 0
    return np.asarray(section)


# -- the ambiguous cases ---------------------------------------------------------------------------

_UNAMBIGUOUS = {1: 1, 2: 2, 5: 3, 8: 2, 9: 4, 11: 4, 14: 4}
"""Number of triangles of the cases that the corners' signs alone decide."""


def _case_3(cells: _Cells, selected: np.ndarray) -> None:
    face = cells.face(selected, "TEST3")
    cells.put(selected & face, "TILING3_2", 4)
    cells.put(selected & ~face, "TILING3_1", 2)


def _case_4(cells: _Cells, selected: np.ndarray) -> None:
    inside = cells.inside(selected, table("TEST4"))
    cells.put(selected & inside, "TILING4_1", 2)
    cells.put(selected & ~inside, "TILING4_2", 6)


def _case_6(cells: _Cells, selected: np.ndarray) -> None:
    face = cells.face(selected, "TEST6", 0)
    cells.put(selected & face, "TILING6_2", 5)
    ambiguous = selected & ~face
    tests = table("TEST6")
    inside = cells.inside(ambiguous, tests[:, 1], tests[cells.config[ambiguous], 2])
    cells.put(ambiguous & inside, "TILING6_1_1", 3)
    cells.put(ambiguous & ~inside, "TILING6_1_2", 9)


def _case_7(cells: _Cells, selected: np.ndarray) -> None:
    subcase = sum(cells.face(selected, "TEST7", k).astype(int) << k for k in range(3))
    cells.put(selected & (subcase == 0), "TILING7_1", 3)
    for k in range(3):
        cells.put(selected & (subcase == 1 << k), "TILING7_2", 5, k)
    for k, bits in enumerate((3, 5, 6)):
        cells.put(selected & (subcase == bits), "TILING7_3", 9, k)
    ambiguous = selected & (subcase == 7)
    tests = table("TEST7")
    inside = cells.inside(ambiguous, tests[:, 3], tests[cells.config[ambiguous], 4])
    cells.put(ambiguous & inside, "TILING7_4_2", 9)
    cells.put(ambiguous & ~inside, "TILING7_4_1", 5)


def _case_10_or_12(cells: _Cells, selected: np.ndarray, name: str) -> None:
    tests = table(f"TEST{name}")
    face_0, face_1 = (cells.face(selected, f"TEST{name}", k) for k in range(2))
    cells.put(selected & face_0 & face_1, f"TILING{name}_1_1_", 4)
    cells.put(selected & face_0 & ~face_1, f"TILING{name}_2", 8)
    cells.put(selected & ~face_0 & face_1, f"TILING{name}_2_", 8)
    ambiguous = selected & ~face_0 & ~face_1
    edge = tests[cells.config[ambiguous], 3] if name == "12" else None
    inside = cells.inside(ambiguous, tests[:, 2], edge)
    cells.put(ambiguous & inside, f"TILING{name}_1_1", 4)
    cells.put(ambiguous & ~inside, f"TILING{name}_1_2", 8)


def _case_13(cells: _Cells, selected: np.ndarray) -> None:
    bits = sum(cells.face(selected, "TEST13", k).astype(int) << k for k in range(6))
    subcase = np.where(selected, table("SUBCONFIG13")[bits], -1)
    cells.put(subcase == 0, "TILING13_1", 4)
    for name, first, last, count in (
        ("2", 1, 6, 6), ("3", 7, 18, 10), ("4", 19, 22, 12), ("3_", 27, 38, 10), ("2_", 39, 44, 6),
    ):  # fmt: skip
        matching = (subcase >= first) & (subcase <= last)
        cells.put(matching, f"TILING13_{name}", count, subcase[matching] - first)
    ambiguous = (subcase >= 23) & (subcase <= 26)
    offset = subcase[ambiguous] - 23
    edge = table("TILING13_5_1")[cells.config[ambiguous], offset, 0]
    inside = cells.inside(ambiguous, table("TEST13")[:, 6], edge)
    for matching, name, count in ((ambiguous & inside, "5_1", 6), (ambiguous & ~inside, "5_2", 10)):
        cells.put(matching, f"TILING13_{name}", count, subcase[matching] - 23)
    cells.put(subcase == 45, "TILING13_1_", 4)


_AMBIGUOUS = {
    3: _case_3,
    4: _case_4,
    6: _case_6,
    7: _case_7,
    10: lambda cells, selected: _case_10_or_12(cells, selected, "10"),
    12: lambda cells, selected: _case_10_or_12(cells, selected, "12"),
    13: _case_13,
}
