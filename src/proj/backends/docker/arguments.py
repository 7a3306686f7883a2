"""Arguments of `docker run`, as they are given by `-A NAME[=VALUE]`, in the words of the Engine API.

Source: `docker run --help`, and the API's `POST /containers/create`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proj.backends.docker import argfiles, mounts, values
from proj.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Body = dict[str, Any]
    """The body of `POST /containers/create`."""
    Setter = Callable[[Body, str], None]

_TRUE: Final = ("", "true", "1")
_FALSE: Final = ("false", "0")


def apply(
    body: Body,
    arguments: Iterable[tuple[str, str | None]],
    *,
    where: str = "The docker argument {}",
) -> None:
    """Put arguments of `docker run` into the body of a request that makes a container.

    As with docker, files of variables come before variables, whatever the order: the last of a name counts.

    Args:
        body: What is changed.
        arguments: Name without dashes -> value; None where the argument has none.
        where: What errors call an argument; `{}` is its name and value.

    Raises:
        UsageError: An argument is not known, cannot be honoured, or has a value that cannot be meant.
    """
    for name, value in sorted(arguments, key=lambda each: each[0].lstrip("-") != "env-file"):
        given = name.lstrip("-")
        known = _ALIASES.get(given, given)
        if known in _REFUSED:
            raise UsageError(f"The docker argument {given!r} cannot be used here: {_REFUSED[known]}.")
        try:
            _put(body, known, value)
        except _UnknownError:
            raise _unknown(given, known) from None
        except ValueError as error:
            # What follows the name of a variable may be a secret.
            shown = f"{given}={value}" if value and known != "env" else given
            raise UsageError(f"{where.format(shown)}: {error}.") from error


def with_whole_paths(arguments: Iterable[tuple[str, str | None]]) -> tuple[tuple[str, str | None], ...]:
    """Arguments whose files are named from anywhere: who reads them may be in another folder by then."""
    return tuple((name, _whole(name.lstrip("-"), value) if value else value) for name, value in arguments)


def _whole(name: str, value: str) -> str:
    if name == "env-file":
        return _whole_path(value)
    profile = argfiles.profile_path(name, value)
    if profile is not None:
        return f"{value.removesuffix(profile)}{_whole_path(profile)}"
    return value


def _whole_path(path: str) -> str:
    return str(Path(os.path.expanduser(path)).absolute())  # noqa: PTH111  `Path` fails for a user who is not known


def wants_terminal(arguments: Iterable[tuple[str, str | None]]) -> bool:
    """Whether a terminal is asked for, which no program gets."""
    return any(name.lstrip("-") in ("t", "tty") and _switched(value) for name, value in arguments)


def check_together(body: Body) -> None:
    """See that arguments do not contradict each other.

    Raises:
        UsageError: The engine would refuse them.
    """
    machine = host(body)
    memory, swap = machine.get("Memory", 0), machine.get("MemorySwap", 0)
    if swap > 0 and not memory:
        raise UsageError("The docker argument memory-swap needs memory beside it.")
    if 0 < swap < memory:
        raise UsageError(
            "The docker argument memory-swap is less than memory.",
            hint="It counts memory and swap together: give at least as much as memory has.",
        )
    if 0 < memory < machine.get("MemoryReservation", 0):
        raise UsageError("The docker argument memory-reservation is more than memory.")
    if machine.get("NanoCpus") and (machine.get("CpuQuota") or machine.get("CpuPeriod")):
        raise UsageError("Give the docker argument cpus, or cpu-quota and cpu-period, not both.")


class _UnknownError(ValueError):
    """There is no such argument."""


def _put(body: Body, known: str, value: str | None) -> None:
    if known in _NOTHING or known in SWITCHES:
        on = _switched(value)
        if known in SWITCHES:
            SWITCHES[known](body, on)
        return
    if known not in SETTERS:
        raise _UnknownError
    if not value and (known, value) != ("entrypoint", ""):
        raise ValueError("it needs a value")
    SETTERS[known](body, value or "")


def _unknown(given: str, known: str) -> UsageError:
    from difflib import get_close_matches

    every = [*SETTERS, *SWITCHES]
    near = get_close_matches(known, [*every, *_ALIASES], n=1)
    return UsageError(
        f"The docker argument {given!r} is not known to proj.",
        hint=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(every))}.",
    )


def _switched(value: str | None) -> bool:
    word = (value or "").lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError("it is a switch, and takes no value")
    return word in _TRUE


def host(body: Body) -> Body:
    """The part of a body that is about the machine."""
    found: Body = body.setdefault("HostConfig", {})
    return found


# --- the kinds of arguments ---------------------------------------------------------------------------


def _one(key: str, read: Callable[[str], Any] = values.any_text) -> Setter:
    def put(body: Body, value: str) -> None:
        host(body)[key] = read(value)

    return put


def _own(key: str, read: Callable[[str], Any] = values.any_text) -> Setter:
    """One that is about the container itself, not about the machine."""

    def put(body: Body, value: str) -> None:
        body[key] = read(value)

    return put


def _items(key: str, read: Callable[[str], Any] = values.any_text) -> Setter:
    def put(body: Body, value: str) -> None:
        host(body).setdefault(key, []).append(read(value))

    return put


def _named(key: str, read: Callable[[str], tuple[str, str]]) -> Setter:
    def put(body: Body, value: str) -> None:
        name, content = read(value)
        host(body).setdefault(key, {})[name] = content

    return put


def _flag(key: str) -> Callable[[Body, bool], None]:
    def put(body: Body, on: bool) -> None:
        host(body)[key] = on

    return put


# --- those that touch several keys --------------------------------------------------------------------


def _environment(body: Body, value: str) -> None:
    name, given, content = value.partition("=")
    if not name:
        raise ValueError("write NAME or NAME=VALUE")
    if not given:
        if name not in os.environ:
            raise ValueError(f"the variable {name} is not set here")
        content = os.environ[name]
    body.setdefault("Env", []).append(f"{name}={content}")


def _environment_file(body: Body, value: str) -> None:
    body.setdefault("Env", []).extend(argfiles.read_variables(value))


def _expose(body: Body, value: str) -> None:
    address, outer, inner = values.port(value)
    if address or outer:
        raise ValueError("write PORT[/tcp|udp|sctp]")
    body.setdefault("ExposedPorts", {})[inner] = {}


def _label(body: Body, value: str) -> None:
    name, _, content = value.partition("=")
    if not name:
        raise ValueError("write NAME=VALUE")
    if name.startswith("proj."):
        raise ValueError("labels that begin with proj. are set by proj")
    body.setdefault("Labels", {})[name] = content


def _publish(body: Body, value: str) -> None:
    address, outer, inner = values.port(value)
    body.setdefault("ExposedPorts", {})[inner] = {}
    binding = {"HostIp": address, "HostPort": outer}
    host(body).setdefault("PortBindings", {}).setdefault(inner, []).append(binding)


def _device(body: Body, value: str) -> None:
    request = mounts.device_request(value)
    if request is not None:
        host(body).setdefault("DeviceRequests", []).append(request)
    else:
        host(body).setdefault("Devices", []).append(mounts.device(value))


def _gpus(body: Body, value: str) -> None:
    others = [each for each in host(body).get("DeviceRequests", ()) if each["Driver"] == "cdi"]
    host(body)["DeviceRequests"] = [*others, *values.gpus(value)]


def _security(body: Body, value: str) -> None:
    """The engine wants the content of a profile, docker's command line its path."""
    name, given, content = value.partition("=" if "=" in value else ":")
    if value == "systempaths=unconfined":
        host(body).update(MaskedPaths=[], ReadonlyPaths=[])
        return
    if value != "no-new-privileges" and not (name and given and content):
        raise ValueError("write NAME=VALUE, such as seccomp=unconfined, or no-new-privileges")
    profile = argfiles.profile_path("security-opt", value)
    if profile is not None:
        value = f"seccomp={argfiles.read_profile(profile)}"
    host(body).setdefault("SecurityOpt", []).append(value)


def _entrypoint(body: Body, value: str) -> None:
    body["Entrypoint"] = [value]


def _no_healthcheck(body: Body, on: bool) -> None:
    if on:
        body["Healthcheck"] = {"Test": ["NONE"]}


SWITCHES: Final[Mapping[str, Callable[[Body, bool], None]]] = {
    "init": _flag("Init"),
    "no-healthcheck": _no_healthcheck,
    "oom-kill-disable": _flag("OomKillDisable"),
    "privileged": _flag("Privileged"),
    "publish-all": _flag("PublishAllPorts"),
    "read-only": _flag("ReadonlyRootfs"),
}
SETTERS: Final[Mapping[str, Setter]] = {
    "add-host": _items("ExtraHosts", values.extra_host),
    "blkio-weight": _one("BlkioWeight", values.whole(10, 1000, beside=(0,))),
    "cap-add": _items("CapAdd", values.capability),
    "cap-drop": _items("CapDrop", values.capability),
    "cgroup-parent": _one("CgroupParent"),
    "cgroupns": _one("CgroupnsMode", values.namespace("host", "private", container=False)),
    "cpu-period": _one("CpuPeriod", values.whole(1000, 1_000_000, beside=(0,))),
    "cpu-quota": _one("CpuQuota", values.whole(1000, beside=(0, -1))),
    "cpu-shares": _one("CpuShares", values.whole(0)),
    "cpus": _one("NanoCpus", values.nano_cpus),
    "cpuset-cpus": _one("CpusetCpus", values.cpu_set),
    "cpuset-mems": _one("CpusetMems", values.cpu_set),
    "device": _device,
    "device-cgroup-rule": _items("DeviceCgroupRules", values.device_rule),
    "dns": _items("Dns", values.address),
    "dns-option": _items("DnsOptions"),
    "dns-search": _items("DnsSearch"),
    "domainname": _own("Domainname"),
    "entrypoint": _entrypoint,
    "env": _environment,
    "env-file": _environment_file,
    "expose": _expose,
    "gpus": _gpus,
    "group-add": _items("GroupAdd"),
    "hostname": _own("Hostname"),
    "ipc": _one("IpcMode", values.namespace("none", "private", "shareable", "host")),
    "label": _label,
    "link": _items("Links"),
    "memory": _one("Memory", values.memory_bytes),
    "memory-reservation": _one("MemoryReservation", values.memory_bytes),
    "memory-swap": _one("MemorySwap", values.swap_bytes),
    "memory-swappiness": _one("MemorySwappiness", values.whole(0, 100, beside=(-1,))),
    "mount": _items("Mounts", mounts.mount),
    "network": _one("NetworkMode"),
    "oom-score-adj": _one("OomScoreAdj", values.whole(-1000, 1000)),
    "pid": _one("PidMode", values.namespace("host")),
    "pids-limit": _one("PidsLimit", values.whole(0, beside=(-1,))),
    "platform": _own("platform", values.platform),
    "publish": _publish,
    "runtime": _one("Runtime"),
    "security-opt": _security,
    "shm-size": _one("ShmSize", values.size_bytes),
    "stop-signal": _own("StopSignal"),
    "storage-opt": _named("StorageOpt", values.setting),
    "sysctl": _named("Sysctls", values.kernel_setting),
    "tmpfs": _named("Tmpfs", mounts.tmpfs),
    "ulimit": _items("Ulimits", values.limit),
    "user": _own("User"),
    "userns": _one("UsernsMode", values.namespace("host", container=False)),
    "uts": _one("UTSMode", values.namespace("host", container=False)),
    "volume": _items("Binds"),
    "volumes-from": _items("VolumesFrom", values.from_container),
    "workdir": _own("WorkingDir", values.absolute),
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
_NOTHING: Final = ("rm", "quiet", "tty")
"""What is so anyway, and a terminal: it would show what comes by the standard input, the run's secrets."""
_REFUSED: Final = {
    "detach": "`proj run --no-wait` runs in the background",
    "interactive": "the program has no keyboard; it gets an empty standard input",
    "name": "proj names the container after the run",
    "restart": "a run is one execution",
    "cidfile": "`proj show` tells which container it was",
    "pull": "give `--pull` to proj itself",
    "attach": "proj takes all output",
    "detach-keys": "proj takes all output",
    "label-file": "give each label by `-A label=NAME=VALUE`",
    "log-driver": "what the program prints comes by the engine's own log",
    "log-opt": "what the program prints comes by the engine's own log",
    "sig-proxy": "`--grace` says how a run is stopped",
    "stop-timeout": "`--grace` says how long a run may take to stop",
}
