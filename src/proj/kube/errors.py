"""What an API server, or the way to it, has against a request."""

from __future__ import annotations

import re

from proj.errors import BackendError, FailureCode

_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "[^"]*"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
NOT_FOUND = 404
CONFLICT = 409
GONE = 410
FORBIDDEN = 403
UNAUTHORIZED = 401
BUSY = frozenset((429, 500, 502, 503, 504))
"""Answers that say nothing about the request: it may be tried again."""


class ApiError(BackendError):
    """The API server refuses a request.

    Args:
        what: What was asked for, such as "create the Job train-1".
        status: HTTP status.
        reason: The server's word for it, such as `AlreadyExists`.
        said: The server's sentence.
    """

    def __init__(self, what: str, *, status: int, reason: str, said: str) -> None:
        message, hint = _explained(what, status, said)
        super().__init__(message, code=FailureCode.REFUSED, hint=hint)
        self.status = status
        self.reason = reason
        self.said = said

    @property
    def lacks_right(self) -> bool:
        """Whether it is refused for want of a right, and not by what looks at requests that are allowed."""
        return self.status == FORBIDDEN and _DENIED.search(self.said) is not None


class UnreachableClusterError(BackendError):
    """The API server cannot be reached, or does not answer: trying later may help."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, code=FailureCode.LOST, hint=hint)


class ConfigError(BackendError):
    """The kubeconfig, or a setting, cannot be meant as it stands."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, code=FailureCode.REFUSED, hint=hint)


def _explained(what: str, status: int, said: str) -> tuple[str, str | None]:
    denied = _DENIED.search(said)
    if status == FORBIDDEN and denied is not None:
        where = f" in the namespace {denied['namespace']}" if denied["namespace"] else ""
        who = denied["user"] or "the user"
        hint = (
            f"Ask for a role with the verb {denied['verb']} on {denied['resource']}; "
            "`proj check --backend kubernetes` lists all that is needed."
        )
        return f"Cannot {what}: {who} may not {denied['verb']} {denied['resource']}{where}.", hint
    if status == UNAUTHORIZED:
        return (
            f"Cannot {what}: the cluster does not know who asks ({said or 'unauthorized'}).",
            "The credentials of the kubeconfig's context may have run out; log in again.",
        )
    return f"Cannot {what}: {said or f'the API server answered {status}'}.".replace("..", "."), None
