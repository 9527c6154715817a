"""`skimage.exposure`: intensities and their histograms."""
