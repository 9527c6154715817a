"""The argument `progress` of the public functions: a listener, or True for a display."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidParameterType
from napari_tilewise.progress.displays import StderrMessages
from napari_tilewise.progress.run_progress import run_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.progress.displays import Display


@contextmanager
def listening(
    progress: Listener | bool | None, display: Callable[[StderrMessages], Display] = run_progress
) -> Iterator[Listener | None]:
    """Yield the listener that an argument stands for; a display is open as long as this.

    Parameters
    ----------
    progress
        A listener; True for a display on stderr or in a notebook; None or False for none.
    display
        Makes the display, which is a listener too.
    """
    if progress is True:
        with display(StderrMessages()) as listener:
            yield listener
    elif progress and not callable(progress):
        raise InvalidParameterType(
            f"progress={progress!r}: expected a function of an event, or True."
        )
    else:
        yield progress or None
