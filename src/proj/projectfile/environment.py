"""Reads which environment a project file names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from proj.model import DockerBuild, DockerDeclaration, EnvironmentDeclaration
from proj.projectfile import keys
from proj.projectfile.findings import did_you_mean
from proj.projectfile.reader import describe
from proj.yamltree import Mapping, Scalar, Sequence, YamlError, construct, is_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from proj.projectfile.reader import Reader
    from proj.yamltree import Entry, Node


def read_environment(
    reader: Reader, fields: dict[str, Entry], directory: Path
) -> EnvironmentDeclaration | None:
    """The environment that a project file names; None when it names none.

    Args:
        reader: Reads the values and takes the findings.
        fields: The top level of the project file.
        directory: The project's folder, where an environment file must be.
    """
    named = [name for name in keys.ENVIRONMENTS if name in fields and not _is_nothing(fields[name].value)]
    if len(named) > 1:
        reader.findings.error(
            "several-environments",
            f"a project has one environment, but here are {' and '.join(f'`{name}`' for name in named)}",
            fields[named[1]].key,
            "Keep one of them.",
        )
    if not named:
        return None
    if named[0] == "docker_env":
        return _docker(reader, fields["docker_env"])
    return _file(
        reader, "python_env" if named[0] == "python_env" else "conda_env", fields[named[0]], directory
    )


def _is_nothing(node: Node) -> bool:
    """What Python takes for false, which MLflow takes for no environment."""
    if isinstance(node, Scalar):
        try:
            return not construct(node)
        except YamlError:
            return False
    return isinstance(node, (Mapping, Sequence)) and node.size == 1


def _file(
    reader: Reader, kind: Literal["python_env", "conda_env"], entry: Entry, directory: Path
) -> EnvironmentDeclaration | None:
    node = entry.value
    usual = "python_env.yaml" if kind == "python_env" else "conda.yaml"
    if not isinstance(node, Scalar) or not is_text(node):
        reader.findings.error(
            "wrong-type",
            f"`{kind}` must be the path of a file, not {describe(node)}",
            node,
            f"Put the environment in a file, and write `{kind}: {usual}`.",
        )
        return None
    if "\0" in node.text or not os.path.exists(os.path.join(directory, node.text)):  # noqa: PTH110, PTH118  three times as fast, on each run
        reader.findings.error(
            "missing-environment-file",
            f"`{kind}` names the file {node.text}, which is not there",
            node,
            _similar_file(directory, node.text),
        )
    return EnvironmentDeclaration(kind=kind, file=node.text, position=node.position)


def _similar_file(directory: Path, name: str) -> str:
    there = sorted(
        path.name for path in directory.glob("*.y*ml") if not path.name.lower().startswith("mlproject")
    )
    similar = did_you_mean(name, there)
    if similar is not None:
        return f"Did you mean {similar}?"
    listed = f" Here are {', '.join(there[:8])}." if there else ""
    return f"Make the file, or remove the line.{listed}"


def _docker(reader: Reader, entry: Entry) -> EnvironmentDeclaration | None:
    fix = "Write `docker_env: {image: python:3.12-slim}`."
    fields = reader.fields(entry.value, keys.DOCKER, "`docker_env`", fix)
    if fields is None:
        return None
    image, volumes, environment = (fields.get(name) for name in ("image", "volumes", "environment"))
    name = reader.text(image.value, "`image` of `docker_env`") if image is not None else None
    if image is None or _is_nothing(image.value):
        reader.findings.error("missing-image", "`docker_env` names no image", entry.key, fix)
    return EnvironmentDeclaration(
        kind="docker_env",
        docker=DockerDeclaration(
            image=name or "",
            volumes=_volumes(reader, volumes.value) if volumes is not None else (),
            environment=_variables(reader, environment.value) if environment is not None else (),
            **{name: _option(reader, fields.get(name), name) for name in _OPTIONS},
            build=_build(reader, fields["build"].value) if "build" in fields else None,
        ),
        position=entry.value.position,
    )


_SIZE = r"(?i)\d+(\.\d+)?\s*[bkmgt]?"
_GPUS = r"all|\d+|device=[\w,-]+"
_OPTIONS = {
    "user": (r"[\w.-]+(:[\w.-]+)?", "Write `1000:1000`, or a name."),
    "shm_size": (_SIZE, "Write a size, such as `2g`."),
    "gpus": (_GPUS, "Write `all`, a number, or `device=0,1`."),
    "network": (r"[\w.:-]+", "Write `bridge`, `host`, `none` or the name of a network."),
    "platform": (r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?", "Write `linux/amd64`."),
}
"""Key of `docker_env` -> what its value looks like, and what to write."""


def _option(reader: Reader, entry: Entry | None, name: str) -> str | None:
    if entry is None or _is_nothing(entry.value):
        return None
    text = reader.text(entry.value, f"`{name}` of `docker_env`")
    form, fix = _OPTIONS[name]
    if text is not None and not re.fullmatch(form, text):
        message = f"`{name}` of `docker_env` is {text!r}, which cannot be meant"
        reader.findings.error("docker-option", message, entry.value, fix)
    return text


def _build(reader: Reader, node: Node) -> DockerBuild | None:
    """How the project's image is built: a context's folder, or a mapping."""
    what = "`build` of `docker_env`"
    if isinstance(node, Scalar):
        if _is_nothing(node):
            return None
        context = reader.text(node, what)
        return DockerBuild(context=_inside(reader, context or ".", node))
    fields = reader.fields(node, keys.BUILD, what, "Write `build: .`, or `build: {dockerfile: Dockerfile}`.")
    if fields is None:
        return None
    texts = {
        name: reader.text(fields[name].value, f"`{name}` of {what}")
        for name in ("dockerfile", "context")
        if name in fields
    }
    context_node = fields["context"].value if "context" in fields else node
    arguments: dict[str, str] = {}
    if "args" in fields:
        given = (
            reader.mapping(fields["args"].value, f"`args` of {what}", "Write `args: {NAME: value}`.") or {}
        )
        for name, entry in given.items():
            arguments[name] = reader.text(entry.value, f"`{name}` of `args`") or ""
    return DockerBuild(
        dockerfile=texts.get("dockerfile"),
        context=_inside(reader, texts.get("context") or ".", context_node),
        args=arguments,
    )


def _inside(reader: Reader, context: str, node: Node) -> str:
    if context.startswith(("/", "~")):
        message = f"`build` of `docker_env` names the folder {context}, which is no part of the project"
        reader.findings.error("docker-build", message, node, "Write a folder relative to this file.")
    return context


def _volumes(reader: Reader, node: Node) -> tuple[str, ...]:
    return () if _is_nothing(node) else reader.texts(node, "`volumes` of `docker_env`")


def _variables(reader: Reader, node: Node) -> tuple[tuple[str, str | None], ...]:
    what = "`environment` of `docker_env`"
    fix = "Write `[[NAME, value], NAME_TO_COPY_FROM_THE_HOST]`."
    if _is_nothing(node):
        return ()
    if not isinstance(node, Sequence):
        reader.findings.error("wrong-type", f"{what} must be a list, not {describe(node)}", node, fix)
        return ()
    variables: list[tuple[str, str | None]] = []
    for item in node.items:
        if isinstance(item, Scalar) and is_text(item):
            variables.append((item.text, None))
        elif (
            isinstance(item, Sequence) and item.items and all(isinstance(word, Scalar) for word in item.items)
        ):
            words = [reader.string(word) or "" for word in item.items[:2]]
            variables.append((words[0], words[1] if len(words) > 1 else None))
            if len(item.items) > 2:  # noqa: PLR2004  a name and a value
                message = f"{what}: what follows the value of {words[0]} is ignored"
                reader.findings.warning("extra-items", message, item.items[2], fix)
        else:
            reader.findings.error(
                "wrong-type", f"{what} must hold names and pairs, not {describe(item)}", item, fix
            )
    return tuple(variables)
