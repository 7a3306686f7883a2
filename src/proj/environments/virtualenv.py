"""The same lock, installed by virtualenv and pip: for those who cannot use uv to install."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from proj.environments.failures import tool_failure
from proj.environments.indexes import tool_variables
from proj.environments.installable import installable
from proj.environments.toml import parse_toml, table_at
from proj.environments.uv import progress_listener, work_folder
from proj.environments.variables import expand_variables, expanded_values
from proj.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.environments.lock import Lock
    from proj.environments.toml import TomlTable
    from proj.model import EnvironmentRequest

_TOLD = re.compile(r"^\s*(Collecting|Downloading|Building|Installing)\b")


def install(
    folder: Path, project: PythonInput, interpreter: Interpreter, lock: Lock, request: EnvironmentRequest
) -> None:
    """Make a virtual environment and let pip install exactly what the lock says, hashes checked.

    Raises:
        EnvironmentFailedError: virtualenv or pip failed.
    """
    what = f"Cannot install the packages of {project.origin} for Python {interpreter.version_text}"
    # The environment of the caller's pip has no say but for its indexes, which pip reads itself.
    variables: dict[str, str | None] = {
        name: value for name, value in tool_variables().items() if value is None
    }
    variables |= {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}
    with work_folder() as work:
        _create(folder, work, variables, request, interpreter)
        hashed, plain = requirement_lines(installable(lock, project, request))
        options = expand_variables(project.requirements.options)
        constraints = work / "build-constraints.txt"
        constraints.write_text("setuptools<82\n", encoding="utf-8")
        # pip hands these to the environments in which it builds packages from source.
        variables |= {"PIP_CONSTRAINT": str(constraints), "PIP_BUILD_CONSTRAINT": str(constraints)}
        for lines, checks in ((hashed, ["--require-hashes"]), (plain, [])):
            if not lines:
                continue
            file = work / "requirements.txt"
            file.write_text("\n".join((*options, *lines)) + "\n", encoding="utf-8")
            argv = [
                str(folder / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--no-deps",
                *checks,
                "-r",
                str(file),
            ]
            if request.offline:
                argv.append("--no-index")
            # A lock may itself name setuptools in a version that the constraint for builds does not allow.
            own: dict[str, str | None] = (
                {"PIP_CONSTRAINT": None} if any(line.startswith("setuptools==") for line in lines) else {}
            )
            hidden = expanded_values(project.requirements)
            _call(argv, what, work, {**variables, **own}, request, interpreter, hidden)


def requirement_lines(lock: str) -> tuple[list[str], list[str]]:
    """A lock as pip takes it.

    Args:
        lock: pylock.toml with absolute paths.

    Returns:
        Lines with hashes, and lines for what has none: folders and repositories.

    Raises:
        EnvironmentFailedError: It is not TOML.
    """
    hashed: list[str] = []
    plain: list[str] = []
    packages = parse_toml(lock, "The lock").get("packages")
    for package in packages if isinstance(packages, list) else []:
        marker = f" ; {package['marker']}" if "marker" in package else ""
        name = str(package.get("name", ""))
        if "directory" in package:
            directory = table_at(package, "directory")
            option = "-e " if directory.get("editable") else ""
            plain.append(f"{option}{directory.get('path')}{marker}")
        elif "vcs" in package:
            vcs = table_at(package, "vcs")
            fragment = f"#subdirectory={vcs['subdirectory']}" if "subdirectory" in vcs else ""
            plain.append(
                f"{name} @ {vcs.get('type')}+{vcs.get('url')}@{vcs.get('commit-id')}{fragment}{marker}"
            )
        elif "archive" in package:
            archive = table_at(package, "archive")
            url = archive.get("url") or Path(str(archive.get("path"))).as_uri()
            hashed.append(f"{name} @ {url}{marker}{''.join(_hashes(archive))}")
        else:
            files = [*_tables(package.get("wheels")), *_tables([package.get("sdist")])]
            digests = "".join(sorted({text for file in files for text in _hashes(file)}))
            hashed.append(f"{name}=={package.get('version')}{marker}{digests}")
    return hashed, plain


def _tables(value: object) -> list[TomlTable]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _hashes(file: TomlTable) -> list[str]:
    return [f" --hash={name}:{digest}" for name, digest in table_at(file, "hashes").items()]


def _create(
    folder: Path,
    work: Path,
    variables: dict[str, str | None],
    request: EnvironmentRequest,
    interpreter: Interpreter,
) -> None:
    argv = [sys.executable, "-m", "virtualenv", "--quiet", "--no-setuptools", "--python", interpreter.path]
    made = run([*argv, str(folder)], cwd=work, env=variables, check=False)
    if made.returncode == 0:
        return
    # virtualenv drops old Pythons one by one; these have a module of their own that knows them.
    own = run([interpreter.path, "-m", "venv", "--clear", str(folder)], cwd=work, env=variables, check=False)
    if own.returncode != 0:
        raise tool_failure(
            f"Cannot make an environment of {interpreter.path}", made,
            as_of_s=None, offline=request.offline, python=interpreter.version_text,
        )  # fmt: skip


def _call(
    argv: list[str],
    what: str,
    work: Path,
    variables: dict[str, str | None],
    request: EnvironmentRequest,
    interpreter: Interpreter,
    hidden: Mapping[str, str],
) -> None:
    completed = run(
        argv, cwd=work, env=variables, check=False, on_stderr=progress_listener(_TOLD, hidden)
    )  # fmt: skip
    if completed.returncode != 0:
        raise tool_failure(
            what, completed, as_of_s=None, offline=request.offline, python=interpreter.version_text,
            hidden=hidden,
        )  # fmt: skip
