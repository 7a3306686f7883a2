"""Who may use a server: names and the digests of their tokens, in one file below `PROJ_HOME`.

A token is 256 random bits, so one round of SHA-256 keeps it as well as scrypt would: there is nothing to
guess by a list of likely words, and 2^256 tries are out of reach at any speed. A slow hash would cost each
request what it is meant to cost an attacker. Nobody chooses a password here, which would need the slow hash.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from proj.errors import AlreadyExistsError, NotFoundError, StoreError, UsageError
from proj.files import make_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "proj_"
"""Begins each token, so that scanners for secrets, and people, know one when they see it."""
_VERSION = 1
_RANDOM_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token."""

    name: str
    digest: str
    """SHA-256 of the token, hexadecimal."""
    read_only: bool
    created_ms: int


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    version: int = _VERSION
    tokens: tuple[Token, ...] = ()


class TokenFile:
    """The tokens of a home; servers that run see each change at their next request.

    Args:
        path: The file; made by the first `add`, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, ...] | None = None
        self._by_digest: dict[str, Token] = {}

    def tokens(self) -> tuple[Token, ...]:
        """Return what is kept of all tokens, by name.

        Raises:
            StoreError: The file cannot be read.
        """
        return self._read().tokens

    def add(self, name: str, *, read_only: bool = False) -> str:
        """Make a token for `name` and return it: it is kept nowhere and cannot be shown again.

        Args:
            name: Letters, digits and `._@-`, at most 64; stands in the access log.
            read_only: Whether it may change nothing.

        Raises:
            UsageError: `name` is not of that form.
            AlreadyExistsError: There is a token of that name.
            StoreError: The file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a token.",
                hint="Use up to 64 letters, digits, dots, dashes, underscores or @, a letter or digit first.",
            )
        token = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        made = Token(
            name=name, digest=_digest(token), read_only=read_only, created_ms=time.time_ns() // 1_000_000
        )
        with self._locked():
            there = self._read().tokens
            if any(other.name == name for other in there):
                raise AlreadyExistsError(
                    f"There is a token for {name!r} already.",
                    hint=f"`proj server token revoke {name}` ends it; then add a new one.",
                )
            self._write((*there, made))
        return token

    def revoke(self, name: str) -> Token:
        """End the token of `name`, and return what was kept of it.

        Raises:
            NotFoundError: There is none.
            StoreError: The file cannot be written.
        """
        with self._locked():
            there = self._read().tokens
            for token in there:
                if token.name == name:
                    self._write(tuple(other for other in there if other is not token))
                    return token
        known = ", ".join(token.name for token in there) or "none"
        raise NotFoundError(f"There is no token for {name!r}.", hint=f"There are tokens for: {known}.")

    def recognise(self, token: str, name: str | None = None) -> Token | None:
        """Return what is kept of a token; None if it is none, or another name's.

        Args:
            token: What a client sent.
            name: The user name that came with it; None: none came.

        Raises:
            StoreError: The file has changed and cannot be read.
        """
        state = self._look()
        if state != self._state:
            self._by_digest = {kept.digest: kept for kept in self._read().tokens}
            self._state = state
        # The lookup is by a digest, whose digits tell nothing of where a guess of the token went wrong.
        found = self._by_digest.get(_digest(token))
        if found is None or (name is not None and not _same(found.name, name)):
            return None
        return found

    def _look(self) -> tuple[int, ...] | None:
        try:
            state = os.stat(self._path)  # noqa: PTH116  at each request
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", error) from error
        return state.st_mtime_ns, state.st_ino, state.st_size

    def _read(self) -> _Content:
        try:
            content = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            raise self._unusable("read", error) from error
        except msgspec.DecodeError as error:
            raise StoreError(
                f"The file of tokens {self._path} is damaged: {error}.",
                hint="Move it away, and add the tokens anew with `proj server token add`.",
            ) from error
        if content.version > _VERSION:
            raise StoreError(
                f"The file of tokens {self._path} was written by a newer proj: upgrade proj.",
            )
        return content

    def _write(self, tokens: tuple[Token, ...]) -> None:
        content = _Content(tokens=tuple(sorted(tokens, key=lambda token: token.name)))
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
                stream.flush()
                os.fsync(descriptor)
            partial.replace(self._path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise self._unusable("written", error) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            make_private(self._path.parent)
            descriptor = os.open(
                self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise self._unusable("written", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unusable(self, verb: str, error: OSError) -> StoreError:
        return StoreError(
            f"The file of tokens {self._path} cannot be {verb}: {error.strerror}.",
            hint="Check the permissions of PROJ_HOME.",
        )


def home_tokens(home: Path) -> TokenFile:
    """Return the tokens of the servers of a home."""
    return TokenFile(home / "server-tokens.json")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogateescape"))
