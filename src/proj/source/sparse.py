"""Reading a sparse index, of which git makes a full one: the trees that it writes then go elsewhere."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from proj.source import git
from proj.source.files import os_failure
from proj.source.repositories import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def objects_apart(root: Path) -> Iterator[dict[str, str | None]]:
    """Variables with which git writes no object into the repository of the working tree at `root`.

    Even `git ls-files` writes the trees of a sparse index that it makes full (`ensure_full_index` in git's
    sparse-index.c), and there is no setting against it. Of trees that are there already it sets the time.

    Raises:
        SourceError: The folder for them cannot be made.
    """
    from proj.source.tree import quoted_path  # few working trees are sparse

    try:
        made = tempfile.TemporaryDirectory(prefix="proj-objects-", ignore_cleanup_errors=True)
    except OSError as error:
        raise os_failure(error, f"Cannot write in {tempfile.gettempdir()}") from error
    with made as name:
        folder = Path(name)
        lines = "".join(f"{quoted_path(path.absolute())}\n" for path in places_of(root).objects)
        try:
            (folder / "info").mkdir()
            (folder / "info/alternates").write_text(lines, "utf-8", "surrogateescape")
        except OSError as error:
            raise os_failure(error, f"Cannot write {folder}") from error
        yield {"GIT_OBJECT_DIRECTORY": name}


def is_sparse(root: Path) -> bool:
    """Whether the index of the working tree at `root` may be a sparse one."""
    answer = git.run("config", "--get", "--type=bool", "index.sparse", cwd=root, check=False)
    return answer.stdout.strip() == "true"
