"""Names of images: `host[:port]/name:tag@sha256:…`, with the defaults that docker has."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from proj.errors import UsageError
from proj.model import _Value

DEFAULT_HOST: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_SAME_AS_DEFAULT: Final = ("index.docker.io", "registry-1.docker.io", "registry.docker.io")

# The grammar of https://github.com/distribution/reference, reference.go
_HOST: Final = r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_REPOSITORY: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = r"sha256:[0-9a-f]{64}"
_MOST_CHARACTERS: Final = 255


def is_digest(text: str) -> bool:
    """Whether a text is the digest of content, as an image's manifest names it."""
    return re.fullmatch(_DIGEST, text) is not None


class Reference(_Value, frozen=True):
    """An image in a registry."""

    host: str
    """As it is written, with its port; `docker.io` where none is."""
    repository: str
    tag: str | None = None
    """None only beside a digest."""
    digest: str | None = None
    """`sha256:<hex>`"""

    @property
    def name(self) -> str:
        """Host and repository."""
        return f"{self.host}/{self.repository}"

    @property
    def version(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    def at(self, digest: str) -> Reference:
        """The same repository's image of a digest."""
        return Reference(host=self.host, repository=self.repository, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse_reference(text: str) -> Reference:
    """Read the name of an image.

    Args:
        text: Such as `python:3.11-slim`, `ghcr.io/team/model@sha256:…`, `localhost:5000/a/b`.

    Raises:
        UsageError: It is no such name.
    """
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _not_a_name(text, "behind the @ belongs a digest, sha256: and 64 hexadecimal digits")
    first, slash, others = rest.partition("/")
    if slash and (re.search(r"[.:A-Z\[]", first) or first == "localhost"):
        host, path = first, others
    else:
        host, path = DEFAULT_HOST, rest
    name, colon, tag = path.partition(":")
    if not re.fullmatch(_HOST, host):
        raise _not_a_name(text, f"{host!r} is no host")
    if colon and not re.fullmatch(_TAG, tag):
        raise _not_a_name(text, f"{tag!r} is no tag")
    if not re.fullmatch(_REPOSITORY, name) or len(name) > _MOST_CHARACTERS:
        why = "letters are small ones" if name.lower() != name else f"{name!r} is no name of a repository"
        raise _not_a_name(text, why)
    host = host.lower()
    if host in _SAME_AS_DEFAULT:
        host = DEFAULT_HOST
    if host == DEFAULT_HOST and "/" not in name:
        name = f"library/{name}"
    return Reference(
        host=host,
        repository=name,
        tag=tag or (None if digest else DEFAULT_TAG),
        digest=digest or None,
    )


def _not_a_name(text: str, why: str) -> UsageError:
    return UsageError(
        f"Not the name of an image: {text!r} ({why}).",
        hint="Write it like python:3.11-slim, or host:5000/team/name:tag.",
    )


def is_loopback(host: str) -> bool:
    """Whether a host, perhaps with a port, is this machine: it may do without TLS."""
    name = urlsplit(f"//{host}").hostname or ""
    return name in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", name))
