"""Arguments of `docker run`, as they are given by `-A NAME[=VALUE]`, in the words of the Engine API.

Source: `docker run --help`, and the API's `POST /containers/create`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from proj import events
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Body = dict[str, Any]
    """The body of `POST /containers/create`."""
    Setter = Callable[[Body, str], None]

_SIZE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)i?b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_NANO: Final = 1_000_000_000
_TRUE: Final = ("", "true", "1")
_PORT: Final = re.compile(
    r"(?:(?:(?P<address>[\d.]+|\[[0-9a-fA-F:]+\]):)?(?P<outer>\d*):)?(?P<inner>\d+)(?:/(?P<kind>tcp|udp|sctp))?"
)


def size_bytes(text: str) -> int:
    """A size such as `512m`, `2g` or `1073741824`.

    Raises:
        ValueError: It is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write it like 512m or 2g")
    return int(float(match["number"]) * _UNITS[match["unit"].lower()])


def apply(body: Body, arguments: Iterable[tuple[str, str | None]]) -> None:
    """Put arguments of `docker run` into the body of a request that makes a container.

    Args:
        body: What is changed.
        arguments: Name without dashes -> value; None where the argument has none.

    Raises:
        UsageError: An argument is not known, cannot be honoured, or has a value that cannot be meant.
    """
    for name, value in arguments:
        given = name.lstrip("-")
        known = _ALIASES.get(given, given)
        if known in _REFUSED:
            raise UsageError(f"The docker argument {given!r} cannot be used here: {_REFUSED[known]}.")
        if known in _NOTHING:
            continue
        if known == "tty":
            _terminal(value)
            continue
        setter = _SETTERS.get(known)
        if setter is None:
            raise _unknown(given, known)
        try:
            setter(body, value if value is not None else "")
        except (ValueError, OverflowError) as error:
            raise UsageError(f"The docker argument {given}={value}: {error}.") from error


def _unknown(given: str, known: str) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(known, [*_SETTERS, *_ALIASES], n=1)
    return UsageError(
        f"The docker argument {given!r} is not known to proj.",
        hint=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(_SETTERS))}.",
    )


def _terminal(value: str | None) -> None:
    """A terminal would show what comes by the standard input: the run's secrets would be in its log."""
    if (value or "").lower() in _TRUE:
        events.note(
            "-A t: the program gets no terminal of its own, so that its stdout and stderr are kept apart."
        )


def gpus(text: str) -> list[Body]:
    """The device request for `--gpus`: `all`, a number, or `device=0,1`.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip("\"'")
    request: Body = {"Driver": "", "Capabilities": [["gpu"]]}
    if text == "all":
        return [{**request, "Count": -1}]
    if text.isdigit():
        return [{**request, "Count": int(text)}]
    name, _, ids = text.partition("=")
    if name == "device" and ids:
        return [{**request, "DeviceIDs": ids.split(",")}]
    raise ValueError("write all, a number, or device=0,1")


def host(body: Body) -> Body:
    """The part of a body that is about the machine."""
    found: Body = body.setdefault("HostConfig", {})
    return found


# --- the kinds of arguments ---------------------------------------------------------------------------


def _text(key: str, *, own: bool = False) -> Setter:
    def put(body: Body, value: str) -> None:
        if not value:
            raise ValueError("it needs a value")
        (body if own else host(body))[key] = value

    return put


def _flag(key: str, *, own: bool = False) -> Setter:
    def put(body: Body, value: str) -> None:
        if value.lower() not in (*_TRUE, "false", "0"):
            raise ValueError("it is a switch, and takes no value")
        (body if own else host(body))[key] = value.lower() in _TRUE

    return put


def _items(key: str) -> Setter:
    def put(body: Body, value: str) -> None:
        if not value:
            raise ValueError("it needs a value")
        host(body).setdefault(key, []).append(value)

    return put


def _size(key: str) -> Setter:
    def put(body: Body, value: str) -> None:
        host(body)[key] = -1 if value == "-1" else size_bytes(value)

    return put


def _number(key: str, *, times: int = 1) -> Setter:
    def put(body: Body, value: str) -> None:
        try:
            host(body)[key] = int(float(value) * times)
        except ValueError as error:
            raise ValueError("it needs a number") from error

    return put


# --- those that are a little language -----------------------------------------------------------------


def _environment(body: Body, value: str) -> None:
    name, given, content = value.partition("=")
    if not given:
        if name not in os.environ:
            raise ValueError(f"the variable {name} is not set here")
        content = os.environ[name]
    body.setdefault("Env", []).append(f"{name}={content}")


def _label(body: Body, value: str) -> None:
    name, _, content = value.partition("=")
    if name.startswith("proj."):
        raise ValueError("labels that begin with proj. are set by proj")
    body.setdefault("Labels", {})[name] = content


def _gpus(body: Body, value: str) -> None:
    host(body)["DeviceRequests"] = gpus(value)


def _mount(body: Body, value: str) -> None:
    fields = dict(_pair(part) for part in value.split(","))
    names = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
    fields = {names.get(name, name): content for name, content in fields.items()}
    kind = fields.pop("type", "volume")
    target = fields.pop("target", None)
    if kind not in ("bind", "volume", "tmpfs") or not target:
        raise ValueError("write type=bind|volume|tmpfs,source=…,target=…")
    mount: Body = {"Type": kind, "Target": target}
    if source := fields.pop("source", None):
        mount["Source"] = source
    if "readonly" in fields:
        mount["ReadOnly"] = fields.pop("readonly").lower() in _TRUE
    if kind == "tmpfs" and "tmpfs-size" in fields:
        mount["TmpfsOptions"] = {"SizeBytes": size_bytes(fields.pop("tmpfs-size"))}
    if fields:
        raise ValueError(f"{', '.join(fields)} cannot be mapped")
    host(body).setdefault("Mounts", []).append(mount)


def _pair(text: str) -> tuple[str, str]:
    name, _, content = text.strip().partition("=")
    return name, content


def _tmpfs(body: Body, value: str) -> None:
    target, _, options = value.partition(":")
    host(body).setdefault("Tmpfs", {})[target] = options


def _publish(body: Body, value: str) -> None:
    match = _PORT.fullmatch(value)
    if match is None:
        raise ValueError("write [ADDRESS:][PORT:]PORT[/tcp|udp]")
    inner = f"{match['inner']}/{match['kind'] or 'tcp'}"
    body.setdefault("ExposedPorts", {})[inner] = {}
    binding = {"HostIp": (match["address"] or "").strip("[]"), "HostPort": match["outer"] or ""}
    host(body).setdefault("PortBindings", {}).setdefault(inner, []).append(binding)


def _device(body: Body, value: str) -> None:
    outer, _, rest = value.partition(":")
    inner, _, rights = rest.partition(":")
    if inner and set(inner) <= set("rwm"):  # `--device /dev/x:rw`
        inner, rights = "", inner
    host(body).setdefault("Devices", []).append(
        {"PathOnHost": outer, "PathInContainer": inner or outer, "CgroupPermissions": rights or "rwm"}
    )


def _ulimit(body: Body, value: str) -> None:
    name, given, limits = value.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        limit = {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError as error:
        raise ValueError("write NAME=SOFT[:HARD]") from error
    if not given:
        raise ValueError("write NAME=SOFT[:HARD]")
    host(body).setdefault("Ulimits", []).append(limit)


def _sysctl(body: Body, value: str) -> None:
    name, content = _pair(value)
    host(body).setdefault("Sysctls", {})[name] = content


def _entrypoint(body: Body, value: str) -> None:
    body["Entrypoint"] = [value] if value else [""]


def _healthcheck(body: Body, _value: str) -> None:
    body["Healthcheck"] = {"Test": ["NONE"]}


_SETTERS: Final[Mapping[str, Setter]] = {
    "add-host": _items("ExtraHosts"),
    "blkio-weight": _number("BlkioWeight"),
    "cap-add": _items("CapAdd"),
    "cap-drop": _items("CapDrop"),
    "cgroup-parent": _text("CgroupParent"),
    "cpu-period": _number("CpuPeriod"),
    "cpu-quota": _number("CpuQuota"),
    "cpu-shares": _number("CpuShares"),
    "cpus": _number("NanoCpus", times=_NANO),
    "cpuset-cpus": _text("CpusetCpus"),
    "cpuset-mems": _text("CpusetMems"),
    "device": _device,
    "device-cgroup-rule": _items("DeviceCgroupRules"),
    "dns": _items("Dns"),
    "dns-option": _items("DnsOptions"),
    "dns-search": _items("DnsSearch"),
    "domainname": _text("Domainname", own=True),
    "entrypoint": _entrypoint,
    "env": _environment,
    "gpus": _gpus,
    "group-add": _items("GroupAdd"),
    "hostname": _text("Hostname", own=True),
    "init": _flag("Init"),
    "ipc": _text("IpcMode"),
    "label": _label,
    "memory": _size("Memory"),
    "memory-reservation": _size("MemoryReservation"),
    "memory-swap": _size("MemorySwap"),
    "mount": _mount,
    "network": _text("NetworkMode"),
    "no-healthcheck": _healthcheck,
    "oom-kill-disable": _flag("OomKillDisable"),
    "oom-score-adj": _number("OomScoreAdj"),
    "pid": _text("PidMode"),
    "pids-limit": _number("PidsLimit"),
    "platform": _text("platform", own=True),
    "privileged": _flag("Privileged"),
    "publish": _publish,
    "publish-all": _flag("PublishAllPorts"),
    "read-only": _flag("ReadonlyRootfs"),
    "runtime": _text("Runtime"),
    "security-opt": _items("SecurityOpt"),
    "shm-size": _size("ShmSize"),
    "stop-signal": _text("StopSignal", own=True),
    "sysctl": _sysctl,
    "tmpfs": _tmpfs,
    "ulimit": _ulimit,
    "user": _text("User", own=True),
    "userns": _text("UsernsMode"),
    "uts": _text("UTSMode"),
    "volume": _items("Binds"),
    "volumes-from": _items("VolumesFrom"),
    "workdir": _text("WorkingDir", own=True),
}
_ALIASES: Final = {
    "c": "cpu-shares",
    "e": "env",
    "h": "hostname",
    "l": "label",
    "m": "memory",
    "net": "network",
    "p": "publish",
    "P": "publish-all",
    "t": "tty",
    "u": "user",
    "v": "volume",
    "w": "workdir",
    "d": "detach",
    "i": "interactive",
    "q": "quiet",
}
_NOTHING: Final = ("rm", "quiet")
"""What is so anyway."""
_REFUSED: Final = {
    "detach": "`proj run --no-wait` runs in the background",
    "interactive": "the program has no keyboard; it gets an empty standard input",
    "name": "proj names the container after the run",
    "restart": "a run is one execution",
    "cidfile": "`proj show` tells which container it was",
    "pull": "give `--pull` to proj itself",
    "attach": "proj takes all output",
}
