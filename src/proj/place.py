"""Where records are kept: in a folder of this machine, or on a tracking server."""

from __future__ import annotations

import contextvars
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import paths
from proj.errors import StoreError, UsageError
from proj.tracking.local import open_tracking as open_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.tracking import Tracking

OPTION = "--tracking-uri"
VARIABLE = "PROJ_TRACKING_URI"
_THEIRS = "MLFLOW_TRACKING_URI"
_PLACES = "Give http://HOST, https://HOST, or the path of a folder."

_CLIENTS_WORDS = ("databricks", "databricks-uc", "uc")
"""Places that MLflow's client knows by a word."""
_ADDRESS = r"[\w.-]+:\d{1,5}(/\S*)?"
"""A host with its port, and no scheme."""

_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("proj_place", default=None)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where records are kept: a folder, or the URL of a server."""

    uri: str
    """`file:///…`, or the server's URL without credentials: it may be shown and recorded."""
    folder: Path | None = None
    """None: a server."""
    userinfo: str | None = None
    """What stood before the host in the URL: `user:password`, quoted. Never shown, never recorded."""

    @property
    def url(self) -> str:
        """The server's URL with its credentials, for those who send them."""
        return self.uri if self.userinfo is None else self.uri.replace("://", f"://{self.userinfo}@", 1)

    def __repr__(self) -> str:
        return f"Place({self.uri})"


def choose(uri: str) -> Callable[[], None]:
    """Use this place, as `--tracking-uri` says; returns what undoes it.

    Raises:
        UsageError: It is the empty text, a variable that is not set perhaps.
    """
    if not uri:
        raise UsageError(f"{OPTION} is empty.", hint=_PLACES)
    token = _chosen.set(uri)
    return lambda: _chosen.reset(token)


def current() -> Place:
    """The place that `--tracking-uri`, `PROJ_TRACKING_URI`, `MLFLOW_TRACKING_URI` or `PROJ_HOME` names.

    Raises:
        UsageError: It is none that records can be kept in.
    """
    for name, uri in ((OPTION, _chosen.get()), (VARIABLE, os.environ.get(VARIABLE))):
        if uri:
            return parse(uri, name)
    uri = _of_client()
    if uri and not _is_foreign(uri):
        return parse(uri, _THEIRS)
    return of_folder(paths.home())


def is_named() -> bool:
    """Whether the user names the place to us, by `--tracking-uri` or `PROJ_TRACKING_URI`."""
    return bool(_chosen.get() or os.environ.get(VARIABLE))


def foreign() -> str | None:
    """`MLFLOW_TRACKING_URI` where only MLflow's client can use what it names, such as `sqlite:…`.

    A program then logs there by itself, beside the record of its run.
    """
    uri = _of_client()
    return uri if uri and _is_foreign(uri) else None


def shown(uri: str) -> str:
    """A URI as it may be shown: without what could be a password."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return uri
    end = min((at for at in (rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    if "@" in rest[end:]:  # perhaps a password in which these are not quoted
        return f"{scheme}://…"
    return f"{scheme}://{rest[:end].rpartition('@')[2]}"


def of_folder(folder: Path) -> Place:
    """The place that a folder of this machine is."""
    return Place(uri=folder.as_uri(), folder=folder)


def parse(uri: str, named_by: str = OPTION) -> Place:
    """Read what names a place.

    Args:
        uri: URL of a server, `file:` URI or path.
        named_by: The option or variable that it comes from, for messages.

    Raises:
        UsageError: It is none of these, or a folder that MLflow keeps in its own format.
    """
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        return _server(uri, named_by)
    address = uri.strip()
    if re.fullmatch(_ADDRESS, address) and not Path(address).exists():
        raise UsageError(
            f"{named_by} is no URL of a server: {address}.", hint=f"Did you mean http://{address}?"
        )
    if uri in _CLIENTS_WORDS:
        raise UsageError(f"{named_by} is {uri}, which proj keeps no records in.", hint=_PLACES)
    if scheme not in ("", "file"):
        raise UsageError(f"{named_by} is a {scheme}: URI, which proj keeps no records in.", hint=_PLACES)
    from proj.tracking.artifacts import local_path

    try:
        folder = local_path(uri).expanduser().absolute()
    except StoreError as error:
        raise UsageError(f"{named_by}: {error.message}", hint=_PLACES) from error
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{named_by} names {folder}, which is no folder.", hint=_PLACES)
    if _is_mlruns(folder):
        raise UsageError(
            f"{named_by} names {folder}, which holds records in MLflow's own format.",
            hint=f"Give another folder; `proj import mlflow:{folder}` copies these records.",
        )
    return of_folder(folder)


def named(uri: str) -> Place:
    """The place whose URI was recorded; with its credentials, if it is the current one.

    Raises:
        UsageError: It is none that records can be kept in.
        StoreError: It is a server, and the credentials that are set are for another.
    """
    here = current()
    if here.uri == uri:
        return here
    there = parse(uri, "The place of a run")
    if here.folder is None and there.folder is None:
        from proj.remote import credentials

        if credentials.are_set():
            raise StoreError(
                f"{uri} is not asked: the credentials that are set are for {here.uri}. "
                f"`{VARIABLE}={uri} proj sync` with its own brings it there."
            )
    return there


def open_tracking(place: Place | None = None, *, patient: bool = True) -> Tracking:
    """Open the records of a place.

    Args:
        place: Where they are; None: the current place.
        patient: Whether a server that is away is waited for, and asked again; else it has two seconds.

    Raises:
        UsageError: The current place is none that records can be kept in.
        StoreError: It cannot be used.
    """
    place = place or current()
    if place.folder is not None:
        return open_folder(place.folder)
    from proj.remote.store import open_remote

    if patient:
        return open_remote(place.url)
    from proj.remote.http import QUICK, HttpTransport

    return open_remote(place.uri, transport=HttpTransport(place.url, patience=QUICK))


def check(place: Place) -> None:
    """Return if records can be written there now; a server is asked, a folder is not.

    Raises:
        StoreError: The server cannot be reached, or does not let us in.
    """
    if place.folder is None:
        from proj.remote.store import check as check_server

        check_server(place.url)


def inherited(place: Place) -> dict[str, str]:
    """Variables by which a run within a run finds the place again.

    The credentials are those that the user's variables hold anyway: under their own names they would be sent
    to the endpoint of the run around.
    """
    variables = {VARIABLE: place.uri}
    if place.folder is not None:
        return variables
    if place.userinfo is not None and any(
        f"{place.userinfo}@" in os.environ.get(name, "") for name in (VARIABLE, _THEIRS)
    ):
        from urllib.parse import unquote

        user, _, password = place.userinfo.partition(":")
        return {
            **variables,
            "PROJ_TRACKING_USERNAME": unquote(user),
            "PROJ_TRACKING_PASSWORD": unquote(password),
        }
    for word in ("TOKEN", "USERNAME", "PASSWORD"):
        value = os.environ.get(f"PROJ_TRACKING_{word}") or _of_client(f"MLFLOW_TRACKING_{word}")
        if value:
            variables[f"PROJ_TRACKING_{word}"] = value
    return variables


def client_variables(place: Place, address: str | None = None) -> dict[str, str]:
    """Variables by which MLflow's client finds a server from another machine, with our credentials.

    Empty for a folder, and for a server whose address means something else over there.

    Args:
        place: The server.
        address: Its URL as it is known over there; None: as here.
    """
    uri = address or place.uri
    if place.folder is not None or _is_loopback(uri):
        return {}
    found = inherited(place)
    if place.userinfo is not None:
        from urllib.parse import unquote

        user, _, password = place.userinfo.partition(":")
        found |= {"PROJ_TRACKING_USERNAME": unquote(user), "PROJ_TRACKING_PASSWORD": unquote(password)}
    words = [word for word in ("TOKEN", "USERNAME", "PASSWORD") if f"PROJ_TRACKING_{word}" in found]
    credentials = {f"MLFLOW_TRACKING_{word}": found[f"PROJ_TRACKING_{word}"] for word in words}
    return {_THEIRS: uri, **credentials}


def _is_loopback(uri: str) -> bool:
    import ipaddress
    from urllib.parse import urlsplit

    host = urlsplit(uri).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _of_client(name: str = _THEIRS) -> str | None:
    """A variable of MLflow's client; those of the endpoint of a run around this one do not count."""
    uri = os.environ.get(_THEIRS)
    return None if uri and uri == os.environ.get("PROJ_ENDPOINT") else os.environ.get(name)


def _scheme(uri: str) -> str:
    scheme, colon, _ = uri.strip().partition(":")
    return scheme.lower() if colon and scheme.replace("+", "").replace("-", "").isalnum() else ""


def _is_foreign(uri: str) -> bool:
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        return False
    if scheme not in ("", "file") or uri in _CLIENTS_WORDS:
        return True
    from proj.tracking.artifacts import local_path

    try:
        return _is_mlruns(local_path(uri).expanduser())
    except StoreError:  # on another machine, says the URI
        return True


def _is_mlruns(folder: Path) -> bool:
    """Whether MLflow keeps experiments in this folder: each is a folder with a `meta.yaml`."""
    if not folder.is_dir() or (folder / "proj.db").exists():
        return False
    return any((entry / "meta.yaml").exists() for entry in folder.iterdir())


def _server(uri: str, named_by: str) -> Place:
    from proj.remote.credentials import split_userinfo

    try:
        plain, userinfo = split_userinfo(uri)
    except UsageError as error:  # which does not show it: there may be a password in it
        raise UsageError(f"{named_by} is no URL of a server.", hint=error.hint) from error
    return Place(uri=plain, userinfo=userinfo)
