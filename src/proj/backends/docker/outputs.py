"""Files that a command made within its container, where its code was in the image."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from proj import events
from proj.errors import ImageError
from proj.images.engine import EngineError
from proj.inside import working_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.images.engine import Engine
    from proj.model import Code


def bring(engine: Engine, container: str, code: Code, folder: Path) -> None:
    """Copy files that match the project's `outputs` out of a container that has ended. Never raises.

    Args:
        engine: Where the container is.
        container: Its id.
        code: What was in it, with the patterns.
        folder: The folder of the run's artifacts.
    """
    if not code.outputs:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="outputs-", dir=folder / "proj") as scratch:
            with engine.archive(container, working_directory(code)) as stream:
                _unpack(stream, Path(scratch))
            for file in _matching(Path(scratch), code.outputs):
                relative = file.relative_to(scratch)
                if relative.parts[0] == "proj":
                    events.warning(f"Output {relative} is not stored: the record itself is kept under proj/.")
                    continue
                target = folder / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(file, target)
    except (EngineError, ImageError, OSError, tarfile.TarError) as error:
        events.warning(f"The container's outputs are not stored: {error}")


def _unpack(stream: object, folder: Path) -> None:
    """Take the regular files of an archive; nothing in it says where they go but its own relative paths."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            path = PurePosixPath(member.name)
            parts = path.parts[1:]  # the first is the folder itself
            if not member.isfile() or not parts or path.is_absolute() or ".." in parts:
                continue
            source = archive.extractfile(member)
            if source is None:
                continue
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(source, file)


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    yield from sorted(found)
