"""Lazy views: a plane, a part, other axes, other positions; pixels are read as they are sliced."""
