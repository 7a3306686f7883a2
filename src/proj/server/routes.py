"""What a handler gets, and how it says which requests are its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from proj.server.policy import Access, Principal
from proj.server.rules import Rules
from proj.tracking import Tracking

_KINDS = ("api", "ajax-api")
MLFLOW_PREFIXES = tuple(
    f"/{kind}/{version}/mlflow/" for kind in _KINDS for version in ("2.0", "3.0", "2.0/preview")
)
"""MLflow's clients, pages and ages reach the same thing below any of these."""


_PROXIED = "mlflow-artifacts:"
_OLDER = "_home"
"""The folder in which clients see what is below `Site.older_base`."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """How the application shows what it keeps.

    Args:
        artifact_base: URI of the folder of all artifacts, as it begins the URIs in the store. None: this is
            no server but the endpoint of a run, whose program reaches what its user reaches.
        older_base: URI of a folder that artifacts were kept in before.
        proxied: Whether clients get at artifacts through us (`mlflow-artifacts:` URIs) instead of directly.
    """

    artifact_base: str | None = None
    older_base: str | None = None
    proxied: bool = False

    def public_uri(self, uri: str) -> str:
        """The artifact URI that clients get for one of the store's."""
        if self.proxied:
            for base, shown in ((self.artifact_base, _PROXIED), (self.older_base, f"{_PROXIED}/{_OLDER}")):
                if base is not None and _is_below(uri, base):
                    return shown + (uri[len(base) :] or ("/" if shown == _PROXIED else ""))
        return uri

    def stored_uri(self, uri: str) -> str:
        """The store's artifact URI for one that clients send."""
        if not self.proxied or self.artifact_base is None or not uri.startswith(f"{_PROXIED}/"):
            return uri
        base, path = self.locate(self.artifact_base, uri.removeprefix(_PROXIED).strip("/"))
        return f"{base}/{path}" if path else base

    def locate(self, base: str, path: str) -> tuple[str, str]:
        """Return the folder that a path of `mlflow-artifacts:` URIs leads to, and the path below it.

        Args:
            base: `artifact_base`.
            path: Without slashes at its ends.
        """
        first, _, rest = path.partition("/")
        return (self.older_base, rest) if first == _OLDER and self.older_base is not None else (base, path)

    def reaches(self, uri: str) -> bool:
        """Whether what is at a URI of the store may be read for clients.

        Clients choose where the files of an experiment are. A server has rights there that they have not.
        """
        return self.artifact_base is None or self.keeps(uri)

    def keeps(self, uri: str) -> bool:
        """Whether a URI of the store is among the artifacts that are the server's own."""
        bases = (self.artifact_base, self.older_base)
        return any(base is not None and _is_below(uri, base) for base in bases)


def _is_below(uri: str, base: str) -> bool:
    return uri == base or uri.startswith(f"{base}/")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler works with, beside its request."""

    tracking: Tracking
    principal: Principal
    site: Site
    rules: Rules


def no_runs(request: Any) -> Sequence[str]:  # noqa: ARG001  the signature of `Route.runs`
    """No run is named by the request."""
    return ()


def its_run(request: Any) -> Sequence[str]:
    """The run that an `OfRun` request names."""
    return (request.run,)


class Route(msgspec.Struct, frozen=True):
    """One kind of request with a JSON answer.

    `path` stands below each of `MLFLOW_PREFIXES`, unless it begins with a slash. Parts such as `{model_id}`
    become fields of the request. The handler runs in a thread, many at a time.
    """

    method: str
    path: str
    handler: Callable[[Context, Any], msgspec.Struct]
    request: type[msgspec.Struct]
    access: Access = Access.READ
    runs: Callable[[Any], Sequence[str]] = no_runs
    """Which runs the request would change."""


class RawRoute(msgspec.Struct, frozen=True):
    """One kind of request whose body or answer is no JSON. Its handler checks the access by itself."""

    method: str
    path: str
    """As in `Route`; a last part `{name:path}` takes what is left, slashes too."""
    handler: Callable[[Context, HttpRequest, dict[str, str]], Awaitable[Response]]
