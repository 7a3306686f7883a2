"""Slips in the environment that a project names, or has without naming it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from proj.environments.conda.declared import literal_secrets
from proj.environments.conda.names import is_absent
from proj.environments.conda.platforms import SYSTEMS, foreign_to
from proj.environments.conda.service import current_platform
from proj.environments.conda.shipped import shipped_lock
from proj.environments.conda.specs import parse_spec
from proj.environments.conda.urls import secret_urls
from proj.environments.condafile import read_conda_file
from proj.environments.inputs import CONDA_NAMES, ORDER, read_input
from proj.environments.lock import LOCK_NAME
from proj.environments.pythonspec import parse_python_spec
from proj.environments.requirements import logical_lines, read_text
from proj.environments.variables import hosts_of_literal_logins
from proj.errors import EnvironmentFailedError, UsageError
from proj.lint.requirements import RequirementChecker, beside, warn_of_secret
from proj.model import EnvironmentRequest, Position
from proj.projectfile.findings import did_you_mean
from proj.projectfile.reader import describe
from proj.yamltree import Mapping, Scalar, Sequence, YamlError, decode, entries, is_null, parse, split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from proj.model import DockerDeclaration, Project
    from proj.projectfile.findings import Findings
    from proj.yamltree import Entry, Node

_START: Final = Position(line=1, column=1)
_PYTHON_ENV: Final = ("python", "build_dependencies", "dependencies")
_WITHOUT_CONDA: Final = ("uv", "virtualenv")
"""Managers that take conda's packages from PyPI."""


def check_environment(project: Project, top: dict[str, Entry], findings: Findings) -> None:
    """Check the environment of a project, and the file that it comes from.

    Args:
        project: The project.
        top: The top level of the project file.
        findings: Where slips go.
    """
    declared = project.environment
    before = len(findings.found)
    where = _START
    file: Path | None
    if declared is None:
        names = [name for name in ORDER if (project.directory / name).is_file()]
        file = project.directory / names[0] if names else None
    elif declared.docker is not None or declared.file is None:
        if declared.docker is not None:
            _check_docker(declared.docker, top[declared.kind].value.position, findings)
            _check_volumes(declared.docker, project.directory, top[declared.kind].value.position, findings)
        return
    else:
        where = top[declared.kind].value.position
        file = project.directory / declared.file
        if not file.exists():  # said by the parser
            return
    if file is None:
        return
    request = EnvironmentRequest(project_dir=project.directory, root=project.directory, declaration=declared)
    refused: EnvironmentFailedError | None = None
    lock = shipped_lock(project.directory, current_platform())
    try:
        found = read_input(request)
        lock = found.conda_lock or lock if found is not None else lock
        file = found.path if found is not None and declared is None else file
    except EnvironmentFailedError as error:
        refused = error
    _Checker(project.directory, findings).check(file, declared.kind if declared else None, where)
    _check_lock(lock, _secrets_for_conda, findings)
    _check_lock(project.directory / LOCK_NAME, hosts_of_literal_logins, findings)
    if refused is not None and len(findings.found) == before:
        message = refused.message.removesuffix(".")
        findings.error("wrong-environment-file", message, where, refused.hint)


def _secrets_for_conda(lock: str) -> tuple[str, ...]:
    return literal_secrets(secret_urls(lock))


def _check_lock(lock: Path | None, secrets: Callable[[str], Iterable[str]], findings: Findings) -> None:
    """Check a lock, which other tools may have written; a run looks for secrets in it by the same rule."""
    if lock is None or not lock.is_file():
        return
    with contextlib.suppress(EnvironmentFailedError):  # one that is no text is told where it is used
        for url in secrets(read_text(lock)):
            warn_of_secret(url, _START, beside(findings, lock, []))


def _check_docker(docker: DockerDeclaration, where: Position, findings: Findings) -> None:
    _check_image(docker.image, where, findings)
    for name, value in docker.environment:
        variable, pair, _ = name.partition("=")
        if value is None and pair:
            findings.error(
                "wrong-type",
                f"`environment` of `docker_env` has {variable}=…, which is no name of a variable",
                where,
                f"Write `[{variable}, VALUE]`.",
            )
        elif value is None and name not in os.environ:
            findings.warning(
                "missing-host-variable",
                f"`docker_env` copies the variable {name} from the host, where it is not set",
                where,
                f"Set it before a run: export {name}=…",
            )


def _check_image(name: str, where: Position, findings: Findings) -> None:
    from proj.images.reference import parse_reference

    if name:
        try:
            parse_reference(name)
        except UsageError as error:
            message = f"`image` of `docker_env`: {error.message[:-1]}"
            findings.error("docker-option", message, where, error.hint)


def _check_volumes(docker: DockerDeclaration, directory: Path, where: Position, findings: Findings) -> None:
    if not docker.volumes:
        return
    from proj.backends.docker.volumes import expanded, unset_variables

    for volume in docker.volumes:
        for name in unset_variables(volume):
            findings.warning(
                "missing-host-variable",
                f"the volume {volume} names the variable {name}, which is not set",
                where,
                f"Set it before a run: export {name}=…",
            )
        try:
            expanded(volume, directory, dict.fromkeys(unset_variables(volume), "/") | dict(os.environ))
        except UsageError as error:
            message = error.message.removesuffix(".")
            findings.error("docker-volume", message[0].lower() + message[1:], where, error.hint)


class _Checker:
    """Checks one environment file; slips are told in that file, misnamed ones where they are named."""

    def __init__(self, project_dir: Path, findings: Findings) -> None:
        self._named_in = findings
        self._requirements = RequirementChecker(project_dir, findings)

    def check(self, file: Path, kind: str | None, where: Position) -> None:
        if file.suffix in (".txt", ".in"):
            self._requirements.check_file(file)
            return
        if file.suffix in (".toml", ".lock", ".py"):
            return
        try:
            data = file.read_bytes()
        except OSError as error:
            self._named_in.error(
                "unreadable-environment-file", f"cannot read {file}: {error.strerror}", where
            )
            return
        inner = beside(self._named_in, file, split_lines(data[: 1 << 20].decode("utf-8", "replace")))
        try:
            root = parse(decode(data))
            fields = entries(root) if isinstance(root, Mapping) else None
        except YamlError as error:
            inner.error("yaml", error.message, error.position, error.fix)
            return
        if root is None or is_null(root):
            inner.warning(
                "empty-environment-file",
                "the environment file is empty: what the project needs is not installed",
                _START,
                "Write for example `dependencies: [numpy==1.26.4]`.",
            )
        elif fields is None:
            self._named_in.error(
                "wrong-environment-file",
                f"`{kind}` names {file.name}, which is no mapping" if kind else f"{file.name} is no mapping",
                where,
                f"Name a {'conda.yaml' if kind == 'conda_env' else 'python_env.yaml'}.",
            )
        else:
            self._check_kind(file, fields, kind, where)
            self._check_fields(file, fields, inner)

    def _check_kind(self, file: Path, fields: dict[str, Entry], kind: str | None, where: Position) -> None:
        name = file.name
        if kind == "python_env" and "channels" in fields:
            self._named_in.warning(
                "conda-file-as-python",
                f"`python_env` names {name}, which is a conda file",
                where,
                f"Write `conda_env: {name}`.",
            )
        elif kind == "python_env":
            dependencies = fields.get("dependencies")
            for item in _items(dependencies.value) if dependencies is not None else ():
                if isinstance(item, Mapping):
                    self._named_in.warning(
                        "pip-in-python-env",
                        f"line {item.line} of {name} holds a mapping among the dependencies, "
                        "as conda files do",
                        where,
                        f"Write the packages below `pip:` right below `dependencies:` in {name}.",
                    )
        elif kind == "conda_env" and (
            "build_dependencies" in fields or ("python" in fields and "channels" not in fields)
        ):
            self._named_in.warning(
                "python-file-as-conda",
                f"`conda_env` names {name}, which is a python_env file",
                where,
                f"Write `python_env: {name}`.",
            )

    def _check_fields(self, file: Path, fields: dict[str, Entry], inner: Findings) -> None:
        if _is_conda(file, fields):
            self._check_conda(file, fields, inner)
            return
        for name, entry in fields.items():
            if name not in _PYTHON_ENV:
                similar = did_you_mean(name, _PYTHON_ENV)
                fix = f"Write `{similar}`." if similar else f"Known keys are {', '.join(_PYTHON_ENV)}."
                inner.error("unknown-key", f"unknown key `{name}` in {file.name}", entry.key, fix)
            elif name == "python":
                _check_python(entry.value, inner)
            else:
                self._check_dependencies(file, name, entry.value, inner)

    def _check_dependencies(self, file: Path, name: str, node: Node, inner: Findings) -> None:
        if not isinstance(node, Sequence) and not (
            isinstance(node, Scalar) and (is_null(node) or node.style in (None, "|", ">", "'", '"'))
        ):
            inner.error("wrong-type", f"`{name}` must be a list, not {describe(node)}", node)
            return
        for item in _items(node):
            self._check_lines(file, item, inner)

    def _check_lines(self, file: Path, item: Node, inner: Findings) -> None:
        """Check an item of a list; one that maps `pip` to a list stands for the items of that list."""
        if isinstance(item, Scalar):
            for line in [] if is_null(item) else logical_lines(item.text):
                self._requirements.check_line(line, item, file, inner)
        elif isinstance(item, Mapping) and "pip" in (nested := entries(item)):
            for line_node in _items(nested["pip"].value):
                self._check_lines(file, line_node, inner)

    def _check_conda(self, file: Path, fields: dict[str, Entry], inner: Findings) -> None:
        dependencies = fields.get("dependencies")
        try:
            conda = read_conda_file(file)
        except EnvironmentFailedError as error:
            found = _unreadable(_items(dependencies.value)) if dependencies is not None else None
            error, place = found or (error, _START)
            inner.error("wrong-environment-file", error.message.removesuffix("."), place, error.hint)
            return
        for item in _items(dependencies.value) if dependencies is not None else ():
            if isinstance(item, Mapping):
                self._check_lines(file, item, inner)
            elif isinstance(item, Scalar):
                _check_conda_package(item, inner)
        for warning in conda.warnings:
            inner.warning("conda-file", warning.partition(": ")[2].rstrip("."), _START)
        if conda.python is not None:
            wrong = _python_problem(conda.python)
            if wrong is not None:
                inner.error("python-version", wrong.message.removesuffix("."), _START, wrong.hint)


def _unreadable(items: Iterable[Node]) -> tuple[EnvironmentFailedError, Node] | None:
    """The first entry of a conda file that names no package, and why."""
    for item in items:
        if isinstance(item, Scalar) and item.text.strip() and not is_null(item):
            try:
                parse_spec(item.text.strip())
            except EnvironmentFailedError as error:
                return error, item
    return None


def _check_conda_package(item: Scalar, inner: Findings) -> None:
    """Check an entry of a conda file for what will not be had here."""
    text = item.text.strip()
    if not text or is_null(item):
        return
    try:
        spec = parse_spec(text)
    except EnvironmentFailedError:
        return  # said for the whole file
    system = foreign_to(spec.name, current_platform())
    if system is not None:
        inner.warning(
            "other-platform", f"`{text}` exists for {SYSTEMS[system]} only: a run leaves it out", item,
            "Remove it; `conda env export --from-history` writes files without such packages.",
        )  # fmt: skip
    elif os.environ.get("PROJ_ENV_MANAGER") in _WITHOUT_CONDA:
        if is_absent(spec.name):
            inner.error(
                "conda-package",
                f"only conda can install `{text}`: a run without conda refuses the file",
                item,
                "`proj run --drop-missing` leaves it out.",
            )
    elif spec.exact:
        inner.note(
            "exact-build", f"`{text}` names one build, which other platforms do not have", item,
            "`conda env export --no-builds` writes files that more machines can use.",
        )  # fmt: skip


def _check_python(node: Node, inner: Findings) -> None:
    if not isinstance(node, Scalar):
        inner.error(
            "wrong-type", f"`python` must be a version, not {describe(node)}", node, 'Write `python: "3.11"`.'
        )
    elif not is_null(node) and node.text.strip():
        wrong = _python_problem(node.text)
        if wrong is not None:
            inner.error("python-version", wrong.message.removesuffix("."), node, wrong.hint)


def _python_problem(text: str) -> EnvironmentFailedError | None:
    try:
        parse_python_spec(text)
    except EnvironmentFailedError as error:
        return error
    return None


def _is_conda(file: Path, fields: dict[str, Entry]) -> bool:
    """What a run takes for a conda file; see `environments.inputs`."""
    dependencies = fields.get("dependencies")
    texts = [
        item.text
        for item in (_items(dependencies.value) if dependencies is not None else ())
        if isinstance(item, Scalar)
    ]
    named_python = any(text.startswith("python=") or text.strip() == "python" for text in texts)
    usual = file.name in CONDA_NAMES and "build_dependencies" not in fields
    return "channels" in fields or named_python or usual


def _items(node: Node) -> list[Node]:
    if isinstance(node, Sequence):
        return node.items
    return [node] if isinstance(node, Scalar) and not is_null(node) else []
