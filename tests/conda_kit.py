"""Conda packages and channels of our own: what tests of conda environments are made of."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PLACEHOLDER = "/opt/" + "placehold_" * 24
"""The prefix that packages are "built" in, as long as conda-build's: whatever replaces it must fit."""
DAY_2021 = 1614816000
"""4 March 2021, UTC."""


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class CondaPackage:
    """A conda package that is yet to be written."""

    name: str
    version: str = "1.0"
    build: str = "0"
    files: Mapping[str, bytes | str | Link] = field(default_factory=dict)
    """Path below the prefix -> content; what begins with `#!` is executable. `PLACEHOLDER` is replaced."""
    depends: Sequence[str] = ()
    constrains: Sequence[str] = ()
    noarch: str | None = None
    """`python` or `generic`; None: of this machine's platform."""
    subdir: str = "linux-64"
    entry_points: Sequence[str] = ()
    timestamp_s: int | None = DAY_2021
    suffix: str = ".conda"

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}{self.suffix}"

    @property
    def folder(self) -> str:
        return "noarch" if self.noarch else self.subdir


def module_package(
    name: str, version: str = "1.0", depends: Sequence[str] = ("python",), **more: object
) -> CondaPackage:
    """A noarch Python package whose module has the version, with the metadata that pip looks for."""
    module = name.replace("-", "_")
    info = f"site-packages/{module}-{version}.dist-info"
    files = {
        f"site-packages/{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/INSTALLER": "conda\n",
        f"{info}/RECORD": f"{module}.py,,\n{info.partition('/')[2]}/METADATA,,\n",
    }
    fields: dict[str, object] = {"noarch": "python", "build": "py_0", **more}
    return CondaPackage(name=name, version=version, files=files, depends=depends, **fields)  # type: ignore[arg-type]  # the tests name the fields


def write_package(channel: Path, package: CondaPackage) -> Path:
    """Write a package into a channel's folder; `index` makes it known."""
    paths, members = [], []
    for name, content in package.files.items():
        if isinstance(content, Link):
            paths.append({"_path": name, "path_type": "softlink"})
            members.append((name, content, 0o777))
            continue
        data = content.encode() if isinstance(content, str) else content
        entry: dict[str, object] = {
            "_path": name, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data),
        }  # fmt: skip
        if PLACEHOLDER.encode() in data:
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if b"\0" in data else "text"}
        paths.append(entry)
        executable = data.startswith((b"#!", b"\x7fELF"))
        members.append((name, data, 0o755 if executable else 0o644))
    info = _info(package, paths)
    target = channel / package.folder / package.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    if package.suffix == ".conda":
        _write_conda(target, info, members)
    else:
        target.write_bytes(_tar([*info, *members], "bz2"))
    return target


_Members = list[tuple[str, "bytes | Link", int]]


def _info(package: CondaPackage, paths: list[dict[str, object]]) -> _Members:
    index: dict[str, object] = {
        "name": package.name, "version": package.version, "build": package.build,
        "build_number": int(re.sub(r"\D", "", package.build.rpartition("_")[2]) or 0),
        "depends": list(package.depends), "constrains": list(package.constrains),
        "subdir": package.folder,
    }  # fmt: skip
    if package.noarch:
        index["noarch"] = package.noarch
    else:
        index |= {"platform": "linux", "arch": "x86_64"}
    if package.timestamp_s is not None:
        index["timestamp"] = package.timestamp_s * 1000
    files: dict[str, object] = {
        "index.json": index,
        "paths.json": {"paths": paths, "paths_version": 1},
        "about.json": {"summary": f"{package.name}, made for a test"},
    }
    if package.noarch == "python":
        files["link.json"] = {
            "noarch": {"type": "python", "entry_points": list(package.entry_points)},
            "package_metadata_version": 1,
        }
    return [(f"info/{name}", json.dumps(content).encode(), 0o644) for name, content in files.items()]


def _tar(members: _Members, compression: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]  # a literal of two
        for name, content, mode in members:
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if isinstance(content, Link):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _write_conda(target: Path, info: _Members, members: _Members) -> None:
    import zstandard

    stem = target.name.removesuffix(".conda")
    compressor = zstandard.ZstdCompressor(level=1)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        for kind, part in (("info", info), ("pkg", members)):
            archive.writestr(f"{kind}-{stem}.tar.zst", compressor.compress(_tar(part, "")))


def index(channel: Path) -> None:
    """Write the `repodata.json` of all of a channel's platforms."""
    from rattler import index as rattler_index

    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    asyncio.run(rattler_index.index_fs(channel, write_shards=False, force=True))


def make_channel(folder: Path, packages: Sequence[CondaPackage]) -> Path:
    """A channel with these packages, ready to be read as `file://` or served."""
    for package in packages:
        write_package(folder, package)
    index(folder)
    return folder


_NOT_NEEDED = re.compile(
    r"(^|/)(__pycache__|test|tests|idlelib|ensurepip|turtledemo|site-packages|config-3[^/]*|lib2to3|tkinter|pkgconfig)(/|$)"
    r"|\.(a|pyc)$|^share/|^include/"
)


def python_package(home: Path) -> CondaPackage:
    """The conda package `python`, made of an installation of pyenv's."""
    version = home.name
    minor = ".".join(version.split(".")[:2])
    old = str(home).encode()
    files: dict[str, bytes | str | Link] = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        wanted = name.startswith((f"lib/python{minor}/", "lib/libpython")) or name == f"bin/python{minor}"
        if not wanted or _NOT_NEEDED.search(name):
            continue
        if path.is_symlink():
            files[name] = Link(os.readlink(path))
        elif path.is_file():
            data = path.read_bytes()
            if data.startswith(b"\x7fELF"):
                data = _relocatable(data, old)
            elif old in data:
                data = data.replace(old, PLACEHOLDER.encode())
            files[name] = data
    files |= {"bin/python": Link(f"python{minor}"), "bin/python3": Link(f"python{minor}")}
    files[f"lib/python{minor}/site-packages/README.txt"] = "Packages go here.\n"
    return CondaPackage(name="python", version=version, build=f"h{minor.replace('.', '')}_0", files=files)


def _relocatable(data: bytes, old: bytes) -> bytes:
    """An ELF file that finds its libraries beside itself instead of in the folder it was built for."""
    path = old + b"/lib"
    return data.replace(path + b"\0", b"$ORIGIN/../lib".ljust(len(path), b"\0") + b"\0")


def is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXUSR)
