"""Reading and writing images: sources stay lazy, outputs appear complete or not at all."""
