"""Shows the plan of a run before it starts: passes, tiles, memory, traffic, and the estimated time.

The plan is shown at once; the time follows when a part of the image was computed in the background.
The user need not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPushButton, QVBoxLayout

from napari_tilewise._napari.jobs.compute import check_space, plan_store
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
    from napari_tilewise.runs.run_plan import RunPlan

WAITING = "time    measuring on a part of the image ..."


@dataclass(frozen=True, eq=False)
class _Planning:
    """Plans a run; called in a thread."""

    job: Job
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> RunPlan:
        """Return the plan."""
        return plan_store(self.job, self.path, cancel)

    def __str__(self) -> str:
        """Return a title."""
        return f"planning {self.job}"


@dataclass(frozen=True, eq=False)
class _Timing:
    """Estimates the time of a run; called in a thread."""

    plan: RunPlan
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> str:
        """Return the estimated time as text, after a warning if the disk may be too small."""
        short = shortage(self.plan, self.path)
        warnings = [] if short is None else [f"warning {short}"]
        return "\n".join([*warnings, f"time    {estimate(self.plan, cancel=cancel)}"])

    def __str__(self) -> str:
        """Return a title."""
        return "estimating the time of a run"


class PlanDialog(QDialog):
    """Shows the plan of a run, and asks whether to start it.

    Parameters
    ----------
    parent
        The widget that owns the dialog.
    job
        The run.
    path
        The file of the result.
    must_fit
        Whether the run is refused if the disk may be too small.
    """

    def __init__(self, parent: QWidget, job: Job, path: Path, *, must_fit: bool = False) -> None:
        super().__init__(parent)
        self._must_fit = must_fit
        self.setWindowTitle(f"Plan of {path.name}")
        self._path = path
        self.text = QLabel("Planning ...")
        self.text.setTextFormat(Qt.TextFormat.PlainText)  # names may look like markup
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
        self.runner.finished.connect(self._show)
        self.runner.failed.connect(self._failed)
        self.finished.connect(lambda _: self.runner.cancel())
        self.runner.start_work(_Planning(job, path))

    def _show(self, work: _Planning | _Timing, result: RunPlan | str) -> None:
        if not isinstance(result, str):
            self._plan = result.describe()
            if self._must_fit and not self._fits(result):
                return
            self.text.setText(f"{self._plan}\n{WAITING}")
            if self.isVisible():
                self.runner.start_work(_Timing(result, self._path))
            return
        self.text.setText(f"{self._plan}\n{result}")

    def _fits(self, plan: RunPlan) -> bool:
        """Return whether the result fits on the disk; say so if it does not."""
        try:
            check_space(plan, self._path)
        except TilewiseError as error:
            self.text.setText(f"{self._plan}\nrefused {error}")
            self.run.setEnabled(False)
            return False
        return True

    def _failed(self, error: TilewiseError) -> None:
        if isinstance(error, Cancelled):
            return
        self.text.setText(f"{self._plan}\n{error}".strip())
        self.run.setEnabled(bool(self._plan))  # a run without a plan is refused
