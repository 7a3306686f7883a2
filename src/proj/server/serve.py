"""`proj server`: the application over the records of this machine, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import logging.handlers
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from proj.errors import ProjError, StoreError, UsageError
from proj.process import Interrupted
from proj.server.access import Front, TokenPolicy, access_logger
from proj.server.app import create_app
from proj.server.connections import drop_overdue, protocol_class
from proj.server.openapi import public_app
from proj.server.policy import OpenPolicy
from proj.server.routes import Site
from proj.server.tokens import home_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from proj.tracking import Tracking

KEEP_ALIVE_S = 75
"""How long a connection may be idle: longer than most scripts take from one epoch to the next."""
GRACE_S = 30
"""How long a stop waits for requests that are being answered."""
_MAX_CONNECTIONS = 2000
_OTHER_FILES = 128
"""Open files that are no connections: the database, artifacts being read and written."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve."""

    host: str = "127.0.0.1"
    port: int = 5000
    """0: any that is free."""
    auth: bool = False
    insecure: bool = False
    """Whether others than this machine may be served without tokens."""
    certfile: Path | None = None
    keyfile: Path | None = None
    artifact_root: str | None = None
    """URI of the folder that artifacts are kept in; None: that of the home."""
    serve_artifacts: bool = True
    """Whether clients get at artifacts through the server, and need no rights of their own where they are."""
    access_log: Path | None = None
    """None: on stderr."""
    log_requests: bool = True


def serve(tracking: Tracking, home: Path, settings: Settings, started: Callable[[str], None]) -> None:
    """Answer requests until INT or TERM; requests that are being answered are finished.

    Args:
        tracking: The records; stay open.
        home: The folder they are in.
        settings: See `Settings`.
        started: Called with the server's URL once it can be reached.

    Raises:
        UsageError: The settings contradict each other, or would let everybody in.
        ProjError: The address is taken or not ours, or a file cannot be read.
    """
    _refuse_openness(settings)
    file = home_tokens(home)
    if settings.auth:
        file.tokens()  # a damaged file is told now
    context = _tls(settings)
    with _bound(settings) as listener, _access_log(settings):
        site = _site(home, settings)
        policy = TokenPolicy(file) if settings.auth else OpenPolicy()
        app = Front(
            create_app(tracking, policy, site),
            public_app(create_app(tracking, OpenPolicy(), site)),
            only_local=not (settings.auth or settings.insecure),
        )
        port = listener.getsockname()[1]
        server = _Server(_config(app, context), lambda: started(_url(settings, port)))
        # uvicorn has finished when it hands the signal on; to be asked to stop is no failure.
        with contextlib.suppress(Interrupted, KeyboardInterrupt):
            server.run(sockets=[listener])


def _site(home: Path, settings: Settings) -> Site:
    own = (home / "artifacts").as_uri()
    base = settings.artifact_root or own
    return Site(artifact_base=base, older_base=own if own != base else None, proxied=settings.serve_artifacts)


class _Server(uvicorn.Server):
    """uvicorn's server, watching its connections."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # once a second
            drop_overdue(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _config(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol_class(),
        loop="auto",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=_connections(),
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def _connections() -> int:
    """How many connections this process may have open; the files that it may have open bound them."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(16, min(_MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES))


def _refuse_openness(settings: Settings) -> None:
    if settings.auth or settings.insecure or _is_loopback(settings.host):
        return
    raise UsageError(
        f"{settings.host} can be reached by others, and nobody would have to say who they are.",
        hint="Give --auth, and each user a token by `proj server token add NAME`; or, in a network that you "
        "trust, --insecure.",
    )


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # `_bound` will say so
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ProjError(
            f"{host!r} is no address of this machine: {error.strerror}.",
            hint="127.0.0.1 is for this machine only, 0.0.0.0 for all that can reach it.",
        ) from error
    with socket.socket(family, kind, protocol) as listener:
        # Without it a port cannot be bound for a minute after a server that had connections has gone.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            raise ProjError(
                f"Nothing can be served on {host}:{port}: {error.strerror}.",
                hint="Is another server there? --port takes another one, and 0 any that is free.",
            ) from error
        yield listener


def _url(settings: Settings, port: int) -> str:
    scheme = "https" if settings.certfile else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}"


def _tls(settings: Settings) -> ssl.SSLContext | None:
    certfile, keyfile = settings.certfile, settings.keyfile
    if certfile is None:
        if keyfile is not None:
            raise UsageError("--keyfile needs --certfile.")
        return None

    def no_password() -> str:
        raise UsageError(
            f"The key {keyfile or certfile} is encrypted.",
            hint="Give a key without a passphrase, readable by its owner only.",
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _check_readable(certfile)
    _check_readable(keyfile or certfile)
    try:
        context.load_cert_chain(certfile, keyfile, no_password)
    except ssl.SSLError as error:
        raise ProjError(
            f"{certfile} and {keyfile or certfile} are no certificate and its key: {error.reason or error}.",
            hint="Both are PEM files; the certificate's own chain follows it in the same file.",
        ) from error
    return context


def _check_readable(file: Path) -> None:
    """Raise an error that names the file: ssl's does not."""
    try:
        file.read_bytes()
    except OSError as error:
        raise ProjError(
            f"{file} cannot be read: {error.strerror}.", hint="Check its name and its permissions."
        ) from error


@contextlib.contextmanager
def _access_log(settings: Settings) -> Iterator[None]:
    """Let the lines of `access_logger` go where they are wanted, and the server's warnings to stderr."""
    handlers: list[tuple[logging.Logger, logging.Handler]] = []
    complaints = logging.StreamHandler(sys.stderr)
    complaints.setFormatter(logging.Formatter("proj: %(message)s"))
    complaints.setLevel(logging.ERROR)  # uvicorn warns of every client that speaks no HTTP
    handlers += [(logging.getLogger("uvicorn.error"), complaints), (logging.getLogger("proj"), complaints)]
    if settings.log_requests:
        handlers.append((access_logger, _log_handler(settings.access_log)))
        access_logger.setLevel(logging.INFO)
    for logger, handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        access_logger.setLevel(logging.NOTSET)
        for logger, handler in handlers:
            logger.removeHandler(handler)
            if handler is not complaints:
                handler.close()


def _log_handler(path: Path | None) -> logging.Handler:
    if path is None:
        return logging.StreamHandler(sys.stderr)
    try:
        # It looks whether the file is still there, so that logrotate may move it away.
        return logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The access log {path} cannot be written: {error.strerror}.", hint="Choose another file."
        ) from error
