"""The sources that a URI can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from proj.errors import UsageError

if TYPE_CHECKING:
    from proj.importing.model import Problems, Source

_PREFIX = "mlflow:"
_HINT = (
    "Known: mlflow:FOLDER (an mlruns folder), mlflow:FILE and mlflow:sqlite:///FILE (a database), "
    "mlflow:http://HOST (a server); FILE, written by `proj export`, must be there."
)


def open_source(uri: str, problems: Problems, beside: tuple[Path, ...] = ()) -> Source:
    """Open what `mlflow:…` names.

    Args:
        uri: As given on the command line.
        problems: Takes what cannot be read.
        beside: Folders in which artifacts are looked for that are not where they are said to be.

    Raises:
        UsageError: It is none that is known.
        NotFoundError: It is not there.
        StoreError: It cannot be read.
    """
    if not uri.startswith(_PREFIX):
        raise UsageError(f"{uri!r} does not say what kind of records it holds.", hint=_HINT)
    place = uri[len(_PREFIX) :]
    scheme = place.partition(":")[0].lower() if ":" in place else ""
    if scheme in ("http", "https"):
        from proj.importing.server import server_source

        return server_source(place, problems, beside)
    if scheme == "sqlite":
        rest = place[len("sqlite:") :]
        # As SQLAlchemy reads it: three slashes before a relative path, four before an absolute one.
        if not rest.startswith("///") or len(rest) <= len("///"):
            raise UsageError(f"{place!r} names no file.", hint="Write sqlite:///FILE.")
        return _database(Path(unquote(rest[3:].partition("?")[0])), problems, beside)
    if scheme == "file":
        from proj.tracking.artifacts import local_path

        path = local_path(place)
    elif scheme and not Path(place).exists():
        raise UsageError(f"Records of {scheme}: URIs cannot be imported.", hint=_HINT)
    elif not place:
        raise UsageError(f"{uri!r} names nothing.", hint=_HINT)
    else:
        path = Path(place).expanduser()
    if path.is_file():
        return _database(path, problems, beside)
    from proj.importing.mlruns import MlrunsSource

    return MlrunsSource(path, problems, beside)


def _database(path: Path, problems: Problems, beside: tuple[Path, ...]) -> Source:
    from proj.importing.sqlite import SqliteSource

    return SqliteSource(path, problems, beside)
