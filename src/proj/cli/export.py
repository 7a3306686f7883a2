"""`proj export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import events, paths, recovery
from proj.cli import complete, output, wording
from proj.cli.options import tracking_option
from proj.place import open_tracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ExportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run in an archive."""

    run_id: str
    name: str
    tree: str | None
    """Git's hash of its code; None where that was not kept."""
    code_is_whole: bool
    """Whether its code can be had without any remote."""
    packages: int | None
    """How many packages of its lock are in the archive; None where they were not asked for."""


class ExportResult(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that was written."""

    file: str
    sha256: str
    size_bytes: int
    files: int
    signed: bool
    runs: tuple[ExportedRun, ...]

    def text(self) -> Iterator[output.Block]:
        """Yield the file and what is in it."""
        for run in self.runs:
            code = "no code" if run.tree is None else f"code {run.tree[:12]}"
            part = "" if run.code_is_whole or run.tree is None else ", which needs its remote"
            packages = "" if run.packages is None else f", {wording.counted(run.packages, 'package')}"
            yield f"{run.run_id} {run.name}: {code}{part}{packages}"
        signed = ", signed" if self.signed else ""
        yield (
            f"{self.file}: {wording.counted(len(self.runs), 'run')}, "
            f"{wording.counted(self.files, 'file')}, {wording.size(self.size_bytes)}{signed}"
        )
        yield f"sha256:{self.sha256}"


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete.run_ids)
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; it is a ZIP file, whatever its name.",
)
@click.option("--children", is_flag=True, help="The runs below RUNS, too.")
@click.option(
    "--with-packages",
    is_flag=True,
    help="Add the packages of the locks, so that a run can be made again without a network.",
)
@click.option(
    "--sign",
    "key",
    metavar="[KEY]",
    is_flag=False,
    flag_value="",
    help="Sign it with an SSH key: --sign=KEY, a file; --sign alone takes the key that git signs with, else "
    "the agent's first, else that in ~/.ssh.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@tracking_option
@output.json_option
def command(
    runs: tuple[str, ...], file: Path, children: bool, with_packages: bool, key: str | None, force: bool
) -> ExportResult:
    """Write RUNS into one file: record, code, lock, logs, artifacts.

    `proj import FILE` takes them in elsewhere. The same runs make the same bytes.
    """
    from proj import archive

    sign = _signer(key)
    watcher = output.Watcher(quiet=output.as_json())
    with watcher, events.listening(watcher), open_tracking() as tracking:
        recovery.recover(tracking, paths.home())
        found = tuple({run.run_id: run for run in map(tracking.runs.find_run, runs)}.values())
        if children:
            found = archive.with_children(tracking, found)
        options = archive.Options(packages=with_packages, replace=force)
        exported = archive.export(tracking, found, file, options=options, sign=sign)
    return ExportResult(
        file=str(file),
        sha256=exported.digest,
        size_bytes=exported.size_bytes,
        files=exported.files,
        signed=key is not None,
        runs=tuple(
            ExportedRun(
                run_id=run.run_id,
                name=run.name,
                tree=None if run.source is None else run.source.snapshot.root.tree,
                code_is_whole=run.source is not None and run.source.whole,
                packages=None if run.packages is None else len(run.packages),
            )
            for run in exported.runs
        ),
    )


def _signer(key: str | None) -> Callable[[bytes], bytes] | None:
    if key is None:
        return None
    from proj.archive.signatures import signer

    return signer(Path(key).expanduser() if key else None)
