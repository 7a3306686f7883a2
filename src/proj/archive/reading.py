"""An archive, opened for reading. Nothing in it is believed: every byte is checked before it is used."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, BinaryIO

from proj.archive import manifest
from proj.archive.container import Member, read_bytes, read_members
from proj.archive.documents import ArchivedRun, Contents, decode, decode_points
from proj.archive.failures import DamagedError
from proj.archive.statement import check_statement
from proj.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from proj.model import Metric

_LARGEST_DOCUMENT_BYTES = 512 * 1024**2
_MOST_NAMED = 20


class Archive:
    """An archive of runs. A context manager that closes itself; `open_archive` makes it.

    Args:
        path: The file.
        file: The same, open.

    Attributes:
        path: The file.
        members: Name -> file in it.
        digests: Name -> SHA-256 by the manifest.
        runs: The runs, each before its children.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.members: Mapping[str, Member] = {member.name: member for member in read_members(file)}
        manifest.check_names(self.members)
        self.digests: Mapping[str, str] = manifest.read_manifest(self.read(manifest.MANIFEST))
        self._check_listed()
        contents = decode(self.read(manifest.CONTENTS), manifest.CONTENTS, Contents)
        self.runs = tuple(self._run(run_id) for run_id in contents.runs)
        self._check_owners()

    def verify(self) -> None:
        """Read all of it, and compare each file with its digest.

        Raises:
            DamagedError: Files are not as they were written; they are named.
        """
        wrong = [message for name in self.members if (message := self._damage(name)) is not None]
        if wrong:
            more = (f"and {len(wrong) - _MOST_NAMED} more",) if len(wrong) > _MOST_NAMED else ()
            raise DamagedError(
                wrong[0] if len(wrong) == 1 else f"{len(wrong)} files are damaged.",
                details=(*wrong[:_MOST_NAMED], *more) if len(wrong) > 1 else (),
            )
        check_statement(self.read(manifest.STATEMENT), self.all_digests(), self.runs)

    def all_digests(self) -> dict[str, str]:
        """Name -> SHA-256 of all that a statement names: what the manifest lists, and the manifest."""
        own = hashlib.sha256(self.read(manifest.MANIFEST)).hexdigest()
        return {**self.digests, manifest.MANIFEST: own}

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file, checked when the last of them was yielded.

        Raises:
            DamagedError: There is no such file, or it is not as it was written.
        """
        member = self.members.get(name)
        if member is None:
            raise DamagedError(f"{name} is missing.")
        digest = hashlib.sha256()
        for chunk in read_bytes(self._file, member):
            digest.update(chunk)
            yield chunk
        expected = digest.hexdigest() if name in manifest.UNLISTED else self.digests[name]
        if digest.hexdigest() != expected:
            raise DamagedError(f"{name} is not the file that the manifest names: its digest is another.")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DamagedError: There is no such file, it is too large for that, or not as it was written.
        """
        member = self.members.get(name)
        if member is not None and member.size_bytes > _LARGEST_DOCUMENT_BYTES:
            raise DamagedError(f"{name} is too large to be what it should be.")
        return b"".join(self.chunks(name))

    def extract(self, name: str, target: Path) -> None:
        """Write a file to disk.

        Raises:
            DamagedError: It is not as it was written; nothing is left of it.
            StoreError: It cannot be written.
        """
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                for chunk in self.chunks(name):
                    out.write(chunk)
        except BaseException as error:
            if not isinstance(error, FileExistsError):
                target.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
            raise

    # --- what is in it --------------------------------------------------------------------------------

    @property
    def signed(self) -> bool:
        """Whether it carries a signature; whose is for `proj.archive.signatures` to say."""
        return manifest.SIGNATURE in self.members

    def run(self, run_id: str) -> ArchivedRun:
        """Return one run.

        Raises:
            DamagedError: There is none with that id.
        """
        for run in self.runs:
            if run.run_id == run_id:
                return run
        raise DamagedError(f"Run {run_id} is not in {self.path}.")

    def metrics(self, run_id: str) -> tuple[Metric, ...]:
        """Return all points of all metrics of a run."""
        name = manifest.metrics_file(run_id)
        return decode_points(self.read(name), name)

    def artifacts(self, run_id: str) -> dict[str, str]:
        """Return path -> file in the archive of a run's artifacts."""
        return self._below(manifest.artifacts_of(run_id))

    def files_of_model(self, model_id: str) -> dict[str, str]:
        """Return path -> file in the archive of a logged model's files."""
        return self._below(manifest.files_of_model(model_id))

    def packages(self, run_id: str, folder: Path) -> Path | None:
        """Write the packages of a run's lock into a folder, for `--find-links`; None where none are here."""
        packages = self.run(run_id).packages
        if packages is None:
            return None
        for name in packages:
            self.extract(f"{manifest.PACKAGES}{name}", folder / name)
        return folder

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Archive:  # noqa: PYI034  typing.Self is new in Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _damage(self, name: str) -> str | None:
        """What is wrong with a file."""
        try:
            for _ in self.chunks(name):
                pass
        except DamagedError as error:
            return error.message
        return None

    def _below(self, prefix: str) -> dict[str, str]:
        return {name[len(prefix) :]: name for name in self.members if name.startswith(prefix)}

    def _run(self, run_id: str) -> ArchivedRun:
        name = manifest.run_file(run_id)
        run = decode(self.read(name), name, ArchivedRun)
        if run.run_id != run_id or not run.status.finished:
            raise DamagedError(f"{name} is the record of another run, or of one that has not ended.")
        source = run.source
        if source is not None and source.bundle is not None and source.bundle not in self.digests:
            raise DamagedError(f"{source.bundle} is missing, the code of run {run_id}.")
        for package in run.packages or ():
            if f"{manifest.PACKAGES}{package}" not in self.digests:
                raise DamagedError(f"{manifest.PACKAGES}{package} is missing, which run {run_id} needs.")
        return run

    def _check_listed(self) -> None:
        there = self.members.keys() - {*manifest.UNLISTED}
        missing, unlisted = sorted(self.digests.keys() - there), sorted(there - self.digests.keys())
        if missing:
            raise DamagedError(f"{missing[0]!r} is missing.")
        if unlisted:
            raise DamagedError(f"{unlisted[0]!r} is not in the manifest.")

    def _check_owners(self) -> None:
        """See that there are no files of runs and models that are not there, and no run is there twice."""
        if len({run.run_id for run in self.runs}) != len(self.runs):
            raise DamagedError(f"{manifest.CONTENTS} names a run twice.")
        owners = {f"runs/{run.run_id}/" for run in self.runs}
        owners |= {f"models/{model.model_id}/" for run in self.runs for model in run.models}
        for name in self.members:
            kind, _, rest = name.partition("/")
            if kind in ("runs", "models") and f"{kind}/{rest.partition('/')[0]}/" not in owners:
                raise DamagedError(f"{name!r} belongs to nothing in the archive.")


def open_archive(path: Path, *, verify: bool = True) -> Archive:
    """Open an archive of runs.

    Args:
        path: The file.
        verify: Whether all files in it are compared with their digests first. Without, each is when it is
            read.

    Raises:
        StoreError: It is not there, or cannot be read.
        DamagedError: It is none, not as it was written, or of a newer proj; what is wrong is named.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            archive = Archive(path, file)
            if verify:
                archive.verify()
        except DamagedError as error:
            raise DamagedError(
                f"{path} is damaged: {error.message}",
                hint=error.hint or "Get it again from where it came from.",
                details=error.details,
            ) from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error
        stack.pop_all()
        return archive
