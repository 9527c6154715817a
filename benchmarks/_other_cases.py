"""The basket's functions on other images, data types and parameters than the basket's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from _cases import Case
from _other_images import LAYOUTS, Shape, image, labels
from _other_rows import FUNCTIONS, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEEP = ("u1", "u2/12", "f4", "b1")
"""The data types of volumes."""


def planes(size: int, only: str) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Yield each case of planes as its label and a function for it."""
    for rows in FUNCTIONS:
        if rows.name.startswith(only):
            side = max(8, size // rows.share)
            yield from _cases(rows, rows.params, rows.dtypes, (side, side))
            yield from _coloured(rows, (side // 2, side // 2, 3))


def volumes(size: int, only: str) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Yield each case of volumes as its label and a function for it."""
    for rows in FUNCTIONS:
        if rows.deep is not None and rows.name.startswith(only):
            side = max(6, size // rows.deep_share)
            dtypes = tuple(d for d in rows.dtypes if d in DEEP) or rows.dtypes
            yield from _cases(rows, rows.deep, dtypes, (side - 2, side, side + 3))


def _cases(
    rows: Rows, params: Sequence[dict[str, Any]], dtypes: Sequence[str], shape: Shape
) -> Iterator[tuple[str, Callable[[], Case]]]:
    first, kinds = dtypes[0], rows.kinds
    combinations = [(kinds[0], dtype, "", keywords) for keywords in params for dtype in dtypes[:2]]
    combinations += [(kind, dtypes[n % len(dtypes)], "", params[0]) for n, kind in enumerate(kinds)]
    combinations += [(kind, first, "", params[0]) for kind in kinds]
    combinations += [
        (kind, dtypes[-1 - n % len(dtypes)], "", params[-1 - n % len(params)])
        for n, kind in enumerate(kinds)
    ]
    combinations += [(kinds[0], dtype, "", params[0]) for dtype in dtypes]
    if not rows.is_labels:
        combinations += [(kinds[0], first, layout, params[0]) for layout in LAYOUTS]
    if rows.nan and "f4" in dtypes:
        combinations.append((kinds[0], "f4/nan", "", params[0]))
    labelled = {_label(shape, *parts): parts for parts in combinations}
    for label, parts in labelled.items():
        yield f"{rows.name:32s} {label}", partial(_case, rows, label, shape, *parts)


def _coloured(rows: Rows, shape: Shape) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Yield the cases of images with channels."""
    for params in rows.coloured:
        for dtype in rows.dtypes[:3]:
            parts = (rows.kinds[0], dtype, "", params)
            label = _label(shape, *parts)
            yield f"{rows.name:32s} {label}", partial(_case, rows, label, shape, *parts)


def _label(shape: Shape, kind: str, dtype: str, layout: str, params: dict[str, Any]) -> str:
    arguments = ", ".join(f"{name}={_text(value)}" for name, value in params.items())
    return " ".join(
        filter(None, ("x".join(map(str, shape)), dtype, layout, kind, f"({arguments})"))
    )


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{'x'.join(map(str, value.shape))}/{int(value[np.isfinite(value)].sum())}"
    if callable(value):
        return str(value.__name__).strip("_<>")
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return f"{len(value)} parts"
    return str(value).replace("'", "")


def _case(
    rows: Rows, label: str, shape: Shape, kind: str, dtype: str, layout: str, params: dict[str, Any]
) -> Case:
    pixels = labels(kind, dtype, shape) if rows.is_labels else image(kind, dtype, shape, layout)
    values = {name: value(pixels) if callable(value) else value for name, value in params.items()}
    return Case(rows.name, label, pixels, values)
