"""Lazy views of an image: other axes, planes, windows; pixels are read as the view is sliced."""
