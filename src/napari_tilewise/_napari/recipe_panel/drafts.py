"""A draft is a recipe under edit: every edit is validated, and can be undone.

An edit that would give an invalid recipe raises, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise._napari.layers.layer_record import Origin
from napari_tilewise._napari.layers.recording import free_name, named_step
from napari_tilewise._napari.recipe_panel.draft_state import (
    DraftState,
    ImageChoice,
    StepEdit,
    with_other_step,
)
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.links import format_link
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.layer_record import Record
    from napari_tilewise.recipe import Link

PREVIOUS_STEP = "the previous step"


class Draft:
    """The recipe of one layer under edit, with its history.

    Parameters
    ----------
    state
        The recipe before the first edit.
    """

    def __init__(self, state: DraftState) -> None:
        self._history = [state]
        self._current = 0
        self._new_steps: list[Step] = []
        self.computed = state.recipe
        """The recipe that gave the layer's pixels."""

    @classmethod
    def of(cls, layer: Layer, record: Record | None) -> Draft:
        """Return the first draft of a layer.

        Parameters
        ----------
        layer
            An image or labels layer, or a result.
        record
            The record of a result; None for a layer that a recipe can start from.
        """
        if record is None:
            return cls(DraftState(Origin.of(layer)))
        state = DraftState(record.source, record.recipe, record.inputs, record.part, is_new=False)
        return cls(state)

    @property
    def state(self) -> DraftState:
        """The current state."""
        return self._history[self._current]

    @property
    def recipe(self) -> Recipe | None:
        """The recipe as it is now; None before the first step."""
        return self.state.recipe

    @property
    def steps(self) -> tuple[Step, ...]:
        """The recipe's steps."""
        return () if self.recipe is None else self.recipe.steps

    @property
    def is_edited(self) -> bool:
        """Whether the layer's pixels are not the recipe's result."""
        return self.state.is_new or self.recipe != self.computed

    # -- edits ---------------------------------------------------------------------------------

    def set_state(self, state: DraftState) -> None:
        """Replace the state, as one edit.

        Parameters
        ----------
        state
            The next state.

        Raises
        ------
        TilewiseError
            If its recipe has no result.
        """
        if state.recipe is not None:
            state.recipe.output  # noqa: B018  # raises if every step is switched off
        if state != self.state:
            self._history[self._current + 1 :] = [state]
            self._current += 1

    def edit(self, change: Callable[[Recipe], Recipe]) -> None:
        """Change the recipe.

        Parameters
        ----------
        change
            Returns the changed recipe.

        Raises
        ------
        TilewiseError
            If the changed recipe is invalid.
        """
        if self.recipe is not None:
            self.set_state(self._with_recipe(change(self.recipe)))

    def switch(self, index: int, enabled: bool) -> None:
        """Switch a step on or off; see `edit`."""
        self.edit(
            lambda recipe: recipe.replaced(index, replace(recipe.steps[index], enabled=enabled))
        )

    def insert(self, index: int, step: Step) -> None:
        """Insert a step before the one at an index; see `edit`."""
        recipe, part = self.recipe, self.state.part
        if recipe is None:
            recipe = Recipe([step])
        else:
            if part and index == len(recipe):
                # The step takes the one of several results that the layer shows.
                recipe, name = named_step(recipe, recipe.running[-1])
                step = replace(step, inputs={**step.inputs, step.first: format_link(name, part)})
            recipe = recipe.inserted(index, step)
        self.set_state(self._with_recipe(recipe))
        self._new_steps.append(self.steps[index])

    def remove(self, index: int) -> None:
        """Remove a step; see `edit`."""
        self.edit(lambda recipe: recipe.without(index))

    def move(self, index: int, target: int) -> None:
        """Move a step to another index; see `edit`."""
        self.edit(lambda recipe: recipe.moved(index, target))

    def set_step(self, index: int, edit: StepEdit) -> None:
        """Replace the contents of a step.

        Parameters
        ----------
        index
            The step, from 0.
        edit
            Its new contents.

        Raises
        ------
        TilewiseError
            If the changed recipe is invalid.
        """
        if self.recipe is not None:
            self.set_state(self._with_step(self.recipe, index, edit))

    def is_new(self, index: int) -> bool:
        """Return whether a step is as it was inserted: nobody has edited it.

        Parameters
        ----------
        index
            The step, from 0.
        """
        return any(self.steps[index] is step for step in self._new_steps)

    def start_step(self, index: int, edit: StepEdit) -> None:
        """Let a step that was inserted start with other contents, in the history too.

        Parameters
        ----------
        index
            The step, from 0.
        edit
            Its first contents.

        Raises
        ------
        TilewiseError
            If the changed recipe is invalid.
        """
        if self.recipe is None:
            return
        before, state = self.steps[index], self._with_step(self.recipe, index, edit)
        if state.recipe is None or state.recipe.steps[index] == before:
            return
        after = state.recipe.steps[index]
        self._new_steps.append(after)
        self._history = [with_other_step(past, before, after) for past in self._history]

    def _with_step(self, recipe: Recipe, index: int, edit: StepEdit) -> DraftState:
        """Return the state with other contents of a step."""
        inputs = dict(self.state.inputs)
        names: dict[str, str] = {}
        for role, image in edit.images.items():
            if isinstance(image, ImageChoice):
                if image.target is not None:
                    names[role] = image.target
                elif image.step is not None:
                    recipe, names[role] = named_step(recipe, image.step)
            elif image is not None:
                names[role] = self._input_name(recipe, image, inputs)
        steps, old = [*recipe.steps], recipe.steps[index]
        steps[index] = Step(old.operation, edit.params, old.name, names, edit.spatial, old.enabled)
        changed = Recipe(steps, {**dict.fromkeys(recipe.inputs), **inputs})
        return self._with_recipe(changed, inputs)

    def _input_name(self, recipe: Recipe, layer: Layer, inputs: dict[str, Origin]) -> str:
        """Return the name of the input that a layer is; "source" for the source itself."""
        origin = Origin.of(layer)
        if origin.id == self.state.source.id:
            return SOURCE
        for name, known_origin in inputs.items():
            if known_origin.id == origin.id:
                inputs[name] = origin
                return name
        taken = {*recipe.inputs, *(step.name for step in recipe.steps), SOURCE}
        name = free_name(layer.name, taken)
        inputs[name] = origin
        return name

    def _with_recipe(
        self, recipe: Recipe, inputs: Mapping[str, Origin] | None = None
    ) -> DraftState:
        """Return the state with another recipe, without the inputs that no step takes."""
        origins = self.state.inputs if inputs is None else inputs
        linked = {link.input for links in recipe.links for link in links.values()}
        names = [name for name in recipe.inputs if name in linked]
        return replace(
            self.state,
            recipe=Recipe(recipe.steps, names),
            inputs={name: origins[name] for name in names if name in origins},
        )

    # -- undo and redo -------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return self._current > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit."""
        return self._current + 1 < len(self._history)

    def undo(self) -> None:
        """Undo the last edit."""
        self._current = max(self._current - 1, 0)

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        self._current = min(self._current + 1, len(self._history) - 1)

    # -- choices -------------------------------------------------------------------------------

    def image_choices(self, index: int) -> list[ImageChoice]:
        """Return the images that a step can take: the source, inputs, results of earlier steps.

        Parameters
        ----------
        index
            The step, from 0.
        """
        choices = [ImageChoice(f"source ({self.state.source.name})", SOURCE)]
        for name in () if self.recipe is None else self.recipe.inputs:
            origin = self.state.inputs.get(name)
            choices.append(ImageChoice(f"input {name}" if origin is None else origin.name, name))
        for number, step in enumerate(self.steps[:index]):
            if step.op.as_step().output.is_image:
                choices.append(ImageChoice(step_label(number, step), step.name, number))
        offered = {choice.target for choice in choices}
        linked = [target for target in self.steps[index].inputs.values() if target not in offered]
        return [*choices, *(ImageChoice(target, target) for target in linked)]

    def chosen_image(self, index: int, role: str) -> ImageChoice | None:
        """Return the image that a step takes now; None if it takes none.

        Parameters
        ----------
        index
            The step, from 0.
        role
            scikit-image's name of the argument.
        """
        step = self.steps[index]
        target = step.inputs.get(role)
        if target is None:
            return ImageChoice(PREVIOUS_STEP) if role == step.first else None
        return next(choice for choice in self.image_choices(index) if choice.target == target)

    def image_label(self, index: int, role: str) -> str:
        """Return the name of the image that a step takes, as a list shows it.

        Parameters
        ----------
        index
            The step, from 0.
        role
            scikit-image's name of the argument.
        """
        if self.recipe is None:
            raise LookupError("A draft without a recipe has no steps.")
        link: Link = self.recipe.links[index][role]
        if link.step is not None:
            part = f", image {link.part + 1}" if link.part else ""
            return f"{step_label(link.step, self.steps[link.step])}{part}"
        if link.input == SOURCE:
            return repr(self.state.source.name)
        origin = self.state.inputs.get(link.input)
        return repr(link.input if origin is None else origin.name)


def step_label(number: int, step: Step) -> str:
    """Return the name of a step's result, such as ``2 Otsu threshold``."""
    return f"{number + 1} {step.op.title}"
