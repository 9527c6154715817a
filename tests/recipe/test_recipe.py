"""A recipe is refused when it is made, and comes back from a file as it went in."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tilewise import OPERATIONS, errors
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.operations.spec.parameters import AlignedImage, Footprint, FunctionSpec
from napari_tilewise.recipe import Recipe, Step, step_output

GAUSSIAN = ("filters.gaussian", {"sigma": 2})

sigmas = st.floats(0, 1e6, allow_nan=False) | st.integers(0, 50)
gaussians = st.fixed_dictionaries(
    {},
    optional={
        "sigma": sigmas | st.lists(sigmas, min_size=1, max_size=4),
        "mode": st.sampled_from(["reflect", "constant", "nearest", "mirror", "wrap"]),
        "cval": st.floats(allow_nan=False),
        "preserve_range": st.booleans(),
        "truncate": st.floats(0, 10),
        "channel_axis": st.none() | st.integers(-3, 3),
    },
)
recipes = st.lists(st.tuples(st.just("filters.gaussian"), gaussians), min_size=1, max_size=4).map(
    Recipe
)


@given(recipe=recipes)
def test_plain_data_text_and_pickle_give_the_recipe_back(recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.yaml"
    assert Recipe.load(recipe.save(path)) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    again = pickle.loads(pickle.dumps(recipe))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert repr(again) == repr(recipe)


@settings(max_examples=25)
@given(text=st.text(max_size=60))
def test_any_text_is_a_recipe_or_an_invalid_recipe(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(errors.InvalidRecipe, match=r"r\.yaml"):
        Recipe.load(path)


def defaults_of(op):
    return {
        name: p.default
        for name, p in op.parameters.items()
        if not p.required and p.default is not None and not callable(p.default)
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operations_defaults_survive_a_file(name, tmp_path):
    op = OPERATIONS[name]
    if any(isinstance(op.specs[key], AlignedImage | FunctionSpec) for key in required_of(op)):
        pytest.skip("needs a second image or a function, which no file holds")
    recipe = Recipe([(name, {**required_of(op), **defaults_of(op)})])
    again = Recipe.load(recipe.save(tmp_path / "r.yaml"))
    assert again == recipe
    before, after = (op.bind(dict(first.steps[0].parameters)) for first in (recipe, again))
    for key, value in before.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(after[key]))


def required_of(op):
    return {name: sample(p.spec) for name, p in op.parameters.items() if p.required}


def sample(spec):
    """Return one value that the spec takes."""
    ones = [np.ones(shape, np.uint8) for shape in ((1, 2), (3, 3), (2,))]
    named = (*getattr(spec, "choices", ()), *getattr(spec, "samples", ()))
    candidates = (1, 3, True, "a", [1, 2], *ones, *named)
    for value in candidates:
        try:
            spec.check("value", value, None)
        except errors.InvalidParameter:
            continue
        return value
    raise AssertionError(f"no value for {spec}")


def footprint_operations():
    return [
        (op.name, name)
        for op in OPERATIONS.values()
        for name, spec in op.specs.items()
        if isinstance(spec, Footprint)
        and not any(
            isinstance(op.specs[key], AlignedImage | FunctionSpec) for key in required_of(op)
        )
    ]


@pytest.mark.parametrize(("name", "parameter"), footprint_operations())
def test_a_footprint_survives_as_nested_lists(name, parameter, tmp_path):
    footprint = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 1]], np.uint8)
    required = required_of(OPERATIONS[name])
    recipe = Recipe([(name, {**required, parameter: footprint})])
    again = Recipe.load(recipe.save(tmp_path / "r.yaml"))
    assert again == recipe
    bound = OPERATIONS[name].bind(again.steps[0].parameters, 2)[parameter]
    np.testing.assert_array_equal(bound, footprint)
    shape = Recipe([(name, {**required, parameter: {"shape": "disk", "radius": 2}})])
    assert Recipe.load(shape.save(tmp_path / "s.yaml")) == shape


def test_only_given_parameters_are_stored():
    assert Recipe(["filters.gaussian"]).to_dict() == {
        "version": 2,
        "steps": [{"operation": "filters.gaussian"}],
    }


def test_a_recipe_cannot_be_changed():
    given_params = {"sigma": [1, 2]}
    recipe = Recipe([("filters.gaussian", given_params)])
    given_params["sigma"].append(3)
    with pytest.raises(TypeError):
        recipe.steps[0].parameters["sigma"] = 9
    assert recipe.steps == (Step("filters.gaussian", {"sigma": (1, 2)}),)
    with pytest.raises(AttributeError):
        recipe.steps = ()


def test_of_takes_all_that_a_run_takes(tmp_path):
    recipe = Recipe([GAUSSIAN])
    path = recipe.save(tmp_path / "r.yaml")
    for definition in (recipe, GAUSSIAN, [GAUSSIAN], path, str(path)):
        assert Recipe.of(definition) == recipe
    assert Recipe.of("filters.gaussian") == Recipe([("filters.gaussian", {})])


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (["filters.gausian"], errors.UnknownOperation, "Did you mean 'filters.gaussian'"),
        ([("filters.gaussian", {"sigm": 1})], errors.UnknownParameter, "Did you mean 'sigma'"),
        ([("filters.gaussian", {"sigma": -1})], errors.InvalidParameter, "at least 0"),
        ([("filters.gaussian", {"sigma": "two"})], errors.InvalidParameter, "a number"),
        ([("filters.gaussian", {"sigma": object()})], errors.InvalidParameter, "a number"),
        ([], errors.InvalidRecipe, "at least one step"),
        ([3], errors.InvalidRecipe, "Invalid step 3"),
        ("filters.gaussian", errors.InvalidRecipe, "list of steps"),
        (7, errors.InvalidRecipe, "list of steps"),
    ],
)
def test_a_wrong_step_is_refused_when_the_recipe_is_made(steps, error, message):
    with pytest.raises(error, match=message):
        Recipe(steps)


def test_a_function_stays_out_of_the_file(tmp_path):
    recipe = Recipe([("filters.threshold_local", {"method": "generic", "param": np.mean})])
    assert recipe.steps[0].parameters["param"] is np.mean
    with pytest.raises(errors.InvalidRecipe, match="holds a function as 'param'"):
        recipe.save(tmp_path / "r.yaml")


def test_only_an_image_can_be_followed():
    for name, op in OPERATIONS.items():
        steps = [(name, required_of(op)), GAUSSIAN]
        if step_output(op) in (Output.IMAGE, Output.MASK, Output.LABELS):
            assert Recipe(steps).output is Output.IMAGE
        else:
            with pytest.raises(errors.InvalidRecipe, match=f"cannot follow step 1 .{name}"):
                Recipe(steps)


@pytest.mark.parametrize("name", [n for n, op in OPERATIONS.items() if op.images])
def test_a_whole_image_stays_out_of_the_file(name, tmp_path):
    op = OPERATIONS[name]
    recipe = Recipe([(name, {**required_of(op), op.images[0]: np.zeros((9, 9), bool)})])
    with pytest.raises(errors.InvalidRecipe, match="holds an image"):
        recipe.save(tmp_path / "r.yaml")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "not a recipe"),
        ("- 1", 1, "not a recipe"),
        ("steps: [filters.gaussian]", 1, "version None"),
        ("steps: []\nversion: 99\n", 2, "version 99"),
        ("version: 1\nstep: []\n", 2, "Did you mean 'steps'"),
        ("version: 1\nsteps: gaussian\n", 2, "expected a list"),
        ("version: 1\nsteps:\n- filters.gaussian\n- filters.gausian\n", 4, "filters.gaussian"),
        ("version: 1\nsteps:\n- operation: filters.gaussian\n  params: {}\n", 4, "'parameters'"),
        (
            "version: 1\nsteps:\n- operation: filters.gaussian\n  parameters:\n"
            "    mode: wrap\n    sigmaa: 3\n",
            6,
            "Did you mean 'sigma'",
        ),
        (
            "version: 1\nsteps:\n- operation: filters.gaussian\n  parameters: [1]\n",
            4,
            "names to values",
        ),
        ("version: 1\nsteps:\n- parameters: {}\n", 3, "names no operation"),
        ("version: 1\nsteps: [\n", 3, "not YAML"),
        ("version: 1\nsteps:\n- !!python/object/apply:os.system ['true']\n", 3, "not YAML"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(text, line, message, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    where = f"r.yaml, line {line}: " if line else "r.yaml: "
    with pytest.raises(errors.InvalidRecipe, match=where) as caught:
        Recipe.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_binary_one_are_named(tmp_path):
    with pytest.raises(errors.InvalidRecipe, match=r"nope\.yaml"):
        Recipe.load(tmp_path / "nope.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(errors.InvalidRecipe, match=r"b\.yaml"):
        Recipe.load(tmp_path / "b.yaml")


def test_an_unwritable_place_is_named(tmp_path):
    with pytest.raises(errors.DestinationUnwritable, match="cannot be written"):
        Recipe([GAUSSIAN]).save(tmp_path / "no" / "folder" / "r.yaml")


def test_numbers_as_people_write_them(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("version: 1\nsteps:\n- {operation: filters.gaussian, parameters: {sigma: 1e1}}")
    assert Recipe.load(path).steps[0].parameters == {"sigma": 10.0}


ENDLESS = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))
STEPS = "version: 2\nsteps:"
GAUSSIAN_STEP = f"{STEPS}\n- operation: filters.gaussian\n  parameters:"
UNCLEAR = {
    f"{GAUSSIAN_STEP}\n    sigma: 1\n    sigma: 2\n": (
        "line 6: the key 'sigma' occurs twice, first in line 5"
    ),
    f"{STEPS} [util.invert]\nsteps: [util.invert]\n": "line 3: the key 'steps'",
    f"{STEPS} &a [*a]\n": r"line 2: \*a is a part of itself",
    f"a0: &a0 [x, x]\n{ENDLESS}{STEPS} [util.invert]\n": "too many",
    f"{STEPS} {'[' * 9999}": "line 2: its values are nested more than 32 deep",
    f"{STEPS} {'{a: ' * 40}1{'}' * 40}": "nested more than 32 deep",
    f"{STEPS} [{'util.invert, ' * 3000}]\n": "line 2: .* at most 100 steps.* has 3000",
    f"{GAUSSIAN_STEP} {{sigma: !!bool x}}\n": "line 4: a value does not fit its tag",
    f"{GAUSSIAN_STEP} {{sigma: !!timestamp x}}\n": "line 4: a value does not fit its tag",
    f"{GAUSSIAN_STEP} {{sigma: !!int x}}\n": "line 4: a value does not fit its tag",
    f"{GAUSSIAN_STEP} {{sigma: {'9' * 5000}}}\n": "line 4: a value does not fit its tag",
    f"{GAUSSIAN_STEP} {{7: 1}}\n": "line [34]: .*7",
    f"{GAUSSIAN_STEP} {{~: 1}}\n": "line [34]: .*None",
    f"{GAUSSIAN_STEP} {{sigma: .inf}}\n": "line 4: .*sigma",
    f"{GAUSSIAN_STEP} {{sigma: 1e999}}\n": "line 4: .*sigma",
}


@pytest.mark.parametrize("text", UNCLEAR, ids=range(len(UNCLEAR)))
def test_an_unclear_or_endless_file_is_refused_in_a_sentence(text, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(errors.InvalidRecipe, match=UNCLEAR[text]) as refused:
        Recipe.load(path)
    assert "\n" not in str(refused.value)


def test_aliases_and_merged_mappings_are_yaml(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "version: 2\nsteps:\n- &first\n  operation: filters.gaussian\n  parameters: {sigma: &s 3}\n"
        "- <<: *first\n  parameters: {sigma: *s, truncate: 2}\n"
    )
    assert Recipe.load(path) == Recipe(
        [("filters.gaussian", {"sigma": 3}), ("filters.gaussian", {"sigma": 3, "truncate": 2})]
    )


def from_plain_data(steps):
    return Recipe.from_dict({"version": 2, "steps": steps})


@pytest.mark.parametrize("make", [Recipe, from_plain_data])
def test_a_recipe_has_a_hundred_steps_at_most(make):
    assert len(make(["util.invert"] * 100)) == 100
    with pytest.raises(errors.InvalidRecipe, match="at most 100 steps"):
        make(["util.invert"] * 3000)
