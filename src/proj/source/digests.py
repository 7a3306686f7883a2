"""SHA-1 and SHA-256 without OpenSSL, which takes longer to load than a snapshot has to be hashed for.

The modules behind `hashlib` are CPython's own; where they are missing or named otherwise, `hashlib` is used.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Hash(Protocol):
    """What `hashlib` calls a hash object."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes so far."""


def sha1() -> Hash:
    """Begin a SHA-1, as git names objects; nothing is trusted to it."""
    return _maker("sha1", ("_sha1",))(usedforsecurity=False)


def sha256() -> Hash:
    """Begin a SHA-256."""
    return _maker("sha256", ("_sha2", "_sha256"))(usedforsecurity=False)


@functools.cache  # to look for a module that is not there takes longer than a small digest
def _maker(name: str, modules: tuple[str, ...]) -> Callable[..., Hash]:
    for module in (*modules, "hashlib"):
        try:
            found: Callable[..., Hash] = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        return found
    raise AssertionError(name)  # hashlib is always there
