"""Users' own functions as operations: NumPy in, NumPy out, and one line that declares the tiling.

`operation` declares one. It is then listed in `napari_tilewise.OPERATIONS`, has a form, and works
on images of any size, in recipes and in the shell, like scikit-image's functions.
"""

from __future__ import annotations

from napari_tilewise.functions.decorator import operation
from napari_tilewise.functions.loading import load_entry_points, load_file
from napari_tilewise.functions.user_function import UserFunction

__all__ = ["UserFunction", "load_entry_points", "load_file", "operation"]
