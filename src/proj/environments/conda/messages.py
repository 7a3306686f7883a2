"""What is said to the process that solves and links (`worker`), and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

UNSAFE_HINT = "Do not use this package: tell who looks after its channel, or lock another build of it."
"""What to do about a package that reads or writes outside of its environment."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How channels are spoken to. Holds secrets: it goes through a pipe, never into argv or a file."""

    cache: str
    """Folder of downloaded repodata and packages."""
    mirrors: Mapping[str, tuple[str, ...]] = {}
    """Channel's URL -> URLs to ask instead."""
    logins: Mapping[str, str] = {}
    """URL -> `user:password` for all below it."""
    offline: bool = False
    verify_tls: bool = True


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One spec."""

    name: str
    spec: str
    """With brackets."""
    without_build: str
    exact_version: str = ""
    """The one version that it asks for, if there is one."""
    channel: str = ""
    """URL of the one channel that it may come from."""


class Solve(msgspec.Struct, frozen=True, kw_only=True, tag="solve"):
    """Find the packages that meet some specs."""

    wanted: tuple[Wanted, ...]
    channels: tuple[str, ...]
    """URLs, the one that counts most first."""
    more_channels: tuple[str, ...] = ()
    """Asked only where the others have no answer, behind them."""
    platform: str
    virtual_packages: tuple[str, ...] | None = None
    """`name=version=build`; None: those of this machine."""
    as_of_s: int | None = None
    """Builds made after this time do not count."""
    nearest_python: bool = True
    """Whether another patch version of Python will do if the one asked for is nowhere."""
    network: Network


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """A package, byte for byte."""

    url: str
    """Without secrets."""
    sha256: str | None = None
    md5: str | None = None

    @property
    def has_digest(self) -> bool:
        """Whether it is told which bytes it is."""
        return bool(self.sha256 or self.md5)


class Solved(msgspec.Struct, frozen=True, kw_only=True, tag="solved"):
    """The answer to `Solve`: in the order in which they are installed."""

    packages: tuple[Locked, ...]
    notes: tuple[str, ...] = ()
    """What was done otherwise than asked for."""


class Link(msgspec.Struct, frozen=True, kw_only=True, tag="link"):
    """Download packages and link them into a prefix."""

    packages: tuple[Locked, ...]
    prefix: str
    target_prefix: str | None = None
    """Where the prefix will be when it is used; None: where it is made."""
    platform: str
    scripts: bool = True
    """Whether the packages' post-link scripts run."""
    folder: str | None = None
    """Where some of the packages lie as files, which are taken instead of those of the channels."""
    network: Network


class Linked(msgspec.Struct, frozen=True, kw_only=True, tag="linked"):
    """The answer to `Link`."""


class Digest(msgspec.Struct, frozen=True, kw_only=True, tag="digest"):
    """Find out the digests of packages that are locked without any."""

    packages: tuple[Locked, ...]
    network: Network


class Digested(msgspec.Struct, frozen=True, kw_only=True, tag="digested"):
    """The answer to `Digest`: the same packages in the same order, each with its digest."""

    packages: tuple[Locked, ...]


class Download(msgspec.Struct, frozen=True, kw_only=True, tag="download"):
    """Download packages as files."""

    packages: tuple[Locked, ...]
    folder: str
    network: Network


class Downloaded(msgspec.Struct, frozen=True, kw_only=True, tag="downloaded"):
    """The answer to `Download`."""


class PipWanted(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of the `pip:` section."""

    name: str
    version: str
    """The constraint, such as `>=1,<2`; empty: any."""
    written: str


class Check(msgspec.Struct, frozen=True, kw_only=True, tag="check"):
    """Find the specs and requirements that none of some packages meets."""

    wanted: tuple[Wanted, ...]
    packages: tuple[Locked, ...]
    pip_wanted: tuple[PipWanted, ...] = ()
    pip_packages: tuple[tuple[str, str], ...] = ()
    """Name and version; the version is empty where it is not known."""
    network: Network


class Checked(msgspec.Struct, frozen=True, kw_only=True, tag="checked"):
    """The answer to `Check`."""

    unmet: tuple[str, ...]


class ReadLock(msgspec.Struct, frozen=True, kw_only=True, tag="read_lock"):
    """Read a lock file of pixi's or rattler's."""

    path: str
    platform: str


class PypiPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A Python package of another tool's lock."""

    name: str
    version: str
    location: str
    """URL or path."""
    sha256: str | None = None


class LockRead(msgspec.Struct, frozen=True, kw_only=True, tag="lock_read"):
    """The answer to `ReadLock`."""

    packages: tuple[Locked, ...]
    pypi: tuple[PypiPackage, ...] = ()


Cause = Literal["unsatisfiable", "missing", "unreachable", "platform", "hash", "disk", "offline", "other"]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """What went wrong."""

    cause: Cause
    message: str
    """One sentence."""
    lines: tuple[str, ...] = ()
    """The library's own words."""
    hint: str | None = None


Task = Solve | Link | Digest | Download | Check | ReadLock
Answer = Solved | Linked | Digested | Downloaded | Checked | LockRead | Failed
