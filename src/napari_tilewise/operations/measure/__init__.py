"""`skimage.measure`: labels, regions, contours, moments."""
