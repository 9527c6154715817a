"""Says how a run will go before it starts: passes, tiles, memory, bytes, and the time it may take.

The plan is there at once; the time comes when some of the image was tried, in the background. One
need not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPushButton, QVBoxLayout

from napari_tilewise._napari.jobs.compute import foretell
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.runs.estimate import estimate
from napari_tilewise.runs.traffic import shortage

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.runs.plan import Plan

WAITING = "time    trying some of the image ..."


@dataclass(frozen=True, eq=False)
class _Planning:
    """Works out the plan."""

    job: Job
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> Plan:
        """Return the plan."""
        return foretell(self.job, self.path, cancel)

    def __str__(self) -> str:
        """Return what is done."""
        return f"planning {self.job}"


@dataclass(frozen=True, eq=False)
class _Timing:
    """Tries some of the image."""

    plan: Plan
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> str:
        """Return how long the run will take, and whether the disk may be too small, in words."""
        short = shortage(self.plan, self.path)
        told = [] if short is None else [f"beware  {short}"]
        return "\n".join([*told, f"time    {estimate(self.plan, cancel=cancel)}"])

    def __str__(self) -> str:
        """Return what is done."""
        return "estimating the time of a run"


class PlanDialog(QDialog):
    """Shows the plan of a run and asks whether to start it.

    Parameters
    ----------
    parent
        Whose run it is.
    job
        What would be done.
    path
        Where the result would go.
    """

    def __init__(self, parent: QWidget, job: Job, path: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"How {path.name} will be made")
        self._path = path
        self.text = QLabel("Working out the plan ...")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.run = QPushButton("Run")
        self.buttons.addButton(self.run, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.buttons)
        self._plan = ""
        self.runner = Runner(self)
        self.runner.finished.connect(self._told)
        self.runner.failed.connect(self._failed)
        self.finished.connect(lambda _: self.runner.cancel())
        self.runner.start_work(_Planning(job, path))

    def _told(self, work: Any, found: Any) -> None:
        if isinstance(work, _Planning):
            self._plan = found.describe()
            self.text.setText(f"{self._plan}\n{WAITING}")
            if self.isVisible():
                self.runner.start_work(_Timing(found, self._path))
            return
        self.text.setText(f"{self._plan}\n{found}")

    def _failed(self, error: TilewiseError) -> None:
        if isinstance(error, Cancelled):
            return
        self.text.setText(f"{self._plan}\n{error}".strip())
        self.run.setEnabled(bool(self._plan))  # what cannot be planned cannot run
