"""A file is written item by item, and waits while the run is paused."""

from __future__ import annotations

import threading

import pytest

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import Event, PassDone, TileDone
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import Cancelled
from napari_tilewise.io.writers.staged_file import reported


class Pause(threading.Event):
    """A pause that ends, or that cancels the run, when it was looked at some times."""

    def __init__(self, then: threading.Event | None = None) -> None:
        super().__init__()
        self.looks = 0
        self._then = then

    def is_set(self) -> bool:
        if super().is_set():
            self.looks += 1
            if self.looks == 5:
                self.clear() if self._then is None else self._then.set()
        return super().is_set()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.001)


def test_nothing_is_written_while_the_run_is_paused() -> None:
    pause, seen = Pause(), []

    def listen(event: Event) -> None:
        if isinstance(event, TileDone):
            seen.append((event.done, pause.looks))
            if event.done == 2:
                pause.set()

    session = Session(control=Control(listen, pause=pause))
    assert list(reported(session, "pouring", "abcd", 4)) == [*"abcd"]
    assert seen == [(1, 0), (2, 0), (3, 5), (4, 5)]


def test_a_cancel_ends_a_pause() -> None:
    cancel = threading.Event()
    pause, told = Pause(then=cancel), []
    pause.set()
    session = Session(control=Control(told.append, cancel, pause))
    with pytest.raises(Cancelled, match="nothing exists under the final name"):
        list(reported(session, "pouring", "abcd", 4))
    assert not any(isinstance(event, TileDone | PassDone) for event in told)
