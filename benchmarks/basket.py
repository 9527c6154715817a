"""The declared operations against scikit-image and an earlier build, in turns in one run.

Every build is a process of its own that holds the same images and waits for its turn; scikit-image
is measured in that of this build. Only one computes at a time. The results are compared before
anything is measured; what is printed is the best wall time of the other over that of `tw.apply`. On
a machine that others use too, only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _cases import Case, planes, volumes
from _side import Side
from _where import floor, shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "benchmarks.md"
CAP = 20.0
"""Largest ratio that counts in the second mean."""


# -- one build in a process of its own -------------------------------------------------------------


def seconds(function: Callable[[], Any]) -> float:
    """Return the wall seconds of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def compare(case: Case, calls: Sequence[Callable[[], Any]], tolerance: float) -> None:
    """Stop where `tw.apply` does not return what scikit-image returns."""
    expected, result = (call() for call in calls)
    if isinstance(expected, dict):
        for column in expected:
            np.testing.assert_array_equal(result[column], expected[column])
        return
    expected, result = np.asarray(expected), np.asarray(result)
    if expected.dtype != result.dtype:
        raise SystemExit(f"{case.name} {case.label}: {result.dtype} instead of {expected.dtype}")
    scale = max(1.0, float(np.abs(expected).max())) if expected.dtype.kind == "f" else 1.0
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * scale)


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Yield what is measured: planes, then volumes, then other images and parameters."""
    for kind, length in ((planes, options.size), (volumes, options.volumes)):
        if length:
            yield from kind(length)


def serve(options: argparse.Namespace) -> None:
    """Answer each line with seconds of a call: scikit-image's, ours, or one after comparing."""
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
        while (line := sys.stdin.readline().strip()) != "next":
            if line == "compare":
                compare(case, list(calls.values()), operation.tolerance)
                print(0.0, flush=True)
            elif line == "floor":
                print(floor(case.image, calls["tilewise"]()), flush=True)
            elif line == "where":
                places = shares(calls["tilewise"], options.sample)
                print(", ".join(f"{name} {share:.0%}" for name, share in places), flush=True)
            else:
                print(seconds(calls[line]), flush=True)


def _build(source: Path, options: argparse.Namespace, kernels: str = "") -> Side:
    """Return a process that holds the basket, of the build in a folder.

    `kernels` is its ``TILEWISE_KERNELS``.
    """
    images = [f"--{name}={getattr(options, name)}" for name in ("size", "volumes", "sample")]
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
    """The functions that most of our time goes into, with their shares."""

    @property
    def ratio(self) -> float:
        """How many times faster than scikit-image."""
        return self.scikit_image / self.tilewise


def measure(build: Side, earlier: Side | None, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; the builds take turns."""
    for case in cases(options):
        if options.only in f"{case.name} {case.label}":
            build.ask("compare")
            yield _row(case, build, earlier, options.rounds)
        for process in filter(None, (build, earlier)):
            process.tell("next")


def _row(case: Case, build: Side, earlier: Side | None, rounds: int) -> Row:
    best = [float("inf")] * 3
    for _ in range(rounds):
        best[0] = min(best[0], build.seconds("scikit-image"))
        best[1] = min(best[1], build.seconds("tilewise"))
        if earlier is not None:
            best[2] = min(best[2], earlier.seconds("tilewise"))
    before = None if earlier is None else best[2]
    seconds = best[0], before, best[1], build.seconds("floor")
    return Row(case.name, case.label, case.image.shape, *seconds, build.ask("where"))


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


def page(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """Return docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures these tables and writes this page. Each operation runs through",
        "`tw.apply` and through scikit-image's function in turns, on the same NumPy image; results",
        "are compared first. Ratios are the best wall time of scikit-image over ours: above 1, we",
        "are faster.",
        "",
        f"{os.cpu_count()} processors, the best of {options.rounds} rounds. Other work may have",
        "run beside it, which the milliseconds show and the ratios hardly.",
    ]
    if options.earlier:
        lines += ["", f"The earlier build is commit {options.commit}, in the same run."]
    groups = {
        f"Planes of {options.size} x {options.size}": [r for r in rows if len(r.shape) == 2],
        f"Volumes of up to {options.volumes} pixels a side": [r for r in rows if len(r.shape) == 3],
    }
    for title, part in groups.items():
        if part:
            lines += ["", f"## {title}", "", *table(part)]
            lines += ["", "### The five slowest", "", *slowest(part)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="length of the planes in pixels")
    parser.add_argument("--volumes", type=int, default=0, help="length of the volumes in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--sample", type=float, default=1.0, help="seconds to look where the time of a case goes"
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
    rows = []
    with closing(_build(REPOSITORY / "src", options, options.kernels)) as build:
        earlier = None if options.earlier is None else _build(options.earlier / "src", options)
        for row in measure(build, earlier, options):
            rows.append(row)
            before = "" if row.earlier is None else f"{row.earlier / row.tilewise:8.2f}"
            print(f"{row.name:36s} {row.label:14s} {row.ratio:8.2f}{before}", flush=True)
        if earlier is not None:
            earlier.close()
    for name, number in summary(rows).items():
        print(f"{name:51s} {number:8.2f}")
    print("\n".join(["", *slowest(rows)]))
    if options.write:
        PAGE.write_text(page(rows, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
