"""An environment that the backend makes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import EnvironmentFacts, EnvironmentPlan, HostRuntime, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.model import EnvironmentRequest

_SUMMARY = "made by the backend"


class DelegatedEnvironment:
    """Nothing is made here, and nothing is known of it. See `Environment`."""

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:  # noqa: ARG002  the interface's signature
        """There is nothing to do."""
        return EnvironmentPlan(kind="delegated", summary=_SUMMARY, built=True)

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:  # noqa: ARG002  the interface's signature
        """Return it; nothing is locked."""
        return PreparedEnvironment(kind="delegated", summary=_SUMMARY, runtime=HostRuntime(), reused=True)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's signature
        """Nothing: this machine's Python need not be the one that ran."""
        return EnvironmentFacts()


if TYPE_CHECKING:
    _: Environment = DelegatedEnvironment()
