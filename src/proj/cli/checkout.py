"""`proj checkout`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import events, paths
from proj.cli import complete, output, wording
from proj.cli.options import remote_url, tracking_option
from proj.errors import StoreError
from proj.model import LeftOut
from proj.place import open_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord
    from proj.tracking import Tracking


class CheckoutResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run's code that is there again."""

    run_id: str
    directory: str
    tree: str
    """Git's hash of the tree: that of the files as written, and that of the record."""
    commit: str | None
    changed_files: int
    left_out: tuple[LeftOut, ...]
    """Files that are not as they ran."""

    def text(self) -> Iterator[output.Block]:
        """Yield what was written, and where."""
        commit = f"commit {self.commit[:12]}" if self.commit else "no commit"
        changed = f" with {wording.counted(self.changed_files, 'changed file')}" if self.changed_files else ""
        yield f"{self.directory}: {commit}{changed}, tree {self.tree[:12]}, checked"


@click.command()
@click.argument("run", shell_complete=complete.run_ids)
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option(
    "--remote",
    metavar="URL",
    callback=remote_url,
    help="Repository to get the commit from, if the recorded one has moved.",
)
@tracking_option
@output.json_option
def command(run: str, directory: Path | None, remote: str | None) -> CheckoutResult:
    """Write the code of RUN into DIR as it ran, uncommitted changes too, and check its hash.

    DIR must be empty or not exist; by default it is the run's name, here. Where the run's code was in a
    repository, DIR is one too, on the same commit.
    """
    watcher = output.Watcher(quiet=output.as_json())
    with watcher, events.listening(watcher), open_tracking() as tracking:
        from proj.source.checkouts import folder_name

        found = tracking.runs.find_run(run, "all")
        return _check_out(tracking, found, directory or Path(folder_name(found.run_name)), remote)


def _check_out(tracking: Tracking, run: RunRecord, directory: Path, remote: str | None) -> CheckoutResult:
    from proj.archive.code import kept_code
    from proj.source.bundle import workplace
    from proj.source.restore import restore, say_left_out

    snapshot, bundle_artifact = kept_code(tracking, run)
    if snapshot is None:
        raise StoreError(
            f"The code of run {run.run_id} was not kept.",
            hint="git was missing where it ran, or the proj there was too old.",
        )
    target = directory.absolute()
    with contextlib.ExitStack() as cleanup:
        bundle: Path | None = None
        if bundle_artifact is not None:
            # should we be killed, what is in there is removed later
            bundle = cleanup.enter_context(workplace(paths.cache() / "snapshots")) / "run.bundle"
            _get(tracking, run, bundle_artifact, bundle)
        restore(snapshot, target, bundle_path=bundle, remotes={} if remote is None else {"": remote})
    say_left_out(snapshot)
    return CheckoutResult(
        run_id=run.run_id,
        directory=str(directory),
        tree=snapshot.root.tree,
        commit=snapshot.root.commit,
        changed_files=len(snapshot.changes),
        left_out=snapshot.left_out,
    )


def _get(tracking: Tracking, run: RunRecord, path: str, target: Path) -> None:
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    with tracking.artifacts.open(run.artifact_uri, path) as file, target.open("wb") as out:
        shutil.copyfileobj(file, out)
