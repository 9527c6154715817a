"""The declared operations against scikit-image and an earlier build, in turns in one run.

Every build is a process of its own that holds the same images and waits for its turn; scikit-image
is measured in that of this build. Only one computes at a time. The results are compared before
anything is measured; what is printed is the best wall time of the other over that of `tw.apply`. On
a machine that others use too, only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _cases import Case, planes, volumes

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
            else:
                print(seconds(calls[line]), flush=True)


class Build:
    """A process that holds the basket, of one build of the package.

    Parameters
    ----------
    source
        The folder that holds the package.
    options
        Of the command line: which images.
    kernels
        ``TILEWISE_KERNELS`` there.
    """

    def __init__(self, source: Path, options: argparse.Namespace, kernels: str = "") -> None:
        environment = {**os.environ, "TILEWISE_KERNELS": kernels, "PYTHONPATH": str(source)}
        images = [f"--{name}={getattr(options, name)}" for name in ("size", "volumes")]
        command = [sys.executable, __file__, "--serve", *images]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    def ask(self, line: str) -> float:
        """Return the seconds of one call of the present case."""
        self.tell(line)
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(1)
        return float(answer)

    def tell(self, line: str) -> None:
        """Send a line that has no answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


# -- the measurement -------------------------------------------------------------------------------


class Row(NamedTuple):
    """A case's best seconds."""

    name: str
    label: str
    shape: tuple[int, ...]
    scikit_image: float
    earlier: float | None
    tilewise: float

    @property
    def ratio(self) -> float:
        """How many times faster than scikit-image."""
        return self.scikit_image / self.tilewise


def measure(build: Build, earlier: Build | None, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows; the builds take turns."""
    for case in cases(options):
        if options.only in f"{case.name} {case.label}":
            build.ask("compare")
            yield _row(case, build, earlier, options.rounds)
        for process in filter(None, (build, earlier)):
            process.tell("next")


def _row(case: Case, build: Build, earlier: Build | None, rounds: int) -> Row:
    best = [float("inf")] * 3
    for _ in range(rounds):
        best[0] = min(best[0], build.ask("scikit-image"))
        best[1] = min(best[1], build.ask("tilewise"))
        if earlier is not None:
            best[2] = min(best[2], earlier.ask("tilewise"))
    before = None if earlier is None else best[2]
    return Row(case.name, case.label, case.image.shape, best[0], before, best[1])


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


def page(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """Return docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        "`python -m benchmarks basket --write` measures this table and writes this page. Each",
        "operation runs through `tw.apply` and through scikit-image's function in turns, on the",
        "same NumPy image; results are compared first. Ratios are the best wall time of",
        "scikit-image over ours: above 1, we are faster.",
        "",
        f"{os.cpu_count()} processors, images of {options.size} x {options.size} pixels or the",
        f"shape that the table names, the best of {options.rounds} rounds. Other work may have",
        "run beside it, which the milliseconds show and the ratios hardly.",
        "",
    ]
    lines += [f"- {name}: {number:.2f}" for name, number in summary(rows).items()]
    if options.earlier:
        lines += ["", f"The earlier build is commit {options.commit}, in the same run."]
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
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="length of the planes in pixels")
    parser.add_argument("--volumes", type=int, default=0, help="length of the volumes in pixels")
    parser.add_argument("--rounds", type=int, default=3)
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
    with closing(Build(REPOSITORY / "src", options, options.kernels)) as build:
        earlier = None if options.earlier is None else Build(options.earlier / "src", options)
        for row in measure(build, earlier, options):
            rows.append(row)
            before = "" if row.earlier is None else f"{row.earlier / row.tilewise:8.2f}"
            print(f"{row.name:36s} {row.label:14s} {row.ratio:8.2f}{before}", flush=True)
        if earlier is not None:
            earlier.close()
    for name, number in summary(rows).items():
        print(f"{name:51s} {number:8.2f}")
    if options.write:
        PAGE.write_text(page(rows, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
