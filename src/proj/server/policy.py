"""Who may do what: a policy recognises a client by its headers, and the principal is asked each time."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Access(enum.Enum):
    """What a request does, as far as permission goes."""

    READ = "read"
    LOG = "log"
    """Change a run: parameters, metrics, tags, artifacts, state."""
    DELETE_RUN = "delete or restore a run"
    CREATE_RUN = "create a run"
    CREATE_EXPERIMENT = "create an experiment"
    TAG_EXPERIMENT = "tag an experiment"
    EDIT_EXPERIMENT = "rename, delete or restore an experiment"
    MODELS = "change the model registry or a logged model"


class Principal(Protocol):
    """A client that was recognised."""

    @property
    def name(self) -> str:
        """For the access log."""

    def check(self, access: Access, run_ids: Sequence[str] = ()) -> None:
        """Return if it may do that, to those runs.

        Raises:
            ApiError: PERMISSION_DENIED.
        """


class Policy(Protocol):
    """Recognises clients."""

    def identify(self, headers: Mapping[str, str]) -> Principal:
        """Return who sends these headers; their names are lowercase.

        Raises:
            ApiError: UNAUTHENTICATED.
        """


class _Anybody:
    name = "-"

    def check(self, access: Access, run_ids: Sequence[str] = ()) -> None:
        """Everything is allowed."""


class OpenPolicy:
    """Everybody may do everything; for loopback and tests."""

    def identify(self, headers: Mapping[str, str]) -> Principal:  # noqa: ARG002  the interface's
        """Recognise everybody."""
        return _Anybody()


if TYPE_CHECKING:
    _policy: Policy = OpenPolicy()
