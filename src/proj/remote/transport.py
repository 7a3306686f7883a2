"""The one way to a tracking server: a request in, an answer out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from proj.errors import UnreachableError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import BinaryIO


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a server. It holds no credentials, so it can be kept in a file."""

    method: str
    path: str
    """Below the server's URL, quoted: `/api/2.0/mlflow/runs/log-batch`."""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | Path | None = None
    """A path is a file that is streamed."""
    headers: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    credentials: str | None = None
    """Where those that were sent were found; None: there were none."""


class UncertainError(UnreachableError):
    """No answer came to a request that must not be sent twice: the server may have done what it was asked."""


class Transport(Protocol):
    """Carries requests to one server. Any number of threads may call at once."""

    def send(self, request: Request) -> Answer:
        """Send a request and return the whole answer, an error's too.

        What may be tried again (connection refused, 429, 502, 503, 504) has been, with growing pauses.

        Raises:
            UnreachableError: No answer came, or the last one was that it is not available now.
            UncertainError: No answer came, and the request is one that makes something new.
        """

    def open(self, request: Request) -> AbstractContextManager[tuple[Answer, BinaryIO]]:
        """Send a request and return the answer with an empty body, which is read from the stream instead.

        Raises:
            UnreachableError: As `send`.
        """

    def close(self) -> None:
        """Release connections; closing twice is no error."""
