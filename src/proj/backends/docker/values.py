"""Values of `docker run`'s arguments: each is read, or refused with what would be right.

Source: docker's command line (https://github.com/docker/cli/tree/master/opts), and what the engine refuses by
itself, but only when the image is there already.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SIZE: Final = re.compile(r"(?P<number>[0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_LEAST_MEMORY_BYTES: Final = 6 << 20
"""Below this, no container starts; the engine's own limit."""
_MOST: Final = (1 << 63) - 1
_NANO: Final = 1_000_000_000
_CPU_SET: Final = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_PORT: Final = re.compile(
    r"(?:(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<outer>[0-9]*):)?(?P<inner>[0-9]+)(?:/(?P<kind>tcp|udp|sctp))?"
)
_LAST_PORT: Final = 65535
_LIMITS: Final = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip
_DEVICE_RULE: Final = re.compile(r"[abc] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")
_CAPABILITY: Final = re.compile(r"[A-Za-z][A-Za-z_]*")
_PLATFORM: Final = re.compile(r"[a-z0-9_-]+(/[a-z0-9_.-]+){0,2}")
_SYSCTL: Final = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+")


def size_bytes(text: str) -> int:
    """A size such as `512m`, `2g` or `1073741824`.

    Raises:
        ValueError: It is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("it is no size; write it like 512m or 2g")
    size = int(float(match["number"]) * _UNITS[match["unit"].lower()])
    if size > _MOST:
        raise ValueError("it is larger than any memory")
    return size


def memory_bytes(text: str) -> int:
    """How much memory a container may have.

    Raises:
        ValueError: It is no size, or too small for any container.
    """
    size = size_bytes(text)
    if 0 < size < _LEAST_MEMORY_BYTES:
        raise ValueError("no container starts with less than 6m")
    return size


def swap_bytes(text: str) -> int:
    """Memory and swap together; -1 for as much swap as there is.

    Raises:
        ValueError: It is neither a size nor -1.
    """
    return -1 if text == "-1" else memory_bytes(text)


def whole(least: int, most: int = _MOST, *, beside: tuple[int, ...] = ()) -> Callable[[str], int]:
    """What reads a whole number within limits.

    Args:
        least: The smallest one.
        most: The largest one.
        beside: Numbers that mean something else, such as "no limit".
    """

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
            raise ValueError("it needs a whole number")
        number = int(text)
        if number in beside or least <= number <= most:
            return number
        limits = f"{least} or more" if most == _MOST else f"from {least} to {most}"
        raise ValueError(f"it needs a number {limits}" + "".join(f", or {each}" for each in beside))

    return read


def nano_cpus(text: str) -> int:
    """A number of CPUs such as `1.5`, in billionths; 0 for no limit.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(r"[0-9]{0,6}(\.[0-9]+)?", text) or not text:
        raise ValueError("it needs a number of CPUs, such as 1.5")
    nano = int(float(text) * _NANO)
    if 0 < nano < _NANO // 100:
        raise ValueError("it needs at least 0.01 CPUs")
    return nano


def cpu_set(text: str) -> str:
    """CPUs or memory nodes by their numbers."""
    return _like(_CPU_SET, text, "write numbers, such as 0-3 or 0,2")


def capability(text: str) -> str:
    """A capability of the kernel, or `ALL`."""
    return _like(_CAPABILITY, text, "write a capability, such as SYS_PTRACE")


def device_rule(text: str) -> str:
    """A rule of the devices' control group."""
    return _like(_DEVICE_RULE, text, "write it like 'c 42:* rmw'")


def platform(text: str) -> str:
    """A platform of images."""
    return _like(_PLATFORM, text, "write OS/ARCH, such as linux/amd64")


def _like(pattern: re.Pattern[str], text: str, otherwise: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(otherwise)
    return text


def any_text(text: str) -> str:
    """What only the engine can judge."""
    return text


def absolute(text: str) -> str:
    """A path in the container.

    Raises:
        ValueError: It does not begin at the root.
    """
    if not text.startswith("/"):
        raise ValueError(f"{text or 'nothing'} is no absolute path")
    return text


def namespace(*words: str, container: bool = True) -> Callable[[str], str]:
    """What reads whose namespace is used: one of some words, or another container's."""

    def read(text: str) -> str:
        if text in words or (container and re.fullmatch(r"container:.+", text)):
            return text
        raise ValueError(f"write {' or '.join((*words, *(['container:NAME'] if container else [])))}")

    return read


def address(text: str) -> str:
    """An IP address.

    Raises:
        ValueError: It is none.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f"{text} is no IP address") from error
    return text


def extra_host(text: str) -> str:
    """A line of the container's `/etc/hosts`, as `NAME:ADDRESS`.

    Raises:
        ValueError: It is none.
    """
    name, found, where = text.partition("=" if "=" in text else ":")
    if not name or not found:
        raise ValueError("write NAME:ADDRESS")
    if where != "host-gateway":
        address(where.strip("[]"))
    return f"{name}:{where.strip('[]')}"


def from_container(text: str) -> str:
    """A container whose volumes are taken.

    Raises:
        ValueError: Its mode is neither `ro` nor `rw`.
    """
    name, _, mode = text.partition(":")
    if not name or mode not in ("", "ro", "rw", "z", "Z"):
        raise ValueError("write CONTAINER[:ro]")
    return text


def port(text: str) -> tuple[str, str, str]:
    """A published port: address, the host's port, and `PORT/PROTOCOL` of the container.

    Raises:
        ValueError: It is none.
    """
    match = _PORT.fullmatch(text)
    if match is None:
        raise ValueError("write [ADDRESS:][PORT:]PORT[/tcp|udp|sctp]")
    outer, inner = match["outer"] or "", match["inner"]
    for number in filter(None, (outer, inner)):
        if len(number) > 5 or int(number) > _LAST_PORT:  # noqa: PLR2004  the digits of the last port
            raise ValueError(f"there is no port {number[:20]}: they end at {_LAST_PORT}")
    if int(inner) == 0:
        raise ValueError("there is no port 0 in a container")
    where = (match["address"] or "").strip("[]")
    return address(where) if where else "", outer, f"{int(inner)}/{match['kind'] or 'tcp'}"


def gpus(text: str) -> list[dict[str, Any]]:
    """The device request for `--gpus`: `all`, a number, or `device=0,1`.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip("\"'")
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if text == "all":
        return [{**request, "Count": -1}]
    if re.fullmatch(r"[0-9]{1,9}", text):
        return [{**request, "Count": int(text)}]
    name, _, ids = text.partition("=")
    if name == "device" and all(ids.split(",")):
        return [{**request, "DeviceIDs": ids.split(",")}]
    raise ValueError("write all, a number, or device=0,1")


def limit(text: str) -> dict[str, Any]:
    """A limit of the container's processes, `NAME=SOFT[:HARD]`; -1 is none.

    Raises:
        ValueError: It is none.
    """
    name, _, values = text.partition("=")
    match = re.fullmatch(r"(-1|[0-9]{1,18})(?::(-1|[0-9]{1,18}))?", values)
    if match is None:
        raise ValueError("write NAME=SOFT[:HARD]")
    if name not in _LIMITS:
        raise ValueError(f"there is no limit {name}; write one of {', '.join(_LIMITS)}")
    soft, hard = int(match[1]), int(match[2] or match[1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"the soft limit {soft} is above the hard one {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def setting(text: str) -> tuple[str, str]:
    """A driver's setting, `NAME=VALUE`: both.

    Raises:
        ValueError: It is none.
    """
    name, given, content = text.partition("=")
    if not name or not given:
        raise ValueError("write NAME=VALUE")
    return name, content


def kernel_setting(text: str) -> tuple[str, str]:
    """A setting of the kernel, `NAME=VALUE`.

    Raises:
        ValueError: It is none.
    """
    name, _, content = text.partition("=")
    if not content or _SYSCTL.fullmatch(name) is None:
        raise ValueError("write NAME=VALUE, such as net.core.somaxconn=1024")
    return name, content
