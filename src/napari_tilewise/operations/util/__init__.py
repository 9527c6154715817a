"""`skimage.util`: data types, arithmetic, noise."""
