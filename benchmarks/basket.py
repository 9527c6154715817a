"""The declared operations against scikit-image and an earlier build, in turns in one run.

Every build is a process of its own that holds the same images and waits for its turn; scikit-image
is measured in that of this build. Only one computes at a time, several calls in a row, of which the
first does not count. The results are compared; what is printed is the best wall time of the other
over that of `tw.apply`. On a machine that others use too, only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _cases import Case, planes, volumes
from _page import write_sections
from _side import TURN, Side, turn
from _where import floor, shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).parents[1]
CAP = 20.0
"""Largest ratio that counts in the second mean."""


# -- one build in a process of its own -------------------------------------------------------------


def compare(expected: Any, result: Any, tolerance: float) -> None:
    """Raise where `tw.apply` does not return what scikit-image returns."""
    if isinstance(expected, dict):
        for column in expected:
            np.testing.assert_array_equal(result[column], expected[column])
        return
    expected, result = np.asarray(expected), np.asarray(result)
    if expected.dtype != result.dtype:
        raise AssertionError(f"{result.dtype} instead of {expected.dtype}")
    scale = max(1.0, float(np.abs(expected).max())) if expected.dtype.kind == "f" else 1.0
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * scale)


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Yield what is measured: planes, then volumes, then other images and parameters."""
    for kind, length in ((planes, options.size), (volumes, options.volumes)):
        if length:
            yield from kind(length)


def serve(options: argparse.Namespace) -> None:
    """Answer each line: with seconds of a call, a difference of results, or where time goes."""
    import napari_tilewise as tw

    warnings.simplefilter("ignore")  # of rank filters on deep images
    for case in cases(options):
        operation = tw.OPERATIONS[case.name]
        defaults = {key: p.default for key, p in operation.parameters.items() if not p.required}
        reference = getattr(operation, "reference", operation.function)
        calls = {
            "scikit-image": partial(reference, case.image, **{**defaults, **case.params}),
            "tilewise": partial(tw.apply, case.name, case.image, **case.params),
        }
        results: dict[str, Any] = {}
        while (line := sys.stdin.readline().strip()) != "next":
            if line == "compare":
                print(_difference(results, operation.tolerance), flush=True)
            elif line == "floor":
                print(floor(case.image, results["tilewise"]), flush=True)
            elif line == "where":
                places = shares(calls["tilewise"], options.sample)
                print(", ".join(f"{name} {share:.0%}" for name, share in places), flush=True)
            else:
                result, seconds = turn(calls[line], options.turn)
                results.setdefault(line, result)
                del result
                print(seconds, flush=True)


def _difference(results: dict[str, Any], tolerance: float) -> str:
    """Return how our result differs, in one line; nothing where it does not."""
    try:
        compare(results["scikit-image"], results["tilewise"], tolerance)
    except AssertionError as error:
        return " ".join(str(error).split())
    return ""


def _build(source: Path, options: argparse.Namespace, kernels: str = "") -> Side:
    """Return a process that holds the basket, of the build in a folder.

    `kernels` is its ``TILEWISE_KERNELS``.
    """
    images = [
        f"--{name}={getattr(options, name)}" for name in ("size", "volumes", "sample", "turn")
    ]
    command = [sys.executable, __file__, "--serve", *images]
    return Side(command, {"TILEWISE_KERNELS": kernels, "PYTHONPATH": str(source)})


# -- the measurement -------------------------------------------------------------------------------


class Row(NamedTuple):
    """A case's best seconds."""

    name: str
    label: str
    shape: tuple[int, ...]
    scikit_image: float
    earlier: float | None
    tilewise: float
    floor: float
    """Seconds to read the image and to write the result, in one thread."""
    where: str
    """The functions that most of our time goes into, with their shares, where we are slow."""
    difference: str
    """How our result differs from scikit-image's; nothing where it does not."""

    @property
    def ratio(self) -> float:
        """How many times faster than scikit-image."""
        return self.scikit_image / self.tilewise


def measure(build: Side, earlier: Side | None, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; the builds take turns."""
    for case in cases(options):
        if options.only in f"{case.name} {case.label}":
            yield _row(case, build, earlier, options)
        for process in filter(None, (build, earlier)):
            process.tell("next")


def _row(case: Case, build: Side, earlier: Side | None, options: argparse.Namespace) -> Row:
    best = [float("inf")] * 3
    for _ in range(options.rounds):
        best[0] = min(best[0], build.seconds("scikit-image"))
        best[1] = min(best[1], build.seconds("tilewise"))
        if earlier is not None:
            best[2] = min(best[2], earlier.seconds("tilewise"))
        if best[0] > options.slow:
            break
    before = None if earlier is None else best[2]
    seconds = best[0], before, best[1], build.seconds("floor")
    where = build.ask("where") if best[0] < CAP * best[1] else ""
    difference = build.ask("compare")
    return Row(case.name, case.label, case.image.shape, *seconds, where, difference)


def mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean."""
    return float(np.exp(np.mean(np.log(ratios))))


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return the means of the ratios, and the least."""
    ratios = [row.ratio for row in rows]
    numbers = {
        "geometric mean": mean(ratios),
        f"with every ratio capped at {CAP:.0f}": mean([min(CAP, ratio) for ratio in ratios]),
        "slowest": min(ratios),
    }
    before = [row.earlier / row.tilewise for row in rows if row.earlier is not None]
    return {**numbers, "against the earlier build": mean(before)} if before else numbers


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows' seconds and ratios, with their means."""
    lines = [f"- {name}: {number:.2f}" for name, number in summary(rows).items()]
    lines += [
        "",
        "| operation | image | scikit-image (ms) | tilewise (ms) | ratio | to the earlier build |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        shape = " x ".join(map(str, row.shape))
        before = "" if row.earlier is None else f"{row.earlier / row.tilewise:.2f}"
        times = f"{row.scikit_image * 1e3:.1f} | {row.tilewise * 1e3:.1f} | {row.ratio:.2f}"
        lines.append(f"| `{row.name}` | {row.label}, {shape} | {times} | {before} |")
    return lines


def slowest(rows: Sequence[Row]) -> list[str]:
    """Return where the time of the five least ratios goes."""
    lines = [
        "The floor is the time to read the image and to write a result, in one thread; the shares",
        "are those of samples of the running threads, by the kernel or the function of ours.",
        "",
        "| operation | image | ratio | times the floor | where the time goes |",
        "|---|---|---:|---:|---|",
    ]
    for row in sorted(rows, key=lambda row: row.ratio)[:5]:
        figures = f"{row.ratio:.2f} | {row.tilewise / row.floor:.0f}"
        lines.append(f"| `{row.name}` | {row.label} | {figures} | {row.where} |")
    return lines


def sections(rows: Sequence[Row], options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the lines of the page's sections, by title."""
    about = [
        f"Planes of up to {options.size} and volumes of up to {options.volumes} pixels a side.",
        "Each operation runs through `tw.apply` and through scikit-image's function in turns, on",
        "the same NumPy image; the results are compared. Ratios are the best wall time of",
        "scikit-image over ours: above 1, we are faster. In each turn several calls follow one",
        f"another, of which the first does not count. {os.cpu_count()} processors. Other work may",
        "have run beside it, which the milliseconds show and the ratios hardly.",
    ]
    if options.earlier:
        about += ["", f"The earlier build is commit {options.commit}, in the same run."]
    groups = {
        "Planes": [row for row in rows if len(row.shape) == 2],
        "Volumes": [row for row in rows if len(row.shape) == 3],
    }
    parts = {
        title: [*table(part), "", f"### The five slowest {title.lower()}", "", *slowest(part)]
        for title, part in groups.items()
        if part
    }
    return {"The basket": about, **parts}


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="length of the planes in pixels")
    parser.add_argument("--volumes", type=int, default=0, help="length of the volumes in pixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--turn", type=float, default=TURN, help="seconds of calls in a row")
    parser.add_argument(
        "--slow",
        type=float,
        default=2.0,
        help="seconds of scikit-image that take one round",
    )
    parser.add_argument(
        "--sample", type=float, default=0.5, help="seconds to look where the time of a case goes"
    )
    parser.add_argument("--only", default="", help="part of an operation's name and label")
    parser.add_argument("--kernels", default="", help="TILEWISE_KERNELS: 0, baseline, avx2, avx512")
    parser.add_argument("--earlier", type=Path, help="a clone of an earlier commit")
    parser.add_argument("--commit", default="b36aa5b", help="which that is, for the page")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return 0
    rows: list[Row] = []
    with closing(_build(REPOSITORY / "src", options, options.kernels)) as build:
        earlier = None if options.earlier is None else _build(options.earlier / "src", options)
        for row in measure(build, earlier, options):
            rows.append(row)
            _print_row(row)
            if options.write:  # as it goes: a run may be interrupted
                write_sections(sections(rows, options))
        if earlier is not None:
            earlier.close()
    if not rows:
        print(f"Nothing in the basket is called {options.only!r}.")
        return 2
    for ndim, title in ((2, "planes"), (3, "volumes")):
        part = [row for row in rows if len(row.shape) == ndim]
        for name, number in summary(part).items() if part else ():
            print(f"{title + ': ' + name:61s} {number:8.2f}")
    print("\n".join(["", *slowest(rows)]))
    return int(any(row.difference for row in rows))


def _print_row(row: Row) -> None:
    shape = "x".join(map(str, row.shape))
    before = "" if row.earlier is None else f"{row.earlier / row.tilewise:8.2f}"
    times = f"{row.scikit_image * 1e3:9.1f} {row.tilewise * 1e3:9.1f} {row.ratio:8.2f}{before}"
    differs = f"  DIFFERS: {row.difference}" if row.difference else ""
    print(f"{row.name:38s} {row.label:14s} {shape:12s} {times}{differs}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
