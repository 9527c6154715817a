"""The napari plugin: the only package that imports napari and Qt.

Forms, commands, menus and the manifest are generated from `napari_tilewise.OPERATIONS`: a new
operation needs no code here. napari imports nothing of it before the user opens a panel.
"""
