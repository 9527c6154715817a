"""`skimage.restoration`: noise, blur, holes."""
