"""``python -m benchmarks [NAME ...] [OPTION ...]``: every script of this folder, or those named.

Each runs in a process of its own, with the options given. It prints its figures and asserts
nothing: a slow machine is not a fault.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from napari_tilewise import kernels

HERE = Path(__file__).parent
NO_KERNELS = "off, so that scikit-image's functions are measured (make native builds them)"


def main(arguments: list[str]) -> int:
    """Run the named scripts, or all of them, and return how many failed."""
    names = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(names) :]
    scripts = sorted(p for p in HERE.glob("*.py") if not p.name.startswith("_"))
    unknown = set(names) - {script.stem for script in scripts}
    if unknown:
        expected = ", ".join(script.stem for script in scripts)
        print(f"There is no benchmark {', '.join(sorted(unknown))}: expected {expected}.")
        return 2
    print(f"kernels: {kernels.level() or NO_KERNELS}", flush=True)
    failed = 0
    for script in scripts:
        if not names or script.stem in names:
            print(f"== {script.stem}", flush=True)
            command = [sys.executable, script, *options]
            failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
