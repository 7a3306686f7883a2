"""Which runs are under way on this machine: a claim is a file that its supervisor keeps locked.

The kernel gives the lock back when the supervisor dies, however it dies, so a claim that can be locked by
somebody else is proof that nobody looks after that run any more. No heartbeat, no guess by process number.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from proj.errors import StoreError
from proj.files import make_private
from proj.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL_S = 0.05

VERSION = 1
"""Version of the claims' content."""


class ClaimInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim says."""

    token: str
    """Also the run's tag `proj.claim`, so that a run whose id never reached the claim is found."""
    pid: int
    version: int = VERSION
    place: str | None = None
    """Where the run is recorded: URI of a folder, or a server's URL; None: below the same home."""
    run_id: str | None = None
    backend: str | None = None
    reference: str | None = None
    """What `Backend.attach` needs; None until the execution has been submitted."""
    outcome: Outcome | None = None
    """How the run ended, where the record could not be written: this file's block is there on a full disk."""


class Claim:
    """A run under way that this process looks after.

    Args:
        path: The claim's file.
        descriptor: The open, locked file.
        info: Its content.
    """

    def __init__(self, path: Path, descriptor: int, info: ClaimInfo) -> None:
        self._path = path
        self._descriptor = descriptor
        self.info = info

    @classmethod
    def create(cls, home: Path, place: str | None = None) -> Claim:
        """Lock a new claim.

        Args:
            home: Folder of the claims.
            place: Where the run is recorded.

        Raises:
            StoreError: The folder cannot be written.
        """
        info = ClaimInfo(token=uuid.uuid4().hex, pid=os.getpid(), place=place)
        path = _folder(home) / info.token
        try:
            make_private(path.parent)
            descriptor = _make_locked(path, msgspec.json.encode(info))
        except OSError as error:
            raise StoreError(f"Cannot write below {path.parent}: {error.strerror}") from error
        return cls(path, descriptor, info)

    @classmethod
    def adopt(cls, home: Path, token: str, descriptor: int) -> Claim:
        """Take over a claim whose open file was inherited from the process that made it."""
        path = _folder(home) / token
        claim = cls(path, descriptor, msgspec.json.decode(path.read_bytes(), type=ClaimInfo))
        claim.update(pid=os.getpid())
        return claim

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock, to hand on to another process."""
        return self._descriptor

    def update(
        self,
        *,
        pid: int | None = None,
        run_id: str | None = None,
        backend: str | None = None,
        reference: str | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """Write down what is known by now.

        Raises:
            StoreError: It cannot be written.
        """
        self.info = ClaimInfo(
            token=self.info.token,
            pid=pid or self.info.pid,
            place=self.info.place,
            run_id=run_id or self.info.run_id,
            backend=backend or self.info.backend,
            reference=reference or self.info.reference,
            outcome=outcome or self.info.outcome,
        )
        content = msgspec.json.encode(self.info)
        # Longer than what was there, or of the same length: fields are only ever filled in. One call, so that
        # a reader sees the old or the new content.
        try:
            os.pwrite(self._descriptor, content.ljust(os.fstat(self._descriptor).st_size), 0)
        except OSError as error:
            raise StoreError(f"Cannot write {self._path}: {error.strerror}") from error

    @property
    def held(self) -> bool:
        """Whether it is still ours: neither released nor handed over."""
        return self._descriptor >= 0

    def release(self) -> None:
        """The run has ended and is recorded."""
        if self.held:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            self.hand_over()

    def hand_over(self) -> None:
        """Let go of the file without removing it.

        Where another process has it open too, that one holds the lock now; else the next command finds it.
        """
        os.close(self._descriptor)
        self._descriptor = -1


def _make_locked(path: Path, content: bytes) -> int:
    """Only a locked claim gets its real name: nobody can find one that is not locked yet."""
    temporary = path.with_suffix(".new")
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.pwrite(descriptor, content, 0)
            temporary.rename(path)
        except FileNotFoundError:
            # Between our two calls another process took it for that of a dead one, and removed it.
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        else:
            return descriptor


def _folder(home: Path) -> Path:
    return home / "active"


def _read(path: Path) -> ClaimInfo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClaimInfo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def find(home: Path, token: str) -> ClaimInfo | None:
    """Return the claim of a run that is under way on this machine, None when there is none."""
    return _read(_folder(home) / token)


def run_ids(home: Path) -> frozenset[str]:
    """The runs of this machine that are under way, as far as they have an id."""
    try:
        names = os.listdir(_folder(home))  # noqa: PTH208  as below
    except OSError:
        return frozenset()
    claims = (find(home, name) for name in names)
    return frozenset(claim.run_id for claim in claims if claim is not None and claim.run_id is not None)


def abandoned(home: Path) -> Iterator[Claim]:
    """Yield claims whose supervisor is gone, each locked by us; the caller releases it."""
    try:
        names = os.listdir(_folder(home))  # noqa: PTH208  half the cost, on the hot path
    except OSError:
        return
    for name in names:
        claim = _lock_if_free(_folder(home) / name)
        if claim is not None:
            yield claim


def _lock_if_free(path: Path) -> Claim | None:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            if path.suffix == ".new":
                # Its maker died between making and naming it: no run was created under it.
                path.unlink()
            else:
                info = _read(path)
                if info is not None and info.version > VERSION:
                    os.close(descriptor)
                    return None  # a newer proj made it, and knows what to do
                return Claim(path, descriptor, info or ClaimInfo(token=path.name, pid=0))
    except OSError:
        # Locked: somebody looks after it. Or gone meanwhile: released.
        pass
    os.close(descriptor)
    return None


def wait(home: Path, token: str, timeout_s: float | None = None) -> bool:
    """Wait until a claim is released or its supervisor died; False when `timeout_s` went by first."""
    path = _folder(home) / token
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | (0 if deadline is None else fcntl.LOCK_NB))
        except BlockingIOError:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True
        finally:
            os.close(descriptor)
