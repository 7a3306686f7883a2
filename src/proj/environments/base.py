"""The interface of an environment: what a command runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proj.model import EnvironmentFacts, EnvironmentPlan, EnvironmentRequest, PreparedEnvironment


class Environment(Protocol):
    """Makes environments of one kind. Instances are stateless and cheap to construct.

    An attribute `makes` is the type of runtime that its `prepare` yields; without it that is `HostRuntime`.

    Guarantees that the contract suite (`proj.testing.environments`) checks: `plan` changes nothing on disk;
    `prepare` is atomic (a process killed at any point leaves nothing that is used later), safe to call from
    many processes at once (one builds, the others wait and reuse), and idempotent (the second call reuses and
    returns the same `lock_digest`).
    """

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:
        """Say what `prepare` would do, without network access and without writing.

        Raises:
            EnvironmentFailedError: The request cannot be met, as far as can be told without trying.
        """

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:
        """Lock, build or reuse the environment.

        Raises:
            EnvironmentFailedError: It cannot be resolved or built; nothing half-built is left.
            ImageError: Likewise, of an image.
        """

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:
        """Find out what is in it. Never raises; what cannot be found out stays None or empty."""
