"""Writes the description of the views as OpenAPI: `make openapi`.

The views and their parameters are those of api/catalogue.py; msgspec makes the schemas of the
answers from their dataclasses.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Any

import msgspec

from pyipam.api.catalogue import DESCRIPTION, VIEWS, View
from pyipam.api.parameters import MOST_SECONDS, Parameter

_SCHEMAS = "#/components/schemas/{name}"
_REFUSAL = {
    "title": "Refusal",
    "description": "Why there is no answer, in a sentence.",
    "type": "object",
    "properties": {"Err": {"type": "string"}},
    "required": ["Err"],
}
_REFUSED = {
    "400": "A parameter is not known, or its value cannot be used.",
    "404": "There is nothing of that name.",
    "500": "An internal error: please report it with the plugin's log.",
    "503": "The plan is not loaded, or its store cannot be used.",
}


def describe() -> dict[str, Any]:
    """The views as an OpenAPI document, version 3.1."""
    answers = [answer for view in VIEWS.values() for answer in view.answers]
    references, schemas = msgspec.json.schema_components(answers, ref_template=_SCHEMAS)
    by_answer = dict(zip(map(str, answers), references, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pyipam",
            "version": "1",
            "description": "What the plugin knows, read-only, on each of its sockets.",
        },
        "paths": {
            f"/v1/{name}": {"get": _operation(name, view, by_answer)}
            for name, view in VIEWS.items()
        },
        "components": {
            "schemas": {
                **{name: _always_whole(schema) for name, schema in sorted(schemas.items())},
                "Refusal": _REFUSAL,
            }
        },
    }


def _operation(name: str, view: View, by_answer: dict[str, Any]) -> dict[str, Any]:
    found = [by_answer[str(answer)] for answer in view.answers]
    refused = {
        status: _response(text, {"$ref": _SCHEMAS.format(name="Refusal")})
        for status, text in _REFUSED.items()
        if status != "404" or view.may_find_nothing
    }
    return {
        "operationId": name,
        "summary": view.shows,
        "parameters": [_parameter(parameter) for parameter in view.parameters],
        "responses": {
            "200": _response(view.shows, found[0] if len(found) == 1 else {"anyOf": found}),
            **refused,
        },
    }


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        # It then counts as left out.
        "allowEmptyValue": True,
        "schema": _value(parameter),
    }


def _value(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind == "flag":
        return {"type": "boolean"}
    if parameter.kind == "number":
        return {"type": "integer", "minimum": parameter.least, "maximum": parameter.most}
    if parameter.kind == "time":
        return {"type": "number", "minimum": 0, "maximum": MOST_SECONDS}
    if parameter.kind == "choice":
        return {"type": "string", "enum": list(parameter.choices)}
    if parameter.kind == "text":
        return {"type": "string"}
    return {"type": "string", "format": parameter.kind}


def _always_whole(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an answer, which has all its members even where they have a default."""
    properties = {
        name: {word: value for word, value in described.items() if word != "default"}
        for name, described in schema["properties"].items()
    }
    whole = schema | {"properties": properties, "required": list(properties)}
    return whole | {"description": cleandoc(schema["description"])}


def text() -> str:
    """The description as it is in the file."""
    return json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DESCRIPTION.write_text(text(), "utf-8")
