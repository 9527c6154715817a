"""Write `docs/recipe.schema.json`, with which editors complete and check recipes.

``python docs/recipe_schema.py`` (``make schema``). A test compares the file with the declarations.
"""

from __future__ import annotations

from pathlib import Path

from napari_tilewise.recipe.schema import text

PATH = Path(__file__).with_name("recipe.schema.json")

if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
