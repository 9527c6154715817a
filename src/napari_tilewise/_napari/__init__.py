"""The only room that knows napari and Qt: layers, forms, the panel, commands, the manifest.

Everything here is generated from the declarations in `napari_tilewise.OPERATIONS`; adding an
operation adds nothing to this room. napari imports none of it before the user opens the panel.
"""
