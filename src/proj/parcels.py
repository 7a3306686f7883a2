"""Code that is too large to go along with a command: it is fetched from the run's artifacts meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.errors import DetachedError, ProjError
from proj.model import Execution, Parcel
from proj.record import PARCEL
from proj.sizes import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.tracking.store import ArtifactStore

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def kept(
    execution: Execution,
    pack: Callable[[Execution, Path], Path | None],
    artifacts: ArtifactStore,
    artifact_uri: str,
) -> Iterator[Execution]:
    """Keep an execution's code among its run's artifacts while the block lasts, if its backend wants that.

    What the run was made of is recorded by itself: the parcel goes when the run has ended.

    Args:
        execution: What runs.
        pack: Packs the code into a file of a folder; None: it goes along with the command.
        artifacts: Where the run's artifacts are.
        artifact_uri: The run's.

    Yields:
        The execution, with the parcel.

    Raises:
        ProjError: The code cannot be packed, or not be stored.
    """
    with tempfile.TemporaryDirectory(prefix="proj-parcel-") as folder:
        file = pack(execution, Path(folder))
        if file is not None:
            parcel = Parcel(path=PARCEL, sha256=_digest(file))
            events.step(f"Sending the code ({in_words(file.stat().st_size)}) to the run's artifacts")
            artifacts.put(artifact_uri, parcel.path, file)
            execution = msgspec.structs.replace(execution, parcel=parcel)
    detached = False
    try:
        yield execution
    except DetachedError:
        detached = True  # it may not have been fetched yet
        raise
    finally:
        if execution.parcel is not None and not detached:
            with contextlib.suppress(ProjError):  # it only takes space
                artifacts.delete(artifact_uri, execution.parcel.path)


def _digest(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()
