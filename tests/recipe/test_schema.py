"""The JSON Schema of recipes takes every recipe that the program takes, and refuses slips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import napari_tilewise as tw
from napari_tilewise.operations import BUILT_IN
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.recipe.schema import recipe_schema, text
from tests.strategies import cases

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = recipe_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_file_is_as_generated() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert (DOCS / "recipe.schema.json").read_text(encoding="utf-8") == text()


@pytest.mark.parametrize("name", list(BUILT_IN))
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_program_takes_is_valid(name: str, data: st.DataObject) -> None:
    operation = BUILT_IN[name]
    case = data.draw(cases(operation))
    params = {
        key: value
        for key, value in case.params.items()
        if value is None or not is_image(operation.specs[key], value)
    }
    try:
        recipe = Recipe([Step(name, params)])
        step = recipe.to_dict(images=False)["steps"][0]
    except tw.TilewiseError:
        return  # a function, or parameters that do not fit together
    parameters = {} if isinstance(step, str) else step.get("parameters") or {}
    errors = Draft202012Validator(SCHEMA["$defs"][name]).iter_errors(parameters)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [{"operation": "filters.gaussian", "parameters": {"sigm": 2}}]},
        {"steps": [{"operation": "filters.gaussian", "parameters": {"sigma": -1}}]},
        {"steps": [{"operation": "filters.gaussian", "parameters": {"mode": "edge"}}]},
        {"steps": [{"operation": "filters.gaussian", "paramters": {}}]},
        {"steps": ["gaussian"]},
        {"steps": []},
        {"version": 3},
    ],
)
def test_slips_are_refused(change: dict[str, Any]) -> None:
    recipe = {"version": 2, "steps": ["filters.gaussian", {"operation": "my_ops.own"}]}
    assert VALIDATOR.is_valid(recipe)
    assert not VALIDATOR.is_valid({**recipe, **change})
    json.dumps(SCHEMA, allow_nan=False)
