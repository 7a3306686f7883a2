"""Where a project file is, and its bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from proj.errors import SourceError
from proj.model import Diagnostic, Severity
from proj.projectfile.findings import ProjectInvalidError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAMES: Final = ("mlproject", "mlproject.yaml", "mlproject.yml")
"""Lower-case names of a project file; the first is MLflow's own."""
_READ_BYTES: Final = (1 << 20) + 1
"""One more than a parser takes: it says that there are too many."""


def find(directory: Path) -> Path | None:
    """The project file of a folder; None when there is none.

    The name may have any letter case. `MLproject` wins over `MLproject.yaml`, as MLflow knows it alone.

    Raises:
        SourceError: The folder cannot be read.
        ProjectInvalidError: Two files claim to be the project file.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208  half the time of Path.iterdir
    except OSError as error:
        raise SourceError(
            f"Cannot read the project's folder {directory}: {error.strerror}.", hint="Check the path."
        ) from error
    for known in (FILE_NAMES[:1], FILE_NAMES[1:]):
        candidates = sorted(
            name for name in names if name.lower() in known and not (directory / name).is_dir()
        )
        if len(candidates) > 1:
            finding = Diagnostic(
                severity=Severity.ERROR,
                code="two-files",
                message=f"{' and '.join(candidates)} both claim to be the project file",
                file=str(directory),
                fix=f"Keep one of {', '.join(candidates)}.",
            )
            raise ProjectInvalidError(str(directory), (finding,))
        if candidates:
            return directory / candidates[0]
    return None


def read(file: Path) -> bytes:
    """The bytes of a project file, as far as a parser takes them.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        if not file.is_file() and file.exists():
            raise SourceError(f"{file} is no file that can be read to its end.", hint="Write a regular file.")
        with file.open("rb") as stream:
            return stream.read(_READ_BYTES)
    except OSError as error:
        raise SourceError(f"Cannot read {file}: {error.strerror}.", hint="Check its permissions.") from error
