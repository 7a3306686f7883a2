"""MLproject bytes -> `Project`, in one pass; every problem is collected before any is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import (
    Diagnostic,
    EntryPoint,
    Extensions,
    Parameter,
    ParameterKind,
    Position,
    Project,
    Severity,
    Verification,
)
from proj.projectfile import keys
from proj.projectfile.environment import read_environment
from proj.projectfile.findings import MISSING_COMMAND, Findings, ProjectInvalidError, missing_command
from proj.projectfile.reader import Reader, describe
from proj.yamltree import (
    Mapping,
    Scalar,
    YamlError,
    construct,
    decode,
    is_null,
    is_text,
    split_lines,
)
from proj.yamltree import parse as parse_yaml

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal, NoReturn

    from proj.yamltree import Entry, Node


def parse(data: bytes, *, file: Path, strict: bool = False) -> Project:
    """Parse the bytes of a project file.

    Args:
        data: The file's content.
        file: Where it lies; its folder is the project's.
        strict: Treat unknown keys as errors.

    Raises:
        ProjectInvalidError: The project file cannot be used; the message names each error and its place.
    """
    try:
        text = decode(data)
        lines = split_lines(text)
        root = parse_yaml(text)
    except YamlError as error:
        shown = data[: 1 << 20].decode("utf-8", "replace")
        _refuse(file, split_lines(shown), error)
    findings = Findings(str(file), lines)
    try:
        project = _Parser(Reader(findings, strict=strict), lines, file).project(root)
    except YamlError as error:
        findings.error("yaml", error.message, error.position, error.fix)
        project = None
    errors = [found for found in findings.found if found.severity is Severity.ERROR]
    if errors or project is None:
        others = [found for found in findings.found if found.severity is not Severity.ERROR]
        raise ProjectInvalidError(str(file), sorted(errors, key=_place), others=others, project=project)
    return project


class _Parser:
    """Builds the values of one file."""

    __slots__ = ("_file", "_findings", "_lines", "_reader")

    def __init__(self, reader: Reader, lines: list[str], file: Path) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._lines = lines
        self._file = file

    def project(self, root: Node | None) -> Project | None:
        start = Position(line=1, column=1)
        example = 'Write for example `entry_points: {main: {command: "python train.py"}}`.'
        if root is None or is_null(root):
            self._findings.error("empty", "the file is empty", start, example)
            return None
        fields = self._reader.fields(root, keys.PROJECT, "the project file", example)
        if fields is None:
            return None
        name = fields.get("name")
        self._not_ours(fields)
        return Project(
            name=self._reader.text(name.value, "`name`") if name else None,
            directory=self._file.parent,
            file=self._file,
            environment=read_environment(self._reader, fields, self._file.parent),
            entry_points=self._entry_points(fields.get("entry_points")),
            extensions=self._extensions(fields.get("proj")),
            diagnostics=tuple(self._findings.found),
        )

    def _not_ours(self, fields: dict[str, Entry]) -> None:
        spark = fields.get("databricks_spark_job")
        if spark is not None:
            self._findings.warning(
                "unsupported", "`databricks_spark_job` is ignored: proj does not run on Databricks", spark.key
            )

    def _entry_points(self, entry: Entry | None) -> tuple[EntryPoint, ...]:
        if entry is None or is_null(entry.value):
            return ()
        fix = 'Write `entry_points: {main: {command: "python train.py"}}`.'
        found = self._reader.mapping(entry.value, "`entry_points`", fix)
        points = [self._entry_point(point) for point in (found or {}).values()]
        return tuple(point for point in points if point is not None)

    def _entry_point(self, entry: Entry) -> EntryPoint | None:
        # The key as it is written: `on` and `1` are names here, not a boolean and a number
        name = entry.key.text if isinstance(entry.key, Scalar) else ""
        what = f"entry point `{name}`"
        fix = f'Write `{name}: {{command: "…"}}`.'
        fields = self._reader.fields(entry.value, keys.ENTRY_POINT, what, fix)
        if fields is None:
            return None
        parameters = self._parameters(fields.get("parameters"), name)
        command = fields.get("command")
        if command is None or not is_text(command.value):
            self._without_command(name, entry, command)
            return EntryPoint(name=name, command="", parameters=parameters)
        scalar = command.value
        assert isinstance(scalar, Scalar)  # noqa: S101  what is_text said
        return EntryPoint(
            name=name, command=scalar.text, parameters=parameters, position=self._text_start(scalar)
        )

    def _without_command(self, name: str, entry: Entry, command: Entry | None) -> None:
        """A warning: MLflow runs the other entry points of such a file, so do we."""
        if command is None or is_null(command.value):
            self._findings.warning(
                MISSING_COMMAND,
                missing_command(name),
                (command or entry).key,
                'Write `command: "python train.py"` with what it is to run.',
            )
            return
        self._findings.warning(
            MISSING_COMMAND,
            missing_command(name),
            command.value,
            f"`command` must be a text, not {describe(command.value)}.",
        )

    def _text_start(self, scalar: Scalar) -> Position:
        """Where the text itself begins: behind the quote, or in the line below `|` or `>`."""
        if scalar.style is None:
            return scalar.position
        if scalar.style in "'\"":
            return Position(line=scalar.line, column=scalar.column + 1)
        for number in range(scalar.line, len(self._lines)):
            line = self._lines[number]
            if line.strip():
                return Position(line=number + 1, column=len(line) - len(line.lstrip(" ")) + 1)
        return scalar.position

    def _parameters(self, entry: Entry | None, point: str) -> tuple[Parameter, ...]:
        if entry is None or is_null(entry.value):
            return ()
        fix = "Write `parameters: {alpha: {type: float, default: 0.1}}`."
        found = self._reader.mapping(entry.value, f"`parameters` of entry point `{point}`", fix)
        parameters = [self._parameter(name, one) for name, one in (found or {}).items()]
        return tuple(parameter for parameter in parameters if parameter is not None)

    def _parameter(self, name: str, entry: Entry) -> Parameter | None:
        key, node = entry.key, entry.value
        if isinstance(key, Scalar) and key.text != name:
            self._findings.warning(
                "key-type",
                f"YAML reads the parameter name `{key.text}` as {describe(key)}: it is `{name}` now",
                key,
                f'Write `"{key.text}"` in quotes.',
            )
        if isinstance(node, Scalar) and is_text(node):
            return Parameter(
                name=name, kind=kind_of(node.text), declared_type=node.text, position=key.position
            )
        what = f"parameter `{name}`"
        if not isinstance(node, Mapping):
            message = f"{what} must be a type or a mapping, not {describe(node)}"
            fix = f"Write `{name}: string` or `{name}: {{type: string, default: …}}`."
            self._findings.error("wrong-type", message, node if not is_null(node) else key, fix)
            # Its name is known: `{name}` in the command is no slip of its own.
            return Parameter(name=name, position=key.position)
        fields = self._reader.fields(node, keys.PARAMETER, what)
        return None if fields is None else self._declared(name, key, fields)

    def _declared(self, name: str, key: Node, fields: dict[str, Entry]) -> Parameter:
        what = f"of parameter `{name}`"
        declared = fields.get("type")
        declared_type = "string"
        if declared is not None:
            declared_type = self._reader.string(declared.value) or ""
        default = fields.get("default")
        description = fields.get("description")
        choices = fields.get("choices")
        return Parameter(
            name=name,
            kind=kind_of(declared_type),
            declared_type=declared_type,
            default=None if default is None or is_null(default.value) else self._reader.string(default.value),
            description=self._reader.text(description.value, f"`description` {what}")
            if description
            else None,
            minimum=self._bound(fields.get("min"), f"`min` {what}"),
            maximum=self._bound(fields.get("max"), f"`max` {what}"),
            choices=self._reader.texts(choices.value, f"`choices` {what}") if choices else (),
            position=key.position,
        )

    def _bound(self, entry: Entry | None, what: str) -> float | None:
        return self._reader.number(entry.value, what) if entry is not None else None

    def _extensions(self, entry: Entry | None) -> Extensions:
        if entry is None or is_null(entry.value):
            return Extensions()
        fields = self._reader.fields(entry.value, keys.EXTENSIONS, "`proj`")
        if not fields:
            return Extensions()
        outputs = fields.get("outputs")
        quoting: Literal["mlflow"] | None = "mlflow" if self._extension(fields, "quoting") else None
        metrics: Literal["stdout"] | None = "stdout" if self._extension(fields, "metrics") else None
        return Extensions(
            quoting=quoting,
            metrics=metrics,
            outputs=self._outputs(outputs) if outputs else (),
            verify=self._verification(fields.get("verify")),
            secrets=self._reader.texts(fields["secrets"].value, "`secrets` of `proj`")
            if "secrets" in fields
            else (),
            kubernetes=self._settings(fields.get("kubernetes"), "`kubernetes` of `proj`"),
        )

    def _settings(self, entry: Entry | None, what: str) -> str:
        """A backend's settings, which are the backend's to understand, as a JSON object."""
        if entry is None or is_null(entry.value) or self._reader.mapping(entry.value, what) is None:
            return "{}"
        import json

        try:
            return json.dumps(construct(entry.value), default=str)
        except YamlError as error:
            self._findings.error("yaml", f"{what}: {error.message}", error.position, error.fix)
        except (TypeError, ValueError):
            self._findings.error("wrong-type", f"{what} has a key that is no text", entry.value)
        return "{}"

    def _verification(self, entry: Entry | None) -> Verification:
        if entry is None:
            return Verification()
        from proj.projectfile.verification import read_verification  # few files have it

        return read_verification(self._reader, entry)

    def _outputs(self, entry: Entry) -> tuple[str, ...]:
        patterns = self._reader.texts(entry.value, "`outputs` of `proj`")
        for pattern in patterns:
            if not pattern.strip("./") or pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                self._findings.error(
                    "outputs",
                    f"`outputs` of `proj` holds {pattern!r}, which names no files in the project's folder",
                    entry.value.position,
                    "Write patterns relative to the project's folder, such as `results/*.json`.",
                )
        return patterns

    def _extension(self, fields: dict[str, Entry], name: str) -> str | None:
        entry = fields.get(name)
        if entry is None:
            return None
        return self._reader.text(entry.value, f"`{name}` of `proj`", keys.EXTENSIONS[name])


def kind_of(declared_type: str) -> ParameterKind:
    """What a declared type means; one that is not known means a string, as in MLflow."""
    return keys.TYPES.get(declared_type, ParameterKind.STRING)


def _refuse(file: Path, lines: list[str], error: YamlError) -> NoReturn:
    findings = Findings(str(file), lines)
    findings.error("yaml", error.message, error.position, error.fix)
    raise ProjectInvalidError(str(file), findings.found) from error


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    position = diagnostic.position or Position(line=1, column=1)
    return position.line, position.column
