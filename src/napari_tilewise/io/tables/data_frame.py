"""The one way into pandas, which need not be installed."""

from __future__ import annotations

from typing import Any

from napari_tilewise.errors import MissingExtra


def to_data_frame(data: Any, columns: list[str] | None = None) -> Any:
    """Return a pandas DataFrame.

    Parameters
    ----------
    data
        Columns by name, or a list of rows.
    columns
        The names in their order; None: those of `data`.

    Raises
    ------
    MissingExtra
        When pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("A DataFrame needs pandas: pip install pandas.") from error
    return pandas.DataFrame(data, columns=columns)
