"""Inline script metadata (PEP 723): what a script says that it needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from pathlib import Path

# The reference expression of the specification, "inline script metadata".
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_HEAD_BYTES = 256 * 1024


class ScriptMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The `script` block of a script."""

    requires_python: str | None = None
    dependencies: tuple[str, ...] = ()


def read_script_metadata(path: Path) -> ScriptMetadata | None:
    """The script's metadata; None when it has no block or cannot be read.

    Raises:
        EnvironmentFailedError: There is a block that is not valid.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if b"# /// script" not in head:
        return None
    text = head.decode("utf-8", errors="replace").replace("\r\n", "\n")
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if not blocks:
        return None
    if len(blocks) > 1:
        raise EnvironmentFailedError(f"{path} has several `# /// script` blocks.", hint="Keep one of them.")
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:]
        for line in blocks[0]["content"].splitlines(keepends=True)
    )
    from proj.environments.toml import parse_toml

    table = parse_toml(content, f"the script block of {path}")
    python = table.get("requires-python")
    dependencies = table.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise EnvironmentFailedError(
            f"`dependencies` in the script block of {path} is not a list of strings."
        )
    return ScriptMetadata(
        requires_python=python if isinstance(python, str) else None, dependencies=tuple(dependencies)
    )
