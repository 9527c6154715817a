"""Works that overlap leave the interval of Python's threads as it was before the first."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from napari_tilewise.engine.system.switch_interval import TURN, short_turns


def test_works_that_end_in_the_order_of_their_beginning_set_it_back() -> None:
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(short_turns())
    second.enter_context(short_turns())
    assert sys.getswitchinterval() == TURN < before
    first.close()
    assert sys.getswitchinterval() == TURN
    second.close()
    assert sys.getswitchinterval() == before
