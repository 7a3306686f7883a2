from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import cli_reference
import proj
from proj import planning, reproduction
from proj.cli import COMMANDS
from proj.compare import GROUPS
from proj.errors import FailureCode
from proj.projectfile import schema

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_the_command_line_reference_is_what_the_commands_say() -> None:
    assert cli_reference.PAGE.read_text(encoding="utf-8") == cli_reference.render(), (
        "run `python tests/cli_reference.py`"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_every_page_is_linked_from_somewhere() -> None:
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    }
    orphans = [page for page in PAGES if page.resolve() not in linked and page.name != "README.md"]
    assert not orphans


@pytest.mark.parametrize("code", [code.value for code in FailureCode])
def test_every_failure_word_is_documented(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs/reference/signals-and-exit-codes.md").read_text(encoding="utf-8")


def test_every_key_of_the_project_file_is_documented() -> None:
    page = (ROOT / "docs/reference/mlproject.md").read_text(encoding="utf-8")
    keys: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            properties = node.get("properties")
            if isinstance(properties, dict):
                keys.update(properties)
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(schema())
    assert keys
    assert not {key for key in keys if f"`{key}`" not in page and f"{key}:" not in page}


def _documented_arguments(heading: str) -> set[str]:
    """What the tables below a heading of the API's page have in their first column."""
    page = (ROOT / "docs/reference/python-api.md").read_text(encoding="utf-8")
    section = page.partition(f"## `{heading}")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_argument_of_the_api_is_documented() -> None:
    run = {*inspect.signature(proj.run).parameters} - {"options"}
    further = {*planning.RunRequest.__struct_fields__, "base_image", "platform", "pull"} - {"image"}
    assert _documented_arguments("proj.run(") == run | further
    again = {*inspect.signature(proj.reproduce).parameters} - {"options", "run_id"}
    further = {*reproduction.Options.__struct_fields__, *reproduction.Check.__struct_fields__}
    members = {"run", "reproduces", "same", "comparison"}
    assert _documented_arguments("proj.reproduce(") - members == again | further


def test_every_group_of_a_comparison_is_in_the_table_in_its_order() -> None:
    page = (ROOT / "docs/reference/comparison.md").read_text(encoding="utf-8")
    table = page.partition("| group | items | required |")[2].partition("\n\n")[0]
    words = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert tuple(word for word in words if word) == GROUPS


def test_commands_are_listed_in_the_readme_or_the_reference() -> None:
    page = cli_reference.PAGE.read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"## `proj {name}`" not in page]


def test_dependencies_are_explained() -> None:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[<>=\[; ]", item)[0] for item in project["dependencies"]]
    names += [re.split(r"[<>=\[; ]", item)[0] for item in project["optional-dependencies"]["dev"]]
    page = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8").lower()
    assert not [name for name in names if name.lower() not in page]
