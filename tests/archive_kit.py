"""Archives for tests, hostile ones too."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def make_tar(
    path: Path, *members: tuple[str, bytes | str, bytes], mode: str = "w:gz", bits: int = 0o644
) -> Path:
    """Members are name, content or link target, and tar type."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # a mode that is not literal
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, bits
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                tar.addfile(info)
    return path


def make_zip(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """Members are name, content and the whole Unix mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.create_system = 3
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path
