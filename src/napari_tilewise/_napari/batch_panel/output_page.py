"""The page of the Batch panel for the output: where results go, and the resources to use."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, PathEdit, choice
from napari_tilewise._napari.widgets import settings
from napari_tilewise.batches.backends import AUTO, DASK, LOKY, SERIAL, THREADING
from napari_tilewise.batches.tasks import ERROR, OVERWRITE, SKIP
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.sizes import parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER, LAYER = "folder", "layer"
FORMATS = MappingProxyType(
    {
        "OME-Zarr": ".ome.zarr",
        "OME-TIFF": ".ome.tif",
        "ImageJ TIFF": ".tif",
        "PNG": ".png",
        "NumPy": ".npy",
    }
)
EXISTING = MappingProxyType(
    {"report an error": ERROR, "skip the item": SKIP, "overwrite it": OVERWRITE}
)
BACKENDS = MappingProxyType(
    {
        "auto: measure and choose": AUTO,
        "one after another": SERIAL,
        "threads": THREADING,
        "processes (loky)": LOKY,
        "dask cluster": DASK,
    }
)
MOST_JOBS = 1024


@dataclass(frozen=True)
class Destination:
    """Where results go, and keywords of `napari_tilewise.batch`."""

    folder: str | None
    """None for one new layer."""
    options: Mapping[str, Any]


class OutputPage(QWidget):
    """Chooses the output and the resources of a batch."""

    changed = Signal()
    """The folder changed."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = choice({"files in a folder": FOLDER, "one new layer": LAYER})
        self.folder = PathEdit("Choose a folder for the results", hint="folder")
        self.name = QLineEdit("{stem}")
        self.form = choice(FORMATS)
        self.existing = choice(EXISTING)
        self.jobs = QSpinBox()
        self.jobs.setRange(0, MOST_JOBS)
        self.jobs.setSpecialValueText("one per processor")
        self.backend = choice(BACKENDS)
        self.memory = QLineEdit()
        self.memory.setPlaceholderText("half of the free memory")
        self.jobs.setValue(settings.workers() or 0)
        self.memory.setText(settings.memory_text())
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._show_fields)
        self.folder.changed.connect(self.changed.emit)
        self._show_fields()

    def _lay_out(self) -> None:
        self._rows = rows = LabelledRows()
        rows.add(
            "results go to",
            self.kind,
            "Files; or one new layer, if all results are images of one shape",
        )
        rows.add(
            "folder", self.folder, "The folder of the results, the report, and the log of failures"
        )
        rows.add(
            "name",
            self.name,
            "The name of each file. {stem}, {recipe} and {index} are filled in, and {t}, {well}, "
            "... if the items have them.",
        )
        rows.add("image format", self.form, "Tables are written as CSV")
        rows.add(
            "if a file exists",
            self.existing,
            "For outputs of another task. A finished output of the same task and image is not "
            "computed again, unless it is overwritten.",
        )
        rows.add("parallel items", self.jobs, "The number of items that run at the same time")
        rows.add(
            "run in",
            self.backend,
            "Threads start at once. Processes start slowly, but a crash fails one item only.",
        )
        rows.add("memory", self.memory, "Limit for all running items together, such as 4 GiB")
        layout = QVBoxLayout(self)
        layout.addWidget(rows)
        layout.addStretch()

    def _show_fields(self, *_: object) -> None:
        for field in (self.folder, self.name, self.form, self.existing):
            self._rows.show_row(field, visible=self.kind.currentData() == FOLDER)
        self.changed.emit()

    @property
    def path(self) -> str:
        """The chosen folder; empty if results go to a layer."""
        return self.folder.path if self.kind.currentData() == FOLDER else ""

    def destination(self) -> Destination:
        """Return the chosen output and resources.

        Raises
        ------
        InvalidParameter
            If no folder is chosen, or the memory is not a size.
        """
        memory = self.memory.text().strip()
        options: dict[str, Any] = {
            "n_jobs": self.jobs.value() or -1,
            "backend": self.backend.currentData(),
            "memory": parse_size(memory) if memory else None,
        }
        if self.kind.currentData() == LAYER:
            return Destination(None, options)
        if not self.path:
            raise InvalidParameter("Choose a folder for the results, on the page Output.")
        options["name"] = f"{self.name.text().strip()}{self.form.currentData()}"
        options["overwrite"] = self.existing.currentData()
        return Destination(self.path, options)
