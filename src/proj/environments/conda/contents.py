"""What packages bring, looked at before any of it is linked. Belongs to `worker`.

rattler takes a package's list of its files for granted. A hostile one names places outside of the
environment, or files that are links to those of this machine, whose content would get into an image; or it
brings a link that leads out, through which the files of another one are then written. Where post-link scripts
run, they may do all that and more; for an image, and for a lock, none does.
"""

from __future__ import annotations

import json
import os
import posixpath
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import rattler

_MAX_STEPS = 40
"""Links that lead to each other, as in Linux."""
_OUTSIDE = "/"


class UnsafePackageError(Exception):
    """A package would read or write outside of the environment."""


class Contents:
    """Looks at the packages of one environment, each right before it is linked; any thread may ask.

    Args:
        records: All that are linked.
        cache: The folder that they are unpacked in.
    """

    def __init__(self, records: Sequence[rattler.RepoDataRecord], cache: Path) -> None:
        self._records = {record.name.normalized: record for record in records}
        self._cache = cache
        self._python = self._records.get("python")
        self._places = Places()
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """See that a package stays in its environment, also together with those that were looked at before.

        Raises:
            UnsafePackageError: It does not, or that cannot be told.
        """
        record = self._records[name]
        stem = f"{name}-{record.version}-{record.build}"
        try:
            folder = self._cache / _plain(stem)
            paths, links = _contents(folder)
            with self._lock:
                self._places.add_links({place: to for path, to in links.items() for place in self._of(path)})
                self._places.add([place for path in paths for place in self._of(path)])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UnsafePackageError) as error:
            raise UnsafePackageError(f"{record.file_name} is not safe to install: {error}") from error

    def _of(self, path: str) -> Iterator[str]:
        """Where a file may come to lie: those of packages for any Python are moved."""
        yield path
        first, _, rest = path.partition("/")
        if first == "site-packages":
            yield f"{_site_packages(self._python)}/{rest}"
        elif first == "python-scripts":
            yield f"bin/{rest}"


class Places:
    """Where the files and links of an environment come to lie."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        """Files, as their packages have them."""
        self._written: dict[str, str] = {}
        """Link as its package has it -> its target."""
        self._links: dict[str, str] = {}
        """The same by the place where it comes to lie."""
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._known: set[str] = set()
        """What is a folder, or is led to by a link, with all above it."""
        self._know("conda-meta")

    def add_links(self, links: dict[str, str]) -> None:
        """Take in a package's links, with their targets.

        Raises:
            UnsafePackageError: Files would be written out of the environment through one.
        """
        for path, target in links.items():
            # Of two, either may be the one that comes to lie there: so nothing may go through it.
            self._written[path] = target if self._written.get(path, target) == target else _OUTSIDE
        self._settle()
        met = not self._known.isdisjoint(map(self._place, links))
        for path in self._written if met else links:
            place = self._place(path)
            end = self._resolved(place)
            if end is None and (place in self._known or place in self._files):
                raise UnsafePackageError(f"its link {path} leads out, and files are written through it")
            self._know(posixpath.dirname(place))
            self._know(end or "")
        if met:  # what was a folder may be a link
            paths, self._paths = self._paths, []
            self._files, self._folders = set(), set()
            self.add(paths)

    def add(self, paths: Sequence[str]) -> None:
        """Take in a package's files.

        Raises:
            UnsafePackageError: One would be written out of the environment.
        """
        folders = {posixpath.dirname(path) for path in paths}
        folders |= {f"{posixpath.dirname(path)}/__pycache__" for path in paths if path.endswith(".py")}
        for folder in folders - self._folders:
            self._know(self._inside(folder))
        self._folders |= folders
        self._paths += paths
        for path in paths:
            place = self._place(path)
            if place in self._links and self._resolved(place) is None:
                raise UnsafePackageError(f"its file {path} would be written through a link that leads out")
            self._files.add(place)

    def _settle(self) -> None:
        """Find where links lie: the folders that they are in may be links themselves."""
        for _ in range(_MAX_STEPS):
            links = {self._place(path): target for path, target in self._written.items()}
            if links == self._links:
                return
            self._links = links
        raise UnsafePackageError("its links lead to each other")

    def _place(self, path: str) -> str:
        folder, name = posixpath.split(path)
        return f"{self._inside(folder)}/{name}".removeprefix("/")

    def _inside(self, folder: str) -> str:
        found = self._resolved(folder)
        if found is None:
            raise UnsafePackageError(f"what is in {folder} would be written outside of the environment")
        return found

    def _resolved(self, path: str) -> str | None:
        """Where a path leads; None: out of the environment."""
        done: list[str] = []
        rest = path.split("/")[::-1]
        steps = 0
        while rest:
            part = rest.pop()
            if part == "..":
                if not done:
                    return None
                done.pop()
            elif part not in ("", "."):
                done.append(part)
                target = self._links.get("/".join(done))
                if target is not None:
                    steps += 1
                    if target.startswith("/") or steps > _MAX_STEPS:
                        return None
                    done.pop()
                    rest += target.split("/")[::-1]
        return "/".join(done)

    def _know(self, folder: str) -> None:
        while folder and folder not in self._known:
            self._known.add(folder)
            folder = posixpath.dirname(folder)


def _contents(folder: Path) -> tuple[list[str], dict[str, str]]:
    """The files of an unpacked package, and its links with their targets.

    Raises:
        UnsafePackageError: It names a place that is outside of it, or a file that is.
    """
    root = os.path.realpath(folder)
    inside: dict[str, bool] = {}
    paths, links = [], {}
    for path, kind in _listed(folder):
        if not _is_place(path):
            raise UnsafePackageError(f"its list of files has {path!r}, which is no place in an environment")
        parent = posixpath.dirname(path)
        if parent not in inside:
            inside[parent] = _is_below(os.path.realpath(folder / parent), root)
        if not inside[parent]:
            raise UnsafePackageError(f"{path} is a file of this machine, not of the package")
        if not (folder / path).is_symlink():
            paths.append(path)
            continue
        links[path] = os.readlink(folder / path)  # noqa: PTH115  as it is written
        # What is listed as a file, rattler copies from where the link leads.
        if kind not in ("softlink", "") and not _is_below(os.path.realpath(folder / path), root):
            raise UnsafePackageError(f"{path} is a file of this machine, not of the package")
    return [*paths, *_entry_points(folder)], links


def _listed(folder: Path) -> list[tuple[str, str]]:
    """The paths that a package says it has, and what they are; empty where it does not say what."""
    try:
        content = json.loads((folder / "info" / "paths.json").read_bytes())
    except FileNotFoundError:  # packages of before 2017
        lines = (folder / "info" / "files").read_text(encoding="utf-8").split("\n")
        return [(line.strip(), "") for line in lines if line.strip()]
    return [(str(entry["_path"]).rstrip("/"), str(entry["path_type"])) for entry in content["paths"]]


def _is_place(path: str) -> bool:
    return not {"", ".", ".."} & set(path.split("/")) and "\0" not in path


def _entry_points(folder: Path) -> list[str]:
    """The programs that are made for a package."""
    try:
        content = json.loads((folder / "info" / "link.json").read_bytes())
    except FileNotFoundError:
        return []
    listed = (content.get("noarch") or {}).get("entry_points") or ()
    return [f"bin/{_plain(str(text).partition('=')[0].strip())}" for text in listed]


def _plain(name: str) -> str:
    """A name, which must be that of a file."""
    if "/" in name or not _is_place(name):
        raise UnsafePackageError(f"{name!r} is no name for a file")
    return name


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _site_packages(python: rattler.RepoDataRecord | None) -> str:
    if python is None:
        return "site-packages"
    named = python.python_site_packages_path
    if named is not None and not _is_place(named):
        raise UnsafePackageError(f"modules would go to {named!r}")
    return named or f"lib/python{'.'.join(str(python.version).split('.')[:2])}/site-packages"
