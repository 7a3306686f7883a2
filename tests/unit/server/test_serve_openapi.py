from __future__ import annotations

import re

import msgspec

from proj.server.openapi import document_json
from proj.server.runs import ROUTES


def test_each_route_of_runs_is_described() -> None:
    paths = msgspec.json.decode(document_json())["paths"]
    for route in ROUTES:
        operation = paths[f"/api/2.0/mlflow/{route.path}"][route.method.lower()]
        assert operation["summary"]
        assert operation["responses"]["200"]["content"]


def test_every_reference_leads_to_a_schema() -> None:
    text = document_json().decode()
    schemas = msgspec.json.decode(text)["components"]["schemas"]
    wanted = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert wanted
    assert not wanted - set(schemas)


def test_operations_have_names_of_their_own() -> None:
    names = re.findall(r'"operationId":"([^"]+)"', document_json().decode())
    assert len(names) == len(set(names))


def test_parts_of_a_path_are_parameters_of_it_and_of_nothing_else() -> None:
    document = msgspec.json.decode(document_json())
    for path, operations in document["paths"].items():
        parts = set(re.findall(r"\{(\w+)\}", path))
        for operation in operations.values():
            assert {given["name"] for given in operation["parameters"] if given["in"] == "path"} == parts
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            assert not parts & set(body.get("schema", {}).get("properties", {}))


def test_what_this_server_cannot_do_is_left_out() -> None:
    paths = msgspec.json.decode(document_json())["paths"]
    assert not [path for path in paths if "webhooks" in path or "mpu" in path]
