"""What a supervisor gets: all that is needed to run a command and to record how it went, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from proj.model import BoundParameter, Checkout, Execution, PreparedEnvironment
from proj.place import Place
from proj.server.endpoint import EndpointSettings


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to run a command and to record how it went."""

    home: Path
    claim: str
    backend: str
    environment: str
    execution: Execution
    artifact_uri: str
    """Where the run's files belong."""
    record_uri: str
    """Where they are made; on this machine."""
    checkout: Checkout
    prepared: PreparedEnvironment
    outputs: tuple[str, ...] = ()
    keep: bool = False
    downloads: Path | None = None
    """Folder of downloaded parameters, removed afterwards."""
    endpoint: EndpointSettings | None = None
    """For the program's MLflow client; None where the user sends that elsewhere."""
    place: Place
    """Where the run is recorded."""
    parameters: tuple[BoundParameter, ...] = ()
    has_inputs: bool = False
    """Whether files or folders are among the parameters."""
    source_whole: bool = False
    """Whether all of the code is kept: else another run cannot be said to be the same."""
    large_files: tuple[str, ...] = ()
    """Those of Git LFS whose content is there."""
    tags: Mapping[str, str] = {}
    """What has become known of the run since it was created."""


def encode(assignment: Assignment) -> bytes:
    """Write an assignment as JSON; it may hold secrets, and text that is no UTF-8."""
    import json  # only a detached run pays for it

    return json.dumps(msgspec.to_builtins(assignment, enc_hook=str)).encode("ascii")


def decode(content: bytes) -> Assignment:
    """Read an assignment back."""
    import json  # as above

    return msgspec.convert(json.loads(content), Assignment, dec_hook=_path)


def _path(kind: type[object], value: object) -> Path:
    if kind is not Path:  # the only type in an assignment that msgspec does not know
        raise NotImplementedError(kind)
    return Path(str(value))
