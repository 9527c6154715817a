"""The plugin's name and its panels' titles; imports nothing, so that docks open at once."""

from enum import StrEnum

PLUGIN = "napari-tilewise"


class PanelTitle(StrEnum):
    """The panels of this plugin, by the titles in its manifest."""

    OPERATIONS = "Operations"
    RECIPE = "Recipe"
    MEASUREMENTS = "Measurements"
    BATCH = "Batch"
    RUNS = "Runs"
