"""What this machine is, and what decides there how numbers come out: written into every record."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from proj import paths, process
from proj.errors import ProjError

_NVIDIA_TIMEOUT_S = 5.0
_ZONES = "zoneinfo/"

NUMERIC_FLAGS = re.compile(
    # x86: vector units and fused multiply-add, which decide how sums are grouped and rounded
    r"avx\w*|fma4?|f16c|sse[234]\w*|ssse3|amx_\w+|"
    # ARM
    r"asimd\w*|sve\w*|sme(2|_\w+)?|neon|bf16|i8mm|fphp"
)
"""Flags of a processor that libraries choose their numeric kernels by."""

VARIABLES = re.compile(
    # how many threads, and thereby in which order sums are made
    r"(OMP|MKL|OPENBLAS|GOTO|BLIS|VECLIB|NUMEXPR|NUMBA|TBB|RAYON|POLARS|ARROW|TF)"
    r"_(NUM_THREADS|MAX_THREADS|MAXIMUM_THREADS|DYNAMIC|NUM_(INTRAOP|INTEROP)_THREADS)|"
    r"OMP_(SCHEDULE|PROC_BIND|PLACES|THREAD_LIMIT|WAIT_POLICY)|"
    # which kernels
    r"MKL_(CBWR|THREADING_LAYER|INTERFACE_LAYER|ENABLE_INSTRUCTIONS|DEBUG_CPU_TYPE)|"
    r"OPENBLAS_(CORETYPE|VERBOSE)|NPY_(DISABLE|ENABLE)_CPU_FEATURES|ATEN_CPU_CAPABILITY|"
    r"BLIS_ARCH_TYPE|ONEDNN_\w+|DNNL_MAX_CPU_ISA|"
    # randomness and determinism
    r"PYTHONHASHSEED|PL_GLOBAL_SEED|CUBLAS_WORKSPACE_CONFIG|NVIDIA_TF32_OVERRIDE|"
    r"CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|LAUNCH_BLOCKING)|NCCL_(ALGO|PROTO)|"
    r"TF_(DETERMINISTIC_OPS|CUDNN_\w+|ENABLE_ONEDNN_OPTS|FORCE_GPU_ALLOW_GROWTH)|"
    r"TORCH_(DETERMINISTIC|CUDNN_V8_API_\w+|ALLOW_TF32_CUBLAS_OVERRIDE)|"
    r"PYTORCH_(CUDA_ALLOC_CONF|ENABLE_MPS_FALLBACK|JIT|NVML_BASED_CUDA_CHECK)|"
    r"XLA_(FLAGS|PYTHON_CLIENT_\w+)|JAX_(ENABLE_X64|DEFAULT_MATMUL_PRECISION|PLATFORMS|\w*DETERMINIS\w*)|"
    r"HIP_VISIBLE_DEVICES|"
    # how numbers, names and times are read and written
    r"LANG|LANGUAGE|LC_[A-Z]+|TZ|PYTHONUTF8|PYTHONIOENCODING|SOURCE_DATE_EPOCH"
)
"""Names of variables whose values are recorded: all that may change a result and hold no secret."""

_DEVICES = re.compile(r"(CUDA|HIP)_VISIBLE_DEVICES")
_NO_DEVICE = frozenset({"", "-1", "NoDevFiles"})


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """An NVIDIA device, as `nvidia-smi` names it."""

    name: str
    driver: str
    memory: str


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Operating system, hardware, and the settings that numbers depend on."""

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
    libc: str | None = None
    """Such as `glibc 2.36`."""
    cpu_flags: tuple[str, ...] = ()
    """What the processor can do, as far as it matters for numbers (`NUMERIC_FLAGS`)."""
    cuda: str | None = None
    """The newest CUDA that the driver can serve."""
    timezone: str | None = None
    """The machine's time zone, such as `Europe/Berlin`; the variable `TZ` goes before it."""
    variables: Mapping[str, str] = {}
    """Values of the variables in `VARIABLES`, as the command finds them."""


def inspect(variables: Mapping[str, str | None] | None = None) -> Host:
    """Find out what this machine is. Takes milliseconds, seconds with a GPU; never raises.

    Args:
        variables: Variable -> value that the command gets beside those of this process; None removes it.
    """
    names = os.uname()
    processor = _processor()
    gpus = _gpus()
    return Host(
        hostname=names.nodename,
        system=names.sysname,
        kernel=names.release,
        distribution=_distribution(),
        machine=names.machine,
        cpu_model=processor.get("model name"),
        cpu_count=_usable_cpus(),
        memory_bytes=_memory_bytes(),
        gpus=gpus,
        libc=_libc(),
        cpu_flags=_flags(processor.get("flags") or processor.get("Features") or ""),
        cuda=_cuda() if gpus else None,
        timezone=_timezone(),
        variables=_known({**os.environ, **(variables or {})}),
    )


def _known(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(variables.items())
        if value is not None and VARIABLES.fullmatch(name)
    }


def chooses_devices(name: str) -> bool:
    """Whether a variable chooses among the devices of one machine: its value means nothing on another."""
    return _DEVICES.fullmatch(name) is not None


def deciding(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The variables that results depend on, whichever machine computes them.

    Which of its devices a machine used does not count; that it was to use none does.
    """
    return {
        name: value
        for name, value in _known(variables).items()
        if not chooses_devices(name) or value in _NO_DEVICE
    }


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _flags(text: str) -> tuple[str, ...]:
    return tuple(sorted(flag for flag in set(text.split()) if NUMERIC_FLAGS.fullmatch(flag)))


def _libc() -> str | None:
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()):
        return None
    return os.confstr("CS_GNU_LIBC_VERSION")


def _timezone() -> str | None:
    try:
        target = os.path.realpath("/etc/localtime")
    except OSError:
        return None
    _, found, zone = target.partition(_ZONES)
    return zone if found else None


def _distribution() -> str | None:
    name = _fields("/etc/os-release", "=").get("PRETTY_NAME")
    return name.strip('"') if name else None


def _processor() -> dict[str, str]:
    """What the system says of the first processor; the others are the same."""
    return _fields("/proc/cpuinfo", ":")


def _fields(path: str, separator: str) -> dict[str, str]:
    """The `key: value` lines of a file up to the first empty one."""
    found: dict[str, str] = {}
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip() and found:
                    break
                key, _, value = line.partition(separator)
                found[key.strip()] = value.strip()
    except OSError:
        pass
    return found


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _gpus() -> tuple[Gpu, ...]:
    query = _nvidia("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    rows = [[cell.strip() for cell in line.split(",")] for line in query.splitlines()]
    return tuple(
        Gpu(name=row[0], driver=row[1], memory=row[2])
        for row in rows
        if len(row) == len(Gpu.__struct_fields__)
    )


def _cuda() -> str | None:
    """The version stands in the table's head, and no query asks for it."""
    found = re.search(r"CUDA Version: *([\d.]+)", _nvidia())
    return found[1] if found else None


def _nvidia(*arguments: str) -> str:
    if paths.find_program("nvidia-smi") is None:
        return ""
    try:
        return process.run(["nvidia-smi", *arguments], timeout_s=_NVIDIA_TIMEOUT_S).stdout
    except ProjError:
        return ""
