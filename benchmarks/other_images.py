"""The basket's functions on images, data types and parameters that nobody tuned them for, in turns.

Each function meets photographs, noise, constant images, dots, masks and labels, in several data
types and layouts in memory, with every set of parameters of `_other_cases`; planes and volumes.
Results are compared bit for bit (or within what is declared), and the ratios printed from the
least up: above 1, `tw.apply` is faster. Wall time counts; the ratio of processor time, in which
two threads count twice, is beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _other_cases import planes, volumes

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _cases import Case

SHORT = 0.05
"""Seconds up to which a call is repeated."""


class Row(NamedTuple):
    """A case's best seconds."""

    label: str
    function: str
    theirs: float
    ours: float
    processor_ratio: float
    difference: str

    @property
    def ratio(self) -> float:
        """How many times faster than scikit-image."""
        return self.theirs / self.ours


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns or raises, its wall time and its processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    try:
        result = call()
    except Exception as error:  # noqa: BLE001
        result = error
    return result, time.perf_counter() - wall, max(time.process_time() - processor, 1e-7)


def difference(expected: Any, result: Any, tolerance: float) -> str:
    """Return how results differ; nothing where they do not."""
    if isinstance(result, Exception):
        return f"{result!r:.120}"
    if isinstance(expected, dict):
        if list(expected) != list(result):
            return "other columns"
        columns = ((name, difference(expected[name], result[name], tolerance)) for name in expected)
        return "; ".join(f"{name}: {text}" for name, text in columns if text)
    if isinstance(expected, tuple | list):
        items = zip(expected, result, strict=True)
        return "; ".join(filter(None, (difference(a, b, tolerance) for a, b in items)))
    expected, result = np.asarray(expected), np.asarray(result)
    if (expected.dtype, expected.shape) != (result.dtype, result.shape):
        return f"{result.dtype} {result.shape} instead of {expected.dtype} {expected.shape}"
    if np.array_equal(expected, result, equal_nan=expected.dtype.kind == "f"):
        return ""
    most = float(np.nanmax(np.abs(expected.astype(float) - result)))
    scale = max(1.0, float(np.nanmax(np.abs(expected)))) if expected.dtype.kind == "f" else 0.0
    if most <= tolerance * scale:
        return ""
    return f"{np.sum(expected != result)} of {expected.size} items by up to {most:.3g}"


def _own(function: Callable[..., Any], image: np.ndarray, **params: Any) -> Any:
    """Return what a function returns, copied where it is a view of the image, as ours never is."""
    result = function(image, **params)
    is_view = isinstance(result, np.ndarray) and np.may_share_memory(result, image)
    return result.copy() if is_view else result


def measure(case: Case, rounds: int) -> Row | None:
    """Return a case's best times; None where scikit-image or a declaration refuses the image."""
    operation = tw.OPERATIONS[case.name]
    defaults = {key: p.default for key, p in operation.parameters.items() if not p.required}
    theirs = partial(_own, operation.reference, case.image, **{**defaults, **case.params})
    ours = partial(tw.apply, case.name, case.image, **case.params)
    before = case.image.copy()
    expected, *first = timed(theirs)
    result, *second = timed(ours)
    if isinstance(expected, Exception) or isinstance(result, InvalidImage):
        return None
    text = difference(expected, result, operation.tolerance)
    if not np.array_equal(before, case.image, equal_nan=before.dtype.kind == "f"):
        text += " the image was changed"
    del expected, result
    best = [first, second]
    is_short = min(first[0], second[0]) < SHORT
    for number in range(max(2, rounds) if is_short else rounds):
        latest = [timed(theirs)[1:], timed(ours)[1:]]
        if number == 0:  # the first calls imported, or paid for memory
            best = [list(times) for times in latest]
        best = [
            [min(pair) for pair in zip(*pairs, strict=True)]
            for pairs in zip(best, latest, strict=True)
        ]
    (wall, processor), (our_wall, our_processor) = best
    return Row(case.label, case.name, wall, our_wall, processor / our_processor, text)


def cases(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Yield what is measured, by its label."""
    if options.size:
        yield from planes(options.size, options.function)
    if options.volumes:
        yield from volumes(options.volumes, options.function)


def line(row: Row) -> str:
    """Return a row of the table."""
    times = (
        f"{row.theirs * 1e3:9.2f} {row.ours * 1e3:9.2f} {row.ratio:8.2f} {row.processor_ratio:8.2f}"
    )
    note = f"  DIFFERS: {row.difference}" if row.difference else ""
    return f"{times}  {row.function:32s} {row.label}{note}"


def mean(ratios: list[float]) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.mean(np.log(ratios))))


def main() -> int:
    """Print a row per case, the least ratio first, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="side of the planes; 0: none")
    parser.add_argument("--volumes", type=int, default=96, help="side of the volumes; 0: none")
    parser.add_argument(
        "--rounds", type=int, default=0, help="further calls; of short ones 2 at least"
    )
    parser.add_argument("--function", default="", help="beginning of an operation's name")
    parser.add_argument("--only", default="", help="part of a case's label")
    parser.add_argument("--from-file", help="only the cases whose labels a file holds")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    listed = None
    if options.from_file:
        with open(options.from_file) as file:
            listed = {text.rstrip("\n") for text in file}
    rows: list[Row] = []
    for label, make in cases(options):
        if options.only not in label or (listed is not None and label not in listed):
            continue
        row = measure(make(), options.rounds)
        if row is not None:
            rows.append(row)
            if row.difference or row.ratio < 1:
                print(line(row), file=sys.stderr, flush=True)
    print(f"{'skimage ms':>9s} {'ours ms':>9s} {'wall':>8s} {'processor':>8s}")
    for row in sorted(rows, key=lambda row: row.ratio):
        print(line(row))
    for name in dict.fromkeys(row.function for row in rows):
        ratios = [row.ratio for row in rows if row.function == name]
        print(f"{name:40s} {mean(ratios):8.2f} {min(ratios):8.2f} {len(ratios):5d}")
    ratios = [row.ratio for row in rows]
    differing = sum(bool(row.difference) for row in rows)
    print(
        f"geometric mean {mean(ratios):.2f}, least {min(ratios):.2f}, below 1: "
        f"{sum(r < 1 for r in ratios)} of {len(ratios)}; results that differ: {differing}"
    )
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
