"""The current environment, unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.model import EnvironmentFacts, EnvironmentPlan, HostRuntime, PreparedEnvironment

if TYPE_CHECKING:
    from proj.environments.base import Environment
    from proj.model import EnvironmentRequest

_SUMMARY = "the current environment"


class SystemEnvironment:
    """What is on PATH when `proj` is called. See `Environment`."""

    def plan(self, request: EnvironmentRequest) -> EnvironmentPlan:  # noqa: ARG002  the interface's signature
        """There is nothing to do."""
        return EnvironmentPlan(kind="system", summary=_SUMMARY, built=True)

    def prepare(self, request: EnvironmentRequest) -> PreparedEnvironment:  # noqa: ARG002  the interface's signature
        """Return it; nothing is locked."""
        return PreparedEnvironment(kind="system", summary=_SUMMARY, runtime=HostRuntime(), reused=True)

    def facts(self, prepared: PreparedEnvironment) -> EnvironmentFacts:  # noqa: ARG002  the interface's signature
        """The `python` on PATH and its packages; starts it once, unless it is a virtual environment."""
        from proj.environments.current import current_facts

        return current_facts()


if TYPE_CHECKING:
    _: Environment = SystemEnvironment()
