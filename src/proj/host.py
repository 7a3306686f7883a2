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

_X86_FLAGS = "fma fma4 f16c ssse3"
"""Vector units and fused multiply-add, which decide how sums are grouped and rounded."""
_ARM_FLAGS = "neon sme sme2 bf16 i8mm fphp"
_FLAGS = frozenset((*_X86_FLAGS.split(), *_ARM_FLAGS.split()))
_FLAG_FAMILIES = ("avx", "sse2", "sse3", "sse4", "amx_", "asimd", "sve", "sme_")
"""How other flags begin that libraries choose their numeric kernels by."""

_THREADED = "OMP MKL OPENBLAS GOTO BLIS VECLIB NUMEXPR NUMBA TBB RAYON POLARS ARROW TF"
_THREADS = "NUM_THREADS MAX_THREADS MAXIMUM_THREADS DYNAMIC NUM_INTRAOP_THREADS NUM_INTEROP_THREADS"
"""How many threads, and thereby in which order sums are made; each of `_THREADED` has its own."""
_SCHEDULING = "OMP_SCHEDULE OMP_PROC_BIND OMP_PLACES OMP_THREAD_LIMIT OMP_WAIT_POLICY"
_KERNELS = """
    MKL_CBWR MKL_THREADING_LAYER MKL_INTERFACE_LAYER MKL_ENABLE_INSTRUCTIONS MKL_DEBUG_CPU_TYPE
    OPENBLAS_CORETYPE OPENBLAS_VERBOSE NPY_DISABLE_CPU_FEATURES NPY_ENABLE_CPU_FEATURES ATEN_CPU_CAPABILITY
    BLIS_ARCH_TYPE DNNL_MAX_CPU_ISA
"""
_RANDOMNESS = """
    PYTHONHASHSEED PL_GLOBAL_SEED CUBLAS_WORKSPACE_CONFIG NVIDIA_TF32_OVERRIDE CUDA_DEVICE_ORDER
    CUDA_LAUNCH_BLOCKING NCCL_ALGO NCCL_PROTO TF_DETERMINISTIC_OPS TF_ENABLE_ONEDNN_OPTS
    TF_FORCE_GPU_ALLOW_GROWTH TORCH_DETERMINISTIC TORCH_ALLOW_TF32_CUBLAS_OVERRIDE PYTORCH_CUDA_ALLOC_CONF
    PYTORCH_ENABLE_MPS_FALLBACK PYTORCH_JIT PYTORCH_NVML_BASED_CUDA_CHECK XLA_FLAGS JAX_ENABLE_X64
    JAX_DEFAULT_MATMUL_PRECISION JAX_PLATFORMS
"""
_NOTATION = """
    LANG LANGUAGE LC_ALL LC_ADDRESS LC_COLLATE LC_CTYPE LC_IDENTIFICATION LC_MEASUREMENT LC_MESSAGES
    LC_MONETARY LC_NAME LC_NUMERIC LC_PAPER LC_TELEPHONE LC_TIME TZ PYTHONUTF8 PYTHONIOENCODING
    SOURCE_DATE_EPOCH
"""
"""How numbers, names and times are read and written."""
_DEVICES = frozenset({"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"})
_VARIABLES = _DEVICES.union(
    (f"{library}_{setting}" for library in _THREADED.split() for setting in _THREADS.split()),
    *(words.split() for words in (_SCHEDULING, _KERNELS, _RANDOMNESS, _NOTATION)),
)
_VARIABLE_FAMILIES = ("ONEDNN_", "TF_CUDNN_", "TORCH_CUDNN_V8_API_", "XLA_PYTHON_CLIENT_")
"""How other names begin, beside those of JAX with `DETERMINIS` in them."""
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
    """What the processor can do, as far as it matters for numbers."""
    cuda: str | None = None
    """The newest CUDA that the driver can serve."""
    timezone: str | None = None
    """The machine's time zone, such as `Europe/Berlin`; the variable `TZ` goes before it."""
    variables: Mapping[str, str] = {}
    """Values of the variables that are recorded (`is_recorded`), as the command finds them."""


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


def is_recorded(name: str) -> bool:
    """Whether a variable's value is recorded: it may change a result, and holds no secret."""
    if name in _VARIABLES or name.startswith(_VARIABLE_FAMILIES):
        return True
    return name.startswith("JAX_") and "DETERMINIS" in name


def _known(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {
        name: value for name, value in sorted(variables.items()) if value is not None and is_recorded(name)
    }


def chooses_devices(name: str) -> bool:
    """Whether a variable chooses among the devices of one machine: its value means nothing on another."""
    return name in _DEVICES


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
    return tuple(
        sorted(flag for flag in set(text.split()) if flag in _FLAGS or flag.startswith(_FLAG_FAMILIES))
    )


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
