"""The endpoint of one run: a port from the beginning, an HTTP server from the first connection on.

Most of what a server needs is imported by none but those runs whose program speaks to it. Until then there is
a bound socket and a thread that sleeps.
"""

from __future__ import annotations

import _socket  # the module socket makes enums for a millisecond, and has nothing else that is needed here
import os
import select
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj.model import Reach
from proj.process import deferred

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from proj.model import Outcome
    from proj.remote.journaled import JournalTransport
    from proj.server.relayed import Relayed
    from proj.server.session import Session
    from proj.tracking import Tracking

_BACKLOG = 512
_FINISH_S = 30
"""How long requests under way may take when the program has ended."""
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")

VARIABLES = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_URI",
    "PROJ_ENDPOINT",
)
"""Names of what a program finds in its environment for it."""


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint of a run has to know of it."""

    run_id: str
    experiment_id: str
    experiment_chosen: bool = False
    """Whether the user chose the experiment: then the program cannot move the run to another one."""
    values: Mapping[str, str] = {}
    """Parameter -> the value that the command got, where that is not what is recorded."""
    recorded: Mapping[str, str] = {}
    """Parameter -> what is recorded, where that is on a server."""


def _has_credentials() -> bool:
    """Whether the client would find a user's password for a server, in variables or in its file."""
    named = "MLFLOW_TRACKING_USERNAME" in os.environ or "MLFLOW_TRACKING_PASSWORD" in os.environ
    return named or os.path.exists(os.path.expanduser("~/.mlflow/credentials"))  # noqa: PTH110, PTH111  no Path per run


class Endpoint:
    """Serves the records to the program of one run, for as long as the block lasts.

    Args:
        tracking: The records.
        settings: Whose endpoint it is.
        upstream: The way to the server that the run is recorded on, if it is.
        reach: How the program gets to this machine.

    Raises:
        OSError: There is no port to be had.
    """

    def __init__(
        self,
        tracking: Tracking,
        settings: EndpointSettings,
        upstream: JournalTransport | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._reach = reach or Reach()
        self._tracking = tracking
        self._settings = settings
        self._upstream = upstream
        self._token = os.urandom(24).hex()
        self._listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            self._listener.bind((self._reach.bind, 0))
            self._listener.listen(_BACKLOG)
        except BaseException:
            self._listener.close()
            raise
        self._wake_read, self._wake_write = os.pipe()
        self._lock = threading.Lock()
        self._ending = False
        self._server: uvicorn.Server | None = None
        self._session: Session | Relayed | None = None
        self._thread = threading.Thread(target=self._wait_and_serve, name="proj-endpoint", daemon=True)

    @property
    def variables(self) -> dict[str, str]:
        """What the program finds in its environment."""
        url = f"http://{self._reach.host}:{self._listener.getsockname()[1]}"
        variables = {
            "MLFLOW_EXPERIMENT_ID": self._settings.experiment_id,
            "MLFLOW_RUN_ID": self._settings.run_id,
            "MLFLOW_TRACKING_TOKEN": self._token,
            "MLFLOW_TRACKING_URI": url,
            # The client prints links to pages that are not here.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            # What tells a run within the run that this is no server of the user's.
            "PROJ_ENDPOINT": url,
        }
        if _has_credentials():  # the client prefers a password to a token, whichever server they are for
            variables["MLFLOW_TRACKING_USERNAME"] = "run"
            variables["MLFLOW_TRACKING_PASSWORD"] = self._token
        if any(os.environ.get(name) for name in _PROXIES):  # no proxy finds the way back to us
            for name in ("no_proxy", "NO_PROXY"):
                variables[name] = ",".join(filter(None, (os.environ.get(name), self._reach.host)))
        return variables

    def __enter__(self) -> Endpoint:  # noqa: PYI034  typing.Self is new in Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what is under way, and be gone. Signals wait until it is done."""
        with deferred():
            with self._lock:
                self._ending = True
                if self._server is not None:
                    self._server.should_exit = True
            os.write(self._wake_write, b"x")
            self._thread.join()
            self._listener.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def settle(self, outcome: Outcome) -> Outcome:
        """Close the runs that the program left open, and return how its own run ended, after the block.

        Raises:
            StoreError: The record cannot be written.
        """
        return outcome if self._session is None else self._session.settle(outcome)

    def _wait_and_serve(self) -> None:
        poll = select.poll()
        poll.register(self._listener.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        if all(descriptor == self._wake_read for descriptor, _ in poll.poll()):
            return
        self._serve()

    def _application(self) -> tuple[Session | Relayed, ASGIApp]:
        if self._upstream is not None:
            from proj.server.relay import Relay
            from proj.server.relayed import Relayed

            relayed = Relayed(self._upstream, self._settings, self._tracking)
            return relayed, Relay(self._upstream, relayed, self._token)
        from proj.server.app import create_app
        from proj.server.session import RunToken, Session

        session = Session(self._tracking, self._settings)
        return session, create_app(self._tracking, RunToken(self._token, session), rules=session)

    def _serve(self) -> None:
        import socket

        import uvicorn

        session, app = self._application()
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=600,
            timeout_graceful_shutdown=_FINISH_S,
        )
        with self._lock:
            if self._ending:
                return
            self._session = session
            self._server = uvicorn.Server(config)
        with socket.socket(fileno=os.dup(self._listener.fileno())) as listener:
            self._server.run(sockets=[listener])
