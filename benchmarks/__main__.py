"""``python -m benchmarks [NAME ...]``: every script of this folder, each in a process of its own.

A script prints its figures and asserts nothing: a slow machine is not a fault.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run the named scripts, or all of them, and return how many failed."""
    scripts = sorted(p for p in HERE.glob("*.py") if not p.name.startswith("_"))
    unknown = set(names) - {script.stem for script in scripts}
    if unknown:
        known = ", ".join(script.stem for script in scripts)
        print(f"There is no benchmark {', '.join(sorted(unknown))}: expected {known}.")
        return 2
    failed = 0
    for script in scripts:
        if not names or script.stem in names:
            print(f"== {script.stem}", flush=True)
            failed += subprocess.run([sys.executable, script], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
