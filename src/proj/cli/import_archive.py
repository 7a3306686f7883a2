"""`proj import FILE`: runs that `proj export` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import place
from proj.archive import AddedRun, add, open_archive, preview
from proj.cli import output, wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.archive import Archive


class ArchiveResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was imported out of an archive, or would be."""

    file: str
    dry_run: bool
    runs: tuple[AddedRun, ...]
    signed: bool
    signer: str | None
    """Who signed it; None where that was not asked for."""
    key: str | None
    """The fingerprint of the signer's key."""

    def text(self) -> Iterator[output.Block]:
        """Yield a table of the runs, and how far the archive is to be trusted."""
        yield output.Table(
            columns=("RUN", "NAME", "EXPERIMENT", "STATUS", "", "FILES", "SIZE"),
            rows=tuple(
                (
                    run.run_id,
                    wording.one_line(run.name),
                    wording.one_line(run.experiment),
                    run.status,
                    "new" if run.state == "new" else "already there",
                    str(run.files),
                    wording.size(run.size_bytes),
                )
                for run in self.runs
            ),
            right_aligned=frozenset({"FILES", "SIZE"}),
        )
        new = sum(run.state == "new" for run in self.runs)
        done = "Would import" if self.dry_run else "Imported"
        yield f"{done} {wording.counted(new, 'run')} from {self.file}; every digest is right."
        if self.signer is not None:
            yield f"Signed by {self.signer}, key {self.key}."
        elif self.signed:
            yield "It is signed; --verify-signature checks by whom."


def import_archive(file: str, here: place.Place, *, allowed: str | None, dry_run: bool) -> ArchiveResult:
    """Verify an archive, then add its runs to the records.

    Args:
        file: The archive.
        here: Where the records are.
        allowed: File of allowed signers, empty for the one that git uses; None: no signature is asked for.
        dry_run: Only say what would be done.

    Raises:
        StoreError: The archive is damaged or not signed as it should be, or the records cannot be written.
    """
    signature = None
    with open_archive(Path(file).expanduser()) as archive:
        if allowed is not None:
            from proj.archive.signatures import verify

            signature = verify(archive, Path(allowed).expanduser() if allowed else None)
        runs = _runs(archive, here, dry_run=dry_run)
        return ArchiveResult(
            file=file,
            dry_run=dry_run,
            runs=runs,
            signed=archive.signed,
            signer=None if signature is None else signature.signer,
            key=None if signature is None else signature.key,
        )


def _runs(archive: Archive, here: place.Place, *, dry_run: bool) -> tuple[AddedRun, ...]:
    folder = here.folder
    if dry_run and folder is not None and not (folder / "proj.db").exists():
        return preview(archive)  # to open the records would make them
    with place.open_tracking(here) as tracking:
        return add(archive, tracking, dry_run=dry_run)
