"""Kernels run where operations name them: the property test in `test_exact` meets every one."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, find, settings

import napari_tilewise as tw
from napari_tilewise.kernels import KERNELS, available
from tests.strategies import Case, cases
from tests.test_exact import tiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.kernels.kernel import Kernel

DECLARED = [(name, path) for name, op in tw.OPERATIONS.items() for path in op.adapter.kernels]


@pytest.fixture
def runs() -> Iterator[Counter[str]]:
    """How often each kernel accepted a call, by the path of its function."""
    counter: Counter[str] = Counter()

    def counting(path: str) -> Callable[..., bool]:
        asked = KERNELS[path].exact_for

        def exact_for(*args: Any, **params: Any) -> bool:
            accepted = asked(*args, **params)
            counter[path] += accepted
            return accepted

        return exact_for

    before = {path: kernel.exact_for for path, kernel in KERNELS.items()}
    # In the kernels themselves, which are frozen: what prepared a call before holds them.
    for path, kernel in KERNELS.items():
        object.__setattr__(kernel, "exact_for", counting(path))
    yield counter
    for path, kernel in KERNELS.items():
        object.__setattr__(kernel, "exact_for", before[path])


def exact_for(kernel: Kernel, case: Case) -> bool:
    """Whether a kernel would take a call as it is: what else would be computed takes long."""
    defaults = {name: p.default for name, p in case.operation.parameters.items()}
    return bool(kernel.exact_for(case.image, **defaults | dict(case.params)))


@pytest.mark.skipif(not available(), reason="the kernels are not compiled or switched off")
@pytest.mark.parametrize(("name", "path"), DECLARED)
def test_the_property_test_meets_the_kernel(name: str, path: str, runs: Counter[str]) -> None:
    kernel = KERNELS[path]

    def meets(case: Case) -> bool:
        runs.clear()
        if path == f"skimage.{name}" and not exact_for(kernel, case):
            return False
        try:
            for tiles in ("auto", case.tiles):  # one tile at first, which takes less time
                tiled(dataclasses.replace(case, tiles=tiles))
                if runs[path]:
                    return True
        except Exception:  # noqa: BLE001 - what is refused is the property test's subject
            return False
        return False

    few = settings(max_examples=200, phases=[Phase.generate], derandomize=True, database=None)
    find(cases(tw.OPERATIONS[name]), meets, settings=few)


def test_declarations_load_no_library() -> None:
    """Kernels are imported, and their library loaded, at the first call."""
    code = (
        "import sys, napari_tilewise as tw; list(tw.OPERATIONS.values());"
        "print([m for m in sys.modules if m.startswith('napari_tilewise.kernels')])"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert output.stdout.strip() == "[]"


def test_without_kernels_the_functions_run() -> None:
    code = (
        "import numpy as np, napari_tilewise as tw;"
        "from napari_tilewise.operations.spec.substitution import instruction_set;"
        "print(instruction_set(), tw.apply('filters.gaussian', np.eye(9), tiles=4).tobytes().hex())"
    )
    environment = {**os.environ, "TILEWISE_KERNELS": "0"}
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    used, pixels = output.stdout.split()
    assert used == "None"
    assert pixels == np.asarray(tw.apply("filters.gaussian", np.eye(9))).tobytes().hex()
