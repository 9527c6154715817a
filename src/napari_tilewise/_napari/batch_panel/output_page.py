"""The page of the Batch panel that says where results go, and how much of the machine is used."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QSpinBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, PathEdit, choice
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
    {"report an error": ERROR, "leave it, skip the item": SKIP, "overwrite it": OVERWRITE}
)
BACKENDS = MappingProxyType(
    {
        "auto: finds out": AUTO,
        "one after the other": SERIAL,
        "threads": THREADING,
        "processes (loky)": LOKY,
        "dask cluster": DASK,
    }
)
MOST_JOBS = 1024


@dataclass(frozen=True)
class Destination:
    """Where results go and how the work is shared, as `napari_tilewise.batch` takes it."""

    folder: str | None
    """None: into a new layer."""
    options: Mapping[str, Any]


class OutputPage(QWidget):
    """Chooses where a batch's results go."""

    changed = Signal()
    """Another folder is meant now."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = choice({"files in a folder": FOLDER, "one new layer": LAYER})
        self.folder = PathEdit("Choose a folder for the results", hint="folder")
        self.name = QLineEdit("{stem}")
        self.form = choice(FORMATS)
        self.existing = choice(EXISTING)
        self.jobs = QSpinBox()
        self.jobs.setRange(0, MOST_JOBS)
        self.jobs.setSpecialValueText("as many as processors")
        self.backend = choice(BACKENDS)
        self.memory = QLineEdit()
        self.memory.setPlaceholderText("half of what is free")
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._show_fields)
        self.folder.changed.connect(self.changed.emit)
        self._show_fields()

    def _lay_out(self) -> None:
        self._rows = rows = LabelledRows()
        rows.add(
            "results go to",
            self.kind,
            "Into files; or, where all results are images of one shape, into one new layer",
        )
        rows.add("folder", self.folder, "It gets the results, a report, and a log of failures")
        rows.add(
            "name",
            self.name,
            "What each file is called: {stem}, {recipe}, {index}, and {t}, {well}, ... where items "
            "have such",
        )
        rows.add("images as", self.form, "Tables are written as CSV")
        rows.add(
            "if it is there",
            self.existing,
            "What to do where an output is there that was made otherwise. What is done and "
            "unchanged is never done again, unless it is overwritten.",
        )
        rows.add("at a time", self.jobs, "How many items are in work at a time")
        rows.add(
            "run in",
            self.backend,
            "Processes start slowly, and survive crashes; threads start at once; auto measures",
        )
        rows.add("memory", self.memory, "Most memory of all items in work, such as 4 GiB")
        layout = QVBoxLayout(self)
        layout.addWidget(rows)
        layout.addStretch()

    def _show_fields(self, *_: object) -> None:
        for field in (self.folder, self.name, self.form, self.existing):
            self._rows.show_row(field, visible=self.kind.currentData() == FOLDER)
        self.changed.emit()

    @property
    def place(self) -> str:
        """The folder that is chosen; empty where there is none."""
        return self.folder.path if self.kind.currentData() == FOLDER else ""

    def output(self) -> Destination:
        """Return what is chosen.

        Raises
        ------
        InvalidParameter
            When a folder is missing, or the memory is no size.
        """
        memory = self.memory.text().strip()
        options: dict[str, Any] = {
            "n_jobs": self.jobs.value() or -1,
            "backend": self.backend.currentData(),
            "memory": parse_size(memory) if memory else None,
        }
        if self.kind.currentData() == LAYER:
            return Destination(None, options)
        if not self.place:
            raise InvalidParameter("Choose a folder for the results, on the page Output.")
        options["name"] = f"{self.name.text().strip()}{self.form.currentData()}"
        options["overwrite"] = self.existing.currentData()
        return Destination(self.place, options)
