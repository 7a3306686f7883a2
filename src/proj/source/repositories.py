"""Where a repository keeps its things, read from its files: no process, and none of its settings."""

from __future__ import annotations

from pathlib import Path

import msgspec

_MOST_ALTERNATES = 50


class Places(msgspec.Struct, frozen=True):
    """The folders of a repository."""

    git_dir: Path
    common_dir: Path
    """Where objects and refs are; a worktree of `git worktree` shares its repository's."""

    @property
    def objects(self) -> tuple[Path, ...]:
        """Its object folder, and those that it borrows from."""
        found: list[Path] = []
        waiting = [self.common_dir / "objects"]
        while waiting and len(found) < _MOST_ALTERNATES:
            folder = waiting.pop(0)
            if folder in found:
                continue
            found.append(folder)
            lines = _lines(folder / "info/alternates")
            waiting += [folder / line for line in lines if not line.startswith(("#", '"'))]
        return tuple(found)

    @property
    def shallow(self) -> tuple[str, ...]:
        """Commits whose parents are not there."""
        return tuple(_lines(self.common_dir / "shallow"))

    def attributes(self) -> str:
        """The repository's own attributes, which no tree holds."""
        return "\n".join(_lines(self.common_dir / "info/attributes"))


def places_of(root: Path) -> Places:
    """Find the repository of the working tree at `root`."""
    dot_git = root / ".git"
    git_dir = dot_git
    if dot_git.is_file():
        target = next(iter(_lines(dot_git)), "").removeprefix("gitdir:").strip()
        git_dir = root / target
    common = next(iter(_lines(git_dir / "commondir")), None)
    return Places(git_dir=git_dir, common_dir=git_dir if common is None else git_dir / common)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return [line for line in text.split("\n") if line]
