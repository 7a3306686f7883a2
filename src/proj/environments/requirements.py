"""Requirement files as pip reads them, flattened into one frozen value."""

from __future__ import annotations

import codecs
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAX_FILES = 100
"""More included files than this are a loop that symbolic links hide."""

_COMMENT = r"(^|\s+)#.*$"
_OPTION = r"(?s)^(--?[A-Za-z][\w-]*)(?:\s*=\s*|\s+|$)(.*)$"
_SHORT_GLUED = r"(?s)^(-[rcefi])(\S.*)$"
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*"
_EXTRAS = r"(?s)^(?P<path>.*?)(?P<extras>\[[^\]]*\])?$"

_INCLUDE = {"-r", "--requirement"}
_CONSTRAIN = {"-c", "--constraint"}
_EDITABLE = {"-e", "--editable"}
_INDEX = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
_PASSED_ON = {"--no-index", "--pre", "--no-binary", "--only-binary", "--prefer-binary"}
_IGNORED = {
    "--trusted-host",
    "--use-feature",
    "--no-cache-dir",
    "--upgrade",
    "-U",
    "--user",
    "--require-hashes",
}

WINDOWS_ONLY = frozenset(
    {"pywin32", "pypiwin32", "wincertstore", "win-inet-pton", "pywinpty", "windows-curses"}
)
"""Distributions without a build for other systems, which exported requirement lists often pin."""


class LocalPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package in a folder (or an archive file) of this machine."""

    path: str
    """Absolute path."""
    editable: bool = False
    extras: str = ""
    """As written, such as `[dev]`."""
    marker: str = ""


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of requirements asks for, included files and all."""

    lines: tuple[str, ...] = ()
    """Requirements by name or URL, as pip takes them; with `--hash` options where the file has them."""
    local: tuple[LocalPackage, ...] = ()
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """`--index-url`, `--extra-index-url`, `--find-links`, `--pre` … lines, each once."""
    warnings: tuple[str, ...] = ()

    @property
    def hashed(self) -> bool:
        """Whether every requirement names its hashes: the file is a lock in itself."""
        return bool(self.lines) and not self.local and all("--hash=" in line for line in self.lines)

    def __bool__(self) -> bool:
        """Whether anything is required."""
        return bool(self.lines or self.local)


def requirement_name(line: str) -> str:
    """The normalised distribution name (PEP 503) that a requirement line begins with; empty if none."""
    match = re.match(_NAME, line.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def read_text(path: Path) -> str:
    """A text file's content, whatever encoding Windows tools gave it.

    Raises:
        EnvironmentFailedError: It cannot be read or is no text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise EnvironmentFailedError(
            f"Cannot read {path}: {error.strerror or error}.",
            hint="Check the name in the file that mentions it.",
        ) from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's `pip freeze > file`
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            raise EnvironmentFailedError(
                f"{path} is not a text file.", hint="Save it as UTF-8 text."
            ) from error
        return raw.decode("latin-1")


def read_requirements(path: Path, project_dir: Path) -> Requirements:
    """Read a requirements file and all that it includes.

    Args:
        path: The file.
        project_dir: Where a local path is looked up that is not there relative to the file that names it.

    Raises:
        EnvironmentFailedError: A file is missing or cannot be read.
    """
    return parse_requirements(
        logical_lines(read_text(path)), origin=path.name, base=path.parent, project_dir=project_dir
    )


def parse_requirements(lines: Iterable[str], *, origin: str, base: Path, project_dir: Path) -> Requirements:
    """Flatten requirement lines.

    Args:
        lines: Logical lines: comments removed, continuations joined.
        origin: What to call the source in messages.
        base: Folder that relative paths of these lines refer to.
        project_dir: See `read_requirements`.

    Raises:
        EnvironmentFailedError: An included file is missing or cannot be read.
    """
    collector = _Collector(project_dir)
    collector.take(lines, origin, base)
    return collector.result()


def logical_lines(text: str) -> list[str]:
    """The lines of a requirements file without comments, continuations joined (pip's rules)."""
    joined: list[str] = []
    pending = ""
    for raw in text.splitlines():
        is_comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not is_comment:
            pending += raw[:-1].strip() + " "
            continue
        line = re.sub(_COMMENT, "", pending + ("" if is_comment else raw)).strip()
        pending = ""
        if line:
            joined.append(line)
    if pending.strip():
        joined.append(re.sub(_COMMENT, "", pending).strip())
    return joined


class _Collector:
    def __init__(self, project_dir: Path) -> None:
        self._project_dir = project_dir
        self._seen: set[Path] = set()
        self._lines: dict[str, None] = {}
        self._local: dict[LocalPackage, None] = {}
        self._constraints: dict[str, None] = {}
        self._options: dict[str, None] = {}
        self._warnings: list[str] = []

    def result(self) -> Requirements:
        return Requirements(
            lines=tuple(self._lines),
            local=tuple(self._local),
            constraints=tuple(self._constraints),
            options=tuple(self._options),
            warnings=tuple(self._warnings),
        )

    def take(self, lines: Iterable[str], origin: str, base: Path) -> None:
        for line in lines:
            match = re.match(_OPTION, line) if line.startswith("-") else None
            if line.startswith("-") and (match is None or match[1] not in _known_options()):
                match = re.match(_SHORT_GLUED, line) or match
            if match:
                self._option(match[1], _unquote(match[2].strip()), origin, base)
            else:
                self._requirement(line, origin, base)

    def _option(self, name: str, value: str, origin: str, base: Path) -> None:
        if name in _INCLUDE:
            self._include(value, origin, base)
        elif name in _CONSTRAIN:
            self._constrain(value, origin, base)
        elif name in _EDITABLE:
            self._editable(value, base)
        elif name in _INDEX:
            option = _INDEX[name]
            if option == "--find-links" and "://" not in value:
                value = str(self._resolve(value, base))
            self._options[f"{option} {value}"] = None
        elif name in _PASSED_ON:
            self._options[f"{name} {value}".strip()] = None
        elif name not in _IGNORED:
            self._warnings.append(f"{origin}: the option {name} is not known and was left out.")

    def _include(self, value: str, origin: str, base: Path) -> None:
        path = self._included_file(value, origin, base)
        if path in self._seen:
            return
        self._seen.add(path)
        if len(self._seen) > _MAX_FILES:
            raise EnvironmentFailedError(
                f"{origin} includes more than {_MAX_FILES} requirement files.",
                hint="Look for a loop of -r lines.",
            )
        self.take(logical_lines(read_text(path)), path.name, path.parent)

    def _constrain(self, value: str, origin: str, base: Path) -> None:
        path = self._included_file(value, origin, base)
        nested = _Collector(self._project_dir)
        nested.take(logical_lines(read_text(path)), path.name, path.parent)
        found = nested.result()
        self._constraints.update(dict.fromkeys((*found.lines, *found.constraints)))

    def _included_file(self, value: str, origin: str, base: Path) -> Path:
        if "://" in value and not value.startswith("file:"):
            raise EnvironmentFailedError(
                f"{origin} includes {value}, which is not a file.",
                hint="Download it into the project and include the file.",
            )
        path = self._resolve(value, base)
        if not path.is_file():
            raise EnvironmentFailedError(
                f"{origin} includes {value}, but there is no file {path}.",
                hint="Add the file, or correct the name; it is relative to the file that names it.",
            )
        return path

    def _editable(self, value: str, base: Path) -> None:
        if "://" in value and not value.startswith("file:"):
            # A remote repository has nothing on this machine to edit: it is installed like any other.
            fragment = re.search(r"[#&]egg=([A-Za-z0-9._-]+(?:\[[^\]]*\])?)", value)
            url = re.sub(r"#.*$", "", value)
            subdirectory = re.search(r"[#&]subdirectory=([^&]+)", value)
            url += f"#subdirectory={subdirectory[1]}" if subdirectory else ""
            self._lines[f"{fragment[1]} @ {url}" if fragment else url] = None
            return
        self._add_local(value, base, editable=True)

    def _requirement(self, line: str, origin: str, base: Path) -> None:
        named_file = re.match(r"^([A-Za-z0-9._-]+)\s*(\[[^\]]*\])?\s*@\s*(file:\S+)", line)
        if named_file:
            self._add_local(named_file[3] + (named_file[2] or ""), base, editable=False)
        elif _looks_local(line):
            self._add_local(line, base, editable=False)
        elif requirement_name(line) in WINDOWS_ONLY and ";" not in line and os.name != "nt":
            self._warnings.append(f"{origin}: {line} exists for Windows only and was left out.")
        else:
            self._lines[re.sub(r"\s+", " ", line)] = None

    def _add_local(self, text: str, base: Path, *, editable: bool) -> None:
        text, _, marker = text.partition(" ;") if " ;" in text else text.partition("; ")
        match = re.match(_EXTRAS, text.strip())
        assert match is not None  # noqa: S101  the pattern matches any text
        path = self._resolve(match["path"], base)
        if not path.exists():
            raise EnvironmentFailedError(
                f"The local package {text.strip()} is not there: no {path}.",
                hint="Correct the path; it is relative to the file that names it.",
            )
        package = LocalPackage(
            path=str(path),
            editable=editable and path.is_dir(),
            extras=match["extras"] or "",
            marker=marker.strip(),
        )
        self._local[package] = None

    def _resolve(self, value: str, base: Path) -> Path:
        if value.startswith("file:"):
            value = unquote(re.sub(r"^file:(//(localhost)?(?=/))?", "", value).partition("#")[0])
        value = os.path.expandvars(value)
        beside = (base / value).resolve()
        if beside.exists():
            return beside
        fallback = (self._project_dir / value).resolve()
        return fallback if fallback.exists() else beside


def _known_options() -> set[str]:
    return _INCLUDE | _CONSTRAIN | _EDITABLE | set(_INDEX) | _PASSED_ON | _IGNORED


def _looks_local(line: str) -> bool:
    target = re.split(r"\s;|;\s", line, maxsplit=1)[0].strip()
    if target.startswith("file:"):
        return True
    if "://" in target or " @ " in target:
        return False
    bare = re.sub(r"\[[^\]]*\]$", "", target)
    return bare.startswith((".", "/", "~")) or "/" in bare or bare.endswith(_ARCHIVES)


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
