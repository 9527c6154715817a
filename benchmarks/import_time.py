"""What ``import napari_tilewise`` costs, and what it brings: under 50 ms, nothing heavy."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

HEAVY = ("napari", "qtpy", "dask", "skimage", "scipy", "zarr", "numpy", "typer")
PROBE = """
import json, sys, time
start = time.perf_counter()
import {module}
print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))
"""


def measure(module: str, repeats: int = 5) -> None:
    """Print the median time of an import in fresh interpreters."""
    times = []
    for _ in range(repeats):
        out = subprocess.check_output([sys.executable, "-c", PROBE.format(module=module)])
        seconds, modules = json.loads(out)
        times.append(seconds)
    heavy = [name for name in HEAVY if name in modules] or ["nothing"]
    print(
        f"import {module}: {statistics.median(times) * 1000:.0f} ms "
        f"(median of {repeats}); of the heavy packages it brings {', '.join(heavy)}"
    )


MODULES = (
    "napari_tilewise",
    "napari_tilewise.cli",
    "napari_tilewise.operations",
    "napari_tilewise.engine.apply",
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=MODULES)
    for name in parser.parse_args().modules:
        measure(name)
