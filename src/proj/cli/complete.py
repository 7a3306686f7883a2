"""What shells complete: entry points, parameter names, run ids; nothing where anything goes wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from proj.errors import ProjError

if TYPE_CHECKING:
    import click

    from proj.model import Project
    from proj.tracking.store import Lifecycle

_RUNS = 50


def _project(ctx: click.Context) -> Project | None:
    from proj import projectfile

    # The option that is being completed has no value yet; click then leaves the arguments unassigned.
    uri = str(ctx.params.get("uri") or next(iter(ctx.args), "."))
    folder = Path(uri).expanduser()  # the shell hands over the words as they are typed
    if "#" in uri and not folder.is_dir():
        top, _, subdir = uri.partition("#")
        folder = Path(top).expanduser() / subdir
    with contextlib.suppress(ProjError):
        return projectfile.load(folder) if folder.is_dir() else None
    return None


def entry_points(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the project's entry points."""
    project = _project(ctx)
    names = [entry_point.name for entry_point in project.entry_points] if project else []
    return [name for name in names if name.startswith(incomplete)]


def parameters(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """`name=` of the entry point's parameters."""
    from proj import projectfile

    project = _project(ctx)
    if project is None or "=" in incomplete:
        return []
    with contextlib.suppress(ProjError):
        entry_point, _ = projectfile.entry_point(project, ctx.params.get("entry_point"))
        names = [f"{parameter.name}=" for parameter in entry_point.parameters]
        return [name for name in names if name.startswith(incomplete)]
    return []


def run_ids(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids and names of the newest runs."""
    return _runs(incomplete, "active")


def deleted_run_ids(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids and names of the newest runs among those that are deleted."""
    return _runs(incomplete, "deleted")


def _runs(incomplete: str, lifecycle: Lifecycle) -> list[str]:
    from proj import place
    from proj.tracking.store import RunQuery

    with contextlib.suppress(ProjError):
        folder = place.current().folder
        if folder is None or not (folder / "proj.db").exists():  # nobody waits for a server at a prompt
            return []
    with contextlib.suppress(ProjError), contextlib.closing(place.open_tracking()) as tracking:
        runs = tracking.runs.search_runs(RunQuery(lifecycle=lifecycle, limit=_RUNS)).runs
        names = [run.run_id[:8] for run in runs] + [run.run_name for run in runs]
        return [name for name in names if name.startswith(incomplete)]
    return []
