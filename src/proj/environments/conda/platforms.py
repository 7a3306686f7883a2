"""conda's platforms, and packages that one system alone has, which exported files pin all the same."""

from __future__ import annotations

import re

SUBDIRS = frozenset({
    "noarch", "emscripten-wasm32", "freebsd-64", "linux-32", "linux-64", "linux-aarch64", "linux-armv6l",
    "linux-armv7l", "linux-loongarch64", "linux-ppc64", "linux-ppc64le", "linux-riscv32", "linux-riscv64",
    "linux-s390x", "osx-64", "osx-arm64", "wasi-wasm32", "win-32", "win-64", "win-arm64", "zos-z",
})  # fmt: skip
"""The folders of a channel (`KNOWN_SUBDIRS` in conda/base/constants.py)."""
SYSTEMS = {"win": "Windows", "osx": "macOS", "linux": "Linux"}
"""conda's word -> the system's name."""

_WINDOWS = frozenset({
    "vc", "vs2008_runtime", "vs2010_runtime", "vs2013_runtime", "vs2015_runtime", "vc14_runtime", "vcomp14",
    "ucrt", "wincertstore", "win_inet_pton", "win_unicode_console", "pywin32", "pywin32-on-windows",
    "pywinpty", "winpty", "winpty-agent", "menuinst", "console_shortcut", "console_shortcut_miniconda",
    "powershell_shortcut", "anaconda_powershell_prompt", "anaconda_prompt", "icc_rt", "msys2-conda-epoch",
    "pyreadline", "pyreadline3", "windows-curses", "pypiwin32", "pywin32-ctypes", "comtypes",
    "cudatoolkit-win",
})  # fmt: skip
_MAC = frozenset(
    {
        "appnope",
        "libcxx",
        "libcxxabi",
        "llvm-openmp-osx",
        "pyobjc-core",
        "pyobjc-framework-cocoa",
        "python.app",
    }
)
_LINUX = frozenset({
    "_libgcc_mutex", "_openmp_mutex", "ld_impl_linux-64", "libgcc-ng", "libstdcxx-ng", "libgfortran-ng",
    "libgomp", "libuuid", "dbus",
})  # fmt: skip
_PREFIXES = {"win": re.compile(r"^(?:m2-|m2w64-|vs20\d\d_|vs_win)")}
_ONLY = {"win": _WINDOWS, "osx": _MAC, "linux": _LINUX}


def split_subdir(channel: str) -> tuple[str, str]:
    """A channel's name or URL without the platform that stands behind it, and that platform; empty: none."""
    head, _, last = channel.rpartition("/")
    return (head, last) if head and last in SUBDIRS else (channel, "")


def foreign_to(name: str, platform: str) -> str | None:
    """The system that alone has a package, if it is not that of `platform`: `win`, `osx`, `linux`.

    Args:
        name: The package.
        platform: conda's name of a platform, such as `linux-64`.
    """
    system = platform.partition("-")[0]
    for other, names in _ONLY.items():
        pattern = _PREFIXES.get(other)
        if other != system and (name in names or (pattern is not None and pattern.match(name))):
            return other
    return None
