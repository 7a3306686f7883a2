"""SHA-1 and SHA-256 without OpenSSL, which takes longer to load than a snapshot has to be hashed for.

The modules behind `hashlib` are CPython's own; where they are missing or named otherwise, `hashlib` is used.
"""

from __future__ import annotations

import importlib
from typing import Protocol


class Hash(Protocol):
    """What `hashlib` calls a hash object."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes so far."""


def sha1() -> Hash:
    """Begin a SHA-1, as git names objects; nothing is trusted to it."""
    return _new("sha1", ("_sha1",))


def sha256() -> Hash:
    """Begin a SHA-256."""
    return _new("sha256", ("_sha2", "_sha256"))


def _new(name: str, modules: tuple[str, ...]) -> Hash:
    for module in (*modules, "hashlib"):
        try:
            found: Hash = getattr(importlib.import_module(module), name)(usedforsecurity=False)
        except ImportError:
            continue
        return found
    raise AssertionError(name)  # hashlib is always there
