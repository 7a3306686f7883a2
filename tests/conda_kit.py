"""Conda packages and channels of our own: what tests of conda environments are made of."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import os
import re
import subprocess  # noqa: TID251  as packagers call their tools
import sys
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loopback import LoopbackServer, basic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    listed: Sequence[Mapping[str, object]] | None = None
    """What its list of files says, whatever is in it; None: the files."""

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
    folder = f"{module}-{version}.dist-info"
    info = f"site-packages/{folder}"
    listed = (f"{module}.py", *(f"{folder}/{each}" for each in ("METADATA", "INSTALLER", "RECORD")))
    files = {
        f"site-packages/{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/INSTALLER": "conda\n",
        f"{info}/RECORD": "".join(f"{path},,\n" for path in listed),
    }
    fields: dict[str, object] = {"noarch": "python", "build": "py_0", **more}
    return CondaPackage(name=name, version=version, files=files, depends=depends, **fields)  # type: ignore[arg-type]  # the tests name the fields


def write_package(channel: Path, package: CondaPackage) -> Path:
    """Write a package into a channel's folder; `index` makes it known."""
    paths: list[dict[str, object]] = []
    members: _Members = []
    for name, content in package.files.items():
        if isinstance(content, Link):
            paths.append({"_path": name, "path_type": "softlink"})
            members.append((name, content, 0o777))
            continue
        data = content.encode() if isinstance(content, str) else content
        digest = hashlib.sha256(data).hexdigest()
        entry: dict[str, object] = {"_path": name, "path_type": "hardlink", "sha256": digest}
        entry["size_in_bytes"] = len(data)
        if PLACEHOLDER.encode() in data:
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if b"\0" in data else "text"}
        paths.append(entry)
        executable = data.startswith((b"#!", b"\x7fELF"))
        members.append((name, data, 0o755 if executable else 0o644))
    info = _info(package, paths if package.listed is None else [dict(entry) for entry in package.listed])
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


_INDEX = """
import asyncio, os, sys
from pathlib import Path
from rattler.index import index_fs
asyncio.run(index_fs(Path(sys.argv[1]), write_shards=False, write_zst=False, force=True))
os._exit(0)
"""


def index(channel: Path) -> None:
    """Write the `repodata.json` of all of a channel's platforms."""
    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    # In a process of its own, for the reason that `proj.environments.conda.worker` gives.
    subprocess.run([sys.executable, "-c", _INDEX, channel], check=True)
    for file in channel.glob("*/repodata.json"):  # few channels tell when a package came in
        file.write_text(re.sub(r'"indexed_timestamp":\d+,', "", file.read_text()))


def make_channel(folder: Path, packages: Sequence[CondaPackage]) -> Path:
    """A channel with these packages, ready to be read as `file://` or served."""
    for package in packages:
        write_package(folder, package)
    index(folder)
    return folder


_NOT_NEEDED = re.compile(
    r"^(?:__pycache__|test|tests|idlelib|ensurepip|turtledemo|site-packages|config-3.*|lib2to3|tkinter|pkgconfig)$"
)


def python_package(home: Path) -> CondaPackage:
    """The conda package `python`, made of an installation of pyenv's."""
    version = home.name
    minor = ".".join(version.split(".")[:2])
    files: dict[str, bytes | str | Link] = {}
    for path in (home / "bin" / f"python{minor}", *sorted((home / "lib").glob("libpython*.so*"))):
        files[path.relative_to(home).as_posix()] = _python_file(path, home)
    for folder, folders, names in os.walk(home / "lib" / f"python{minor}"):
        folders[:] = [name for name in folders if not _NOT_NEEDED.match(name)]
        for name in names:
            path = Path(folder) / name
            if path.suffix not in (".pyc", ".a"):
                files[path.relative_to(home).as_posix()] = _python_file(path, home)
    files |= {"bin/python": Link(f"python{minor}"), "bin/python3": Link(f"python{minor}")}
    files[f"lib/python{minor}/site-packages/README.txt"] = "Packages go here.\n"
    return CondaPackage(name="python", version=version, build=f"h{minor.replace('.', '')}_0", files=files)


def _python_file(path: Path, home: Path) -> bytes | Link:
    if path.is_symlink():
        return Link(str(path.readlink()))
    data, old = path.read_bytes(), str(home).encode()
    if data.startswith(b"\x7fELF"):
        return _relocatable(data, old)
    return data.replace(old, PLACEHOLDER.encode()) if b"\0" not in data else data


def _relocatable(data: bytes, old: bytes) -> bytes:
    """An ELF file that finds its libraries beside itself instead of in the folder it was built for."""
    path = old + b"/lib"
    return data.replace(path + b"\0", b"$ORIGIN/../lib".ljust(len(path), b"\0") + b"\0")


def shared_library(folder: Path) -> bytes:
    """A shared object that adds numbers and knows the prefix that it was built for."""
    source = folder / "tiny.c"
    source.write_text(
        "double tiny_sum(const double *x, long n) { double s = 0; while (n--) s += *x++; return s; }\n"
        f'static const char prefix[] = "{PLACEHOLDER}/share/tiny";\n'
        "const char *tiny_prefix(void) { return prefix; }\n"
    )
    target = folder / "libtiny.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", target, source], check=True)
    return target.read_bytes()


TINYNUM = """import ctypes, os, sys

_library = ctypes.CDLL(os.path.join(sys.prefix, "lib", "libtiny.so"))
_library.tiny_sum.restype = ctypes.c_double
_library.tiny_prefix.restype = ctypes.c_char_p


def total(values):
    array = (ctypes.c_double * len(values))(*values)
    return _library.tiny_sum(array, len(values))


def prefix():
    return _library.tiny_prefix().decode()


def main():
    print("tinynum", total([1.5, 2.5]))
"""


class ChannelServer(LoopbackServer):
    """A channel on loopback, open or behind a token or password.

    Args:
        folder: The channel.
        token: What stands in its path, as `/t/<token>/`; None: nothing.
        password: What it asks for, as `user:password`; None: nothing.
        certificate: See `LoopbackServer`.
        host: The address that it listens on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str | None = None,
        password: str | None = None,
        certificate: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder, self.token, self.password = folder, token, password
        self.held = ""
        """Part of the paths of which one half is sent, and the other once `released` is set; empty: none."""
        self.arrived, self.released = threading.Event(), threading.Event()
        self.corrupt: set[str] = set()
        """File names that are sent with other bytes."""
        self.missing: set[str] = set()
        """File names that it has not."""
        super().__init__(_handler(self), host=host, certificate=certificate)

    @property
    def url(self) -> str:
        """The channel's URL, without token or password."""
        return f"{self.scheme}://{self.address}/channel"

    def close(self) -> None:
        self.released.set()
        super().close()


def _handler(server: ChannelServer) -> type[http.server.BaseHTTPRequestHandler]:
    prefix = f"/t/{server.token}/channel/" if server.token else "/channel/"

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            server.asked.append(self.path)
            data = self._content()
            status = 404 if data is None else 200
            if server.password is not None:
                status = status if self.headers.get("Authorization") == basic(server.password) else 401
            content = data if status == 200 and data is not None else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be killed meanwhile
                    half = len(content) // 2 if server.held and server.held in self.path else 0
                    if half:
                        self.wfile.write(content[:half])
                        server.arrived.set()
                        server.released.wait(60)
                    self.wfile.write(content[half:])

        def _content(self) -> bytes | None:
            path = self.path.partition("?")[0]
            file = server.folder / path.removeprefix(prefix)
            if not path.startswith(prefix) or not file.is_file() or file.name in server.missing:
                return None
            data = file.read_bytes()
            return data[:-1] + bytes([data[-1] ^ 1]) if file.name in server.corrupt else data

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def wheel_package(path: Path, minor: str, depends: Sequence[str] = ()) -> CondaPackage:
    """A conda package for one minor version of Python, made of a wheel."""
    name, version = path.name.split("-")[:2]
    site = f"lib/python{minor}/site-packages"
    with zipfile.ZipFile(path) as archive:
        files: dict[str, bytes | str | Link] = {
            f"{site}/{member}": archive.read(member)
            for member in archive.namelist()
            if not member.endswith("/") and ".data/" not in member
        }
    needs = (f"python {minor}.*", *depends)
    build = f"py{minor.replace('.', '')}_0"
    return CondaPackage(
        name=name.replace("_", "-").lower(), version=version, build=build, files=files, depends=needs
    )
