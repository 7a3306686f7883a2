"""What this machine is: written into every record."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from proj import paths, process
from proj.errors import ProjError

_NVIDIA_TIMEOUT_S = 10.0


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """An NVIDIA device, as `nvidia-smi` names it."""

    name: str
    driver: str
    memory: str


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Operating system and hardware."""

    hostname: str
    system: str
    kernel: str
    distribution: str | None
    machine: str
    cpu_model: str | None
    cpu_count: int
    """Processors that this process may use."""
    memory_bytes: int | None
    gpus: tuple[Gpu, ...] = ()


def inspect() -> Host:
    """Find out what this machine is. Takes milliseconds, seconds with a GPU; never raises."""
    names = os.uname()
    return Host(
        hostname=names.nodename,
        system=names.sysname,
        kernel=names.release,
        distribution=_distribution(),
        machine=names.machine,
        cpu_model=_field("/proc/cpuinfo", "model name"),
        cpu_count=_usable_cpus(),
        memory_bytes=_memory_bytes(),
        gpus=_gpus(),
    )


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _distribution() -> str | None:
    name = _field("/etc/os-release", "PRETTY_NAME", separator="=")
    return name.strip('"') if name else None


def _field(path: str, name: str, separator: str = ":") -> str | None:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                key, found, value = line.partition(separator)
                if found and key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _gpus() -> tuple[Gpu, ...]:
    if paths.find_program("nvidia-smi") is None:
        return ()
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        lines = process.run(query, timeout_s=_NVIDIA_TIMEOUT_S).stdout.splitlines()
    except ProjError:
        return ()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return tuple(
        Gpu(name=row[0], driver=row[1], memory=row[2])
        for row in rows
        if len(row) == len(Gpu.__struct_fields__)
    )
