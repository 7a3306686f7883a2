"""Slips in the environment that a project file names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proj.projectfile.findings import Findings
from proj.yamltree import Mapping, Sequence, YamlError, decode, entries, parse, split_lines

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import DockerDeclaration, Position, Project
    from proj.yamltree import Entry


def check_environment(project: Project, top: dict[str, Entry], findings: Findings) -> None:
    """Check the environment of a project, and the file that it names.

    Args:
        project: The project.
        top: The top level of the project file.
        findings: Where slips go.
    """
    declared = project.environment
    if declared is None:
        return
    where = top[declared.kind].value.position
    if declared.docker is not None:
        _check_docker(declared.docker, where, findings)
    elif declared.file is not None:
        _check_file(declared.kind, project.directory / declared.file, where, findings)


def _check_docker(docker: DockerDeclaration, where: Position, findings: Findings) -> None:
    for name, value in docker.environment:
        if value is None and name not in os.environ:
            findings.warning(
                "missing-host-variable",
                f"`docker_env` copies the variable {name} from the host, where it is not set",
                where,
                f"Set it before a run: export {name}=…",
            )


def _check_file(kind: str, file: Path, where: Position, findings: Findings) -> None:
    try:
        data = file.read_bytes()
    except OSError as error:
        findings.error("unreadable-environment-file", f"cannot read {file}: {error.strerror}", where)
        return
    try:
        text = decode(data)
        root = parse(text)
        fields = entries(root) if isinstance(root, Mapping) else None
    except YamlError as error:
        inner = Findings(str(file), split_lines(data[: 1 << 20].decode("utf-8", "replace")))
        inner.error("yaml", error.message, error.position, error.fix)
        findings.found.extend(inner.found)
        return
    if fields is None:
        findings.error(
            "wrong-environment-file",
            f"`{kind}` names {file.name}, which is no mapping",
            where,
            f"Name a {'python_env.yaml' if kind == 'python_env' else 'conda.yaml'}.",
        )
    elif kind == "python_env":
        _check_python_env(file.name, fields, where, findings)
    elif "build_dependencies" in fields or ("python" in fields and "channels" not in fields):
        findings.warning(
            "python-file-as-conda",
            f"`conda_env` names {file.name}, which is a python_env file",
            where,
            f"Write `python_env: {file.name}`.",
        )


def _check_python_env(name: str, fields: dict[str, Entry], where: Position, findings: Findings) -> None:
    if "channels" in fields:
        findings.warning(
            "conda-file-as-python",
            f"`python_env` names {name}, which is a conda file",
            where,
            f"Write `conda_env: {name}`.",
        )
        return
    dependencies = fields.get("dependencies")
    if dependencies is None or not isinstance(dependencies.value, Sequence):
        return
    for item in dependencies.value.items:
        if isinstance(item, Mapping):
            findings.warning(
                "pip-in-python-env",
                f"line {item.line} of {name} holds a mapping among the dependencies, as conda files do",
                where,
                f"Write the packages below `pip:` right below `dependencies:` in {name}.",
            )
