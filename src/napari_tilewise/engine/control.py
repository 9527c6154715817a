"""What a caller holds of a run while it lasts: its progress, and two events that stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
