"""The code of a private checkout goes before its installed copy.

Code that is made for editable installs finds files beside itself: data that no packaging list names, settings
two folders up. In a checkout such packages are installed as copies (see `without_editable`), which have none
of that. So the folders that the copies came from are put on `PYTHONPATH`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from proj.environments.localcode import is_private
from proj.environments.lock import local_paths
from proj.environments.requirements import requirement_name

_LAYOUTS = ("", "src", "lib")
_SHADOWED = frozenset(sys.stdlib_module_names) - {"test"}


def source_folders(lock: str, project_dir: Path, environment: Path) -> tuple[str, ...]:
    """The folders of a checkout whose code is to be imported instead of its copies.

    Left out is a package that has files the checkout has not, such as compiled ones, and a folder with other
    modules that would hide one of the standard library or of the environment.

    Args:
        lock: pylock.toml in which packages are editable.
        project_dir: What its paths are relative to.
        environment: The folder of the virtual environment that has the copies.
    """
    found: dict[str, None] = {}
    for site in environment.glob("lib/python*/site-packages"):
        records = {requirement_name(path.parent.name.partition("-")[0]): path for path in _records(site)}
        for block in lock.split("[[packages]]")[1:]:
            name = re.search(r'(?m)^name = "([^"]+)"', block)
            record = records.get(requirement_name(name[1])) if name else None
            for path, editable in local_paths(block):
                folder = Path(os.path.realpath(project_dir / path))
                root = _root(folder, record, site) if editable and record and is_private(folder) else None
                if root is not None:
                    found[str(root)] = None
    return tuple(found)


def _records(site: Path) -> list[Path]:
    return list(site.glob("*.dist-info/RECORD"))


def _root(package: Path, record: Path, site: Path) -> Path | None:
    rows = (line.rpartition(",")[0].rpartition(",")[0].strip('"') for line in _lines(record))
    copied = [
        row
        for row in rows
        if row and not row.startswith((f"{record.parent.name}/", "../", "/")) and "__pycache__/" not in row
    ]
    own = {row.partition("/")[0].partition(".")[0] for row in copied}
    for layout in _LAYOUTS:
        root = package / layout
        if copied and all((root / row).is_file() for row in copied):
            others = _modules(root) - own
            return root if not others & (_SHADOWED | _modules(site)) else None
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _modules(folder: Path) -> set[str]:
    """The names that can be imported from a folder; without those that are packages for want of anything."""
    names = set()
    for entry in os.scandir(folder):
        if entry.name.endswith((".py", ".so")):
            names.add(entry.name.partition(".")[0])
        elif entry.is_dir() and os.path.isfile(os.path.join(entry.path, "__init__.py")):  # noqa: PTH113, PTH118  hundreds
            names.add(entry.name)
    return names
