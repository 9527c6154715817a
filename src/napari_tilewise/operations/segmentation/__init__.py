"""`skimage.segmentation`: boundaries, labels, watersheds, level sets."""
