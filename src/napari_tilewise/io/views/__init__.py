"""Lazy views of an image: other axes, planes, windows; pixels are read when asked for."""
