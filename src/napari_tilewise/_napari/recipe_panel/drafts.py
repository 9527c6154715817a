"""A draft is a recipe under edit: every edit is checked, and can be taken back.

An edit that makes no recipe raises and leaves everything as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_tilewise._napari.forms.editors import initial
from napari_tilewise._napari.layers.layer_record import Origin
from napari_tilewise._napari.layers.recording import free_name, named_step
from napari_tilewise.operations.spec.parameters import ChannelAxis
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.links import written
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.layer_record import Record
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Link

BEFORE = "the step before"


@dataclass(frozen=True)
class Sheet:
    """A recipe and what it is for, at one moment."""

    source: Origin
    """The layer that it starts from."""
    recipe: Recipe | None = None
    """None before the first step."""
    inputs: Mapping[str, Origin] = field(default_factory=dict)
    """The layers behind the recipe's inputs."""
    part: int | None = None
    """Which of several results the layer shows."""
    is_new: bool = True
    """Whether the result is a new layer, not the layer's own new pixels."""


@dataclass(frozen=True)
class ImageChoice:
    """Where a step can take an image from."""

    name: str
    """In words."""
    target: str | None = None
    """As a step names it; None for the step before."""
    step: int | None = None
    """The step that it is, which need not have a name yet."""


def fresh(op: Operation) -> Step:
    """Return a step of an operation as its form starts: usual values, the source as further image.

    Parameters
    ----------
    op
        The operation.
    """
    params, inputs = {}, {}
    for name, parameter in op.parameters.items():
        if not parameter.required:
            continue
        if name in op.images:
            inputs[name] = SOURCE
        elif not isinstance(parameter.spec, ChannelAxis):
            params[name] = initial(parameter)
    return Step(op.name, params, inputs=inputs)


class Draft:
    """The recipe of one layer, edited.

    Parameters
    ----------
    sheet
        What to start with.
    """

    def __init__(self, sheet: Sheet) -> None:
        self._sheets = [sheet]
        self._at = 0
        self.made = sheet.recipe
        """The recipe that the layer's pixels are the result of."""

    @classmethod
    def of(cls, layer: Layer, record: Record | None) -> Draft:
        """Return the draft to show for a layer.

        Parameters
        ----------
        layer
            The layer.
        record
            How it was made; None: it is where a recipe can start.
        """
        if record is None:
            return cls(Sheet(Origin.of(layer)))
        sheet = Sheet(record.source, record.recipe, record.inputs, record.part, is_new=False)
        return cls(sheet)

    @property
    def sheet(self) -> Sheet:
        """What stands there now."""
        return self._sheets[self._at]

    @property
    def recipe(self) -> Recipe | None:
        """The recipe that stands there now."""
        return self.sheet.recipe

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps."""
        return () if self.recipe is None else self.recipe.steps

    @property
    def is_edited(self) -> bool:
        """Whether the layer shows something else than the recipe gives."""
        return self.sheet.is_new or self.recipe != self.made

    # -- edits ---------------------------------------------------------------------------------

    def put(self, sheet: Sheet) -> None:
        """Go on with another sheet.

        Parameters
        ----------
        sheet
            The sheet.

        Raises
        ------
        TilewiseError
            When its recipe gives nothing.
        """
        if sheet.recipe is not None:
            sheet.recipe.output  # noqa: B018  # says where every step is switched off
        if sheet != self.sheet:
            self._sheets[self._at + 1 :] = [sheet]
            self._at += 1

    def edit(self, change: Callable[[Recipe], Recipe]) -> None:
        """Change the recipe.

        Parameters
        ----------
        change
            Returns the changed recipe.

        Raises
        ------
        TilewiseError
            When there can be no such recipe.
        """
        if self.recipe is not None:
            self.put(self._with(change(self.recipe)))

    def switch(self, at: int, enabled: bool) -> None:
        """Switch a step on or off; see `edit`."""
        self.edit(lambda recipe: recipe.replaced(at, replace(recipe.steps[at], enabled=enabled)))

    def insert(self, at: int, step: Step) -> None:
        """Put a step before the one at this place; see `edit`."""
        recipe, part = self.recipe, self.sheet.part
        if recipe is None:
            self.put(self._with(Recipe([step])))
            return
        if part and at == len(recipe):
            # It goes on from the one of several results that the layer shows.
            recipe, name = named_step(recipe, recipe.running[-1])
            step = replace(step, inputs={**step.inputs, step.first: written(name, part)})
        self.put(self._with(recipe.inserted(at, step)))

    def remove(self, at: int) -> None:
        """Take a step out; see `edit`."""
        self.edit(lambda recipe: recipe.without(at))

    def move(self, at: int, to: int) -> None:
        """Put a step at another place; see `edit`."""
        self.edit(lambda recipe: recipe.moved(at, to))

    def set_step(
        self,
        at: int,
        params: Mapping[str, Any],
        images: Mapping[str, ImageChoice | Layer | None],
        spatial: str | tuple[int, ...] | None,
    ) -> None:
        """Change what a step does.

        Parameters
        ----------
        at
            Which one.
        params
            Its parameters, without further images.
        images
            By scikit-image's name of the argument: the choice, or a layer.
        spatial
            The axes that it runs over.

        Raises
        ------
        TilewiseError
            When there can be no such recipe.
        """
        recipe, inputs = self.recipe, dict(self.sheet.inputs)
        if recipe is None:
            return
        names: dict[str, str] = {}
        for role, image in images.items():
            if isinstance(image, ImageChoice):
                if image.target is not None:
                    names[role] = image.target
                elif image.step is not None:
                    recipe, names[role] = named_step(recipe, image.step)
            elif image is not None:
                names[role] = self._input(recipe, image, inputs)
        steps, old = [*recipe.steps], recipe.steps[at]
        steps[at] = Step(old.operation, params, old.name, names, spatial, old.enabled)
        self.put(self._with(Recipe(steps, {**dict.fromkeys(recipe.inputs), **inputs}), inputs))

    def _input(self, recipe: Recipe, layer: Layer, inputs: dict[str, Origin]) -> str:
        """Return the name of the input that a layer is; "source" for the source itself."""
        origin = Origin.of(layer)
        if origin.id == self.sheet.source.id:
            return SOURCE
        for name, known in inputs.items():
            if known.id == origin.id:
                inputs[name] = origin
                return name
        taken = {*recipe.inputs, *(step.name for step in recipe.steps), SOURCE}
        name = free_name(layer.name, taken)
        inputs[name] = origin
        return name

    def _with(self, recipe: Recipe, inputs: Mapping[str, Origin] | None = None) -> Sheet:
        """Return the sheet with another recipe, without the inputs that no step takes any more."""
        known = self.sheet.inputs if inputs is None else inputs
        wanted = {link.given for links in recipe.links for link in links.values()}
        kept = [name for name in recipe.inputs if name in wanted]
        return replace(
            self.sheet,
            recipe=Recipe(recipe.steps, kept),
            inputs={name: known[name] for name in kept if name in known},
        )

    # -- back and forth ------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether an edit was taken back."""
        return self._at + 1 < len(self._sheets)

    def undo(self) -> None:
        """Take the last edit back."""
        self._at = max(self._at - 1, 0)

    def redo(self) -> None:
        """Make an edit again that was taken back."""
        self._at = min(self._at + 1, len(self._sheets) - 1)

    # -- choices -------------------------------------------------------------------------------

    def images(self, at: int) -> list[ImageChoice]:
        """Return where a step can take an image from: the source, inputs, earlier steps' results.

        Parameters
        ----------
        at
            Which step.
        """
        found = [ImageChoice(f"source ({self.sheet.source.name})", SOURCE)]
        for name in () if self.recipe is None else self.recipe.inputs:
            known = self.sheet.inputs.get(name)
            found.append(ImageChoice(f"input {name}" if known is None else known.name, name))
        for number, step in enumerate(self.steps[:at]):
            if step.op.as_step().output.is_image:
                found.append(ImageChoice(step_words(number, step), step.name, number))
        offered = {one.target for one in found}
        used = [target for target in self.steps[at].inputs.values() if target not in offered]
        return [*found, *(ImageChoice(target, target) for target in used)]

    def chosen(self, at: int, role: str) -> ImageChoice | None:
        """Return where a step takes an image from now; None where it takes none.

        Parameters
        ----------
        at
            Which step.
        role
            scikit-image's name of the argument.
        """
        target = self.steps[at].inputs.get(role)
        if target is None:
            return ImageChoice(BEFORE) if role == self.steps[at].first else None
        return next(one for one in self.images(at) if one.target == target)

    def where(self, at: int, role: str) -> str:
        """Return where a step's image comes from, in words.

        Parameters
        ----------
        at
            Which step.
        role
            scikit-image's name of the argument.
        """
        assert self.recipe is not None
        link: Link = self.recipe.links[at][role]
        if link.step is not None:
            part = f", image {link.part + 1}" if link.part else ""
            return f"{step_words(link.step, self.steps[link.step])}{part}"
        if link.given == SOURCE:
            return repr(self.sheet.source.name)
        known = self.sheet.inputs.get(link.given)
        return repr(link.given if known is None else known.name)


def step_words(number: int, step: Step) -> str:
    """Return what a list calls a step's result."""
    return f"{number + 1} {step.op.title}"


def missing(sheet: Sheet, layers: Iterable[Any]) -> str:
    """Return which layers of a recipe are not open, in one sentence; else nothing.

    Parameters
    ----------
    sheet
        The recipe.
    layers
        The viewer's layers.
    """
    layers = list(layers)
    if sheet.source.find(layers) is None:
        return f"The recipe starts from {sheet.source.name!r}, which is not open: open it again."
    for name in () if sheet.recipe is None else sheet.recipe.inputs:
        known = sheet.inputs.get(name)
        if known is None:
            return f"The recipe takes another image, {name!r}: choose a layer for it in its step."
        if known.find(layers) is None:
            return f"The recipe takes {known.name!r}, which is not open: open it again."
    return ""
