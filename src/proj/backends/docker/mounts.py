"""What `-A mount=`, `-A tmpfs=` and `-A device=` bring into a container."""

from __future__ import annotations

import re
from typing import Any, Final

from proj.backends.docker.values import absolute, size_bytes

_FORM: Final = "write type=bind|volume|tmpfs,source=…,target=…"
_NAMES: Final = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_PROPAGATIONS: Final = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_FIELDS: Final = {
    "bind": ("type", "source", "target", "readonly", "bind-propagation"),
    "volume": ("type", "source", "target", "readonly", "volume-nocopy"),
    "tmpfs": ("type", "target", "readonly", "tmpfs-size", "tmpfs-mode"),
}
_FLAGS: Final = (
    "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async",
    "dirsync", "remount", "mand", "nomand", "atime", "noatime", "diratime", "nodiratime", "bind",
    "rbind", "unbindable", "runbindable", "private", "rprivate", "shared", "rshared", "slave", "rslave",
    "relatime", "norelatime", "strictatime", "nostrictatime",
)  # fmt: skip
"""Options of a tmpfs without a value; source: moby's pkg/mount/flags_linux.go."""
_SETTINGS: Final = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
_CDI: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+=.+")
"""A device by its vendor's name: https://github.com/cncf-tags/container-device-interface."""


def mount(text: str) -> dict[str, Any]:
    """A mount as fields, `type=bind,source=/data,target=/data,readonly`.

    Raises:
        ValueError: It is none.
    """
    fields: dict[str, str | None] = {}
    for part in text.split(","):
        name, found, content = part.strip().partition("=")
        name = _NAMES.get(name.lower(), name.lower())
        if not name:
            raise ValueError(_FORM)
        if name in fields:
            raise ValueError(f"it has the field {name} twice")
        fields[name] = content if found else None
    kind = fields.get("type", "volume")
    if kind not in _FIELDS or not fields.get("target"):
        raise ValueError(_FORM)
    unknown = [name for name in fields if name not in _FIELDS[kind]]
    if unknown:
        raise ValueError(f"a mount of type {kind} has no {unknown[0]}")
    made: dict[str, Any] = {"Type": kind, "Target": absolute(fields["target"] or "")}
    source = fields.get("source")
    if kind == "bind" and not (source or "").startswith("/"):
        raise ValueError("type=bind needs source=, the absolute path of what is mounted")
    if source:
        made["Source"] = source
    if "readonly" in fields:
        made["ReadOnly"] = _switch("readonly", fields["readonly"])
    return made | _options(fields)


def _options(fields: dict[str, str | None]) -> dict[str, Any]:
    """What mounts of one kind have."""
    made: dict[str, Any] = {}
    if "bind-propagation" in fields:
        if fields["bind-propagation"] not in _PROPAGATIONS:
            raise ValueError(f"bind-propagation is one of {', '.join(_PROPAGATIONS)}")
        made["BindOptions"] = {"Propagation": fields["bind-propagation"]}
    if "volume-nocopy" in fields:
        made["VolumeOptions"] = {"NoCopy": _switch("volume-nocopy", fields["volume-nocopy"])}
    tmpfs: dict[str, int] = {}
    if "tmpfs-size" in fields:
        tmpfs["SizeBytes"] = size_bytes(fields["tmpfs-size"] or "")
    if "tmpfs-mode" in fields:
        tmpfs["Mode"] = int(_octal("tmpfs-mode", fields["tmpfs-mode"] or ""), 8)
    return made | ({"TmpfsOptions": tmpfs} if tmpfs else {})


def _switch(name: str, value: str | None) -> bool:
    if value is None or value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise ValueError(f"{name} is true or false")


def _octal(name: str, value: str) -> str:
    if re.fullmatch(r"[0-7]{1,5}", value) is None:
        raise ValueError(f"{name} is an octal number, such as 1777")
    return value


def tmpfs(text: str) -> tuple[str, str]:
    """A file system in memory, `TARGET[:OPTIONS]`: both.

    Raises:
        ValueError: It is none.
    """
    target, _, options = text.partition(":")
    for option in filter(None, options.split(",")):
        name, found, content = option.partition("=")
        if not (name in _SETTINGS if found else name in _FLAGS):
            raise ValueError(f"a tmpfs has no option {option}")
        if name == "size" and not content.removesuffix("%").isdecimal():
            size_bytes(content)
        if name == "mode":
            _octal(name, content)
    return absolute(target), options


def device(text: str) -> dict[str, Any]:
    """A device of the host, `PATH[:PATH IN THE CONTAINER][:rwm]`, as the engine takes it.

    Raises:
        ValueError: It is none.
    """
    outer, *rest = text.split(":")
    rights = rest.pop() if rest and rest[-1] and set(rest[-1]) <= set("rwm") else "rwm"
    inner = rest.pop(0) if rest else outer
    if rest:
        raise ValueError("write PATH[:PATH][:rwm]")
    return {
        "PathOnHost": absolute(outer),
        "PathInContainer": absolute(inner),
        "CgroupPermissions": rights,
    }


def device_request(text: str) -> dict[str, Any] | None:
    """The request for a device by its vendor's name, `vendor.com/class=NAME`; None if it is none."""
    if _CDI.fullmatch(text) is None:
        return None
    return {"Driver": "cdi", "Count": 0, "DeviceIDs": [text]}
