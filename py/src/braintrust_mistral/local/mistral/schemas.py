"""Values that fit a JSON schema, for answers whose form the request asks for."""

from typing import Any

from braintrust_mistral.local.json_types import Json


_SCALARS = {"string": "Lisbon", "integer": 3, "number": 1.4, "boolean": True}


def sample(schema: Json) -> Any:
    """Return a value that fits a schema, as far as models of pydantic need it."""
    return _sample(schema, schema.get("$defs", {}))


def _sample(schema: Json, definitions: Json) -> Any:
    match schema:
        case {"$ref": reference}:
            return _sample(definitions[reference.rpartition("/")[2]], definitions)
        case {"anyOf": [first, *_]}:
            return _sample(first, definitions)
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"type": "object"}:
            return {name: _sample(field, definitions) for name, field in schema.get("properties", {}).items()}
        case {"type": "array"}:
            return [_sample(schema.get("items", {}), definitions)]
        case _:
            return _SCALARS.get(schema.get("type", "null"))


def wanted_schema(response_format: object) -> Json | None:
    """Return the schema in a request's `response_format`; None where it asks for no particular form."""
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return schema
        case _:
            return None
