"""What a tracking server wants to know of us, and how it proves who it is, as the environment says."""

from __future__ import annotations

import base64
import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNFIT = re.compile(r"[\x00-\x1f\x7f]")
_TRUE = ("1", "true")
_FALSE = ("", "0", "false")
_QUOTE = "Give http://HOST or https://HOST; in a password before it, write / ? # @ as %2F %3F %23 %40."
_FILE = "~/.mlflow/credentials"
NAMES = "PROJ_TRACKING_TOKEN, or PROJ_TRACKING_USERNAME and PROJ_TRACKING_PASSWORD"
"""The variables to set, for messages; their namesakes of MLflow's client do as well."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """How to greet a server, and when to trust it. Never shown."""

    authorization: str | None = None
    """The whole header's value."""
    origin: str | None = None
    """Where that was found: the names of variables, say."""
    verify: bool | str = True
    """Whether to check the server's certificate, or the file or folder of those that vouch for it."""
    client_certificate: str | None = None
    """A file with our own certificate and key."""

    def __repr__(self) -> str:
        return "Credentials(…)"


def split_userinfo(url: str) -> tuple[str, str | None]:
    """Return a URL without what stands before its host, and that.

    Raises:
        UsageError: It is no URL of a server.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:  # its message could show a password
        raise UsageError("That is no URL of a tracking server.", hint=_QUOTE) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError("That is no URL of a tracking server.", hint=_QUOTE)
    userinfo, at, address = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme, address.lower(), parts.path.rstrip("/"), "", ""))
    return plain, userinfo if at else None


def find_credentials(userinfo: str | None = None) -> Credentials:
    """Find what the environment, and MLflow's file of credentials, say.

    What stands in the URL comes first, then `PROJ_TRACKING_*`, `MLFLOW_TRACKING_*` and the file
    `~/.mlflow/credentials`; of each, a name and a password before a token, as MLflow's client has it.

    Args:
        userinfo: `user:password` of the URL, quoted as there.

    Raises:
        UsageError: They contradict each other, or cannot be sent.
    """
    authorization, origin = _authorization(userinfo)
    return Credentials(
        authorization=authorization,
        origin=origin,
        verify=_verify(),
        client_certificate=os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
    )


def are_set() -> bool:
    """Whether the environment, or MLflow's file, says who we are: none of it may go to just any server.

    Raises:
        UsageError: As `find_credentials`.
    """
    found = find_credentials()
    return found.authorization is not None or found.client_certificate is not None


def incomplete() -> str | None:
    """What is set, but is of no use alone, in words; None if there is nothing of that kind."""
    for family in ("PROJ_TRACKING", *(() if _is_within_run() else ("MLFLOW_TRACKING",))):
        name, secret = (bool(os.environ.get(f"{family}_{word}")) for word in ("USERNAME", "PASSWORD"))
        if name != secret:
            there, missing = ("USERNAME", "PASSWORD") if name else ("PASSWORD", "USERNAME")
            return f"{family}_{there} is set without {family}_{missing}"
    return None


def _authorization(userinfo: str | None) -> tuple[str | None, str | None]:
    """The header's value, and where it was found."""
    if userinfo is not None:
        user, _, password = userinfo.partition(":")
        return _basic(unquote(user), unquote(password), "The URL's user or password"), "its URL"
    theirs = not _is_within_run()
    for family in ("PROJ_TRACKING", "MLFLOW_TRACKING"):
        given: Mapping[str, str] = os.environ if theirs or family == "PROJ_TRACKING" else {}
        kept = _of_file() if family == "MLFLOW_TRACKING" else {}
        name, secret = (
            given.get(f"{family}_{word}") or kept.get(f"{family}_{word}".lower())
            for word in ("USERNAME", "PASSWORD")
        )
        token = given.get(f"{family}_TOKEN")
        if name and secret:
            origin = f"{family}_USERNAME and {family}_PASSWORD"
            if not given.get(f"{family}_PASSWORD"):
                origin = _FILE
            return _basic(name, secret, f"{family}_USERNAME or {family}_PASSWORD"), origin
        if token:
            return f"Bearer {_sendable(token.strip(), f'{family}_TOKEN', 'ascii')}", f"{family}_TOKEN"
    return None, None


def _is_within_run() -> bool:
    """Whether the variables of MLflow's client are for the endpoint of the run around us."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    return bool(uri) and uri == os.environ.get("PROJ_ENDPOINT")


def _of_file() -> Mapping[str, str]:
    path = Path(os.path.expanduser(_FILE))  # noqa: PTH111  a user without a home is no error
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, configparser.Error) as error:
        raise UsageError(f"{path} cannot be read as MLflow's file of credentials.") from error
    return parser["mlflow"] if parser.has_section("mlflow") else {}


def _basic(user: str, password: str, named: str) -> str:
    pair = _sendable(f"{user}:{password}", named, "utf-8")
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def _sendable(text: str, named: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        raise UsageError(f"{named} holds characters that cannot be sent.") from None  # it would show them
    if _UNFIT.search(text):
        raise UsageError(f"{named} holds a line break or another control character.")
    return text


def _verify() -> bool | str:
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower()
    path = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    if insecure not in (*_TRUE, *_FALSE):
        raise UsageError("MLFLOW_TRACKING_INSECURE_TLS is neither true nor false.")
    if insecure in _TRUE and path is not None:
        raise UsageError(
            "MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH contradict each other.",
            hint="Unset one of them.",
        )
    if path is not None and not Path(path).exists():
        raise UsageError(f"MLFLOW_TRACKING_SERVER_CERT_PATH names {path}, which is not there.")
    return path or insecure not in _TRUE
