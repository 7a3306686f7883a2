"""Requirement files with `--hash` options: a lock in itself, so only the listed files may be installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.environments.requirements import requirement_name
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.environments.requirements import Requirements

_LISTED = re.compile(r"--hash=sha256:([0-9a-fA-F]{64})")
_LOCKED = re.compile(r'sha256 = "([0-9a-f]{64})"')


def keep_listed_hashes(lock: str, requirements: Requirements, origin: str) -> str:
    """Remove the files from a lock that the requirements do not list.

    Args:
        lock: pylock.toml as uv writes it: one file to a line.
        requirements: With `--hash` options.
        origin: The requirements file, for messages.

    Raises:
        EnvironmentFailedError: For some package none of the listed files is on the index.
    """
    listed = {
        requirement_name(line): {digest.lower() for digest in _LISTED.findall(line)}
        for line in requirements.lines
    }
    head, *blocks = lock.split("[[packages]]\n")
    kept: list[str] = [head]
    for block in blocks:
        match = re.search(r'(?m)^name = "([^"]+)"', block)
        allowed = listed.get(match[1] if match else "", set())
        lines = [
            line
            for line in block.splitlines()
            if not _LOCKED.search(line) or set(_LOCKED.findall(line)) & allowed
        ]
        text = "\n".join(lines)
        if not _LOCKED.search(text):
            name = match[1] if match else "a package"
            raise EnvironmentFailedError(
                f"{origin} lists hashes for {name}, and no file of the index has one of them.",
                hint="Make the hashes anew, such as with `uv pip compile --generate-hashes`.",
            )
        # A list of wheels that lost its first lines keeps its brackets: they stand on lines of their own.
        kept.append(text + "\n\n")
    return "[[packages]]\n".join(kept).rstrip() + "\n"
