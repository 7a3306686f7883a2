from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from proj import projectfile
from proj.projectfile import schemas

ROOT = Path(__file__).parents[3]
PROJECTS = ROOT / "tests" / "projects"


def valid(case: str) -> bool:
    schema = projectfile.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    instance = yaml.safe_load((PROJECTS / case / "MLproject").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema).is_valid(instance)


def test_the_file_in_the_repository_is_what_the_code_makes() -> None:
    assert (ROOT / schemas.FILE).read_text(encoding="utf-8") == schemas.text(), (
        "run `python -m proj.projectfile.schemas`"
    )


@pytest.mark.parametrize(
    "case", ["minimal", "classic", "extensions", "docker", "anchors", "empty-parameters", "databricks"]
)
def test_right_files_are_valid(case: str) -> None:
    assert valid(case)


@pytest.mark.parametrize(
    "case",
    [
        "command-is-a-list",
        "docker-is-a-text",
        "docker-without-image",
        "entry-point-singular",
        "entry-points-list",
        "glued-keys",
        "missing-command",
        "several-environments",
        "top-level-list",
        "unknown-keys",
        "wrong-types",
        "wrong-types-docker",
    ],
)
def test_wrong_files_are_not(case: str) -> None:
    assert not valid(case)
