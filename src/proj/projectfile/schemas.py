"""The JSON Schema of the project file. `python -m proj.projectfile.schemas` writes it into `schemas/`."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj.projectfile import keys

if TYPE_CHECKING:
    from proj.projectfile.keys import Key, Shape

FILE: Final = Path("schemas") / "mlproject.schema.json"
"""Where the schema lies in the repository."""

_TEXT: Final = {"type": ["string", "number", "boolean"]}
_SHAPES: Final[dict[Shape, dict[str, object]]] = {
    "text": {"type": ["string", "number", "boolean", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "texts": {"type": ["array", "null"], "items": _TEXT},
    "list": {"type": ["array", "null"]},
    "mapping": {"type": ["object", "null"]},
    "any": {},
}


def build() -> dict[str, object]:
    """The schema as JSON-ready values."""
    parameter = {
        "anyOf": [
            {"type": "string", "description": keys.PARAMETER["type"].doc, "examples": list(keys.TYPES)},
            _mapping(keys.PARAMETER),
        ]
    }
    point = _mapping(keys.ENTRY_POINT)
    _properties(point)["command"] = {**_leaf(keys.ENTRY_POINT["command"]), "type": "string"}
    _properties(point)["parameters"] = _named(keys.ENTRY_POINT["parameters"], "#/$defs/parameter")
    docker = _mapping(keys.DOCKER)
    pair = {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1}
    _properties(docker)["environment"]["items"] = {"anyOf": [{"type": "string"}, pair]}
    build = _mapping(keys.BUILD)
    _properties(docker)["build"] = {**_leaf(keys.DOCKER["build"]), "anyOf": [{"type": "string"}, build]}
    project = _mapping(keys.PROJECT)
    properties = _properties(project)
    properties["entry_points"] = _named(keys.PROJECT["entry_points"], "#/$defs/entry_point")
    for name in ("python_env", "conda_env"):
        properties[name]["type"] = ["string", "null"]
    properties["docker_env"] = {"$ref": "#/$defs/docker_env"}
    properties["proj"] = {"$ref": "#/$defs/proj"}
    extensions, verify = _mapping(keys.EXTENSIONS), _mapping(keys.VERIFY)
    _properties(extensions)["verify"] = {"$ref": "#/$defs/verify"}
    _properties(verify)["metrics"] = _named(keys.VERIFY["metrics"], "#/$defs/metric")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MLproject",
        "description": "A project that `proj run` and `mlflow run` can run.",
        **project,
        "allOf": [{"not": {"required": list(pair)}} for pair in combinations(keys.ENVIRONMENTS, 2)],
        "$defs": {
            "entry_point": point,
            "parameter": parameter,
            "docker_env": {**docker, "description": keys.PROJECT["docker_env"].doc},
            "proj": {**extensions, "description": keys.PROJECT["proj"].doc},
            "verify": {**verify, "description": keys.EXTENSIONS["verify"].doc},
            "metric": _mapping(keys.METRIC),
        },
    }


def text() -> str:
    """The schema as it is written to its file."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def _leaf(key: Key) -> dict[str, object]:
    leaf = {"description": key.doc, **_SHAPES[key.shape]}
    if key.choices:
        leaf = {"description": key.doc, "enum": [*key.choices, None]}
    if key.examples:
        leaf["examples"] = list(key.examples)
    return leaf


def _mapping(table: dict[str, Key]) -> dict[str, object]:
    required = [name for name, key in table.items() if key.required]
    return {
        "type": "object",
        "properties": {name: _leaf(key) for name, key in table.items()},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _named(key: Key, target: str) -> dict[str, object]:
    return {
        "description": key.doc,
        "type": ["object", "null"],
        "additionalProperties": {"$ref": target},
    }


def _properties(mapping: dict[str, object]) -> dict[str, dict[str, object]]:
    found = mapping["properties"]
    assert isinstance(found, dict)  # noqa: S101  as _mapping made it
    return found


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
