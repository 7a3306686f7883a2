"""Files from http, https and file URLs: streamed, bounded, visible only when whole."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import TYPE_CHECKING

from proj import events
from proj.errors import SourceError
from proj.source.archive import limit_from_environment
from proj.source.files import make_folder, os_failure, remove_tree
from proj.source.uri import Credentials, host_of, path_of_file_url, redact_url, split_credentials

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from pathlib import Path
    from typing import IO
    from urllib.request import OpenerDirector, Request

MAX_BYTES = 8 * 1024**3
"""Size from which a download is refused; `PROJ_DOWNLOAD_MAX_BYTES` replaces it."""
TIMEOUT_S = 60.0
"""How long a server may stay silent."""
_CHUNK_BYTES = 256 * 1024


def download(uri: str, target_dir: Path) -> Path:
    """Fetch what a `path` parameter names into a folder.

    Args:
        uri: An http, https or file URL.
        target_dir: Where to; created if need be.

    Returns:
        The file (for a file URL also the folder), named as in the URL.

    Raises:
        SourceError: It cannot be fetched; nothing is left in `target_dir`.
    """
    scheme = uri.partition("://")[0].lower()
    if scheme not in ("http", "https", "file"):
        raise SourceError(
            f"Cannot download {redact_url(uri)}.",
            hint="Supported: http://, https:// and file://. For other stores declare the parameter's "
            "type as uri, and let the program read it.",
        )
    if scheme == "file":
        return _copy(path_of_file_url(uri)[0], target_dir)
    return fetch_file(uri, _free_path(target_dir, _name_of(uri)))


def _copy(source: Path, target_dir: Path) -> Path:
    import shutil

    if not source.exists():
        raise SourceError(f"No such file: {source}")
    target = _free_path(target_dir, source.name or "root")
    partial = target.with_name(f".{secrets.token_hex(6)}.part")
    try:
        if source.is_dir():
            shutil.copytree(source, partial, symlinks=True)
        else:
            shutil.copyfile(source, partial)
        partial.rename(target)
    except OSError as error:
        raise os_failure(error, f"Cannot copy {source} to {target_dir}") from error
    except shutil.Error as error:
        raise SourceError(f"Cannot copy {source} to {target_dir}: {error}") from error
    finally:
        if partial.is_dir():
            remove_tree(partial)
        partial.unlink(missing_ok=True)
    return target


def _name_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    return re.sub(r"[\x00-\x1f\x7f/\\]+", "-", name)[:120].lstrip(".") or "download"


def _free_path(folder: Path, name: str) -> Path:
    make_folder(folder)
    path = folder / name
    while os.path.lexists(path):
        path = folder / secrets.token_hex(4) / name
        make_folder(path.parent)
    return path


def fetch_file(url: str, target: Path) -> Path:
    """Fetch an http or https URL into the file `target`, which appears when it is whole.

    Raises:
        SourceError: It cannot be fetched, is too large, or cannot be written.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    clean, credentials = split_credentials(url.partition("#")[0])
    shown = redact_url(url)
    partial = target.with_name(f".{secrets.token_hex(6)}.part")
    events.step(f"Downloading {shown}")
    try:
        with contextlib.closing(_opener().open(_request(clean, credentials), timeout=TIMEOUT_S)) as response:
            _stream(response, partial, response.headers.get("Content-Length"), shown)
        partial.rename(target)
    except HTTPError as error:
        error.close()
        raise _refused(error.code, str(error.reason), clean, shown) from error
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise SourceError(
            f"{host_of(clean)} cannot be reached, for {shown}: {reason}",
            hint="Check the address, the network and the proxy (HTTPS_PROXY).",
        ) from error
    except OSError as error:
        raise os_failure(error, f"Cannot write {target}") from error
    except ValueError as error:  # an address that no library takes
        raise SourceError(f"Not a URL: {shown} ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _refused(status: int, reason: str, url: str, shown: str) -> SourceError:
    host = host_of(url)
    if status in (401, 403, 407):
        hint = f"Add a line `machine {host} login USER password TOKEN` to ~/.netrc."
        return SourceError(f"{host} asks who you are, for {shown} (HTTP {status}).", hint=hint)
    return SourceError(f"{host} answers {status} {reason} for {shown}.", hint="Check the address.")


def _stream(response: IO[bytes], partial: Path, announced: str | None, shown: str) -> None:
    limit = limit_from_environment("PROJ_DOWNLOAD_MAX_BYTES", MAX_BYTES)
    total = int(announced) if announced and announced.isdecimal() else None
    done = 0
    with partial.open("xb") as file:
        while True:
            if max(done, total or 0) > limit:
                raise SourceError(
                    f"{shown} is larger than {limit} bytes.",
                    hint="If you trust it, set PROJ_DOWNLOAD_MAX_BYTES.",
                )
            chunk = response.read(_CHUNK_BYTES)
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            events.progress("Downloading", done, total)
    if total is not None and done != total:
        raise SourceError(f"{shown} broke off after {done} of {total} bytes.", hint="Try again.")


def _request(url: str, credentials: Credentials | None) -> Request:
    import base64
    from urllib.parse import quote
    from urllib.request import Request

    request = Request(quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "proj"})  # noqa: S310  http only
    if credentials is None:
        credentials = _from_netrc(url)
    if credentials is not None:
        pair = f"{credentials.username}:{credentials.password or ''}".encode()
        # not for where a redirect leads to: stores sign their own URLs, and others must not learn it
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    return request


def _from_netrc(url: str) -> Credentials | None:
    import netrc

    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host_of(url))
    except (OSError, netrc.NetrcParseError):
        return None
    return Credentials(url, entry[0] or "", entry[2] or "") if entry else None


def _opener() -> OpenerDirector:
    """Only http and https, also where a server redirects to; https does not fall back to http."""
    from urllib import request
    from urllib.error import URLError

    class Redirects(request.HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> Request | None:
            scheme = newurl.partition(":")[0].lower()
            if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
                raise URLError(f"it redirects to {redact_url(newurl)}, which is not followed")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        Redirects,
    ):
        opener.add_handler(handler())
    return opener
