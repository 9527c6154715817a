"""A reduction's contributions are merged in the order of their tiles, whichever thread is first."""

from __future__ import annotations

import threading

from napari_tilewise.engine.session import Session


def test_what_is_early_waits_for_those_before_it() -> None:
    is_second_done = threading.Event()

    def contribution(item: str) -> str:
        if item == "a":
            assert is_second_done.wait(60)
        elif item == "b":
            is_second_done.set()
        return item

    total = Session(workers=2).reduce("letters", contribution, lambda a, b: a + b, list("abcdef"))
    assert total == "abcdef"
