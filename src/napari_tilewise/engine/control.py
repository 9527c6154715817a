"""What a caller holds of a run while it lasts: its progress, and two events that stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidParameterType, option

if TYPE_CHECKING:
    import threading

    from napari_tilewise.engine.events import Listener


@dataclass(frozen=True)
class Control:
    """Progress, cancel and pause of a run or a batch."""

    progress: Listener | None = None
    """Called with every event."""
    cancel: threading.Event | None = None
    """Set by the caller to stop within the time of one tile or item."""
    pause: threading.Event | None = None
    """Set by the caller to start no more tiles or items until it is cleared."""

    def __post_init__(self) -> None:
        for name in ("cancel", "pause"):
            event = getattr(self, name)
            if event is not None and not hasattr(event, "is_set"):
                raise InvalidParameterType(
                    f"{option(name, event)}: expected an event, such as threading.Event()."
                )

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller has cancelled."""
        return self.cancel is not None and self.cancel.is_set()

    @property
    def is_paused(self) -> bool:
        """Whether the caller has paused."""
        return self.pause is not None and self.pause.is_set()


NO_CONTROL = Control()
"""Nobody listens, nobody stops the run."""
