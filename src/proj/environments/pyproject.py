"""`pyproject.toml`, `uv.lock` and `pylock.toml` as the declaration of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.inputs import DEFAULT_BUILD, PythonInput
from proj.environments.requirements import LocalPackage, Requirements, parse_requirements, read_text
from proj.environments.toml import parse_toml, strings_at, table_at

if TYPE_CHECKING:
    from pathlib import Path


def read_pyproject(path: Path, origin: str, *, named: bool) -> PythonInput | None:
    """What a pyproject.toml (or the one beside a uv.lock) declares.

    The project itself is installed too, editable, if it has a build system; else its dependencies alone.

    Args:
        path: The file.
        origin: Its name for messages.
        named: The project file names it: then it counts even without dependencies.

    Raises:
        EnvironmentFailedError: It cannot be read or is not TOML.
    """
    pyproject = path.parent / "pyproject.toml"
    if not pyproject.is_file():
        return None
    table = parse_toml(read_text(pyproject), str(pyproject))
    project = table_at(table, "project")
    poetry = table_at(table, "tool", "poetry")
    uv_lock = path.parent / "uv.lock"
    declares = "dependencies" in project or "dependencies" in strings_at(project, "dynamic") or poetry
    if not named and not declares and not uv_lock.is_file():
        return None  # the settings of a linter, or a build system alone
    python = project.get("requires-python")
    if not isinstance(python, str):
        python = table_at(poetry, "dependencies").get("python")
    folder = path.parent.resolve()
    packaged = bool(table_at(table, "build-system")) or (path.parent / "setup.py").is_file()
    if packaged:
        requirements = Requirements(local=(LocalPackage(path=str(folder), editable=True),))
    else:
        requirements = parse_requirements(
            strings_at(project, "dependencies"), origin=origin, base=folder, project_dir=folder
        )
    pylock = path.parent / "pylock.toml"
    shipped = uv_lock if uv_lock.is_file() else pylock if pylock.is_file() else None
    return PythonInput(
        origin=origin, kind="pyproject", path=pyproject,
        python=python if isinstance(python, str) else None,
        build=DEFAULT_BUILD, requirements=requirements, shipped_lock=shipped, warnings=requirements.warnings,
    )  # fmt: skip


def read_lock_file(path: Path, origin: str) -> PythonInput:
    """A pylock.toml that stands alone: the lock is the declaration.

    Raises:
        EnvironmentFailedError: It cannot be read or is not TOML.
    """
    python = parse_toml(read_text(path), str(path)).get("requires-python")
    return PythonInput(
        origin=origin, kind="requirements", path=path, python=python if isinstance(python, str) else None,
        shipped_lock=path,
    )  # fmt: skip
