"""The library is chosen by the processor and the environment; kernels match their functions."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_tilewise.kernels import KERNELS, LEVELS, Kernel, available, levels, library

PROBE = """
import json
import numpy as np
from napari_tilewise.kernels import KERNELS, level
image = np.zeros((5, 5), bool)
print(json.dumps([level(), KERNELS["skimage.measure.label"].accepts(image)]))
"""


def chosen(value: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "TILEWISE_KERNELS": value},
        capture_output=True,
        text=True,
        check=False,
    )


def test_kernels_are_switched_off() -> None:
    assert json.loads(chosen("0").stdout) == [None, False]


@pytest.mark.parametrize("level", levels())
def test_an_instruction_set_is_chosen(level: str) -> None:
    assert json.loads(chosen(level).stdout) == [level, True]


def test_an_unknown_instruction_set_is_refused() -> None:
    outcome = chosen("mmx")
    if levels():
        assert "TILEWISE_KERNELS=mmx: expected 0 (off)" in outcome.stderr
    else:
        assert json.loads(outcome.stdout) == [None, False]


def test_a_library_of_another_build_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    load = library._load.__wrapped__
    assert [load(level) is not None for level in levels()] == [True] * len(levels())
    monkeypatch.setattr(library, "LATEST", (*library.LATEST, "of_a_later_build"))
    assert [load(level) for level in levels()] == [None] * len(levels())
    monkeypatch.undo()
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    assert [load(level) for level in levels()] == [None] * len(levels())


def test_levels_are_in_order() -> None:
    assert list(levels()) == [level for level in LEVELS if level in levels()]
    assert available() == bool(levels()) or library.level() is None


def function_of(path: str) -> Any:
    module, _, name = path.rpartition(".")
    while True:
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError:
            module, _, parent = module.rpartition(".")
            name = f"{parent}.{name}"


@pytest.mark.parametrize("path", sorted(KERNELS))
def test_a_kernel_has_the_signature_of_its_function(path: str) -> None:
    kernel = KERNELS[path]
    assert kernel.stands_for == path
    own = list(inspect.signature(kernel.run).parameters.values())
    claimed = list(inspect.signature(kernel.exact_for).parameters.values())
    try:
        expected = list(inspect.signature(function_of(path)).parameters.values())
    except ValueError:  # NumPy's own functions hide theirs
        expected = own
    # A kernel may leave out the last parameters: a call that needs them is not its own.
    for parameter, other in zip(own, expected, strict=False):
        assert parameter.name == other.name
        if "DEPRECATED" not in repr(other.default):
            assert parameter.default == other.default, parameter.name
    assert {parameter.name for parameter in claimed} <= {parameter.name for parameter in own}


def test_a_kernel_is_a_value() -> None:
    kernel = KERNELS["skimage.measure.label"]
    assert isinstance(kernel, Kernel)
    assert hash(kernel) == hash(KERNELS["skimage.measure.label"])


def test_a_library_that_is_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "level", lambda: None)
    with pytest.raises(RuntimeError, match="Kernels are off"):
        library.call("label", np.zeros(3))


def test_parts_are_no_modules() -> None:
    """A part that is named like a module would be hidden by it once that is imported."""
    from napari_tilewise import kernels

    for path, kernel in KERNELS.items():
        assert kernel.stands_for == path
    for name in kernels.__all__:
        assert not isinstance(getattr(kernels, name), ModuleType)
        assert find_spec(f"napari_tilewise.kernels.{name}") is None


def test_a_kernel_imports_no_others() -> None:
    code = (
        "import sys; from napari_tilewise.kernels import KERNELS; KERNELS['numpy.bincount'];"
        "print(*sorted(m for m in sys.modules if 'kernels.' in m))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = {name.rpartition(".")[2] for name in output.stdout.split()}
    assert "whole_number_sums" in modules
    assert "separable" not in modules
