"""A batch of a user's function: its file is parsed to list functions, and run by the batch."""

from __future__ import annotations

import ast
from pathlib import Path

from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest
from napari_tilewise._napari.batch_panel.page_widgets import ItemImages, LabelledRows, PathEdit
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
        self.images = ItemImages()
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
        for widget in (rows, self.images, about):
            layout.addWidget(widget)
        self.file.changed.connect(self._list)
        self.name.currentTextChanged.connect(self._show_images)
        self._show_images()

    def _list(self) -> None:
        """Offer the file's functions, without running it."""
        self.name.clear()
        self.name.addItems(functions_in(Path(self.file.path)))

    def _show_images(self, *_: object) -> None:
        """Offer the function's further images, without running its file."""
        functions = functions_in(Path(self.file.path))
        self.images.set_names(functions.get(self.name.currentText().strip(), ()))

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
        return BatchRequest(f"{module}:{name}", inputs=self.images.paths)


def functions_in(path: Path) -> dict[str, list[str]]:
    """Return a Python file's public functions, with their further images; the file is not run.

    An argument after the first is a further image if it has no default, or None.

    Parameters
    ----------
    path
        Any path; a file that is not Python has none.
    """
    if path.suffix != ".py" or not path.is_file():
        return {}
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}  # the batch reports it
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: _images(node) for node in functions if not node.name.startswith("_")}


def _images(function: ast.FunctionDef) -> list[str]:
    """Return the names of a function's arguments that may be further images."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    count = len(arguments) - len(function.args.defaults)
    defaults: list[ast.expr | None] = [*[None] * count, *function.args.defaults]
    pairs = [*zip(arguments, defaults, strict=True)][1:]
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return [argument.arg for argument, default in pairs if default is None or _is_none(default)]


def _is_none(default: ast.expr) -> bool:
    return isinstance(default, ast.Constant) and default.value is None
