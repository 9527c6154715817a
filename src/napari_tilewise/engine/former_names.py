"""Names that classes had in earlier releases: an old checkpoint's pickles name classes by these.

What passes found is pickled beside an unfinished run. Whoever moves or renames a class that passes
find, or one of its attributes, adds its old name here, so that the run can still be resumed.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "napari_tilewise."

MODULES: Mapping[str, str] = {
    "operations.collected": "operations.shared.collected",
    "operations.combined": "operations.shared.combined",
    "operations.components": "operations.shared.components",
    "operations.grid": "grid",
    "operations.histograms": "operations.shared.histograms",
    "operations.prefix_sums": "operations.shared.prefix_sums",
    "operations.segmentation.floods": "operations.segmentation.basins",
    "operations.selected": "operations.shared.selected_sums",
    "operations.window_sums": "operations.shared.window_sums",
}
"""Modules below the package: their names in earlier releases, and their names now."""

CLASSES: Mapping[tuple[str, str], str] = {
    ("operations.color.region_means", "_InTurn"): "_SequentialSums",
    ("operations.color.region_means", "_Pairwise"): "_PairwiseSums",
    ("operations.color.region_means", "_Pixels"): "_RegionPixels",
    ("operations.color.region_means", "_Run"): "_PairwiseSum",
    ("operations.feature.hog", "_Described"): "_DescriptorParts",
    ("operations.feature.labelled_peaks", "_Found"): "_LabelPeaks",
    ("operations.filters.rank_order", "Values"): "DistinctValues",
    ("operations.measure.regionprops", "Window"): "ObjectWindow",
    ("operations.segmentation.watershed", "_Answer"): "_FloodedTiles",
    ("operations.segmentation.watershed", "_Kept"): "_LongFloods",
    ("operations.shared.prefix_sums", "Band"): "PrefixBand",
    ("operations.shared.window_sums", "Band"): "WindowBand",
    ("operations.transform.integral", "_Carried"): "_CarriedSums",
}
"""Classes by module (its name now) and former name, and their names now."""


def load(file: BinaryIO) -> Any:
    """Return a pickled value whose classes may have names of earlier releases.

    Parameters
    ----------
    file
        The pickle, from where the file is read next.
    """
    return _Unpickler(file).load()


class _Unpickler(pickle.Unpickler):
    """Finds classes by their former names too."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function."""
        if module.startswith(PACKAGE):
            below = module.removeprefix(PACKAGE)
            below = MODULES.get(below, below)
            module, name = PACKAGE + below, CLASSES.get((below, name), name)
        return super().find_class(module, name)
