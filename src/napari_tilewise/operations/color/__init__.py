"""`skimage.color`: colour spaces, stains, overlays."""
