"""A repository of our own beside the user's: commits are written there, and packed as a git bundle."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from proj.errors import SourceError, ToolFailedError
from proj.model import SourceBundle
from proj.source import git
from proj.source.digests import sha256
from proj.source.files import free_bytes, make_folder, os_failure, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CONFIG = (
    "[core]\n\tbare = true\n\tfsync = none\n\tcompression = 6\n[fastimport]\n\tunpackLimit = 0\n"
    "[pack]\n\tthreads = 1\n\twindow = 10\n\tdepth = 50\n\tcompression = 6\n\tuseBitmaps = false\n"
    "[gc]\n\tauto = 0\n"
)
_UNCOMPRESSED = (("core.compression", "0"), ("pack.compression", "0"))
"""For what is packed anew afterwards."""
_CHUNK_BYTES = 1024**2
_SHA1_DIGITS = 40
_LITTLE_BYTES = 1024**2
_MOST_LINES = 100_000
_LEFTOVER_AGE_S = 24 * 3600.0
_UNUSED_AGE_S = 30 * 24 * 3600.0


class Workshop:
    """A temporary bare repository that sees the objects of others, and their settings not.

    Args:
        folder: Its folder, which does not exist yet.
        objects: Object folders to borrow from.
        shallow: Commits to be taken for such as have no parents.
        digits: Hex digits of a hash: 40 or 64.
    """

    def __init__(
        self, folder: Path, *, objects: Sequence[Path] = (), shallow: Sequence[str] = (), digits: int = 40
    ) -> None:
        self.path = folder
        from proj.source.tree import quoted_path, write_skeleton  # a clean tree can do without

        self._borrows = bool(objects)
        try:
            write_skeleton(folder, _CONFIG, long_hashes=digits != _SHA1_DIGITS)
            if objects:
                lines = "".join(f"{quoted_path(path)}\n" for path in objects)
                (folder / "objects/info/alternates").write_text(lines, "utf-8", "surrogateescape")
            if shallow:
                lines = "".join(f"{commit}\n" for commit in sorted(set(shallow)))
                (folder / "shallow").write_text(lines, "utf-8")
        except OSError as error:
            raise os_failure(error, f"Cannot write {folder}") from error

    def import_commits(self, stream: bytes) -> list[str]:
        """Write commits that are given in the format of `git fast-import`, and return its answers."""
        with _telling_of_full_disks(self.path):
            answer = git.run(
                *("fast-import", "--quiet", "--done", "--force"),
                git_dir=self.path,
                stdin=stream,
                settings=_UNCOMPRESSED if self._borrows else (),
            )
        return answer.stdout.splitlines()

    def pack(self, tips: Sequence[str], bases: Sequence[str]) -> Path:
        """Pack what `tips` need beyond `bases`, in the same bytes however objects were kept."""
        if not self._borrows:  # all that is here was written by one import, as one pack
            return next((self.path / "objects/pack").glob("*.pack"))
        revisions = "".join(f"{word}\n" for word in _revisions(tips, bases))
        base = self.path / "snapshot"
        with _telling_of_full_disks(self.path):
            name = git.run(
                *("pack-objects", "--revs", "--quiet", "--no-reuse-delta", "--no-reuse-object"),
                *("--delta-base-offset", str(base)),
                git_dir=self.path,
                stdin=revisions,
            ).stdout.strip()
        return base.with_name(f"snapshot-{name}.pack")

    def size_of(self, tips: Sequence[str], bases: Sequence[str]) -> int:
        """About how many bytes the pack of what `tips` need beyond `bases` would have, without packing it."""
        words = _revisions(tips, bases)
        answer = git.run("rev-list", "--objects", "--disk-usage", *words, git_dir=self.path, check=False)
        said = answer.stdout.strip()
        return int(said) if said.isdecimal() else 0  # git before 2.31 does not know


def _revisions(tips: Sequence[str], bases: Sequence[str]) -> tuple[str, ...]:
    """What git has to walk.

    It looks at the trees of `bases` by itself only where a tip descends from them.
    """
    return (*tips, *(word for base in bases for word in (f"^{base}", f"^{base}^{{tree}}")))


@contextlib.contextmanager
def workplace(store: Path) -> Iterator[Path]:
    """A path in `store` for a folder that does not exist yet, and is removed afterwards.

    Raises:
        SourceError: The store cannot be written.
    """
    make_folder(store)
    folder = store / f".{os.getpid()}-{os.urandom(4).hex()}"
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def _telling_of_full_disks(folder: Path) -> Iterator[None]:
    try:
        yield
    except ToolFailedError as error:
        full = "No space left on device" in error.stderr
        if full or ("write" in error.stderr and free_bytes(folder) < _LITTLE_BYTES):
            raise os_failure(OSError(errno.ENOSPC, ""), f"Cannot write {folder.parent}") from error
        raise


def _remove(folder: Path) -> None:
    """Remove what this process made: `shutil`, which can do more, is slow to import."""
    with contextlib.suppress(OSError):
        for top, folders, names in os.walk(folder, topdown=False):
            for name in names:
                os.unlink(os.path.join(top, name))  # noqa: PTH108, PTH118  str from os.walk
            for name in folders:
                os.rmdir(os.path.join(top, name))  # noqa: PTH106, PTH118  same
        folder.rmdir()
    if folder.exists():
        remove_tree(folder)


def write_bundle(target: Path, pack: Path, refs: Mapping[str, str], prerequisites: Sequence[str]) -> None:
    """Write a bundle (gitformat-bundle(5)). If the same is there already, that stays.

    Args:
        target: The bundle.
        pack: A pack file with all that `refs` need beyond `prerequisites`.
        refs: Name -> hash.
        prerequisites: Hashes of commits.

    Raises:
        SourceError: It cannot be written.
    """
    long_hashes = any(len(digest) > _SHA1_DIGITS for digest in refs.values())
    head = "# v3 git bundle\n@object-format=sha256\n" if long_hashes else "# v2 git bundle\n"
    head += "".join(f"-{commit} \n" for commit in prerequisites)
    head += "".join(f"{digest} {name}\n" for name, digest in refs.items()) + "\n"
    building = pack.with_suffix(".bundle")
    try:
        with building.open("wb") as out, pack.open("rb") as content:
            out.write(head.encode())
            while chunk := content.read(_CHUNK_BYTES):
                out.write(chunk)
        building.chmod(0o400)
        if not _same(building, target):  # other runs may share the file that is there
            building.replace(target)
        _prune(target.parent)
    except OSError as error:
        raise os_failure(error, f"Cannot write {target}") from error


def _same(path: Path, other: Path) -> bool:
    try:
        return describe(other) == describe(path)
    except SourceError:
        return False


def _prune(store: Path) -> None:
    """Remove bundles that no run has had for long, and what killed processes left."""
    now = time.time()
    for path in store.iterdir():
        with contextlib.suppress(OSError):
            status = path.lstat()
            age_s = now - status.st_mtime
            if path.name.startswith(".") and age_s > _LEFTOVER_AGE_S:
                remove_tree(path)
            elif path.suffix in (".bundle", ".known") and status.st_nlink == 1 and age_s > _UNUSED_AGE_S:
                path.unlink()


class Header(msgspec.Struct, frozen=True):
    """What a bundle says of itself."""

    refs: Mapping[str, str]
    prerequisites: tuple[str, ...]
    digits: int
    offset: int
    """Where its pack begins."""


def read_header(file: BinaryIO) -> Header:
    """Read a bundle's first lines.

    Raises:
        SourceError: It is no bundle that we write.
    """
    refs: dict[str, str] = {}
    prerequisites: list[str] = []
    version = file.readline(_CHUNK_BYTES)
    digits = {b"# v2 git bundle\n": _SHA1_DIGITS, b"# v3 git bundle\n": 64}.get(version)
    if digits is None:
        raise SourceError("The source bundle is no git bundle, or of a kind that proj does not write.")
    for _ in range(_MOST_LINES):
        line = file.readline(_CHUNK_BYTES)
        if line == b"\n":
            return Header(refs, tuple(prerequisites), digits, file.tell())
        text = line.decode("utf-8", "replace").rstrip("\n")
        if text == "@object-format=sha256" and digits != _SHA1_DIGITS:
            continue
        digest, _, name = text.removeprefix("-").partition(" ")
        if len(digest) != digits or digest.strip("0123456789abcdef"):
            break
        if text.startswith("-"):
            prerequisites.append(digest)
        else:
            refs[name] = digest
    raise SourceError("The source bundle is damaged: its header cannot be read.")


def describe(path: Path) -> SourceBundle:
    """Digest, size and prerequisites of a bundle file.

    Raises:
        SourceError: It cannot be read, or is none.
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            header = read_header(file)
            file.seek(0)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            size = file.tell()
    except OSError as error:
        raise os_failure(error, f"Cannot read {path}") from error
    return SourceBundle(
        digest=f"sha256:{digest.hexdigest()}", size_bytes=size, prerequisites=header.prerequisites
    )
