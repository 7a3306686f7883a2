"""Which Python an image has, and whose C library: told by its configuration, else found in its layers."""

from __future__ import annotations

import posixpath
import re
import tarfile
from typing import IO, TYPE_CHECKING, Final, Literal

import msgspec

from proj import events
from proj.errors import FailureCode, ImageError
from proj.images.blobs import digest_of
from proj.images.documents import encode
from proj.model import _Value

if TYPE_CHECKING:
    from proj.images.bases import Base
    from proj.images.blobs import BlobCache

_VERSION: Final = r"(3\.\d+)(?:\.\d+)?(?:[a-z+].*)?"
_NAMED: Final = r"python(3\.\d+)"
_MUSL: Final = r"(?:usr/)?lib/ld-musl-[\w.-]+"
_GLIBC: Final = r"(?:usr/)?lib(?:64|/[\w-]+)?/libc-(2\.\d+)\.so"
_LIBC: Final = r"(?:usr/)?lib(?:64|/[\w-]+)?/libc\.so\.6"
_SAID_BY_LIBC: Final = rb"GNU C Library [^\n]{0,80}version (2\.\d+)"
_MOST_LIBC_BYTES: Final = 16 * 1024**2
_MOST_LINKS: Final = 20
_FORMAT: Final = 2


class ImagePython(_Value, frozen=True):
    """The Python of an image."""

    version: str
    """Major and minor: `3.11`."""
    path: str
    """The program, in the image."""


class Inside(_Value, frozen=True):
    """What an image holds, as far as it decides which packages fit."""

    python: ImagePython | None = None
    libc: Literal["glibc", "musl"] = "glibc"
    glibc: str | None = None
    """Its version, where that is known."""


def look_inside(base: Base, cache: BlobCache) -> Inside:
    """Find out which Python a base image has; None in it: none.

    Official images say it in `PYTHON_VERSION`. Of any other, the layers are read, once.

    Raises:
        ImageError: A layer cannot be had or read.
    """
    said = re.fullmatch(_VERSION, base.config.variables.get("PYTHON_VERSION", ""))
    if said is not None and "/usr/local/bin" in base.config.path:
        musl = any("apk add" in step for step in base.config.made_by)
        return Inside(
            python=ImagePython(version=said[1], path=f"/usr/local/bin/python{said[1]}"),
            libc="musl" if musl else "glibc",
        )
    key = digest_of(encode([_FORMAT, base.config.diff_ids, base.config.path]))
    known = cache.folder / "inside" / key.partition(":")[2]
    try:
        return msgspec.json.decode(known.read_bytes(), type=Inside)
    except (OSError, msgspec.DecodeError):
        pass
    found = _read_layers(base, cache)
    from proj.files import write_whole
    from proj.images.blobs import unwritable

    with unwritable(cache.folder):
        write_whole(known, encode(found))
    return found


def _read_layers(base: Base, cache: BlobCache) -> Inside:
    events.step(f"Looking for Python in {base.name}")
    tree = _Tree(base.config.path)
    for layer in base.manifest.layers:
        path = base.blobs.fetch(layer, cache)
        if layer.mediaType.endswith("zstd"):
            raise ImageError(
                f"{base.name} has a layer that is packed with zstd, so its Python cannot be looked for.",
                hint="Say which it is: --python 3.11",
            )
        try:
            with tarfile.open(path, mode="r:*") as archive:
                for member in archive:
                    tree.add(member)
                    if member.isfile() and member.size < _MOST_LIBC_BYTES and _is_libc(member.name):
                        tree.add_libc(archive.extractfile(member))
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ImageError(
                f"A layer of {base.name} cannot be read: {error}.", code=FailureCode.IMAGE_PULL
            ) from error
    return Inside(python=tree.python(), libc=tree.libc, glibc=tree.glibc)


def _is_libc(name: str) -> bool:
    return re.fullmatch(_LIBC, posixpath.normpath(name).lstrip("/")) is not None


class _Tree:
    """What is known of the files of an image: programs on its PATH, links, the C library.

    Args:
        path: Folders of its PATH.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path
        self._links: dict[str, str] = {}
        self._files: set[str] = set()
        self.libc: Literal["glibc", "musl"] = "glibc"
        self.glibc: str | None = None

    def add(self, member: tarfile.TarInfo) -> None:
        """Take an entry of a layer, later ones on top."""
        name = posixpath.normpath(member.name).lstrip("/")
        folder, _, last = name.rpartition("/")
        if last.startswith(".wh."):
            self._remove(folder, last)
            return
        if re.fullmatch(_MUSL, name):
            self.libc = "musl"
        glibc = re.fullmatch(_GLIBC, name)
        if glibc is not None:
            self.glibc = glibc[1]
        if member.issym():
            self._files.discard(name)
            self._links[name] = member.linkname
        elif last.startswith("python"):
            self._links.pop(name, None)
            if (member.isfile() or member.islnk()) and member.mode & 0o111:
                self._files.add(name)

    def add_libc(self, content: IO[bytes] | None) -> None:
        """Take the C library, which says in words what its version is."""
        said = re.search(_SAID_BY_LIBC, content.read()) if content is not None else None
        if said is not None:
            self.glibc = said[1].decode()

    def _remove(self, folder: str, last: str) -> None:
        below = f"{folder}/" if last == ".wh..wh..opq" else f"{folder}/{last[len('.wh.') :]}".lstrip("/")
        gone = [
            each
            for each in (*self._files, *self._links)
            if each == below or each.startswith(f"{below.rstrip('/')}/")
        ]
        for each in gone:
            self._files.discard(each)
            self._links.pop(each, None)

    def python(self) -> ImagePython | None:
        """The Python 3 that PATH finds first."""
        for name in ("python3", "python"):
            for folder in self._path:
                found = self._resolved(f"{folder}/{name}")
                version = re.fullmatch(_NAMED, posixpath.basename(found)) if found is not None else None
                if version is not None:
                    return ImagePython(version=version[1], path=f"/{found}")
        for folder in self._path:
            resolved = self._follow(folder)
            names = [posixpath.basename(each) for each in self._files if posixpath.dirname(each) == resolved]
            minors = [
                int(match[1].partition(".")[2])
                for match in (re.fullmatch(_NAMED, name) for name in names)
                if match
            ]
            if minors:
                newest = f"3.{max(minors)}"
                return ImagePython(version=newest, path=f"{folder}/python{newest}")
        return None

    def _resolved(self, path: str) -> str | None:
        """The file behind a path and all links on the way; None if there is none."""
        found = self._follow(path)
        return found if found in self._files else None

    def _follow(self, path: str) -> str | None:
        parts = path.strip("/").split("/")
        done: list[str] = []
        links = 0
        while parts:
            part = parts.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            done.append(part)
            target = self._links.get("/".join(done))
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    return None
                done = [] if target.startswith("/") else done[:-1]
                parts = [*target.split("/"), *parts]
        return "/".join(done)
