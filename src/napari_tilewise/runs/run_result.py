"""What a run gives: where its output is, the result itself if it is not an image, and figures."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from numbers import Number
from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.notebook import html_table
from napari_tilewise.pipeline.pixel_sizes import power_text
from napari_tilewise.sizes import duration, format_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.types import Value


@dataclass(frozen=True)
class RunResult:
    """The output of a run and its figures."""

    path: Path | str
    """Path of the output, or its URL."""
    seconds: float
    """How long the run took."""
    peak_memory: int
    """Largest resident memory in bytes that was measured during the run: of this process and, if
    other processes of this machine computed tiles, of these too."""
    planned_memory: int
    """Peak resident memory in bytes that was stated before the start."""
    tiles: int
    """Number of tiles of the output."""
    shape: tuple[int, ...]
    """Shape of the output; empty for scalars, tables and points."""
    value: Value = None
    """The result if it is not an image: a scalar, points or a table. Columns of a table that
    outgrew its share of memory are files: `numpy.asarray` reads one, a slice some rows."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The unit of each column of a table that has one, such as ``micrometer^2``."""
    lengths: Mapping[str, Any] = field(default_factory=dict)
    """What other numbers that count pixels are in the image's unit, as their record says."""

    def __repr__(self) -> str:
        value = "" if self.value is None else f", value={_short(self.value)}"
        shape = f", shape={self.shape}" if self.shape else ""
        return f"RunResult({str(self.path)!r}{shape}{value}, seconds={self.seconds:.3g})"

    def _repr_html_(self) -> str:
        """Return the result as a table for a notebook."""
        rows = {
            "output": self.path,
            "shape": " x ".join(map(str, self.shape)),
            "value": "" if self.value is None else _short(self.value),
            "in units": self.value_in_unit,
            "tiles": self.tiles,
            "time": duration(self.seconds),
            "peak memory": f"{format_size(self.peak_memory)} of {format_size(self.planned_memory)}",
        }
        return html_table("Result of a run", [row for row in rows.items() if row[1] != ""])

    @property
    def value_in_unit(self) -> str:
        """A scalar that counts pixels, in the image's unit as text; empty for any other result."""
        sizes, is_number = self.lengths.get("sizes", ()), isinstance(self.value, Number)
        if len(sizes) != 1 or sizes[0] is None or not is_number:
            return ""
        unit = power_text(self.lengths["unit"], *self.lengths["powers"])
        return f"{self.value * sizes[0]:.6g} {unit}"


def _short(value: Value) -> str:
    return str(value) if isinstance(value, Number) else reprlib.repr(value)
