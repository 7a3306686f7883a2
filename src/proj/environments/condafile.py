"""Conda environment files: what they ask of Python, of pip, and of conda itself."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.specs import CondaSpec, parse_spec
from proj.environments.yamlfile import load_yaml
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path

BUILD_PACKAGES = ("pip", "setuptools", "wheel")
"""What counts as part of any Python environment; also MLflow's `_PythonEnv.BUILD_PACKAGES`."""

_KNOWN_KEYS = frozenset({"name", "prefix", "channels", "dependencies", "variables", "platforms", "category"})
_SELECTED = re.compile(r"^\s*-\s*(?P<entry>[^#]+?)\s*#\s*\[(?P<selector>[^\]]+)\]\s*$")
_WORD = re.compile(r"[A-Za-z0-9_.]+")
_PLATFORM_WORDS = {
    "linux": {"linux", "unix", "linux64"},
    "darwin": {"osx", "unix", "osx64"},
    "win32": {"win", "win64"},
}
_OTHER_WORDS = frozenset().union(*_PLATFORM_WORDS.values())


class CondaFile(msgspec.Struct, frozen=True, kw_only=True):
    """A conda environment file."""

    python: str | None = None
    """The version as it stands behind `python`, such as `=3.8.5`; None when any will do."""
    build: tuple[str, ...] = ()
    """pip, setuptools, wheel with their versions, as requirements."""
    pip: tuple[str, ...] = ()
    """Requirement lines below `pip:`."""
    conda: tuple[str, ...] = ()
    """Packages beside Python and pip, as written: only conda can install them."""
    specs: tuple[CondaSpec, ...] = ()
    """All that is asked of conda: `python`, `pip` and the others, in the file's order."""
    channels: tuple[str, ...] = ()
    """As written; variables in them are not replaced."""
    variables: tuple[tuple[str, str], ...] = ()
    """Set for the command."""
    warnings: tuple[str, ...] = ()


def read_conda_file(path: Path) -> CondaFile:
    """Read a conda environment file.

    Raises:
        EnvironmentFailedError: It cannot be read, is not a mapping, or asks for what is no package.
    """
    table = load_yaml(path)
    reader = _Reader(path.name)
    reader.take_all(table.get("dependencies"), selectors_in(path))
    if "pip" in table:
        reader.warnings.append(
            f"{path.name}: `pip:` stands beside `dependencies:`; it is read as if it stood in it."
        )
        reader.take_pip(table["pip"])
    variables = _variables(table.get("variables"), path.name, reader.warnings)
    unknown = sorted(set(table) - _KNOWN_KEYS - {"pip"})
    if unknown:
        reader.warnings.append(f"{path.name}: conda does not know {', '.join(unknown)}; left out of account.")
    return CondaFile(
        python=reader.python, build=tuple(reader.build), pip=tuple(reader.pip), conda=tuple(reader.conda),
        specs=tuple(reader.specs), channels=_channels(table.get("channels")),
        variables=variables, warnings=tuple(reader.warnings),
    )  # fmt: skip


class _Reader:
    """Takes the entries below `dependencies:` apart."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.python: str | None = None
        self.build: list[str] = []
        self.pip: list[str] = []
        self.conda: list[str] = []
        self.specs: list[CondaSpec] = []
        self.warnings: list[str] = []

    def take_all(self, entries: object, selectors: dict[str, str]) -> None:
        if isinstance(entries, dict):
            self.warnings.append(
                f"{self._origin}: `dependencies:` is a mapping; read as a list of its entries."
            )
            entries = [{key: value} for key, value in entries.items()]
        if isinstance(entries, str):
            entries = [line for line in entries.splitlines() if line.strip()]
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                for key, value in entry.items():
                    self._take_pair(str(key), value)
            elif isinstance(entry, str) and entry.strip():
                selector = selectors.get(entry.strip())
                if selector is None or self._is_meant(entry, selector):
                    self._take(entry)

    def _take_pair(self, key: str, value: object) -> None:
        if key == "pip":
            self.take_pip(value)
        elif key.startswith("sel(") and key.endswith(")"):  # micromamba's selectors
            lines = value if isinstance(value, list) else [value]
            for line in lines if self._is_meant(str(value), key[4:-1]) else []:
                self._take(str(line))
        elif isinstance(value, str):
            told = f"`{key}: {value}` is a mapping where a package is expected; read as `{key}={value}`"
            self.warnings.append(f"{self._origin}: {told}.")
            self._take(f"{key}={value}" if value.strip() else key)

    def take_pip(self, value: object) -> None:
        lines = [value] if isinstance(value, str) else value
        self.pip.extend(str(line) for line in lines if line) if isinstance(lines, list) else None

    def _take(self, entry: str) -> None:
        spec = parse_spec(entry)
        self.specs.append(spec)
        if spec.name == "python":
            self.python = as_python(spec) or None
        elif spec.name in BUILD_PACKAGES:
            self.build.append(spec.name + as_pip(spec.version))
        else:
            self.conda.append(spec.written)

    def _is_meant(self, entry: str, selector: str) -> bool:
        meant = selects(selector)
        if meant is None:
            self.warnings.append(
                f"{self._origin}: the selector [{selector}] of {entry} is not known; it is kept."
            )
            return True
        if not meant:
            self.warnings.append(f"{self._origin}: {entry} is meant for [{selector}] and was left out.")
        return meant


def selectors_in(path: Path) -> dict[str, str]:
    """Entries that end with a selector in a comment, such as `pywin32  # [win]`, which YAML does not tell."""
    from proj.environments.requirements import read_text

    matches = (_SELECTED.match(line) for line in read_text(path).splitlines() if "[" in line and "#" in line)
    return {match["entry"].strip("\"'"): match["selector"].strip() for match in matches if match}


def selects(selector: str) -> bool | None:
    """Whether a selector means this platform; None if that cannot be told."""
    true = _PLATFORM_WORDS.get(sys.platform, set())
    words = selector.lower().split()
    result: bool | None = None
    operator, negated = "or", False
    for word in words:
        if word in ("and", "or"):
            operator = word
        elif word == "not":
            negated = not negated
        elif _WORD.fullmatch(word) and word in _OTHER_WORDS:
            value = (word in true) != negated
            result = value if result is None else (result and value if operator == "and" else result or value)
            negated = False
        else:
            return None
    return result


def as_python(spec: CondaSpec) -> str:
    """The version of `python` as a request: without the build, `=3.8` for a prefix."""
    version = spec.version
    if version.startswith("==") and "*" not in version:
        return f"={version[2:]}"
    prefix = re.fullmatch(r"(\d+(?:\.\d+)*)\.?\*", version)
    if prefix:
        return f"={prefix[1]}"
    return "" if version == "*" else version


def as_pip(version: str) -> str:
    """A conda version as pip writes it.

    What pip cannot say, such as alternatives, is left open: any version will do.
    """
    if not version or version == "*" or "|" in version or "(" in version:
        return ""
    return ",".join(filter(None, map(_clause, version.split(","))))


def _clause(clause: str) -> str:
    match = re.fullmatch(
        r"(?P<operator>==|!=|~=|<=|>=|<|>|=)?(?P<version>[\w.!+]*?)(?P<star>\.?\*)?", clause.strip()
    )
    if match is None or not match["version"]:
        return ""
    operator, version = match["operator"] or "==", match["version"].rstrip(".")
    if operator == "=":
        return f"=={version}.*" if re.fullmatch(r"[\d.]+", version) else f"=={version}"
    if match["star"]:
        numeric = re.fullmatch(r"[\d.]+", version) is not None
        # Only equality knows prefixes in PEP 440; conda's `>=1.2.*` means `>=1.2`.
        return f"{operator}{version}" + (".*" if operator in ("==", "!=") and numeric else "")
    return f"{operator}{version}"


def _channels(value: object) -> tuple[str, ...]:
    entries = [value] if isinstance(value, str) else value
    return tuple(str(entry).strip() for entry in entries if entry) if isinstance(entries, list) else ()


def _variables(value: object, origin: str, warnings: list[str]) -> tuple[tuple[str, str], ...]:
    if value in (None, ""):
        return ()
    if not isinstance(value, dict):
        warnings.append(f"{origin}: `variables:` is no mapping; left out of account.")
        return ()
    found = tuple((str(name), str(text)) for name, text in value.items())
    for name, _ in found:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise EnvironmentFailedError(
                f"{origin}: {name!r} is no name of a variable.", hint="Correct `variables:`."
            )
    return found
