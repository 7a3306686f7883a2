"""Why a solver has no answer: the two requirements that collide, read off the tree that it draws."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP = re.compile(r"^[├└]─+ (.+?) (?:can be installed|cannot be installed|would require|, which|conflict)")
_LEAF = re.compile(r"^[\s│├└─]*(?P<name>\S+)(?: (?P<version>.+?))?, for which no candidates were found")
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


def unmet_need(lines: Sequence[str]) -> Need | None:
    """The first need in the solver's tree that nothing meets; None where needs collide among themselves."""
    for before, line in itertools.pairwise(lines):
        leaf, owner = _LEAF.match(line), _OWNER.match(before)
        if leaf and owner:
            return Need(owner=owner["owner"], name=leaf["name"], version=leaf["version"] or "")
    return None


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
