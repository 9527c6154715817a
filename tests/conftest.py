"""Hypothesis profiles: a quick deterministic one, and `--hypothesis-profile=thorough`."""

from __future__ import annotations

import gc
import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.runs.registry import STATE

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("quick", max_examples=25, derandomize=True, database=None, **COMMON)
settings.register_profile("thorough", max_examples=400, **COMMON)
settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """Write names that are no UTF-8 with escapes in what a test printed: xdist sends only UTF-8."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def children() -> Any:
    """Return a context whose processes start at once, with everything imported, on Unix."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    modules = [
        "tests.runs.killed",
        "tests.runs.faulty",
        "tests.runs.measured",
        "napari_tilewise.runs.run",
        "napari_tilewise.cli",
    ]
    context.set_forkserver_preload([*modules, "napari_tilewise.batches", "typer"])
    return context


@pytest.fixture(autouse=True, scope="session")
def no_register_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the register of runs in a temporary folder; child processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE, str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True, scope="module")
def imported_modules_are_no_garbage() -> None:
    """Let the collector pass over what was imported: some collections follow each test's window.

    Tests import more as they go, which one pass before all of them would not see.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def forget_users_operations() -> Iterator[None]:
    """Take the operations that a test declares out of the catalogue, which all tests share."""
    before = {operation.name for operation in OPERATIONS.users()}
    yield
    added = {operation.name for operation in OPERATIONS.users()} - before
    if added:
        OPERATIONS.forget(*added)


@pytest.fixture(autouse=True)
def forget_what_lazy_arrays_read() -> Iterator[None]:
    """Empty the cache of decoded chunks, which else fills this process with other tests' images."""
    yield
    shared_cache().clear()
