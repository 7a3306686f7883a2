"""What registries say: answers, complaints, and the errors that are made of them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import requests

from proj.errors import FailureCode, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proj.images.credentials import Credentials

CERTIFICATES: Final = Path("/etc/docker/certs.d")
"""Where docker has the certificates of registries, each in a folder of its host's name."""
NOT_NOW: Final = frozenset((408, 429, 500, 502, 503, 504))
_MOST_ERROR_BYTES: Final = 16_384
_BODY_CHUNK: Final = 1 << 18


class NotNowError(ImageError):
    """The registry did not answer, or said that it cannot now: trying again may help."""

    asked_s: float | None = None
    """How long the registry asks to wait."""


class CancelledError(ImageError):
    """Another thread has failed or was interrupted, so that this one need not go on."""


class Answer:
    """What a registry said.

    Args:
        response: Its body may be yet to come.
        host: The registry.
    """

    def __init__(self, response: requests.Response, host: str) -> None:
        self._response = response
        self._host = host
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url

    def body(self, most_bytes: int) -> bytes:
        """The whole body.

        Raises:
            NotNowError: The connection broke.
            ImageError: There is more.
        """
        content = b""
        for chunk in self.chunks():
            content += chunk
            if len(content) > most_bytes:
                self.close()
                raise ImageError(
                    f"{self._host} sent more than {most_bytes} bytes where a short answer was due."
                )
        return content

    def chunks(self) -> Iterable[bytes]:
        """The body's bytes as they are sent.

        Raises:
            NotNowError: The connection broke before its end.
        """
        try:
            # As they are: with Content-Encoding, requests would unpack what the digest is of.
            yield from self._response.raw.stream(_BODY_CHUNK, decode_content=False)
        except Exception as error:
            raise lost(error, self._host) from error
        finally:
            self._response.close()

    def close(self) -> None:
        """Do without the rest."""
        self._response.close()

    def complaint(self) -> tuple[str, ...]:
        """What the body of an error says, line by line (OCI distribution specification, Error Codes)."""
        with contextlib.suppress(ImageError):
            text = self.body(_MOST_ERROR_BYTES).decode("utf-8", "replace")
            try:
                errors = msgspec.json.decode(text, type=_Errors).errors
            except msgspec.DecodeError:
                return tuple(line[:200] for line in text.splitlines()[:3] if line.strip())
            return tuple(f"{each.code}: {each.message}".strip(": ")[:300] for each in errors[:5])
        return ()


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[_Error, ...] = ()


def lost(error: BaseException, host: str) -> ImageError:
    """The error for a request without an answer."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, requests.exceptions.SSLError):
        return ImageError(
            f"{host} cannot be trusted: {_root(error)}.",
            code=FailureCode.IMAGE_PULL,
            hint=f"Put its authority's certificate at {CERTIFICATES / host / 'ca.crt'}, or name it in "
            "REQUESTS_CA_BUNDLE; --insecure does without.",
        )
    timed_out = isinstance(error, requests.exceptions.Timeout)
    said = "it took too long to answer" if timed_out else _root(error)
    return NotNowError(
        f"{host} cannot be reached: {said}.",
        code=FailureCode.IMAGE_PULL,
        hint="Check the name and the network" + (f"; proxies are {_proxies()}." if _proxies() else "."),
    )


def _root(error: BaseException) -> str:
    """The innermost cause, which says most."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or getattr(seen, "reason", None) or seen.__context__
        if not isinstance(inner, BaseException) or inner is seen:
            break
        seen = inner
    text = str(getattr(seen, "strerror", None) or seen) or type(seen).__name__
    return re.sub(r"<[^>]*>:?\s*", "", text).rstrip(".")[:200]


def _proxies() -> str:
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    return ", ".join(name for name in names if os.environ.get(name))


def not_now(answer: Answer, host: str) -> NotNowError:
    """The error for an answer that another try may get instead."""
    asked = answer.headers.get("Retry-After", "").strip()
    what = "asks for fewer requests" if answer.status == 429 else "cannot answer now"  # noqa: PLR2004
    failure = NotNowError(
        f"{host} {what} (status {answer.status}).",
        code=FailureCode.IMAGE_PULL,
        hint="Try again later" + (", or log in: that may allow more." if answer.status == 429 else "."),  # noqa: PLR2004
        details=answer.complaint(),
    )
    failure.asked_s = float(asked) if asked.isdigit() else None
    return failure


def refused(answer: Answer, host: str, credentials: Credentials) -> ImageError:
    """The error for a request that was refused."""
    if answer.status in (401, 403):
        return not_let_in(answer, host, credentials)
    return ImageError(
        f"{host} refused with status {answer.status}.",
        code=FailureCode.IMAGE_PULL,
        details=answer.complaint(),
    )


def not_let_in(answer: Answer, host: str, credentials: Credentials) -> ImageError:
    """The error for credentials that are not enough."""
    who = "anonymously" if credentials.anonymous else f"as {credentials.username or 'the holder of a token'}"
    return ImageError(
        f"{host} does not allow this {who} (status {answer.status}).",
        code=FailureCode.IMAGE_PULL,
        hint=f"Log in with credentials that may: docker login {host}",
        details=answer.complaint(),
    )
