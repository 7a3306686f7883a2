"""The grammar of the project file as tables; the parser, the hints and the JSON Schema are driven by them."""

from __future__ import annotations

from typing import Final, Literal

from proj.model import ParameterKind

Shape = Literal["text", "number", "boolean", "texts", "mapping", "list", "any"]

TYPES: Final[dict[str, ParameterKind]] = {
    "string": ParameterKind.STRING,
    "str": ParameterKind.STRING,
    "float": ParameterKind.FLOAT,
    "number": ParameterKind.FLOAT,
    "int": ParameterKind.INTEGER,
    "integer": ParameterKind.INTEGER,
    "bool": ParameterKind.BOOLEAN,
    "boolean": ParameterKind.BOOLEAN,
    "path": ParameterKind.PATH,
    "uri": ParameterKind.URI,
    "choice": ParameterKind.CHOICE,
    "list": ParameterKind.LIST,
    "json": ParameterKind.JSON,
}
"""Declared type -> kind; any other declared type means a string, as in MLflow."""


class Key:
    """A key of a mapping in the project file.

    Args:
        shape: What the value must be.
        doc: One or two sentences for people, shown by editors.
        choices: The only values of a text; empty: any.
        examples: Values to offer in an editor.
        required: Whether the mapping makes no sense without the key.
    """

    __slots__ = ("choices", "doc", "examples", "required", "shape")

    def __init__(
        self,
        shape: Shape,
        doc: str,
        *,
        choices: tuple[str, ...] = (),
        examples: tuple[object, ...] = (),
        required: bool = False,
    ) -> None:
        self.shape = shape
        self.doc = doc
        self.choices = choices
        self.examples = examples
        self.required = required


ENVIRONMENTS: Final = ("python_env", "conda_env", "docker_env")

PROJECT: Final[dict[str, Key]] = {
    "name": Key("text", "The project's name; runs are recorded in the experiment of this name."),
    "python_env": Key(
        "text",
        "Path of a python_env.yaml, relative to this file. At most one environment may be named.",
        examples=("python_env.yaml",),
    ),
    "conda_env": Key(
        "text",
        "Path of a conda.yaml, relative to this file. At most one environment may be named.",
        examples=("conda.yaml",),
    ),
    "docker_env": Key("mapping", "A container image to run in. At most one environment may be named."),
    "entry_points": Key("mapping", "What the project can run: name -> entry point. `main` is the default."),
    "databricks_spark_job": Key("any", "Settings of MLflow's Databricks backend; ignored here."),
    "proj": Key("mapping", "Settings that MLflow does not know and ignores."),
}

ENTRY_POINT: Final[dict[str, Key]] = {
    "parameters": Key("mapping", "The parameters of the command: name -> type, or a mapping."),
    "command": Key(
        "text",
        "A shell line. `{name}` stands for the value of a parameter, safely quoted; `{name:flag}` for "
        "`--name` or nothing; `{{` and `}}` for braces.",
        examples=("python train.py --alpha {alpha}",),
        required=True,
    ),
}

PARAMETER: Final[dict[str, Key]] = {
    "type": Key("text", "The type of the value; string where none is given.", choices=tuple(TYPES)),
    "default": Key("any", "The value where none is given; without a default the parameter is required."),
    "description": Key("text", "What the parameter does, shown by `proj run -e NAME --help`."),
    "min": Key("number", "The least value of a number."),
    "max": Key("number", "The greatest value of a number."),
    "choices": Key("texts", "The only values that the parameter takes."),
}

DOCKER: Final[dict[str, Key]] = {
    "image": Key("text", "The image to run in.", examples=("python:3.12-slim",), required=True),
    "volumes": Key("texts", "Folders to mount: `/host:/container`.", examples=(["/data:/data"],)),
    "environment": Key(
        "list",
        "Variables of the container: `[NAME, value]` sets one, `NAME` copies it from the host.",
        examples=([["MODE", "test"], "HOME"],),
    ),
    "user": Key("text", "`UID[:GID]` or a name in the image; whoever starts the run by default."),
    "shm_size": Key("text", "Size of `/dev/shm`.", examples=("2g",)),
    "gpus": Key("text", "`all`, a number, or `device=0,1`.", examples=("all",)),
    "network": Key("text", "The container's network.", examples=("bridge", "host", "none")),
    "platform": Key("text", "Platform of the image.", examples=("linux/amd64",)),
    "build": Key(
        "any",
        "The image is built by a Dockerfile of the project: its folder, or a mapping.",
        examples=(".", {"dockerfile": "Dockerfile", "context": "."}),
    ),
}

BUILD: Final[dict[str, Key]] = {
    "dockerfile": Key("text", "Path of the Dockerfile, relative to the context; `Dockerfile` by default."),
    "context": Key("text", "Folder that the Dockerfile sees, relative to this file; `.` by default."),
    "args": Key("mapping", "Build arguments: name -> value.", examples=({"BASE": "python:3.12-slim"},)),
}

EXTENSIONS: Final[dict[str, Key]] = {
    "quoting": Key(
        "text",
        "`mlflow`: put the single quotes that MLflow puts around values that stand in double quotes.",
        choices=("mlflow",),
    ),
    "outputs": Key(
        "texts",
        "Globs, relative to this file, of files to keep as artifacts after the run.",
        examples=(["plots/*.png"],),
    ),
    "metrics": Key(
        "text",
        "`stdout`: record lines like `loss: 0.31` or `loss: 0.31 (step 40)` as metrics.",
        choices=("stdout",),
    ),
    "secrets": Key(
        "texts",
        "Names of variables whose values a container gets from here, and that are shown and kept nowhere.",
        examples=(["API_TOKEN"],),
    ),
    "kubernetes": Key(
        "mapping",
        "Settings of the backend kubernetes, as in its `--backend-config`, which counts more.",
        examples=({"cpu": "2", "memory": "8Gi"},),
    ),
    "verify": Key(
        "mapping",
        "What may differ between two runs that count as the same: `proj diff`, `proj reproduce --verify`.",
    ),
}

TOLERANCE: Final[dict[str, Key]] = {
    "rtol": Key("number", "Relative tolerance; with none, 1e-9, and whole numbers have to be equal."),
    "atol": Key("number", "Absolute tolerance."),
}

VERIFY: Final[dict[str, Key]] = {
    "ignore": Key(
        "texts",
        "Globs of artifacts that need not be the same.",
        examples=(["plots/*", "*.log"],),
    ),
    **TOLERANCE,
    "metrics": Key("mapping", "Metrics with tolerances of their own: name or glob -> tolerance."),
}

METRIC: Final[dict[str, Key]] = {
    **TOLERANCE,
    "ignore": Key("boolean", "`true`: the metric may be anything, as a duration may."),
}
