"""Try mutated input at every door: ``python -m tests.fuzz [--count N] [--seed S] [DOOR ...]``.

Each door is tried in a process of its own, which is watched: a case that raises what is not
foreseen, lasts more than `--seconds`, takes more memory than the budget, or ends the process is
listed with its number, and ``--only NUMBER`` repeats it. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.fuzz.doors import DOORS
from tests.fuzz.watch import Failure, try_door


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("doors", nargs="*", choices=[*DOORS, []], metavar="DOOR")
    parser.add_argument("--count", type=int, default=500, help="cases at each door")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of a case")
    parser.add_argument("--seconds", type=float, default=8.0, help="a case that lasts longer hangs")
    options = parser.parse_args()
    numbers = range(options.count) if options.only is None else [options.only]
    failures: list[Failure] = []
    for door in options.doors or DOORS:
        started, before = time.monotonic(), len(failures)
        for failure in try_door(door, options.seed, numbers, options.seconds):
            failures.append(failure)
            print(f"{door} {failure.number}: {failure.kind}: {failure.text}", file=sys.stderr)
        kinds = Counter(failure.kind for failure in failures[before:])
        result = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "nothing unforeseen"
        print(
            f"{door}: {len(numbers)} cases, {time.monotonic() - started:.0f} s: {result}",
            flush=True,
        )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
