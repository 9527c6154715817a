"""The JSON Schema of recipes: editors complete and check a recipe's file with it.

It follows from the declarations. What it cannot say (values that depend on the image, or on each
other) is checked when a recipe is read.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from napari_tilewise.operations import BUILT_IN
from napari_tilewise.operations.spec.array_specs import AlignedImage, Footprint
from napari_tilewise.operations.spec.value_specs import (
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    Names,
    Number,
    Numbers,
    Seed,
    Spec,
    Text,
)
from napari_tilewise.recipe.data import ENTRIES, STEP_ENTRIES
from napari_tilewise.recipe.step import MOST_STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.operations.spec.operation import Operation

Schema = dict[str, Any]
VERSION = max(ENTRIES)
"""The version of recipes that the schema is for."""
KEY = r"^\w+(\.\w+)+$"
"""What the key of any operation looks like, users' own included."""


def recipe_schema() -> Schema:
    """Return the schema, for JSON Schema 2020-12."""
    operations = sorted(BUILT_IN)
    key = {"anyOf": [{"enum": operations}, {"type": "string", "pattern": KEY}]}
    entries: Mapping[str, Schema] = {
        "operation": key,
        "parameters": {"type": ["object", "null"]},
        "name": {"type": ["string", "null"]},
        "inputs": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "spatial": {"type": ["string", "array", "null"]},
        "enabled": {"type": "boolean"},
    }
    step = {
        "type": "object",
        "required": ["operation"],
        "additionalProperties": False,
        "properties": {name: entries[name] for name in STEP_ENTRIES[VERSION]},
        "allOf": [_parameters_of(name) for name in operations],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of napari-tilewise",
        "type": "object",
        "required": ["version", "steps"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": VERSION},
            "inputs": {"type": ["array", "null"], "items": {"type": "string"}},
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_STEPS,
                "items": {"anyOf": [key, step]},
            },
        },
        "$defs": {name: _parameters(BUILT_IN[name]) for name in operations},
    }


def text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(recipe_schema(), indent=1) + "\n"


def _parameters_of(name: str) -> Schema:
    """Return the rule that a step of this operation has its parameters."""
    return {
        "if": {"properties": {"operation": {"const": name}}, "required": ["operation"]},
        "then": {
            "properties": {"parameters": {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}}
        },
    }


def _parameters(operation: Operation) -> Schema:
    return {
        "title": operation.title,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _parameter(spec) for name, spec in operation.specs.items()},
    }


def _parameter(spec: Spec) -> Schema:
    """Return the schema of a parameter's values; any value where only the program can tell."""
    schema = _values(spec)
    if spec.optional and schema:
        schema = {"anyOf": [schema, {"type": "null"}]}
    return {"description": spec.describe(), **schema}


def _values(spec: Spec) -> Schema:
    for kind, schema_of in KINDS.items():
        if type(spec) is kind:
            return schema_of(spec)
    return {}


def _number(spec: Number) -> Schema:
    schema: Schema = {"type": "integer" if spec.integer else "number"}
    if math.isfinite(spec.minimum):
        schema["exclusiveMinimum" if spec.exclusive else "minimum"] = spec.minimum
    if math.isfinite(spec.maximum):
        schema["maximum"] = spec.maximum
    if not spec.per_axis:
        return schema
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _numbers(spec: Numbers) -> Schema:
    item = _number(spec.item)
    return {"anyOf": [item, {"type": "array", "minItems": spec.least, "items": item}]}


def _names(spec: Names) -> Schema:
    item = {"enum": list(spec.names)}
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _either(spec: Either) -> Schema:
    options = [_values(option) for option in spec.options]
    return {"anyOf": options} if all(options) else {}


KINDS: Mapping[type[Spec], Callable[[Any], Schema]] = {
    Number: _number,
    Numbers: _numbers,
    Either: _either,
    Flag: lambda spec: {"type": "boolean"},
    Text: lambda spec: {"type": "string"},
    ChoiceSpec: lambda spec: {"enum": list(spec.choices)},
    Names: _names,
    AlignedImage: lambda spec: {"type": ["array", "null"]},
    Footprint: lambda spec: {"type": ["array", "object"]},
    Seed: lambda spec: {"type": "integer", "minimum": 0},
    ChannelAxis: lambda spec: {"type": "integer"},
}
"""The schema of each kind of spec; kinds derived from these take other values."""
