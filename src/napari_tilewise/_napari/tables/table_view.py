"""The look that our tables share: rows of one height, selected as a whole, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

if TYPE_CHECKING:
    from napari_tilewise._napari.tables.row_model import RowModel


def table_view(model: RowModel, row_height: int) -> QTableView:
    """Return a view whose cost does not depend on the number of rows.

    Parameters
    ----------
    model
        The table.
    row_height
        Pixels.
    """
    view = QTableView()
    view.setModel(model)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setWordWrap(False)
    view.setShowGrid(False)
    rows, columns = cast("QHeaderView", view.verticalHeader()), column_header(view)
    rows.hide()
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(row_height)
    columns.setHighlightSections(False)
    columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return view


def column_header(view: QTableView) -> QHeaderView:
    """Return the header of the columns.

    Parameters
    ----------
    view
        Any table view, which always has one.
    """
    return cast("QHeaderView", view.horizontalHeader())
