"""The content of local packages: installed copies of changed code are not reused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from proj import paths

SKIPPED = frozenset({
    ".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "build", "dist", "node_modules", "mlruns",
    "mlartifacts", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints",
})  # fmt: skip
_WHOLE_BYTES = 1024 * 1024
"""Files above this size count by size and time, not by content: data beside the code."""


def content_digest(path: Path) -> str:
    """Hexadecimal digest of a local package: of the file, or of the folder's files without build results.

    In a private checkout all files count by content: their times are new in each.
    """
    whole = is_private(path)
    sha = hashlib.sha256()
    if path.is_file():
        _take(sha, str(path), path.name, whole=whole)
        return sha.hexdigest()
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name for name in folders if name not in SKIPPED and not name.endswith(".egg-info")
        )
        for name in sorted(files):
            if not name.endswith((".pyc", ".pyo")):
                full = os.path.join(folder, name)  # noqa: PTH118  thousands of them
                _take(sha, full, os.path.relpath(full, path), whole=whole)
    return sha.hexdigest()


def is_private(path: Path) -> bool:
    """Whether a path is in a private checkout: a folder that one run has for itself, and nobody edits."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(paths.cache() / "checkouts"))


def _take(sha: hashlib._Hash, full: str, name: str, *, whole: bool) -> None:
    try:
        stat = os.stat(full)  # noqa: PTH116  as above
        sha.update(f"{name}\0{stat.st_size}\0{stat.st_mode & 0o111}\0".encode("utf-8", "surrogateescape"))
        if stat.st_size > _WHOLE_BYTES and not whole:
            sha.update(str(stat.st_mtime_ns).encode())
        else:
            sha.update(Path(full).read_bytes())
    except OSError:
        sha.update(b"unreadable")
