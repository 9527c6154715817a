"""Users' own functions as operations: NumPy in, NumPy out, one line that says how they tile.

`operation` declares one. It then stands in `napari_tilewise.OPERATIONS`, and so has a form, and
works on images of any size, in recipes and in the shell, as scikit-image's functions do.
"""

from __future__ import annotations

from napari_tilewise.functions.decorator import operation
from napari_tilewise.functions.loading import load_entry_points, load_file
from napari_tilewise.functions.user_function import UserFunction

__all__ = ["UserFunction", "load_entry_points", "load_file", "operation"]
