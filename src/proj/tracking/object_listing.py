"""What lies below a name in an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking.object_places import Place


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder."""

    path: str
    """Relative to what is listed."""
    is_dir: bool = False
    size_bytes: int | None = None


def list_folder(system: Any, place: Place, name: str) -> Iterator[Entry]:
    """Yield what is directly below a name, in any order; a file has nothing below it.

    Raises:
        Exception: Of the driver.
    """
    if place.kind.protocol == "s3":
        yield from _s3_entries(system, name, delimiter="/")
        return
    for info in system.ls(name, detail=True):
        yield from _entry(info, name)


def list_all(system: Any, place: Place, name: str) -> Iterator[Entry]:
    """Yield all files below a name, in any order.

    Raises:
        Exception: Of the driver.
    """
    if place.kind.protocol == "s3":
        yield from _s3_entries(system, name, delimiter="")
        return
    for info in system.find(name, detail=True).values():
        yield from _entry(info, name)


def _entry(info: dict[str, Any], name: str) -> Iterator[Entry]:
    found = str(info["name"]).strip("/")
    below = name.strip("/") + "/"
    path = found[len(below) :]
    if not found.startswith(below) or not _is_path(path):
        return
    is_dir = info["type"] == "directory"
    yield Entry(path=path, is_dir=is_dir, size_bytes=None if is_dir else int(info["size"] or 0))


def _s3_entries(system: Any, name: str, *, delimiter: str) -> Iterator[Entry]:
    """Ask S3 itself: s3fs lists the folder above when there is nothing, and that may be all runs."""
    bucket, _, key = name.partition("/")
    prefix = f"{key}/" if key else ""
    token: dict[str, str] = {}
    while True:
        page = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **token)
        for found in page.get("CommonPrefixes", ()):
            path = found["Prefix"][len(prefix) :].rstrip("/")
            if _is_path(path):
                yield Entry(path=path, is_dir=True)
        for found in page.get("Contents", ()):
            path = found["Key"][len(prefix) :]
            if _is_path(path):
                yield Entry(path=path, size_bytes=int(found["Size"]))
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def _is_path(path: str) -> bool:
    """Whether others than we put it there under a name that no artifact has; also the mark of a folder."""
    return all(part not in ("", ".", "..") for part in path.split("/"))
