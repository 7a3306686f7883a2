"""Why a solver has no answer: the two requirements that collide, read off the tree that it draws."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_TOP = re.compile(r"^[├└]─+ (.+?) (?:can be installed|cannot be installed|would require|, which|conflict)")
_LEAF = re.compile(r"^[\s│├└─]*(?P<name>\S+)(?: (?P<version>.+?))?, for which no candidates were found")
_TAKEN = re.compile(r"^[\s│├└─]*(?P<name>\S+) (?P<version>.+?), which cannot be installed because")
_HIDDEN = re.compile(
    r"^[\s│├└─]*(?P<name>\S+) (?P<version>.+?) is excluded because due to strict channel priority not using "
    r"this option from: '(?P<channel>[^']*)'"
)
_OWNER = re.compile(r"^[\s│├└─]*(?P<owner>\S.*?) would require$")
_VERSION = re.compile(r'version="(?P<version>[^"]*)"')


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a package needs and nothing that may be installed meets."""

    owner: str
    """The package and its version."""
    name: str
    version: str = ""

    @property
    def text(self) -> str:
        """The need as it is written."""
        return f"{self.name} {self.version}".removesuffix(" *").rstrip()


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """A package that would do, of a channel behind another one that has the name too."""

    name: str
    version: str
    channel: str

    @property
    def text(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}"


def unmet_need(lines: Sequence[str], asked: Collection[str] = ()) -> Need | None:
    """The first need in the solver's tree that nothing meets; None where needs collide among themselves.

    Args:
        lines: The tree.
        asked: Names that are asked for: of these, nothing meets a need that collides with what is asked for.
    """
    for before, line in itertools.pairwise(lines):
        leaf, owner = _LEAF.match(line), _OWNER.match(before)
        taken = _TAKEN.match(line)
        leaf = leaf or (taken if taken and taken["name"] in asked else None)
        if leaf and owner:
            return Need(owner=owner["owner"], name=leaf["name"], version=leaf["version"] or "")
    return None


def hidden_package(lines: Sequence[str]) -> Hidden | None:
    """The first package in the solver's tree that strict priority of channels leaves out."""
    match = next((match for line in lines if (match := _HIDDEN.match(line))), None)
    return Hidden(**match.groupdict()) if match else None


def collision(lines: Sequence[str]) -> str:
    """The two requirements that collide, as far as the solver's tree tells."""
    tops = [match[1].replace(" *", "") for line in lines if (match := _TOP.match(line))]
    if len(tops) > 1:
        return f"{tops[0]} and {tops[-1]} cannot be installed together."
    if tops:
        return f"{tops[0]} cannot be installed."
    text = " ".join(lines).partition("because of: ")[2] or " ".join(lines)
    return text.strip().rstrip(".") + "."


def shown(spec: str) -> str:
    """A spec with brackets as people write it: its name and version."""
    version = _VERSION.search(spec)
    return f"{spec.partition('[')[0]} {version['version'] if version else ''}".strip()
