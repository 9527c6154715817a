"""Every operation of the catalogue against its function, in turns: where `tw.apply` is slower.

Planes of each data type, with channels where a function takes them, with the defaults and with the
parameters of `_catalogue_cases`. What scikit-image needs long for is measured on smaller planes.
Results are compared bit for bit (or within what is declared); the least ratios of processor time,
in which two threads count twice, come last, below them how many are below 1. A result of ours
shares no memory with the image, so that a function that returns a view of it is measured with the
copy.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from _catalogue_cases import catalogue
from other_images import Row, line, mean, measure

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable

    from _cases import Case

ENOUGH = 1.0
"""Seconds that one call of a function takes at most, by the time that it takes on small planes."""


def largest(make: Callable[[int], Case | None], size: int) -> Case | None:
    """Return the case with the longest side whose function takes no more than `ENOUGH`."""
    side = max(size // 16, 32)
    case = make(side)
    while case is not None and side < size:
        seconds = _seconds(case)
        if seconds is None:
            return None
        if 4 * seconds > ENOUGH:
            break
        side = min(side * (4 if 16 * seconds < ENOUGH else 2), size)
        case = make(side)
    return case


def _seconds(case: Case) -> float | None:
    """Return how long a function takes; None where it does not take the image."""
    operation = tw.OPERATIONS[case.name]
    defaults = {key: p.default for key, p in operation.parameters.items() if not p.required}
    call = partial(operation.reference, case.image, **{**defaults, **case.params})
    begin = time.perf_counter()
    try:
        call()
    except Exception:  # noqa: BLE001 - whatever a function says of an image that is not for it
        return None
    return time.perf_counter() - begin


def main() -> int:
    """Print each case as it is measured, then those that are slower, the slowest last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="side of the planes")
    parser.add_argument("--rounds", type=int, default=1, help="further calls; of short ones more")
    parser.add_argument("--function", default="", help="beginning of an operation's name")
    parser.add_argument("--only", default="", help="part of a case's label")
    parser.add_argument("--least", type=float, default=1.0, help="ratios below it are listed")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    rows: list[Row] = []
    print(f"{'skimage ms':>9s} {'ours ms':>9s} {'wall':>8s} {'processor':>8s}")
    for label, make in catalogue(options.function):
        case = largest(make, options.size) if options.only in label else None
        row = None if case is None else measure(case, options.rounds)
        if row is not None:
            rows.append(row)
            print(line(row), flush=True)
    slower = sorted(rows, key=lambda row: -row.processor_ratio)
    print(f"\nbelow {options.least} in processor time, the slowest last")
    for row in slower:
        if row.processor_ratio < options.least:
            print(line(row))
    differing = sum(bool(row.difference) for row in rows)
    print(
        f"{len(rows)} cases of {len({row.function for row in rows})} operations; processor time: "
        f"geometric mean {mean([row.processor_ratio for row in rows]):.2f}, below 1 "
        f"{sum(row.processor_ratio < 1 for row in rows)}, below 0.97 "
        f"{sum(row.processor_ratio < 0.97 for row in rows)}; wall time: geometric mean "
        f"{mean([row.ratio for row in rows]):.2f}, below 1 {sum(row.ratio < 1 for row in rows)}; "
        f"results that differ: {differing}"
    )
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
