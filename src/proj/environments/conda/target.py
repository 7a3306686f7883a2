"""Where an environment will be, if not on this machine: in an image, which need not even run here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.images import Resolved

_PLATFORMS = {
    "linux/amd64": "linux-64", "linux/arm64": "linux-aarch64", "linux/ppc64le": "linux-ppc64le",
    "linux/s390x": "linux-s390x",
}  # fmt: skip
_MACHINES = {"linux-64": "x86_64", "linux-aarch64": "aarch64", "linux-ppc64le": "ppc64le"}
_LEAST_KERNEL = "4.18"
"""What every node and engine of today has; an image says nothing of it."""
_USUAL_GLIBC = "2.28"
"""That of Debian 10, where an image's own is not known; uv's wheels are chosen by the same."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that an environment is solved for."""

    platform: str
    """conda's name for it, such as `linux-64`."""
    virtual_packages: tuple[str, ...]
    """`name=version=build` of what it has, such as `__glibc=2.36=0`."""
    wheels: str
    """The platform of its wheels, as uv names it."""


def target_of(image: Resolved) -> Target:
    """What a base image is for conda.

    The variables `CONDA_OVERRIDE_GLIBC` and `CONDA_OVERRIDE_CUDA` count as conda has them; without the second
    one an image has no GPU driver.

    Raises:
        EnvironmentFailedError: conda has no packages for it.
    """
    return target_for(
        image.platform, wheels=image.target, libc=image.libc, glibc=image.glibc, name=image.name
    )


def target_for(platform: str, *, wheels: str, libc: str, glibc: str | None, name: str) -> Target:
    """See `target_of`.

    Args:
        platform: Such as `linux/amd64`.
        wheels: See `Target`.
        libc: `glibc` or `musl`.
        glibc: Its version; None: not known.
        name: The image's, for messages.

    Raises:
        EnvironmentFailedError: conda has no packages for it.
    """
    found = _PLATFORMS.get("/".join(platform.split("/")[:2]))
    if found is None:
        raise EnvironmentFailedError(
            f"There are no conda packages for {platform}, which {name} is for.",
            hint=f"There are some for {', '.join(_PLATFORMS)}: choose one by --platform.",
        )
    if libc == "musl":
        raise EnvironmentFailedError(
            f"{name} has musl as its C library, and conda packages need glibc.",
            hint="Choose another base image, such as --base-image debian:12-slim.",
        )
    cuda = os.environ.get("CONDA_OVERRIDE_CUDA")
    known = os.environ.get("CONDA_OVERRIDE_GLIBC") or glibc or _USUAL_GLIBC
    machine = _MACHINES.get(found)
    virtual = [
        "__unix=0=0", f"__linux={_LEAST_KERNEL}=0", f"__glibc={known}=0",
        *([f"__archspec=1={machine}"] if machine else []),
        *([f"__cuda={cuda}=0"] if cuda else []),
    ]  # fmt: skip
    return Target(platform=found, virtual_packages=tuple(virtual), wheels=wheels)
