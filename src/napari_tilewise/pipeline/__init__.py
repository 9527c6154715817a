"""A pipeline is a recipe bound to images: bind, materialize, apply."""
