"""Conda environment files: what they ask of Python, of pip, and of conda itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.specs import CondaSpec, parse_spec
from proj.environments.conda.urls import bare, bare_text, is_literal
from proj.environments.variables import warning_of_secret
from proj.environments.yamlfile import load_yaml
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BUILD_PACKAGES = ("pip", "setuptools", "wheel")
"""What counts as part of any Python environment; also MLflow's `_PythonEnv.BUILD_PACKAGES`."""

_KNOWN_KEYS = frozenset({"name", "prefix", "channels", "dependencies", "variables", "platforms", "category"})
_ENTRY = re.compile(r"^\s*-\s+(?P<entry>.+?)(?:\s+#\s*(?:\[(?P<selector>[^\]]+)\]\s*$|.*$)|\s*$)")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_PLATFORMS = (
    "linux-64", "linux-32", "linux-aarch64", "linux-ppc64le", "linux-s390x", "osx-64", "osx-arm64", "win-64",
    "win-32", "win-arm64",
)  # fmt: skip


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


def read_conda_file(path: Path, platform: str | None = None) -> CondaFile:
    """Read a conda environment file.

    Args:
        path: The file.
        platform: conda's name of the platform that selectors are about; None: this machine's.

    Raises:
        EnvironmentFailedError: It cannot be read, is not a mapping, or asks for what is no package.
    """
    table = load_yaml(path)
    reader = _Reader(path, platform)
    reader.take_all(table.get("dependencies"))
    if "pip" in table:
        reader.warnings.append(
            f"{path.name}: `pip:` stands beside `dependencies:`; it is read as if it stood in it."
        )
        reader.take_pip(table["pip"])
    variables = _variables(table.get("variables"), path.name, reader.warnings)
    channels = _channels(table.get("channels"))
    reader.warn_of_secrets((*channels, *(spec.channel for spec in reader.specs)))
    unknown = sorted(set(table) - _KNOWN_KEYS - {"pip"})
    if unknown:
        reader.warnings.append(f"{path.name}: conda does not know {', '.join(unknown)}; left out of account.")
    return CondaFile(
        python=reader.python, build=tuple(reader.build), pip=tuple(reader.pip), conda=tuple(reader.conda),
        specs=tuple(reader.specs), channels=channels,
        variables=variables, warnings=tuple(map(bare_text, reader.warnings)),
    )  # fmt: skip


class _Reader:
    """Takes the entries below `dependencies:` apart."""

    def __init__(self, path: Path, platform: str | None) -> None:
        self._path, self._origin, self._platform = path, path.name, platform
        self._selectors = selectors_in(path)
        self.python: str | None = None
        self.build: list[str] = []
        self.pip: list[str] = []
        self.conda: list[str] = []
        self.specs: list[CondaSpec] = []
        self.warnings: list[str] = []

    def take_all(self, entries: object) -> None:
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
            elif isinstance(entry, str) and entry.strip() and self._is_selected(entry):
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
        for line in map(str, filter(None, lines)) if isinstance(lines, list) else ():
            if self._is_selected(line):
                self.pip.append(line)

    def _take(self, entry: str) -> None:
        try:
            spec = parse_spec(entry)
        except EnvironmentFailedError as error:
            raise EnvironmentFailedError(f"{self._place(entry)}: {error.message}", hint=error.hint) from error
        self.specs.append(spec)
        if spec.name == "python":
            self.python = as_python(spec) or None
        elif spec.name in BUILD_PACKAGES:
            self.build.append(spec.name + as_pip(spec.version))
        else:
            self.conda.append(spec.written)

    def warn_of_secrets(self, channels: Iterable[str]) -> None:
        """Warn of tokens and passwords that stand in the file: it is recorded, and gets into images."""
        for channel in dict.fromkeys(channels):
            if is_literal(channel):
                self.warnings.append(warning_of_secret(self._origin, bare(channel)))

    def _place(self, entry: str) -> str:
        """Where an entry stands: the file, and the line where that can be told."""
        from proj.environments.requirements import read_text

        lines = enumerate(read_text(self._path).splitlines(), start=1)
        number = next((number for number, line in lines if entry in line.partition("- ")[2]), None)
        return f"{self._origin}:{number}" if number is not None else self._origin

    def _is_selected(self, entry: str) -> bool:
        """Whether the selector behind an entry, if there is one, means this platform."""
        waiting = self._selectors.get(entry.strip())  # the same entry may stand there once for each platform
        selector = waiting.pop(0) if waiting else None
        return selector is None or self._is_meant(entry, selector)

    def _is_meant(self, entry: str, selector: str) -> bool:
        meant = selects(selector, self._platform)
        if meant is None:
            self.warnings.append(
                f"{self._origin}: the selector [{selector}] of {entry} is not known; it is kept."
            )
            return True
        if not meant:
            self.warnings.append(f"{self._origin}: {entry} is meant for [{selector}] and was left out.")
        return meant


def selectors_in(path: Path) -> dict[str, list[str | None]]:
    """Entry of a list -> the selectors in comments behind it, which YAML does not tell.

    Such as `pywin32  # [win]`. One for each time that the entry stands there, in the file's order; None where
    it has none.
    """
    from proj.environments.requirements import read_text

    found: dict[str, list[str | None]] = {}
    for match in filter(None, map(_ENTRY.match, read_text(path).splitlines())):
        selector = match["selector"].strip() if match["selector"] else None
        found.setdefault(match["entry"].strip("\"'"), []).append(selector)
    return {entry: selectors for entry, selectors in found.items() if any(selectors)}


def selects(selector: str, platform: str | None = None) -> bool | None:
    """Whether a selector means a platform; None if that cannot be told.

    Args:
        selector: Such as `linux and not aarch64`.
        platform: conda's name of the platform; None: this machine's.
    """
    from proj.environments.conda.service import current_platform

    true = _words_of(platform or current_platform())
    known = frozenset().union(*map(_words_of, _PLATFORMS))
    words = selector.lower().split()
    result: bool | None = None
    operator, negated = "or", False
    for word in words:
        if word in ("and", "or"):
            operator = word
        elif word == "not":
            negated = not negated
        elif _WORD.fullmatch(word) and word in known:
            value = (word in true) != negated
            result = value if result is None else (result and value if operator == "and" else result or value)
            negated = False
        else:
            return None
    return result


def _words_of(platform: str) -> frozenset[str]:
    """What selectors call a platform (`ns_cfg` in conda_build/metadata.py)."""
    system, _, machine = platform.partition("-")
    words = {platform, system, *(["unix"] if system != "win" else [])}
    if machine in ("64", "32"):
        words |= {f"{system}{machine}", "x86", *(["x86_64"] if machine == "64" else [])}
    else:
        words.add(machine)
    return frozenset(words)


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
    if "PATH" in value:
        warnings.append(f"{origin}: `variables:` sets PATH, where programs are found; left out of account.")
    return tuple(pair for pair in found if pair[0] != "PATH")
