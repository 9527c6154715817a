"""The Measurements panel: tables of objects linked with the canvas, and other numbers."""
