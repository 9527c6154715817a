"""`skimage.feature`: edges, corners, peaks, textures and gradients."""
