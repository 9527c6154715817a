"""Importing the package costs nothing; naming one thing brings only what it needs."""

import json
import subprocess
import sys

import numpy as np
import pytest

HEAVY = {"napari", "qtpy", "magicgui", "dask", "distributed", "skimage", "scipy", "zarr", "numpy"}

PROBE = """
import json, sys, time
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted(sys.modules)]))
"""


def modules_after(code):
    out = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True, check=True
    )
    seconds, modules = json.loads(out.stdout.splitlines()[-1])
    print(f"{code}: {seconds * 1000:.1f} ms")  # noqa: T201 - a figure, never a condition
    return set(modules)


def test_the_package_alone_imports_nothing_heavy():
    assert not modules_after("import napari_tilewise") & HEAVY


def test_the_command_line_imports_nothing_heavy():
    assert not modules_after("import napari_tilewise.cli") & HEAVY


@pytest.mark.parametrize("name", ["OPERATIONS", "Recipe"])
def test_declarations_and_recipes_need_no_dask_nor_zarr(name):
    heavy = {"napari", "qtpy", "magicgui", "dask", "distributed", "zarr"}
    assert not modules_after(f"from napari_tilewise import {name}") & heavy


def test_help_imports_nothing_heavy():
    assert (
        not modules_after("from napari_tilewise.cli import main; main(['run', '--help'])") & HEAVY
    )


@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_info_of_a_file_needs_neither_declarations_nor_zarr(tmp_path, name):
    import tifffile

    write = np.save if name.endswith(".npy") else tifffile.imwrite
    write(tmp_path / name, np.zeros((8, 9), "u1"))
    code = f"from napari_tilewise.cli import main; main(['info', {str(tmp_path / name)!r}])"
    assert not modules_after(code) & (HEAVY - {"numpy"} | {"napari_tilewise.operations"})


def test_a_run_in_threads_needs_no_pool_of_processes_nor_graphs(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((64, 64), "u1"))
    code = (
        "import napari_tilewise as tw; "
        f"tw.run('filters.gaussian', {str(tmp_path / 'a.npy')!r}, {str(tmp_path / 'b.npy')!r})"
    )
    modules = modules_after(code)
    assert not modules & {"joblib", "cloudpickle", "dask", "distributed", "pandas"}
    assert not modules & {"tifffile", "imagecodecs"}


def test_a_run_needs_no_window():
    gui = {"napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt6", "PySide6"}
    assert not modules_after("from napari_tilewise import apply, run") & gui


DECLARING = """
import json, sys
{code}
from napari_tilewise.operations import MODULES
declaring = {{f"napari_tilewise.operations.{{a}}.{{b}}" for a, bs in MODULES.items() for b in bs}}
print(json.dumps(sorted(declaring & set(sys.modules))))
"""


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import napari_tilewise as tw; assert len(list(tw.OPERATIONS)) > 200", []),
        ("import napari_tilewise as tw; 'filters.nope' in tw.OPERATIONS", []),
        ("import napari_tilewise as tw; tw.OPERATIONS['measure.label']", ["measure.labelling"]),
    ],
)
def test_an_operation_imports_its_own_module_only(code, modules):
    out = subprocess.run(
        [sys.executable, "-c", DECLARING.format(code=code)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(out.stdout) == [f"napari_tilewise.operations.{name}" for name in modules]


RUN = """
import numpy as np, napari_tilewise as tw
np.save({source!r}, np.zeros((64, 64), np.uint8))
tw.run("filters.gaussian", {source!r}, {destination!r})
"""


def test_a_run_from_a_file_into_a_file_needs_no_dask(tmp_path):
    paths = {"source": str(tmp_path / "a.npy"), "destination": str(tmp_path / "b.ome.zarr")}
    code = RUN.format(**paths)
    assert not modules_after(code) & {"dask", "distributed", "pandas", "xarray", "matplotlib"}


@pytest.mark.parametrize("name", ["b.ome.zarr", "b.npy", "b.ome.tif"])
def test_a_run_of_an_array_needs_no_zarr(tmp_path, name):
    code = (
        "import numpy as np, napari_tilewise as tw; "
        f"tw.run('filters.gaussian', np.eye(256), {str(tmp_path / name)!r}, axes='yx')"
    )
    assert not modules_after(code) & {"zarr", "fsspec", "asyncio", "dask"}


def test_every_public_name_is_there():
    import napari_tilewise

    assert sorted(dir(napari_tilewise)) == sorted(napari_tilewise.__all__)
    for name in napari_tilewise.__all__:
        assert getattr(napari_tilewise, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    import napari_tilewise

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = napari_tilewise.nope
