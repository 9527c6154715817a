"""Run scikit-image's tests on the drop-in and compare with scikit-image itself and the exceptions.

``python -m tests.judge [--seed N] [--refused] [FILE ...]``, where FILE is such as
``filters/test_gaussian.py``. A test that fails for scikit-image as well (data that is not in the
source release, for instance) is not judged. The exit code is 1 when a failure is not among the
exceptions, or an exception no longer fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.judge import plugin, source

ROOT = Path(__file__).parents[2]
EXCEPTIONS = Path(__file__).with_name("exceptions.toml")
MODULES = (
    "filters", "morphology", "restoration", "exposure", "segmentation", "feature", "measure",
    "transform", "color", "util",
)  # fmt: skip


@dataclass
class Verdict:
    """What came of a run."""

    passed: int
    skipped: int
    unjudged: list[str]
    """Tests that fail for scikit-image too."""
    accepted: list[str]
    """Failures that are among the exceptions."""
    failed: dict[str, str]
    """The other failures, each with what it says."""
    stale: list[str]
    """Exceptions whose tests were run and did not fail."""
    silent: int
    """Tests that expect a warning which the engine does not repeat."""
    calls: Counter[str]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failed and not self.stale


def exceptions() -> dict[str, str]:
    """Return the tests that may fail, each with its reason.

    A test stands for all of its parametrisations, a file for all of its tests.
    """
    return tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))


def covers(exception: str, test: str) -> bool:
    """Return whether an exception means a test."""
    rest = test.removeprefix(exception)
    return test.startswith(exception) and rest[:1] in ("", "[", ":")


def run(tests: list[str], seed: str, *, workers: str = "logical") -> dict[str, Any]:
    """Return the outcomes of tests, for the drop-in or, without a seed, for scikit-image."""
    folder = source.bring()
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, "report.json")
        command = [
            *(sys.executable, "-m", "pytest", "-c", folder / "pyproject.toml"),
            *("--rootdir", folder, "--confcutdir", folder / "cases", "--import-mode=importlib"),
            *("-o", "addopts=", "-o", "log_cli=false", "-p", "no:cacheprovider", "-p", "xdist"),
            *("-p", "tests.judge.plugin", "-n", workers, "--maxprocesses", "8"),
            # scikit-image's tests were written for an older pytest.
            *("-W", "ignore::pytest.PytestRemovedIn10Warning"),
            # Tests that run in two threads run in the main one too, where a failure counts; the
            # other thread's is told late, in whatever test comes next.
            *("-W", "ignore::pytest.PytestUnhandledThreadExceptionWarning"),
            *("-q", "--tb=line", "--no-header"),
            f"@{_listed(tests, Path(name))}",
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",  # tests are parametrised with sets, in each worker
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
            "SKIMAGE_DATADIR": str(folder / "data"),
            "MPLBACKEND": "agg",
            plugin.SEED: seed,
            plugin.REPORT: str(report),
        }
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if not report.exists():
            raise SystemExit(f"pytest did not run:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return json.loads(report.read_text())


def _listed(tests: list[str], folder: Path) -> Path:
    """Return a file of arguments: there may be more than a command line holds."""
    path = folder / "tests.txt"
    path.write_text("\n".join(f"cases/{test}" for test in tests))
    return path


def judge(tests: list[str], seed: str) -> Verdict:
    """Run tests on the drop-in, and those that fail on scikit-image too."""
    found = run(tests, seed)
    outcomes = {_short(test): outcome for test, outcome in found["outcomes"].items()}
    failures = [test for test, outcome in outcomes.items() if outcome == "failed"]
    plain: dict[str, str] = {}
    if failures:
        again = run(failures, "")["outcomes"]
        plain = {_short(test): outcome for test, outcome in again.items()}
    known = exceptions()
    accepted = {e: [t for t in failures if covers(e, t)] for e in known}
    unjudged = [test for test in failures if plain.get(test) != "passed"]
    excused = {test for tests in accepted.values() for test in tests} - set(unjudged)
    counts = Counter(outcomes.values())
    return Verdict(
        passed=counts["passed"],
        skipped=counts["skipped"],
        unjudged=unjudged,
        accepted=sorted(excused),
        failed={
            test: found["reasons"].get(f"cases/{test}", "")
            for test in failures
            if test not in excused and test not in unjudged
        },
        stale=[e for e in known if not accepted[e] and any(covers(e, t) for t in outcomes)],
        silent=len(found["silent"]),
        calls=Counter(found["calls"]),
    )


def _short(test: str) -> str:
    return test.removeprefix("cases/")


def summary(verdict: Verdict) -> str:
    """Return a verdict in words."""
    tiled: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for call, count in verdict.calls.items():
        key, _, reason = call.partition("\t")
        (refused if reason else tiled)[key] += count
    lines = [f"FAILED {test}\n    {reason}" for test, reason in verdict.failed.items()]
    lines += [f"NO LONGER FAILS (mend {EXCEPTIONS.name}): {test}" for test in verdict.stale]
    lines += [
        f"{verdict.passed} passed, {len(verdict.failed)} failed, {len(verdict.accepted)} accepted "
        f"as exceptions, {len(verdict.unjudged)} not judged (scikit-image fails too), "
        f"{verdict.skipped} skipped; {verdict.silent} without a warning that they expect",
        f"{len(tiled)} operations tiled in {tiled.total()} calls; scikit-image answered "
        f"{refused.total()} calls that the engine refused",
    ]
    return "\n".join(lines)


def main() -> int:
    """Judge, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.judge")
    parser.add_argument("tests", nargs="*", default=list(MODULES), metavar="FILE")
    parser.add_argument("--seed", default="0", help="what the tiles are drawn from")
    parser.add_argument("--refused", action="store_true", help="list what the engine refused")
    chosen = parser.parse_args()
    verdict = judge(chosen.tests, chosen.seed)
    if chosen.refused:
        for call, count in sorted(verdict.calls.items()):
            if "\t" in call:
                print(f"{count:6} {call.replace(chr(9), '  ')}")
    print(summary(verdict))
    return 0 if verdict.good else 1


if __name__ == "__main__":
    raise SystemExit(main())
