"""Configurations of images: what is read of them, and one made of another, all that is unknown kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from proj.errors import FailureCode, ImageError
from proj.images.documents import Platform, encode
from proj.images.reference import is_digest
from proj.model import _Value

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Config(_Value, frozen=True):
    """What matters of an image's configuration."""

    platform: Platform
    diff_ids: tuple[str, ...]
    """Digests of the layers as uncompressed tar files."""
    variables: Mapping[str, str] = {}
    made_by: tuple[str, ...] = ()
    """The commands of its history."""
    user: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """Folders of its PATH."""
        return tuple(filter(None, self.variables.get("PATH", _DEFAULT_PATH).split(":")))


class Step(_Value, frozen=True):
    """A layer that is put on top."""

    diff_id: str
    made_by: str
    """What history says of it."""


class Changes(_Value, frozen=True):
    """What an image has beyond its base."""

    steps: tuple[Step, ...]
    created_s: int
    """Seconds since the epoch."""
    working_dir: str | None = None
    variables: Mapping[str, str | None] = {}
    """None removes one."""
    entrypoint: tuple[str, ...] | None = None
    """None: as in the base, and its command too."""
    user: str | None = None
    labels: Mapping[str, str] = {}


class _Container(_Value, frozen=True):
    Env: tuple[str, ...] | None = None
    User: str | None = None


class _RootFs(_Value, frozen=True):
    diff_ids: tuple[str, ...] | None = None


class _History(_Value, frozen=True):
    created_by: str = ""


class _Document(_Value, frozen=True):
    architecture: str = ""
    os: str = "linux"
    variant: str | None = None
    rootfs: _RootFs = _RootFs()
    config: _Container | None = None
    history: tuple[_History, ...] | None = None


def read_config(content: bytes, where: str, *, layers: int) -> Config:
    """Read a configuration.

    Args:
        content: Its bytes.
        where: Whose it is, for messages.
        layers: How many layers the manifest has.

    Raises:
        ImageError: It is none, or does not fit the manifest.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(where, f"its configuration cannot be read ({error})") from error
    diff_ids = document.rootfs.diff_ids or ()
    if len(diff_ids) != layers or not all(map(is_digest, diff_ids)):
        raise _unusable(where, f"its configuration is of {len(diff_ids)} layers, its manifest of {layers}")
    container = document.config or _Container()
    pairs = (entry.partition("=") for entry in container.Env or ())
    return Config(
        platform=Platform(
            architecture=document.architecture, os=document.os, variant=document.variant or None
        ),
        diff_ids=diff_ids,
        variables={name: value for name, _, value in pairs},
        made_by=tuple(each.created_by for each in document.history or ()),
        user=container.User or "",
    )


def derive(content: bytes, changes: Changes) -> bytes:
    """The configuration of an image that is made of another.

    Args:
        content: The other's, which `read_config` has read.
        changes: What is different.
    """
    document: dict[str, Any] = msgspec.json.decode(content)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(changes.created_s))
    config: dict[str, Any] = dict(document.get("config") or {})
    if changes.working_dir is not None:
        config["WorkingDir"] = changes.working_dir
    if changes.variables:
        config["Env"] = _merged(config.get("Env") or [], changes.variables)
    if changes.entrypoint is not None:
        config["Entrypoint"] = list(changes.entrypoint)
        config["Cmd"] = None
    if changes.user is not None:
        config["User"] = changes.user
    if changes.labels:
        config["Labels"] = {**(config.get("Labels") or {}), **changes.labels}
    rootfs = dict(document.get("rootfs") or {})
    rootfs["type"] = "layers"
    rootfs["diff_ids"] = [*rootfs.get("diff_ids", ()), *(step.diff_id for step in changes.steps)]
    history = [{"created": created, "created_by": step.made_by} for step in changes.steps]
    # What docker keeps of the container that an image was made of is nobody's business.
    kept = {
        name: value
        for name, value in document.items()
        if name not in ("id", "parent", "container", "container_config", "docker_version", "Size")
    }
    return encode(
        {
            **kept,
            "created": created,
            "config": {name: value for name, value in config.items() if value is not None},
            "rootfs": rootfs,
            "history": [*(document.get("history") or []), *history],
        }
    )


def _merged(known: Sequence[str], variables: Mapping[str, str | None]) -> list[str]:
    entries = {entry.partition("=")[0]: entry for entry in known}
    for name, value in variables.items():
        if value is None:
            entries.pop(name, None)
        else:
            entries[name] = f"{name}={value}"
    return list(entries.values())


def _unusable(where: str, why: str) -> ImageError:
    return ImageError(f"{where} cannot be used: {why}.", code=FailureCode.IMAGE_PULL)
