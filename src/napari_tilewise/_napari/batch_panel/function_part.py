"""A batch of a user's function: its file is parsed to list functions, and run by the batch."""

from __future__ import annotations

import ast
from pathlib import Path

from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest
from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, PathEdit
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import InvalidFunction

PYTHON = "Python files (*.py)"


class FunctionPart(QWidget):
    """Chooses a function of a Python file, which is run only by the batch, or of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.file = PathEdit("Choose a Python file", PYTHON, "file or importable module")
        self.name = QComboBox()
        self.name.setEditable(True)
        about = text_label(faint=True)
        about.setText(
            "The function gets an item's pixels as an array and returns pixels, a number, a dict "
            "of numbers, or a table. Its file is executed: choose only a file that you trust."
        )
        rows = LabelledRows()
        rows.add("file", self.file)
        rows.add("function", self.name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(rows)
        layout.addWidget(about)
        self.file.changed.connect(self._list)

    def _list(self) -> None:
        """Offer the file's functions, without running it."""
        self.name.clear()
        self.name.addItems(functions_in(Path(self.file.path)))

    def request(self) -> BatchRequest:
        """Return the function by name; the batch loads it.

        Raises
        ------
        InvalidFunction
            If no function is chosen.
        """
        module, name = self.file.path, self.name.currentText().strip()
        if not module or not name:
            raise InvalidFunction("Choose a Python file and one of its functions.")
        return BatchRequest(f"{module}:{name}")


def functions_in(path: Path) -> list[str]:
    """Return the names of a Python file's public functions; the file is not run.

    Parameters
    ----------
    path
        Any path; a file that is not Python has none.
    """
    if path.suffix != ".py" or not path.is_file():
        return []
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []  # the batch reports it
    names = (node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return [name for name in names if not name.startswith("_")]
