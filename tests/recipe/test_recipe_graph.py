"""Steps that name where their images come from: links, edits, and errors that name the line."""

from __future__ import annotations

import json
import pickle

import pytest

from napari_tilewise import errors
from napari_tilewise.recipe import Link, Recipe, Step

SMOOTH = ("filters.gaussian", {"sigma": 2})
MASK = Recipe([SMOOTH, "filters.threshold_otsu"])
SEEDS = MASK.then("morphology.erosion").then("measure.label")
EDGES = Recipe([SMOOTH, "filters.sobel"])


def test_links_lead_to_steps_the_source_and_inputs():
    recipe = Recipe(
        [
            Step("filters.gaussian", name="smooth"),
            Step("segmentation.watershed", inputs={"markers": "seeds", "mask": "source"}),
        ],
        ["seeds"],
    )
    assert recipe.links == (
        {"image": Link()},
        {"image": Link(0), "markers": Link(input="seeds"), "mask": Link(input="source")},
    )


def test_a_step_that_is_off_is_walked_past():
    recipe = Recipe(
        [
            Step("filters.gaussian", name="smooth"),
            Step("filters.sobel", name="edges", enabled=False),
            Step("filters.median"),
            Step("segmentation.watershed", inputs={"image": "edges"}),
        ]
    )
    assert recipe.running == (0, 2, 3)
    assert recipe.links[2] == {"image": Link(0)}
    assert recipe.links[3] == {"image": Link(0)}


def test_everything_survives_data_files_and_pickles(tmp_path):
    recipe = Recipe(
        [
            Step("feature.hessian_matrix", {"sigma": (1, 2)}, "hessian", spatial="yx"),
            Step("filters.sobel", name="edges", inputs={"image": "hessian[2]"}, enabled=False),
            Step(
                "segmentation.watershed",
                {"connectivity": 2},
                inputs={"markers": "seeds", "image": "edges"},
                spatial=(-2, -1),
            ),
        ],
        ["seeds"],
    )
    assert Recipe.load(recipe.save(tmp_path / "r.yaml")) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    again = pickle.loads(pickle.dumps(recipe))
    assert (again, hash(again), repr(again)) == (recipe, hash(recipe), repr(recipe))
    assert eval(repr(recipe)) == recipe  # what it prints is how to make it
    assert recipe != recipe.replaced(1, Step("filters.sobel", name="edges"))


def test_the_first_version_is_still_read(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text(
        "version: 1\nsteps:\n- operation: filters.gaussian\n  parameters: {sigma: 2}\n"
        "- filters.threshold_otsu\n"
    )
    assert Recipe.load(path) == MASK
    path.write_text("version: 1\nsteps:\n- operation: filters.gaussian\n  name: smooth\n")
    with pytest.raises(
        errors.InvalidRecipe, match=r"old\.yaml, line 4: A step has no entry 'name'"
    ):
        Recipe.load(path)


def test_steps_that_two_results_share_are_taken_once():
    recipe = EDGES.extended(Step("segmentation.watershed"), {"markers": SEEDS, "mask": MASK})
    assert [step.operation for step in recipe.steps] == [
        "filters.gaussian",
        "filters.sobel",
        "filters.threshold_otsu",
        "morphology.erosion",
        "measure.label",
        "segmentation.watershed",
    ]
    assert recipe.links[2] == {"image": Link(0)}
    assert recipe.links[5] == {"image": Link(1), "markers": Link(4), "mask": Link(2)}


def test_one_of_several_results_joins_as_itself():
    corners = Recipe([Step("feature.corner_foerstner")])
    step = Step("util.compare_images", {"method": "diff"}, inputs={"image1": "source"})
    for recipe in (MASK, corners):
        joined = recipe.extended(step, {"image1": corners}, {"image1": 1})
        (number,) = (n for n, step in enumerate(joined.steps) if "corner" in step.operation)
        assert joined.links[len(joined) - 1]["image1"] == Link(number, 1)
        assert joined.steps[-1].inputs["image1"] == "corner_foerstner[1]"
        assert len(joined) == len({*recipe.steps, *corners.steps}) + 1


def test_names_stay_unique_when_recipes_join():
    first = Recipe([Step("filters.gaussian", {"sigma": 1}, "smooth")])
    other = Recipe([Step("filters.gaussian", {"sigma": 9}, "smooth")])
    recipe = first.extended(Step("segmentation.watershed"), {"markers": other, "mask": "cells"})
    assert [step.name for step in recipe.steps] == ["smooth", "smooth_2", None]
    assert recipe.inputs == ("cells",)
    assert recipe.links[2] == {
        "image": Link(0),
        "markers": Link(1),
        "mask": Link(input="cells"),
    }


def test_edits_make_new_recipes():
    assert SEEDS.without(2) == MASK.then("measure.label")
    assert MASK.inserted(0, "util.invert") == Recipe(["util.invert", *MASK.steps])
    assert MASK.inserted(0, "util.invert").moved(0, 1).steps[1].operation == "util.invert"
    assert MASK.replaced(0, "filters.sobel").steps[0] == Step("filters.sobel")
    assert len(MASK) == 2
    table = Recipe(["measure.label", "measure.regionprops_table"])
    with pytest.raises(errors.InvalidRecipe, match="whose result is a table, not an image"):
        table.moved(1, 0)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "source"}, "Invalid step name"),
        ({"name": "two words"}, "Invalid step name"),
        ({"inputs": {"picture": "source"}}, "takes no image 'picture'"),
        ({"inputs": {"image": "nothing"}}, "no step before it and no input has this name"),
        ({"inputs": {"image": 3}}, "expected a step's name"),
        ({"spatial": 2.5}, "expected letters"),
        ({"enabled": 1}, "expected true or false"),
    ],
)
def test_a_wrong_entry_is_refused(step, message):
    with pytest.raises(errors.InvalidRecipe, match=message):
        Recipe([Step("filters.median", **step)])


def test_an_image_is_given_once():
    with pytest.raises(errors.InvalidRecipe, match="given twice"):
        Step("filters.sobel", {"mask": [[True]]}, inputs={"mask": "source"})
    with pytest.raises(errors.InvalidRecipe, match="already taken"):
        Recipe([Step("filters.median", name="a"), Step("filters.median", name="a")])
    with pytest.raises(errors.InvalidRecipe, match="repeat a name"):
        Recipe(["filters.median"], ["a", "a"])


@pytest.mark.parametrize(
    ("line", "entry", "message"),
    [
        (5, "  name: source", "Invalid step name"),
        (5, "  inputs: {mask: nowhere}", "no step before it"),
        (6, "  inputs:\n    mask: nowhere", "no step before it"),
        (5, "  inputs: {maks: source}", "Did you mean 'mask'"),
        (5, "  inputs: [source]", "arguments to steps"),
        (5, "  enabled: 2", "expected true or false"),
        (5, "  spatial: {a: 1}", "expected letters"),
        (6, "  parameters:\n    mode: sideways", "mode"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(line, entry, message, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        f"version: 2\nsteps:\n- filters.gaussian\n- operation: filters.sobel\n{entry}\n"
    )
    with pytest.raises(errors.InvalidRecipe, match=rf"r\.yaml, line {line}: ") as caught:
        Recipe.load(path)
    assert message in str(caught.value)


def test_wrong_inputs_of_a_file_are_named_with_their_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("version: 2\nsteps: [filters.gaussian]\ninputs: seeds\n")
    with pytest.raises(errors.InvalidRecipe, match=r"r\.yaml, line 3: .*a list of names"):
        Recipe.load(path)
