"""Bodies that are streamed: files on their way to a server, and answers on their way from it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError, IncompleteRead, ReadTimeoutError

from proj.errors import StoreError
from proj.remote.failures import LostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests import Response
    from typing_extensions import Buffer  # for the type checker alone

_CHUNK_BYTES = 1 << 18
_BODILESS = (204, 304)
"""Answers that have no body, whatever length they tell (RFC 9110, 6.4.1)."""


class Upload:
    """The first `size` bytes of a file as the body of a request, whatever happens to the file meanwhile.

    Args:
        path: The file.
        size: How many bytes; None: as many as it has now.

    Raises:
        StoreError: It cannot be read.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
            there = path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
        self._left = there if size is None else size
        self._size = self._left

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK_BYTES):
            yield chunk

    def read(self, count: int = -1) -> bytes:
        """Read like a file.

        Raises:
            StoreError: The file has become shorter, or cannot be read.
        """
        wanted = self._left if count < 0 else min(count, self._left)
        try:
            chunk = self._file.read(wanted)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}.") from error
        if wanted and not chunk:
            raise StoreError(f"{self._path} became shorter while it was sent.")
        self._left -= len(chunk)
        return chunk

    def __enter__(self) -> Upload:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Download(io.RawIOBase):
    """The body of an answer. It ends only where the server said that it would.

    Args:
        response: The answer; `close` closes it.
        place: The server, for messages.
        release: What is called when it is closed.
    """

    def __init__(self, response: Response, place: str, release: Callable[[], None]) -> None:
        super().__init__()
        self._release = release
        self._response = response
        self._place = place
        length = response.headers.get("Content-Length", "")
        bodiless = response.request.method == "HEAD" or response.status_code in _BODILESS
        self._expected = int(length) if length.isdecimal() and not bodiless else None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """See `io.RawIOBase.readinto`.

        Raises:
            UnreachableError: The rest does not come.
        """
        view = memoryview(buffer).cast("B")
        try:
            chunk = self._response.raw.read(len(view), decode_content=True)
        except IncompleteRead as error:
            raise self._broken() from error
        except ReadTimeoutError as error:
            said = f"{self._place} stopped sending in the middle of a file."
            raise LostError(said, late=True) from error
        except (HTTPError, OSError) as error:
            raise self._broken() from error
        if not chunk and self._expected is not None and self._response.raw.tell() < self._expected:
            raise self._broken()
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            super().close()
            self._response.close()
            self._release()

    def _broken(self) -> LostError:
        return LostError(
            f"The connection to {self._place} was lost in the middle of an answer.", hint="Try again."
        )
