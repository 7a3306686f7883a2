"""What a project says about its Python version: `3.9.16`, `3.9`, `>=3.9,<3.12`, conda's `=3.8`."""

from __future__ import annotations

import re

import msgspec

from proj.errors import EnvironmentFailedError

Version = tuple[int, ...]
_CLAUSE = (
    r"^(?P<op>===|==|~=|!=|<=|>=|<|>|=|\^|~)?\s*v?(?P<version>\d+(?:\.\d+)*)"
    r"(?P<star>\.\*)?(?P<rest>.*)$"
)
_PREFIX = r"(?i)^(?:c?python)\s*[-@]?\s*"
_MINOR = 2


class PythonSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A version request, parsed."""

    text: str
    """As written, for messages."""
    clauses: tuple[tuple[str, Version], ...] = ()
    """Operator and version; the operator `prefix` stands for `3.9` and `3.9.*`."""

    @property
    def exact(self) -> Version | None:
        """The full version asked for, where there is exactly one."""
        for operator, version in self.clauses:
            if operator == "prefix" and len(version) > _MINOR:
                return version
        return None

    @property
    def minor(self) -> Version | None:
        """The `(3, 9)` asked for, where the request leaves no choice of it."""
        for operator, version in self.clauses:
            if operator == "prefix" and len(version) >= _MINOR:
                return version[:_MINOR]
        return None

    def allows(self, version: Version) -> bool:
        """Whether an interpreter of this full version will do."""
        return all(_holds(operator, wanted, version) for operator, wanted in self.clauses)


def parse_python_spec(text: str) -> PythonSpec:
    """Parse a version request.

    Raises:
        EnvironmentFailedError: It is not one, or asks for another implementation than CPython.
    """
    bare = re.sub(_PREFIX, "", text.strip().strip("\"'"))
    clauses: list[tuple[str, Version]] = []
    for part in filter(None, (piece.strip() for piece in bare.split(","))):
        if part == "*":
            continue
        match = re.match(_CLAUSE, part)
        # What may follow a version: a build string (`3.8.5=h1`), a release candidate (`3.13.0rc1`).
        if match is None or (
            match["rest"] and not re.match(r"^(=\S+|(?:a|b|rc)\d+|\.?dev\d*|\+)$", match["rest"])
        ):
            raise EnvironmentFailedError(
                f"Cannot tell which Python {text!r} means.", hint="Write a version such as 3.11 or 3.9.16."
            )
        version = tuple(int(number) for number in match["version"].split("."))
        clauses.extend(_clauses(match["op"] or "", version, starred=bool(match["star"])))
    return PythonSpec(text=text.strip(), clauses=tuple(clauses))


def _clauses(operator: str, version: Version, *, starred: bool) -> list[tuple[str, Version]]:
    if operator in ("", "=", "==", "==="):
        return [("prefix", version)]
    if operator == "!=":
        return [("not-prefix" if starred else "!=", version)]
    if operator == "~=":
        return [(">=", version), ("prefix", version[:-1])]
    if operator == "^":  # poetry: compatible within the major version
        return [(">=", version), ("prefix", version[:1])]
    if operator == "~":  # poetry: compatible within the minor version
        return [(">=", version), ("prefix", version[:_MINOR])]
    return [(operator, version)]


def _holds(operator: str, wanted: Version, version: Version) -> bool:
    head = version[: len(wanted)]
    if operator == "prefix":
        return head == wanted
    if operator == "not-prefix":
        return head != wanted
    padded = wanted + (0,) * (len(version) - len(wanted))
    return {
        "!=": version != padded,
        ">=": version >= padded,
        "<=": version <= padded,
        ">": version > padded,
        "<": version < padded,
    }[operator]


def parse_version(text: str) -> Version | None:
    """The numbers of a full version such as `3.9.18` or `3.13.0rc1`; None if it has no three."""
    match = re.match(r"^(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in match.groups()) if match else None


def show(version: Version) -> str:
    """The version as people write it."""
    return ".".join(str(number) for number in version)
