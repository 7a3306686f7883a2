"""Writes a project file from what is in a folder."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from proj.environments.pep723 import read_script_metadata
from proj.errors import ProjError, UsageError
from proj.projectfile import find, scripts
from proj.projectfile.entrypoints import interpreter
from proj.scaffold.options import Option, Script, read
from proj.yamltree import Scalar, is_text, parse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Draft", "draft", "write"]

_PREFERRED: Final = ("main", "train", "run", "app", "cli")
"""Stems of the script that becomes `main`."""
_NEVER: Final = re.compile(r"(?:setup|conftest|noxfile|fabfile|__init__|test_.*|.*_test)\.py")
_FILES: Final = (
    ("python_env", ("python_env.yaml", "python_env.yml")),
    ("conda_env", ("conda.yaml", "conda.yml", "environment.yaml", "environment.yml")),
)
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML takes in quotes only as an escape, or at all not as it is."""
_FOUND_BY_ITSELF: Final = ("requirements.txt", "pyproject.toml", "setup.py")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A project file that could be written."""

    text: str
    entry_points: tuple[str, ...]
    environment: str | None
    """The file that the environment comes from; None: the folder has none."""
    left_out: tuple[str, ...] = ()
    """Options of the scripts that cannot be declared, each with the reason."""
    required: tuple[str, ...] = ()
    """Parameters that the first entry point does not run without."""
    python_env: str | None = None
    """A python_env.yaml to write beside it: what the scripts themselves say that they need."""


def draft(directory: Path) -> Draft:
    """Make a project file for a folder: its scripts, their simple options, its environment file.

    Raises:
        UsageError: There is no such folder, or nothing in it that could run.
    """
    if not directory.is_dir():
        raise UsageError(f"There is no folder {directory}.", hint="Name the folder that holds your scripts.")
    points = _entry_points(directory)
    if not points:
        raise UsageError(
            f"The folder {directory} holds no .py, .sh or .R script that could be run.",
            hint="Write the script first, or name another folder.",
        )
    read = {script: _read(directory, script) for script in points.values()}
    lines = [f"name: {_scalar(directory.resolve().name or 'project')}", ""]
    environment = _environment(directory, lines)
    python_env = None
    if environment is None:
        python_env = _from_blocks(directory, points.values())
    if python_env is not None:
        environment = "python_env.yaml"
        lines += [f"python_env: {environment}", ""]
    lines.append("entry_points:")
    for name, script in points.items():
        lines += _entry_point(name, script, read[script].options)
    first = read[next(iter(points.values()))]
    return Draft(
        text="\n".join(lines) + "\n",
        entry_points=tuple(points),
        environment=environment,
        left_out=tuple(f"{script} {each}" for script in read for each in read[script].left_out),
        required=tuple(option.name for option in first.options if option.default is None),
        python_env=python_env,
    )


def write(directory: Path, *, force: bool = False) -> tuple[Path, Draft]:
    """Write the project file of a folder.

    Args:
        directory: The folder.
        force: Replace a project file that is there.

    Returns:
        The file, and what was written.

    Raises:
        UsageError: See `draft`; or there is a project file already.
        ProjError: The file cannot be written.
    """
    drafted = draft(directory)
    there = find(directory)
    if there is not None and not force:
        raise UsageError(
            f"{there} is there already.", hint="Replace it with --force, or check it with `proj check`."
        )
    file = there or directory / "MLproject"
    try:
        if drafted.python_env is not None:
            (directory / "python_env.yaml").write_text(drafted.python_env, encoding="utf-8")
        file.write_text(drafted.text, encoding="utf-8")
    except OSError as error:
        raise ProjError(
            f"Cannot write {file}: {error.strerror}.", hint="Check the folder's permissions."
        ) from error
    return file, drafted


def _entry_points(directory: Path) -> dict[str, str]:
    """Name -> script; the likeliest one is `main`."""
    candidates = [name for name in scripts(directory) if not _NEVER.fullmatch(name)]
    running = [name for name in candidates if _read(directory, name).runs]
    chosen = running or candidates
    stems = [name.rpartition(".")[0] for name in chosen]
    main = next((stem for stem in _PREFERRED if stem in stems), stems[0] if len(stems) == 1 else None)
    points: dict[str, str] = {}
    for stem, script in sorted(zip(stems, chosen, strict=True), key=lambda pair: pair[0] != main):
        name = "main" if stem == main else stem
        points[name if name not in points else script.replace(".", "-")] = script
    return points


def _read(directory: Path, script: str) -> Script:
    if not script.endswith(".py"):
        return Script(runs=True)
    try:
        return read((directory / script).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Script(runs=False)


def _environment(directory: Path, lines: list[str]) -> str | None:
    for key, names in _FILES:
        for name in names:
            if (directory / name).is_file():
                lines += [f"{key}: {name}", ""]
                return name
    for name in _FOUND_BY_ITSELF:
        if (directory / name).is_file():
            lines += [f"# The environment comes from {name}.", ""]
            return name
    return None


def _from_blocks(directory: Path, chosen: Iterable[str]) -> str | None:
    """A python_env.yaml of what the `# /// script` blocks ask for; named entry points do not read them."""
    blocks = [read_script_metadata(directory / script) for script in chosen if script.endswith(".py")]
    found = [block for block in blocks if block is not None]
    if not found:
        return None
    pythons = dict.fromkeys(block.requires_python for block in found if block.requires_python)
    lines = ["# From the `# /// script` block of the scripts."]
    lines += [f"python: {_text(','.join(pythons))}"] if pythons else []
    needed = dict.fromkeys(line for block in found for line in block.dependencies)
    lines += ["dependencies:", *(f"  - {_text(line)}" for line in needed)] if needed else ["dependencies: []"]
    return "\n".join(lines) + "\n"


def _entry_point(name: str, script: str, options: tuple[Option, ...]) -> list[str]:
    lines = [f"  {_scalar(name)}:"]
    if options:
        lines.append("    parameters:")
        lines += [f"      {_scalar(option.name)}: {_parameter(option)}" for option in options]
    program = interpreter(script) or ("bash",)
    if script.endswith(".sh"):
        program = ("bash",)  # the writer's own $SHELL need not be the reader's
    shown = f"./{script}" if script.startswith("-") else script
    words = [shlex.join([*program, shown]).replace("{", "{{").replace("}", "}}"), *map(_argument, options)]
    lines.append(f"    command: {_text(' '.join(words))}")
    return lines


def _argument(option: Option) -> str:
    if option.type == "bool":
        return f"{{{option.name}:flag}}"
    if option.flag is None:
        return f"{{{option.name}}}"
    # With `=` a value that begins with a dash is no option
    return (
        f"{option.flag}={{{option.name}}}"
        if option.flag.startswith("--")
        else f"{option.flag} {{{option.name}}}"
    )


def _parameter(option: Option) -> str:
    pairs = [f"type: {option.type}"]
    if option.choices:
        pairs.append(f"choices: [{', '.join(map(_text, option.choices))}]")
    if option.default is not None:
        pairs.append(f"default: {_default(option)}")
    if option.description:
        pairs.append(f"description: {_text(option.description)}")
    return "{" + ", ".join(pairs) + "}"


def _default(option: Option) -> str:
    if isinstance(option.default, bool):
        return str(option.default).lower()
    if isinstance(option.default, (int, float)):
        return _scalar(str(option.default)) if option.type != "choice" else _text(str(option.default))
    return _text(str(option.default))


def _text(text: str) -> str:
    """A text in double quotes, as both JSON and YAML read it."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _scalar(text: str) -> str:
    """A name or number as it is where YAML reads it so, else in quotes."""
    if re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", text):
        return text
    if re.fullmatch(r"[A-Za-z_][\w.-]*", text):
        node = parse(text)
        if isinstance(node, Scalar) and is_text(node):
            return text
    return _text(text)
