"""Small disks, to be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess  # noqa: TID251  mount as an administrator calls it
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

mounts = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root can mount a tmpfs"
)


@contextlib.contextmanager
def mounted(target: Path, options: str) -> Iterator[Path]:
    """A small disk."""
    target.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", options, "proj-test", str(target)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


def resize(disk: Path, size: str) -> None:
    """Make room, or take it away."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
