"""Archives of runs that are recorded on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archives import rich_run
from clients import proj_server
from proj import archive, place
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from pathlib import Path


def test_the_archive_of_a_run_on_a_server_is_that_of_the_same_run_here(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with open_tracking(folder / "home") as tracking:
        parent = rich_run(tracking)
        child = rich_run(tracking, parent=parent.run_id)
        for run in (parent, child):  # a server gives no file whose name could lead elsewhere on some system
            tracking.artifacts.delete(run.artifact_uri, "odd")
        archive.export(tracking, [parent, child], tmp_path / "here.zip")
    with proj_server(folder) as url, place.open_tracking(place.parse(url)) as remote:
        runs = archive.with_children(remote, [remote.runs.run(parent.run_id)])
        archive.export(remote, runs, tmp_path / "there.zip")
    assert (tmp_path / "there.zip").read_bytes() == (tmp_path / "here.zip").read_bytes()
