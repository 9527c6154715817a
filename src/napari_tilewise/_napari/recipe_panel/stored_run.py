"""A recipe run at full resolution into a file, as the Runs panel can show and repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise._napari.jobs.compute import store
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRun, follow
from napari_tilewise.engine.control import Control

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise.engine.events import Listener


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A job whose result is written to a file; called in a worker thread."""

    job: Job
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> tuple[JobOutcome, ...]:
        """Write the result; see `compute.store`."""
        return store(self.job, self.path, progress, cancel)

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the run in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the run.
        listener
            Also receives the run's events.
        """
        job = self.job
        return follow(
            str(job), source=job.source.name, output=self.path,
            control=Control(listener, cancel, job.pause), work=self,
        )  # fmt: skip

    @property
    def pause(self) -> Pause:
        """Set while the run is paused."""
        return self.job.pause

    def __str__(self) -> str:
        """Return the job and the file's name."""
        return f"{self.job} into {self.path.name}"
