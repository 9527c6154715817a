"""The manifest, its commands and its menus, generated from the operations."""
