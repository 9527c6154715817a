"""Marching cubes, cell by cell: which triangles scikit-image's algorithm makes of 2 x 2 x 2 voxels.

The case analysis of Lewiner et al. as scikit-image has it (BSD-3-Clause), over arrays of cells
instead of one cell at a time, with scikit-image's own lookup tables. A cell's corners are numbered
as there: 0 to 3 around the lower z face, 4 to 7 around the upper one.
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
    found: np.ndarray = reach("measure._marching_cubes_lewiner", "_to_array")(getattr(luts, name))
    return found


def triangles(values: np.ndarray, *, classic: bool) -> np.ndarray:
    """Return the edges (cell, corner of triangle) that triangles' corners lie on, -1 behind them.

    Parameters
    ----------
    values
        The voxels at the corners of cells (cell, corner), the level subtracted.
    classic
        Whether to look the triangles up by the corners' signs alone (Lorensen and Cline).
    """
    index = ((values > 0) << np.arange(8)).sum(axis=1)
    edges = np.full((len(values), MOST_CORNERS), -1, np.int8)
    if classic:
        found = table("CASESCLASSIC")[index]
        edges[:, : found.shape[1]] = found
        return edges
    cells = _Cells(values, edges, table("CASES")[index])
    for name, count in _PLAIN.items():
        chosen = cells.of(name)
        cells.put(chosen, f"TILING{name}", count)
    for name, decide in _AMBIGUOUS.items():
        if (chosen := cells.of(name)).any():
            decide(cells, chosen)
    return edges


class _Cells:
    """Cells with their case and configuration, and the triangles found so far."""

    def __init__(self, values: np.ndarray, edges: np.ndarray, cases: np.ndarray) -> None:
        self.values, self.edges = values, edges
        self.case, self.config = cases[:, 0], cases[:, 1].astype(np.intp)

    def of(self, case: int) -> np.ndarray:
        """Return which cells have this case."""
        return np.asarray(self.case == case)

    def put(self, chosen: np.ndarray, name: str, count: int, sub: Any = None) -> None:
        """Give some cells the triangles of a table, from its `sub` where it has such."""
        found = table(name)
        config = self.config[chosen]
        rows = found[config] if sub is None else found[config, sub]
        self.edges[chosen, : 3 * count] = rows[:, : 3 * count]

    def face(self, chosen: np.ndarray, name: str, column: int | None = None) -> np.ndarray:
        """Return which of some cells have their positive corners joined on the tested face."""
        tests = table(name)
        tests = tests if column is None else tests[:, column]
        which = tests[self.config[chosen]].astype(np.int64)
        values = self.values[chosen]
        a, b, c, d = np.take_along_axis(values, FACES[np.abs(which)], axis=1).T
        difference = a * c - b * d
        flat = (difference > -EPSILON) & (difference < EPSILON)
        joined = np.zeros(len(self.values), bool)
        joined[chosen] = np.where(flat, which >= 0, which * a * difference >= 0)
        return joined

    def inside(
        self, chosen: np.ndarray, signs: np.ndarray, edge: np.ndarray | None = None
    ) -> np.ndarray:
        """Return which of some cells have their positive corners joined through the inside.

        Parameters
        ----------
        chosen
            The cells asked for.
        signs
            Per configuration, which answer a positive test means.
        edge
            Per chosen cell, the edge along which to look; None: upwards.
        """
        values = self.values[chosen]
        sign = signs[self.config[chosen]]
        if edge is None:
            at, early = _upwards(values)
        else:
            at, early = _along(values, edge), np.zeros(len(values), bool)
        test = ((at >= 0) << np.arange(4)).sum(axis=1)
        product = at[:, 0] * at[:, 2] - at[:, 1] * at[:, 3]
        answer = np.where(np.isin(test, (7, 11, 13, 14, 15)), sign < 0, sign > 0)
        answer &= ~((test == 5) & ~(product < EPSILON))
        answer &= ~((test == 10) & ~(product >= EPSILON))
        joined = np.zeros(len(self.values), bool)
        joined[chosen] = np.where(early, sign > 0, answer)
        return joined


def _upwards(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values where the saddle between bottom and top lies, and where there is none."""
    up = v[:, 4:] - v[:, :4]
    a = up[:, 0] * up[:, 2] - up[:, 3] * up[:, 1]
    b = v[:, 2] * up[:, 0] + v[:, 0] * up[:, 2] - v[:, 1] * up[:, 3] - v[:, 3] * up[:, 1]
    t = -b / (2 * a + EPSILON)
    at = v[:, :4] + up * t[:, None]
    return at[:, [0, 3, 2, 1]], (t < 0) | (t > 1)


def _along(v: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Return the values on the plane where the surface cuts an edge; 0 on that edge itself."""
    ends = np.take_along_axis(v, ACROSS[edge].reshape(len(v), 8), axis=1).reshape(len(v), 4, 2)
    start, stop = ends[:, :, 0], ends[:, :, 1]
    t = start[:, 0] / (start[:, 0] - stop[:, 0] + EPSILON)
    at = start + (stop - start) * t[:, None]
    at[:, 0] = 0
    return np.asarray(at)


# -- the ambiguous cases ---------------------------------------------------------------------------

_PLAIN = {1: 1, 2: 2, 5: 3, 8: 2, 9: 4, 11: 4, 14: 4}
"""Number of triangles of the cases that the corners' signs decide."""


def _case_3(cells: _Cells, chosen: np.ndarray) -> None:
    face = cells.face(chosen, "TEST3")
    cells.put(chosen & face, "TILING3_2", 4)
    cells.put(chosen & ~face, "TILING3_1", 2)


def _case_4(cells: _Cells, chosen: np.ndarray) -> None:
    inside = cells.inside(chosen, table("TEST4"))
    cells.put(chosen & inside, "TILING4_1", 2)
    cells.put(chosen & ~inside, "TILING4_2", 6)


def _case_6(cells: _Cells, chosen: np.ndarray) -> None:
    face = cells.face(chosen, "TEST6", 0)
    cells.put(chosen & face, "TILING6_2", 5)
    rest = chosen & ~face
    tests = table("TEST6")
    inside = cells.inside(rest, tests[:, 1], tests[cells.config[rest], 2])
    cells.put(rest & inside, "TILING6_1_1", 3)
    cells.put(rest & ~inside, "TILING6_1_2", 9)


def _case_7(cells: _Cells, chosen: np.ndarray) -> None:
    sub = sum(cells.face(chosen, "TEST7", k).astype(int) << k for k in range(3))
    cells.put(chosen & (sub == 0), "TILING7_1", 3)
    for k in range(3):
        cells.put(chosen & (sub == 1 << k), "TILING7_2", 5, k)
    for k, two in enumerate((3, 5, 6)):
        cells.put(chosen & (sub == two), "TILING7_3", 9, k)
    rest = chosen & (sub == 7)
    tests = table("TEST7")
    inside = cells.inside(rest, tests[:, 3], tests[cells.config[rest], 4])
    cells.put(rest & inside, "TILING7_4_2", 9)
    cells.put(rest & ~inside, "TILING7_4_1", 5)


def _case_10_or_12(cells: _Cells, chosen: np.ndarray, name: str) -> None:
    tests = table(f"TEST{name}")
    first, second = (cells.face(chosen, f"TEST{name}", k) for k in range(2))
    cells.put(chosen & first & second, f"TILING{name}_1_1_", 4)
    cells.put(chosen & first & ~second, f"TILING{name}_2", 8)
    cells.put(chosen & ~first & second, f"TILING{name}_2_", 8)
    rest = chosen & ~first & ~second
    edge = tests[cells.config[rest], 3] if name == "12" else None
    inside = cells.inside(rest, tests[:, 2], edge)
    cells.put(rest & inside, f"TILING{name}_1_1", 4)
    cells.put(rest & ~inside, f"TILING{name}_1_2", 8)


def _case_13(cells: _Cells, chosen: np.ndarray) -> None:
    bits = sum(cells.face(chosen, "TEST13", k).astype(int) << k for k in range(6))
    sub = np.where(chosen, table("SUBCONFIG13")[bits], -1)
    cells.put(sub == 0, "TILING13_1", 4)
    for name, first, last, count in (
        ("2", 1, 6, 6), ("3", 7, 18, 10), ("4", 19, 22, 12), ("3_", 27, 38, 10), ("2_", 39, 44, 6),
    ):  # fmt: skip
        some = (sub >= first) & (sub <= last)
        cells.put(some, f"TILING13_{name}", count, sub[some] - first)
    rest = (sub >= 23) & (sub <= 26)
    which = sub[rest] - 23
    edge = table("TILING13_5_1")[cells.config[rest], which, 0]
    inside = cells.inside(rest, table("TEST13")[:, 6], edge)
    for some, name, count in ((rest & inside, "5_1", 6), (rest & ~inside, "5_2", 10)):
        cells.put(some, f"TILING13_{name}", count, sub[some] - 23)
    cells.put(sub == 45, "TILING13_1_", 4)


_AMBIGUOUS = {
    3: _case_3,
    4: _case_4,
    6: _case_6,
    7: _case_7,
    10: lambda cells, chosen: _case_10_or_12(cells, chosen, "10"),
    12: lambda cells, chosen: _case_10_or_12(cells, chosen, "12"),
    13: _case_13,
}
