"""Tracked files whose bytes are others than those committed, though git holds them for unchanged.

Line ends, `$Id$`, encodings and filters are undone when a file is added, so that equal blobs may stand for
unequal files. Git LFS is the one filter whose result is as good as the file: a pointer names its content.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import msgspec

from proj.source import git
from proj.source.contents import LITTLE_BYTES, UnfitError, blob_hash, read_file, size_of
from proj.source.digests import sha256
from proj.source.repositories import places_of
from proj.source.worktree import NO_LAZY_FETCH, writing_nothing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from proj.source.worktree import TrackedFile, Worktree

_POINTER = (
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_ATTRIBUTES = ".gitattributes"
_REPLACING = ("filter", "working-tree-encoding")
_ENCRYPTING = ("crypt", "vault", "sops")
"""In the names of filters: git-crypt, transcrypt, git-agecrypt, git-vault, git-sops …"""
_CIPHERTEXTS = (b"\0GITCRYPT\0", b"U2FsdGVkX1", b"age-encryption.org/")
"""How files begin that git-crypt, OpenSSL and age have encrypted."""


class Pointer(msgspec.Struct, frozen=True):
    """What a pointer of Git LFS says of a file."""

    sha256: str
    size_bytes: int

    def fits(self, path: Path) -> bool:
        """Whether it is the pointer of what is at `path`."""
        if size_of(path) != self.size_bytes or path.is_symlink():
            return False
        digest = sha256()
        with path.open("rb") as file:
            while chunk := file.read(1024**2):
                digest.update(chunk)
        return digest.hexdigest() == self.sha256


class Converted(msgspec.Struct, frozen=True):
    """What was found."""

    paths: tuple[str, ...] = ()
    """Files to be stored as they are on disk."""
    large_files: tuple[str, ...] = ()
    """Files that Git LFS keeps: what is committed is their pointer."""


def converts(tree: Worktree) -> bool:
    """Whether settings or attributes may make git change bytes: only then a dear look is worth while."""
    if tree.setting("core.autocrlf").lower() in ("input", "true", "yes", "on", "1"):
        return True
    return bool(
        tree.files_named(_ATTRIBUTES)
        or tree.setting("core.attributesfile")
        or _user_attributes()
        or _local_attributes(tree)
    )


def find_converted(tree: Worktree, *, pointers_will_do: bool) -> Converted:
    """Look for unchanged files whose bytes are not those of their blobs.

    Git has compared them with its index by size and time; so their size tells whether line ends or `$Id$`
    were converted. Files with a filter or an encoding of their own are read.

    Args:
        tree: The working tree.
        pointers_will_do: Whether the content of large files can be had by the pointers committed.
    """
    changed = {change.path for change in tree.changes}
    files = [
        file
        for file in tree.tracked()
        if file.tag == "H" and file.mode.startswith("100") and file.path not in changed
    ]
    blob_sizes = sizes_of_blobs(tree.root, (file.hash for file in files))
    suspects: list[TrackedFile] = []
    for file, blob_size in zip(files, blob_sizes, strict=True):
        try:
            size = (tree.root / file.path).lstat().st_size
        except OSError:  # gone meanwhile
            continue
        if size != blob_size:
            suspects.append(file)
    if _replaces(tree):
        known = {file.path for file in suspects}
        suspects += _replaced(tree, [file for file in files if file.path not in known])
    sizes = {file.path: size for file, size in zip(files, blob_sizes, strict=True)}
    return _sort(tree, suspects, sizes, pointers_will_do=pointers_will_do)


def pointers(root: Path, hashes: Iterable[str]) -> dict[str, Pointer]:
    """Those of some blobs that are pointers of Git LFS."""
    wanted = sorted({digest for digest in hashes if digest.strip("0")})
    small = [
        digest
        for digest, size in zip(wanted, sizes_of_blobs(root, wanted), strict=True)
        if 0 < size < LITTLE_BYTES
    ]
    found = {}
    for digest in small:
        match = re.fullmatch(_POINTER, read_blob(root, digest))
        if match:
            found[digest] = Pointer(match.group(1).decode(), int(match.group(2)))
    return found


def sizes_of_blobs(root: Path, hashes: Iterable[str]) -> list[int]:
    """Sizes in bytes, in the order of the hashes; -1 for an object that is not there."""
    names = "\n".join(hashes)
    if not names:
        return []
    answer = git.run(
        "cat-file", "--batch-check=%(objectsize)", cwd=root, stdin=names + "\n", env=NO_LAZY_FETCH
    )
    return [int(line) if line.isdecimal() else -1 for line in answer.stdout.splitlines()]


def read_blob(root: Path, digest: str) -> bytes:
    """The content of a blob; empty if it is not there."""
    answer = git.run("cat-file", "blob", digest, cwd=root, check=False, exact=True, env=NO_LAZY_FETCH)
    return answer.stdout.encode("utf-8", "surrogateescape")


def _sort(
    tree: Worktree, suspects: list[TrackedFile], sizes: dict[str, int], *, pointers_will_do: bool
) -> Converted:
    known = pointers(tree.root, (file.hash for file in suspects))
    large = [
        file.path
        for file in suspects
        if pointers_will_do
        and file.hash in known
        and _is_content(tree.root / file.path, file, sizes[file.path])
    ]
    differing = [
        file.path
        for file in suspects
        if not (pointers_will_do and file.hash in known)
        and _differs(tree.root / file.path, file, sizes[file.path])
    ]
    return Converted(tuple(differing), tuple(large))


def _is_content(path: Path, file: TrackedFile, blob_size: int) -> bool:
    """Whether a large file is there, not its pointer; without reading it if it is large indeed."""
    return size_of(path) >= LITTLE_BYTES or _differs(path, file, blob_size)


def _differs(path: Path, file: TrackedFile, blob_size: int) -> bool:
    """Whether it has other bytes than its blob, of which -1 is the size if it is not there."""
    if blob_size >= 0 and size_of(path) not in (0, blob_size):
        return True  # so that a large file need not be read
    try:
        content = read_file(path)
    except UnfitError:
        return True  # whoever stores it says why it cannot be
    return content is not None and blob_hash(content.data, len(file.hash)) != file.hash


def hidden_changes(tree: Worktree) -> list[TrackedFile]:
    """Files that differ, and that git was told not to look at (`git update-index --skip-worktree` …)."""
    sparse = tree.is_set("core.sparsecheckout")
    hidden = [
        file
        for file in tree.special
        if not file.is_submodule and (file.tag == "h" or (file.tag in ("S", "s") and not sparse))
    ]
    found = []
    for file, size in zip(hidden, sizes_of_blobs(tree.root, (file.hash for file in hidden)), strict=True):
        path = tree.root / file.path
        if (file.tag == "h" and not os.path.lexists(path)) or _differs(path, file, size):
            found.append(file)
    return found


def encrypted(tree: Worktree, paths: Collection[str]) -> frozenset[str]:
    """Those of some files that are committed encrypted only, by a filter as that of git-crypt."""
    if not paths or not _attributes_name(tree, _ENCRYPTING):
        return frozenset()
    return frozenset(
        path
        for path, value in _attribute_values(tree, paths, "filter")
        if any(word in value for word in _ENCRYPTING)
    )


def is_ciphertext(path: Path) -> bool:
    """Whether a file is on disk as encrypted as it is committed."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(20).startswith(_CIPHERTEXTS)
    return False


def _replaces(tree: Worktree) -> bool:
    """Whether any attributes name a filter or an encoding."""
    return _attributes_name(tree, _REPLACING)


def _attributes_name(tree: Worktree, words: Collection[str]) -> bool:
    texts = [_local_attributes(tree), _user_attributes(), _read(tree.setting("core.attributesfile"))]
    texts += [_read(str(tree.root / name)) for name in tree.files_named(_ATTRIBUTES)]
    return any(word in text for text in texts for word in words)


def _replaced(tree: Worktree, files: list[TrackedFile]) -> list[TrackedFile]:
    values = _attribute_values(tree, [file.path for file in files], *_REPLACING)
    marked = {path for path, value in values if value not in ("unspecified", "unset")}
    return [file for file in files if file.path in marked]


def _attribute_values(tree: Worktree, paths: Iterable[str], *names: str) -> list[tuple[str, str]]:
    """Path and value of each of some attributes."""
    with writing_nothing(tree.root, tree.settings) as apart:
        answer = git.run(
            *("check-attr", "-z", "--stdin", *names),
            cwd=tree.root,
            stdin="".join(f"{path}\0" for path in paths),
            exact=True,
            env=apart,
        ).stdout.split("\0")
    return list(zip(answer[::3], answer[2::3], strict=False))


def _local_attributes(tree: Worktree) -> str:
    return places_of(tree.root).attributes()


def _user_attributes() -> str:
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111  no home: unchanged
    return _read(f"{base}/git/attributes")


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH111, PTH123  as in `_user_attributes`
            return file.read()
    except OSError:
        return ""
