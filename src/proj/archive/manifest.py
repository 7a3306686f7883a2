"""Where files are in an archive, and `manifest-sha256.txt`, which `sha256sum --check` reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.archive.failures import DamagedError
from proj.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENTS = "proj-archive.json"
CRATE = "ro-crate-metadata.json"
MANIFEST = "manifest-sha256.txt"
STATEMENT = "statement.json"
SIGNATURE = "statement.json.sig"
UNLISTED = (MANIFEST, STATEMENT, SIGNATURE)
"""What the manifest does not name; of these, the statement names the manifest."""
WHOLE = "proj/whole.json"
"""Artifact of a run that came out of an archive: its code, made whole; an `ArchivedSource`."""
WHOLE_BUNDLE = "proj/whole.bundle"
"""The bundle to it."""
SOURCE = "source/"
PACKAGES = "packages/"

_LINE = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64})  (?P<name>.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {written: meant for meant, written in _ESCAPES.items()}
_PLACES = re.compile(
    r"(?:runs/[0-9a-f]{32}/(?:run\.json|metrics\.jsonl|artifacts/(?P<artifact>.+))"
    r"|models/m-[0-9a-f]{32}/.+"
    r"|source/[0-9a-f]{64}\.bundle|packages/[A-Za-z0-9_][A-Za-z0-9._+!-]*)",
    re.DOTALL,
)
_LONGEST_NAME_BYTES = 4096
_LONGEST_PART_BYTES = 255


def run_file(run_id: str) -> str:
    """Where a run's document is."""
    return f"runs/{run_id}/run.json"


def metrics_file(run_id: str) -> str:
    """Where a run's metrics are."""
    return f"runs/{run_id}/metrics.jsonl"


def artifacts_of(run_id: str) -> str:
    """Where a run's files are."""
    return f"runs/{run_id}/artifacts/"


def files_of_model(model_id: str) -> str:
    """Where a logged model's files are."""
    return f"models/{model_id}/"


def check_path(path: str) -> None:
    """See that a path can be a file's on all machines that proj runs on.

    Raises:
        StoreError: It cannot.
    """
    try:
        raw = path.encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"The name of the file {path!r} is not UTF-8, so it cannot be put into an archive.",
            hint="Rename it.",
        ) from error
    parts = raw.split(b"/")
    if b"\0" in raw or any(part in (b"", b".", b"..") for part in parts):
        raise StoreError(f"{path!r} leads elsewhere, or is no path of a file.")
    if len(raw) > _LONGEST_NAME_BYTES or max(map(len, parts)) > _LONGEST_PART_BYTES:
        raise StoreError(f"The path {path[:80]!r}… is too long.")


def check_names(names: Iterable[str]) -> None:
    """See that files are where those of an archive can be, and none within another.

    Raises:
        DamagedError: One is not; it is named.
    """
    from proj.tracking.artifacts import is_partial

    known = {*UNLISTED, CONTENTS, CRATE}
    files = set(names)
    for name in files:
        place = _PLACES.fullmatch(name)
        if place is None and name not in known:
            raise DamagedError(f"{name!r} is no place of a file in an archive of runs.")
        try:
            check_path(name)
        except StoreError as error:
            raise DamagedError(error.message) from error
        parts = name.split("/")
        artifact = place["artifact"] if place is not None else None
        if any(is_partial(part) for part in parts) or artifact in (WHOLE, WHOLE_BUNDLE):
            raise DamagedError(f"{name!r} is a name of proj's own.")
        above = ("/".join(parts[:count]) for count in range(1, len(parts)))
        inside = next((folder for folder in above if folder in files), None)
        if inside is not None:
            raise DamagedError(f"{inside!r} is a file and a folder.")


def write_manifest(digests: Mapping[str, str]) -> bytes:
    """Write name -> SHA-256 as `sha256sum` does."""
    return "".join(_line(name, digest) for name, digest in sorted(digests.items())).encode()


def read_manifest(content: bytes) -> dict[str, str]:
    """Read name -> SHA-256.

    Raises:
        DamagedError: It is not what `write_manifest` writes.
    """
    found: dict[str, str] = {}
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{MANIFEST} is damaged: it is not UTF-8.") from error
    for number, line in enumerate(lines[:-1], start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DamagedError(f"Line {number} of {MANIFEST} is damaged.")
        name = match["name"]
        if match["escaped"]:
            name = re.sub(r"\\.", lambda found: _UNESCAPES.get(found[0], found[0]), name)
        found[name] = match["digest"]
    if write_manifest(found) != content:
        raise DamagedError(f"{MANIFEST} is not as it was written.")
    return found


def _line(name: str, digest: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in name)
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"
