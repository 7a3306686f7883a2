"""`proj artifacts ls` and `proj artifacts get`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj.cli import complete, output, reading, wording
from proj.cli.options import tracking_option
from proj.errors import NotFoundError, StoreError, UsageError
from proj.model import ArtifactInfo
from proj.runfiles import RunFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.model import RunRecord

_CHUNK_BYTES = 1 << 20


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    """Files and folders of a run."""

    run_id: str
    artifacts: tuple[ArtifactInfo, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield a table of paths and sizes."""
        rows = tuple(
            (
                wording.one_line(entry.path) + ("/" if entry.is_dir else ""),
                "" if entry.size_bytes is None else wording.size(entry.size_bytes),
            )
            for entry in self.artifacts
        )
        if not rows:
            output.say("No files.")
            return
        yield output.Table(columns=("PATH", "SIZE"), rows=rows, right_aligned=frozenset({"SIZE"}))


class GetResult(msgspec.Struct, frozen=True, kw_only=True):
    """Files that were written."""

    run_id: str
    files: tuple[str, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield the path of each file."""
        yield from self.files


@click.group()
def command() -> None:
    """List and get a run's files."""


@command.command("ls")
@click.argument("run", shell_complete=complete.run_ids)
@click.argument("path", default="")
@click.option("-r", "--recursive", is_flag=True, help="All files below, not only what is directly there.")
@tracking_option
@output.json_option
def list_(run: str, path: str, recursive: bool) -> ListResult:
    """List the files of RUN, or those in its folder PATH."""
    with reading.opened() as tracking:
        found = tracking.runs.find_run(run)
        files = RunFiles(tracking, found)
        path = path.strip("/")
        entries = tuple(files.walk(path)) if recursive else files.list(path)
        if path and not entries:
            entries = (_entry(files, found, path),)
    return ListResult(run_id=found.run_id, artifacts=entries)


@command.command()
@click.argument("run", shell_complete=complete.run_ids)
@click.argument("wanted", metavar="[PATH]...", nargs=-1)
@click.option(
    "-o", "--output", "folder", metavar="DIR", default=".", help="Where to.  [default: the current folder]"
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@tracking_option
@output.json_option
def get(run: str, wanted: tuple[str, ...], folder: str, force: bool) -> GetResult:
    """Copy files or folders of RUN here; without a PATH all of them.

    A folder keeps its name and what is in it, as with cp: `get RUN model/best` makes `best/…`.
    """
    with reading.opened() as tracking:
        found = tracking.runs.find_run(run)
        files = RunFiles(tracking, found)
        planned: dict[Path, str] = {}
        for path in [each.strip("/") for each in wanted] or [""]:
            for name, artifact in _targets(files, found, path):
                if planned.setdefault(Path(folder, name), artifact) != artifact:
                    raise UsageError(f"Two of these paths would become {name!r}.", hint="Get one at a time.")
        for target in planned:
            if not force and os.path.lexists(target):
                raise UsageError(
                    f"{target} is there already.", hint="--force replaces it, -o DIR writes elsewhere."
                )
        for target, artifact in planned.items():
            _copy(files, artifact, target)
    return GetResult(run_id=found.run_id, files=tuple(str(target) for target in planned))


def _entry(files: RunFiles, run: RunRecord, path: str) -> ArtifactInfo:
    """One file or folder itself."""
    for entry in files.list(path.rpartition("/")[0]):
        if entry.path == path:
            return entry
    hint = f"`proj artifacts ls {run.run_id[:8]} -r` lists what is there."
    raise NotFoundError(f"The run {run.run_id} has no artifact {path!r}.", hint=hint)


def _targets(files: RunFiles, run: RunRecord, path: str) -> Iterator[tuple[str, str]]:
    """Yield the relative path that each file gets, and the file's own."""
    if path and not _entry(files, run, path).is_dir:
        yield path.rpartition("/")[2], path
        return
    parent = path.rpartition("/")[0]
    for entry in files.walk(path):
        yield entry.path[len(parent) + 1 :] if parent else entry.path, entry.path


def _copy(files: RunFiles, artifact: str, target: Path) -> None:
    """Write beside the target, then rename: what is there is whole, whatever happens meanwhile."""
    partial = target.with_name(f".proj-partial-{os.urandom(8).hex()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with files.open(artifact) as source, partial.open("xb") as sink:
                while chunk := source.read(_CHUNK_BYTES):
                    sink.write(chunk)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
