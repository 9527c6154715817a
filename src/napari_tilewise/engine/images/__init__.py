"""Kinds of images that bring more than pixels: names of axes, coordinates."""
