"""Tables beside labels in an OME-Zarr."""
