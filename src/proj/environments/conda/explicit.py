"""The form of explicit lists: a URL with its hash to a line, and pip's packages in comments behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPLICIT = "@EXPLICIT"
SUFFIXES = (".conda", ".tar.bz2")
"""What the names of packages' files end with."""
PIP_LINE = "# | "
"""Begins each line of the pylock.toml."""
_URL = re.compile(
    r"^(?P<url>[a-z][a-z0-9+.-]*://\S+?\.(?:conda|tar\.bz2))(?:#(?:sha256:)?(?P<hash>[0-9a-fA-F]{64}|[0-9a-fA-F]{32}))?$"
)
_FILE = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.(?:conda|tar\.bz2)$")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an explicit list."""

    number: int
    text: str
    url: str | None
    """None where the line is no package's URL."""
    digest: str = ""
    """Hexadecimal, SHA-256 or MD5 by its length; empty where it has none."""


def is_explicit(text: str) -> bool:
    """Whether a text is an explicit list."""
    return EXPLICIT in text and any(line.strip() == EXPLICIT for line in text.splitlines())


def entries(text: str) -> Iterator[Entry]:
    """The lines that name packages, or should."""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#") or bare == EXPLICIT:
            continue
        match = _URL.match(bare)
        if match is None:
            yield Entry(number=number, text=bare, url=None)
        else:
            yield Entry(number=number, text=bare, url=match["url"], digest=(match["hash"] or "").lower())


def pip_part(text: str) -> str:
    """The pylock.toml in a list's comments; empty where there is none."""
    lines = [line[len(PIP_LINE) :] for line in text.splitlines() if f"{line} ".startswith(PIP_LINE)]
    joined = "\n".join(lines).strip()
    return f"{joined}\n" if joined else ""


def name_version_build(url: str) -> tuple[str, str, str]:
    """What a package's file name says."""
    match = _FILE.match(url.rpartition("/")[2])
    return (match["name"], match["version"], match["build"]) if match else (url.rpartition("/")[2], "", "")
