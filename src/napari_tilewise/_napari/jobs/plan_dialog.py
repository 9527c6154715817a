"""Shows the plan of a run before it starts: passes, tiles, memory, traffic, and the estimated time.

The plan is shown at once; the time follows when a part of the image was computed in the background.
The user need not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.jobs.compute import plan_store, stored_bytes
from napari_tilewise._napari.jobs.job_run import check_space
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import layer_pyramids
from napari_tilewise._napari.widgets.plain_words import plain_message
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.runs.estimate import estimate
from napari_tilewise.runs.traffic import shortage

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.runs.run_plan import RunPlan

LARGE = 2**31
"""Bytes of a stored result from which the plan is shown, and the user asked."""
WIDTH = 560
"""Pixels of the dialog's width: longer lines wrap."""
HEADING = 8
"""Characters of a line of a plan that name what it is about."""
PLANNING = "plan    reading what is known of the image ..."
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


class PlanText(QWidget):
    """The lines of a plan: what each is about, and the rest of it, which wraps."""

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._rows: list[tuple[QLabel, QLabel]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)

    def text(self) -> str:
        """Return the plan as plain text."""
        return self._text

    def setText(self, text: str) -> None:
        """Show a plan.

        Parameters
        ----------
        text
            Its lines; each begins with what it is about.
        """
        self._text = text
        lines = text.splitlines()
        while len(self._rows) < len(lines):
            self._rows.append(self._row(len(self._rows)))
        for number, (heading, label) in enumerate(self._rows):
            line = lines[number] if number < len(lines) else ""
            heading.setText(line[:HEADING].strip())
            label.setText(plain_message(line[HEADING:].strip()))
            label.setVisible(bool(line))

    def _row(self, number: int) -> tuple[QLabel, QLabel]:
        heading, label = text_label(faint=True), text_label()
        heading.setWordWrap(False)
        heading.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Minimum)
        top = Qt.AlignmentFlag.AlignTop
        label.setMinimumWidth(WIDTH * 3 // 4)  # its least height is that of the wrapped text
        policy = label.sizePolicy()
        policy.setHeightForWidth(True)
        label.setSizePolicy(policy)
        self._grid.addWidget(heading, number, 0, top)
        self._grid.addWidget(label, number, 1)
        return heading, label


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
        self.setWindowTitle(str(job))
        self.setMinimumWidth(WIDTH)
        self.resize(WIDTH, 0)
        self._path = path
        self.text = PlanText()
        self._say(PLANNING)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.run = QPushButton("Run")
        self.buttons.addButton(self.run, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addStretch()
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
            self._say(f"{self._plan}\n{WAITING}")
            if self.isVisible():
                self.runner.start_work(_Timing(result, self._path))
            return
        self._say(f"{self._plan}\n{result}")

    def _say(self, text: str) -> None:
        """Show a plan, as high as its lines are at the dialog's width."""
        self.text.setText(text)
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def _fits(self, plan: RunPlan) -> bool:
        """Return whether the result fits on the disk; say so if it does not."""
        try:
            check_space(plan, self._path)
        except TilewiseError as error:
            self._say(f"{self._plan}\nrefused {error}")
            self.run.setEnabled(False)
            return False
        return True

    def _failed(self, error: TilewiseError) -> None:
        if isinstance(error, Cancelled):
            return
        heading = "time    " if self._plan else "refused "
        self._say(f"{self._plan}\n{heading}{error}".strip())
        self.run.setEnabled(bool(self._plan))  # a run without a plan is refused


def start_asked(parent: QWidget, job: Job, start: Callable[[], object]) -> PlanDialog | None:
    """Start a job; if it stores a large result, show its plan and ask first.

    Parameters
    ----------
    parent
        The widget that owns the dialog.
    job
        A recipe on a layer.
    start
        Starts the job.

    Returns
    -------
    PlanDialog or None
        The dialog, if the user is asked.

    Raises
    ------
    DestinationUnwritable
        If nothing can be stored in the folder for large results.
    """
    if stored_bytes(job) <= LARGE:
        start()
        return None
    dialog = PlanDialog(parent, job, layer_pyramids.new_store(), must_fit=True)
    dialog.accepted.connect(start)
    dialog.open()
    return dialog
