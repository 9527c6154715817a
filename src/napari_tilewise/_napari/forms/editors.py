"""A parameter's spec decides its editor: this table, and nothing else, knows which."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from napari_tilewise._napari.forms import choice_editors, text_editors
from napari_tilewise._napari.forms.editor import optional
from napari_tilewise._napari.forms.form_values import initial_value, takes_layer, usual_value
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChoiceSpec,
    Flag,
    Footprint,
    FunctionSpec,
    Names,
    Number,
    Numbers,
    Range,
    Seed,
    Text,
)
from napari_tilewise.operations.transform.inverse_map import InverseMap
from napari_tilewise.operations.transform.resize import Lengths

if TYPE_CHECKING:
    from napari_tilewise._napari.forms.editor import Editor, LayersOf
    from napari_tilewise.operations.spec.parameters import Parameter

_editor_for = singledispatch(text_editors.literal_editor)
_editor_for.register(Text, text_editors.text_editor)
_editor_for.register(Number, text_editors.number_editor)
_editor_for.register(Numbers, text_editors.numbers_editor)
_editor_for.register(Lengths, text_editors.lengths_editor)
_editor_for.register(Range, text_editors.range_editor)
_editor_for.register(Seed, text_editors.seed_editor)
_editor_for.register(Flag, choice_editors.flag_editor)
_editor_for.register(ChoiceSpec, choice_editors.choice_editor)
_editor_for.register(Names, choice_editors.names_editor)
_editor_for.register(Footprint, choice_editors.footprint_editor)
_editor_for.register(AlignedImage, choice_editors.image_editor)
_editor_for.register(Array, choice_editors.array_editor)
_editor_for.register(FunctionSpec, choice_editors.function_editor)
_editor_for.register(InverseMap, text_editors.matrix_editor)


def editor_of(parameter: Parameter, layers: LayersOf) -> Editor:
    """Return the editor of a parameter, set to its default.

    Parameters
    ----------
    parameter
        A parameter of an operation.
    layers
        Returns the layers to offer if the parameter is a further image.
    """
    spec = parameter.spec
    editor = _editor_for(spec, parameter, layers)
    has_none = isinstance(spec, ChoiceSpec | Flag | Footprint | FunctionSpec) or takes_layer(spec)
    if spec.optional and not has_none:
        editor = optional(editor, usual_value(spec))
    editor.write(initial_value(parameter))
    return editor
