"""Reading folders that MLflow wrote: `meta.yaml` files, and files whose names are keys."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.importing.model import Problems

META = "meta.yaml"
_TRIES = 3
_PAUSE_S = 0.05
"""MLflow writes a file anew in place: while it does, the file is empty or cut."""
_MAX_META_BYTES = 16 << 20
_NOT_KEYS = frozenset({".DS_Store"})
_INT64 = 2**63


class BadMetaError(Exception):
    """A `meta.yaml`, or what belongs to it, is not as MLflow writes it.

    Args:
        place: The file, with the line where it is known.
        message: What is wrong.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


class Meta:
    """What a `meta.yaml` says.

    Args:
        path: The file.
        content: Its keys and values.
    """

    __slots__ = ("_content", "path")

    def __init__(self, path: Path, content: dict[Any, Any]) -> None:
        self.path = path
        self._content = content

    def bad(self, message: str) -> BadMetaError:
        """Return the error that names the file."""
        return BadMetaError(str(self.path), f"It is left out: {message}.")

    def value(self, key: str) -> Any:
        """Return a value as YAML yields it; None where there is none."""
        return self._content.get(key)

    def text(self, key: str) -> str | None:
        """Return a text; a number is its digits, since ids were numbers once."""
        value = self._content.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)):
            return str(value)
        raise self.bad(f"{key} is no text")

    def required(self, key: str) -> str:
        """Return a text that has to be there."""
        value = self.text(key)
        if not value:
            raise self.bad(f"it has no {key}")
        return value

    def integer(self, key: str) -> int | None:
        """Return a number of 64 bits; None where there is none."""
        value = self._content.get(key)
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.bad(f"{key} is no number") from error
        if not -_INT64 <= number < _INT64:
            raise self.bad(f"{key} is no number of 64 bits")
        return number

    def texts(self, key: str) -> dict[str, str]:
        """Return a mapping of texts; empty where there is none."""
        value = self._content.get(key) or {}
        if not isinstance(value, dict):
            raise self.bad(f"{key} is no mapping")
        return {str(name): str(item) for name, item in value.items()}


class Folder:
    """A folder that MLflow wrote. Links that lead out of it are named, and not followed.

    Args:
        root: The folder, without links in its own path.
        problems: Takes what is left out.
    """

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self.problems = problems
        self._inside = f"{root}{os.sep}"

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none if it is not there."""
        return sorted(entry.name for entry in self._scan(path) if entry.is_dir())

    def has_meta(self, path: str) -> bool:
        """Whether there is a `meta.yaml` in a folder."""
        return (self.root / path / META).is_file()

    def meta(self, path: str) -> Meta:
        """Read the `meta.yaml` of a folder.

        Raises:
            BadMetaError: It is not there, or cannot be understood.
        """
        file = self.root / path / META
        for attempt in range(_TRIES):
            try:
                return Meta(file, _load(file, self._bytes(str(file))))
            except BadMetaError:  # noqa: PERF203  it is a loop of tries
                if attempt == _TRIES - 1:
                    raise
                time.sleep(_PAUSE_S)
            except FileNotFoundError as error:
                raise BadMetaError(str(file), "It is left out: the file is not there.") from error
        raise AssertionError  # the last try returns or raises

    def values(self, path: str) -> dict[str, str]:
        """Return key -> content of the files in a folder, whose relative paths are the keys."""
        return {key: self._bytes(file).decode("utf-8", "backslashreplace") for key, file in self.keyed(path)}

    def keyed(self, path: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield key and path of the files in a folder and the folders below."""
        for entry in self._scan(path):
            if entry.is_dir(follow_symlinks=False):
                yield from self.keyed(f"{path}/{entry.name}", f"{prefix}{entry.name}/")
            elif entry.is_file() and entry.name not in _NOT_KEYS:
                yield f"{prefix}{entry.name}", entry.path

    def _scan(self, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / path if path else self.root) as entries:
                found = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            if entry.is_symlink() and not os.path.realpath(entry.path).startswith(self._inside):
                self.problems.add(entry.path, "It is a link that leads out of the folder, and left out.")
            else:
                yield entry

    def _bytes(self, file: str) -> bytes:
        """Read a small file; one that is no file, or a link that leads out, is refused."""
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadMetaError(file, "It is left out: it is no file.")
            if os.path.islink(file) and not os.path.realpath(file).startswith(self._inside):  # noqa: PTH114  strings: there may be millions of them
                raise BadMetaError(file, "It is left out: it is a link that leads out of the folder.")
            return stream.read()


def _load(file: Path, content: bytes) -> dict[Any, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if len(content) > _MAX_META_BYTES:
        raise BadMetaError(str(file), "It is left out: it is too large for what it is.")
    try:
        loaded = yaml.load(content, Loader=loader)  # noqa: S506  one of the safe ones
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line if mark is not None else content[: getattr(error, "position", 0)].count(b"\n")
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadMetaError(f"{file}:{line + 1}", f"It is left out: it is no YAML, {reason}.") from error
    if not isinstance(loaded, dict):
        what = "empty" if loaded is None else "no mapping"
        raise BadMetaError(f"{file}:1", f"It is left out: it is {what}.")
    return loaded
