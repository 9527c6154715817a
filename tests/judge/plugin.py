"""A plugin for pytest that puts the drop-in, at small random tiles, in scikit-image's place.

scikit-image itself stays as it is, as it and this project's operations call it. What is replaced
is what the tests hold: the functions and modules among their globals, in their classes and among
their parameters.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.operations.spec.operation import Operation

SEED = "TILEWISE_JUDGE_SEED"
"""Environment variable: what tiles are drawn from; empty: scikit-image itself is run."""

REPORT = "TILEWISE_JUDGE_REPORT"
"""Environment variable: the file that outcomes and calls are written to."""


class Replaced:
    """scikit-image's functions and modules, and their drop-ins."""

    def __init__(self) -> None:
        from napari_tilewise.operations import OPERATIONS
        from napari_tilewise.operations.spec.docstrings import resolve
        from napari_tilewise.skimage._dropin import dropin
        from napari_tilewise.skimage._generate import public_modules

        originals = [resolve(key) for key in OPERATIONS]
        self._made = {id(original): dropin(original) for original in originals}
        for path in public_modules():
            name = f"skimage.{path}".rstrip(".")
            self._made[id(import_module(name))] = import_module(f"napari_tilewise.{name}")

    def within(self, value: Any) -> Any:
        """Return a value with the originals in it, and in what it contains, replaced."""
        if type(value) in (list, tuple):
            made = [self.within(item) for item in value]
            same = all(a is b for a, b in zip(made, value, strict=True))
            return value if same else type(value)(made)
        if type(value) is dict:
            return {key: self.within(item) for key, item in value.items()}
        return self._made.get(id(value), value)

    def replace(self, space: Any) -> None:
        """Replace the originals among the attributes of a module or a class."""
        for name, value in list(vars(space).items()):
            made = value if name.startswith("__") else self.within(value)
            if made is not value:
                setattr(space, name, made)


def tiles_for(test: str, seed: str) -> Callable[[Operation, tuple[int, ...]], tuple[int, ...]]:
    """Return a function that draws small tiles, the same for the same call of a test."""
    numbers = random.Random(f"{seed}:{test}")

    def tiles(operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
        most = 5 if len(shape) < 3 else 3
        return tuple(
            min(n, max(1, -(-n // numbers.randint(1, most)) + numbers.randint(-1, 1)))
            for n in shape
        )

    return tiles


class Judge:
    """The hooks."""

    def __init__(self) -> None:
        self.seed = os.environ.get(SEED, "")
        self.replaced = Replaced() if self.seed else None
        if self.seed:
            _forgive_silence()
        self.calls: Counter[str] = Counter()
        self.silent: list[str] = []
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        _stay_offline()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.replaced is None:
            return
        for space in {getattr(item, kind, None) for item in items for kind in ("module", "cls")}:
            if space is not None:
                self.replaced.replace(space)
        for item in items:
            if callspec := getattr(item, "callspec", None):
                callspec.params.update(self.replaced.within(dict(callspec.params)))

    @contextmanager
    def tiled(self, item: pytest.Item) -> Iterator[None]:
        if not self.seed:
            yield
            return
        from napari_tilewise.skimage import tiling

        def told(key: str, refused: Exception | None) -> None:
            reason = "" if refused is None else f"\t{type(refused).__name__}: {refused}"
            item.user_properties.append(("tilewise", f"{key}{reason}"))

        def silent() -> None:
            item.user_properties.append(("tilewise silent", item.nodeid))

        with tiling(tiles_for(item.nodeid, self.seed), callback=told), _lenient(silent):
            yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        with self.tiled(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        with self.tiled(item):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            known = self.outcomes.get(report.nodeid)
            self.outcomes[report.nodeid] = known if known == "failed" else report.outcome
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash else str(report.longrepr)
            self.reasons[report.nodeid] = text[:400]
        if report.when == "teardown":
            found = report.user_properties
            self.calls.update(value for name, value in found if name == "tilewise")
            self.silent += {value for name, value in found if name == "tilewise silent"}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes[report.nodeid] = "failed"
            self.reasons[report.nodeid] = str(report.longrepr)[-400:]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):
            names = ("outcomes", "reasons", "calls", "silent")
            found = {name: getattr(self, name) for name in names}
            Path(os.environ[REPORT]).write_text(json.dumps(found, indent=1))


class _Forgiven:
    """A context that expects a warning and says so instead of failing when there is none."""

    def __init__(self, expected: Any) -> None:
        self._expected = expected

    def __enter__(self) -> Any:
        return self._expected.__enter__()

    def __exit__(self, *error: Any) -> Any:
        try:
            return self._expected.__exit__(*error)
        except (pytest.fail.Exception, ValueError) as missing:
            if error[0] is not None or not re.match("DID NOT WARN|No warning raised", str(missing)):
                raise
            _silent.get()()
            return None


_silent: ContextVar[Callable[[], None]] = ContextVar("silent", default=lambda: None)


@contextmanager
def _lenient(silent: Callable[[], None]) -> Iterator[None]:
    """Judge a test's numbers also where the engine does not repeat scikit-image's warning."""
    token = _silent.set(silent)
    try:
        yield
    finally:
        _silent.reset(token)


def _forgive_silence() -> None:
    from skimage._shared import _warnings, testing

    warns, expected_warnings = pytest.warns, _warnings.expected_warnings

    def lenient_warns(*args: Any, **kwargs: Any) -> Any:
        made = warns(*args, **kwargs)
        return _Forgiven(made) if hasattr(made, "__exit__") else made

    pytest.warns = lenient_warns
    for module in (_warnings, testing):
        module.expected_warnings = lambda expected: _Forgiven(expected_warnings(expected))


def _stay_offline() -> None:
    """Let data that would be downloaded be missing at once, or empty where a module reads it."""
    from skimage.data import _fetchers

    if (fetcher := _fetchers._image_fetcher) is None:
        return

    def fetch(name: str, **_: Any) -> str:
        if not name.endswith(".npz"):
            raise ConnectionError(f"{name} is not in the source release")
        path = Path(str(fetcher.abspath), "missing.npz")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path)
        return str(path)

    fetcher.fetch = fetch


def pytest_configure(config: pytest.Config) -> None:
    """Register the hooks; scikit-image's option `--strict-markers` knows them all."""
    config.pluginmanager.register(Judge(), "tilewise-judge")
