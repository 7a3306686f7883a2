"""What is signed: an in-toto statement that names the digest of every file, and says which runs they are.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from proj.archive import manifest
from proj.archive.documents import FORMAT
from proj.archive.failures import DamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proj.archive.documents import ArchivedRun

PREDICATE: Literal["urn:proj:run-archive:v1"] = "urn:proj:run-archive:v1"
_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    digest: Mapping[str, str]


class RunClaim(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a statement says of a run."""

    run_id: str
    name: str
    experiment: str
    status: str
    started_on: str
    finished_on: str
    source_tree: str | None = None
    """Git's hash of the tree that ran."""
    source_commit: str | None = None
    source_uri: str | None = None
    lock_digest: str | None = None
    exit_code: str | None = None


class _Predicate(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    runs: tuple[RunClaim, ...]


class _Statement(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type", default=_TYPE)
    subject: tuple[_Subject, ...]
    predicate_type: Literal["urn:proj:run-archive:v1"] = msgspec.field(
        name="predicateType", default=PREDICATE
    )
    predicate: _Predicate


def iso(moment_ms: int) -> str:
    """A time as RFC 3339 has it, in UTC, with milliseconds."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=moment_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_statement(digests: Mapping[str, str], runs: Sequence[ArchivedRun]) -> bytes:
    """Write the statement of an archive.

    Args:
        digests: File -> SHA-256: all that the manifest names, and the manifest.
        runs: The runs in it.
    """
    statement = _Statement(
        subject=tuple(
            _Subject(name=name, digest={"sha256": digest}) for name, digest in sorted(digests.items())
        ),
        predicate=_Predicate(runs=tuple(_claim(run) for run in runs)),
    )
    return msgspec.json.format(msgspec.json.encode(statement, order="deterministic"), indent=2) + b"\n"


def check_statement(content: bytes, digests: Mapping[str, str], runs: Sequence[ArchivedRun]) -> None:
    """See that a statement is that of these files.

    Args:
        content: The statement.
        digests: File -> SHA-256, as found.
        runs: The runs in the archive.

    Raises:
        DamagedError: It is of others; the first is named.
    """
    if content == write_statement(digests, runs):
        return
    try:
        statement = msgspec.json.decode(content, type=_Statement)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DamagedError(f"{manifest.STATEMENT} is damaged: {error}") from error
    stated = {subject.name: subject.digest.get("sha256") for subject in statement.subject}
    for name in sorted(stated.keys() | digests.keys()):
        if stated.get(name) != digests.get(name):
            raise DamagedError(f"{manifest.STATEMENT} is not about the {name} that is in the archive.")
    raise DamagedError(f"{manifest.STATEMENT} says other things of the runs than their records.")


def _claim(run: ArchivedRun) -> RunClaim:
    root = None if run.source is None else run.source.snapshot.root
    return RunClaim(
        run_id=run.run_id,
        name=run.name,
        experiment=run.experiment,
        status=run.status.value,
        started_on=iso(run.started_ms),
        finished_on=iso(run.ended_ms),
        source_tree=None if root is None else root.tree,
        source_commit=None if root is None else root.commit,
        source_uri=None if root is None else root.repository_url,
        lock_digest=run.tags.get("proj.lock"),
        exit_code=run.tags.get("proj.exit_code"),
    )
