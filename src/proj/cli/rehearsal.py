"""What `proj run` tells instead of running: `--dry-run`, `--output yaml`, and a project's `--help`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proj import assigning, planning, projectfile, source
from proj.backends import BACKENDS
from proj.cli import output
from proj.errors import UsageError
from proj.model import EnvironmentPlan

if TYPE_CHECKING:
    from collections.abc import Iterator


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What `proj run` would do."""

    source: str
    commit: str | None
    dirty: bool | None
    entry_point: str
    environment: EnvironmentPlan
    command: str
    cwd: str
    variables: tuple[str, ...]
    parameters: dict[str, str]

    def text(self) -> Iterator[output.Block]:
        """Yield one line for each."""
        commit = (
            f" at {self.commit[:12]}{', with uncommitted changes' if self.dirty else ''}"
            if self.commit
            else ""
        )
        state = "built" if self.environment.built else "to be built"
        yield f"source       {self.source}{commit}"
        yield f"entry point  {self.entry_point}"
        yield f"environment  {self.environment.summary} ({state})"
        yield f"folder       {self.cwd}"
        yield f"command      {self.command}"
        yield f"variables    {' '.join(self.variables)}"


class EntryPointHelp(msgspec.Struct, frozen=True, kw_only=True):
    """The entry points of a project and their parameters."""

    entry_points: tuple[Any, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a table of parameters for each entry point."""
        for entry_point in self.entry_points:
            yield f"Entry point {entry_point.name}: {' '.join(entry_point.command.split())}"
            rows = tuple(_parameter_row(parameter) for parameter in entry_point.parameters)
            if rows:
                yield output.Table(columns=("PARAMETER", "TYPE", "DEFAULT", "DESCRIPTION"), rows=rows)
            else:
                yield "  (no parameters declared)"


def _parameter_row(parameter: Any) -> tuple[str, str, str, str]:
    limits = []
    if parameter.choices:
        limits.append("one of " + ", ".join(parameter.choices))
    if parameter.minimum is not None:
        limits.append(f"at least {parameter.minimum:g}")
    if parameter.maximum is not None:
        limits.append(f"at most {parameter.maximum:g}")
    default = "(required)" if parameter.default is None else parameter.default or "''"
    told = "; ".join(filter(None, [parameter.description, *limits]))
    return (parameter.name, parameter.declared_type or "string", default, told)


class Manifests(msgspec.Struct, frozen=True, kw_only=True):
    """What would be created on a cluster."""

    objects: tuple[dict[str, Any], ...]

    def text(self) -> Iterator[output.Block]:
        """Yield them as YAML documents."""
        import yaml

        yield yaml.safe_dump_all(self.objects, sort_keys=False, allow_unicode=True).rstrip("\n")


def dry_run(request: planning.RunRequest) -> DryRun:
    """Say what would be run.

    Raises:
        ProjError: It cannot be run.
    """
    with planning.planned(request) as plan:
        checkout = plan.checkout
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(planning.discard, plan)
            return DryRun(
                source=checkout.uri,
                commit=checkout.git.commit if checkout.git else None,
                dirty=checkout.git.dirty if checkout.git else None,
                entry_point=plan.entry_point.name,
                environment=planning.environment_plan(plan),
                command=plan.command.line,
                cwd=plan.command.cwd,
                variables=assigning.variable_names(request, plan),
                parameters={parameter.name: parameter.given for parameter in plan.parameters},
            )


def manifests(request: planning.RunRequest, *, dry_run: bool) -> Manifests:
    """Say what would be created on a cluster.

    Raises:
        ProjError: The backend creates nothing, or it cannot be run.
    """
    made = getattr(BACKENDS.load(request.backend), "manifests", None)
    if not dry_run or made is None:
        raise UsageError("--output yaml goes with --dry-run and --backend kubernetes.")
    with planning.planned(request) as plan, contextlib.ExitStack() as cleanup:
        cleanup.callback(planning.discard, plan)
        return Manifests(objects=made(assigning.rehearsed(request, plan)))


def entry_points(request: planning.RunRequest) -> EntryPointHelp:
    """Say what a project has to run: all of it, or the entry point that is asked for.

    Raises:
        ProjError: It cannot be had, or has no such entry point.
    """
    checkout = source.fetch(request.uri, version=request.version, cwd=Path.cwd())
    try:
        project = projectfile.load(checkout.project_dir)
        if request.entry_point is None and project.entry_points:
            return EntryPointHelp(entry_points=project.entry_points)
        return EntryPointHelp(entry_points=(projectfile.entry_point(project, request.entry_point)[0],))
    finally:
        source.release(checkout)
