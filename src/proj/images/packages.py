"""The layer of a project's packages: a virtual environment, made of wheels for the image's platform.

uv chooses and unpacks the wheels; what it leaves that depends on this machine is made anew or left out, so
that the same lock gives the same bytes everywhere.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import os
import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proj import events
from proj.errors import ImageError
from proj.images.tarfiles import EXECUTABLE, Entry
from proj.images.values import ENVIRONMENT
from proj.installer import uv_binary
from proj.process import redact, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.images.documents import Platform
    from proj.images.interpreter import ImagePython, Inside
    from proj.images.values import PackagesSpec

_LOCK_NAME: Final = "pylock.toml"
_REQUIRES_PYTHON: Final = rb"(?m)^requires-python = .*\n"
_NO_WHEEL: Final = r"Package `([^`]+)` can't be installed because it is marked as `--no-build`"
_SITE: Final = r"(?s)(?:local/)?lib(?:64)?/python3[^/]*/(?:site|dist)-packages/(?P<rest>.+)"
_HEADERS: Final = r"(?s)(?:local/)?include/site/python3[^/]*/(?P<rest>.+)"
_LEFT_OUT: Final = frozenset(
    ("RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json", "INSTALLER")
)
"""Files of a `.dist-info` folder that say how and from where it was installed, or are made anew."""
_ARCHITECTURES: Final = {
    "amd64": "x86_64", "arm64": "aarch64", "arm": "armv7", "386": "i686",
    "ppc64le": "powerpc64le", "s390x": "s390x", "riscv64": "riscv64",
}  # fmt: skip
_MANYLINUX: Final = ("x86_64", "aarch64")
_LEAST_GLIBC: Final = (17, 28, 31, 34, 35, 36, 39, 40)
_SCRIPT: Final = """\
#!{python}
import re
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw|\\.exe)?$", "", sys.argv[0])
    sys.exit({attribute}())
"""


def uv_platform(platform: Platform, inside: Inside) -> str:
    """What uv calls the platform of an image.

    Raises:
        ImageError: There are no wheels for it.
    """
    name = _ARCHITECTURES.get(platform.architecture)
    if name is None:
        raise ImageError(f"There are no wheels for {platform}.", hint="--builder daemon can build there.")
    if inside.libc == "musl":
        return f"{name}-unknown-linux-musl"
    if name not in _MANYLINUX:
        return f"{name}-unknown-linux-gnu"
    known = [
        each for each in _LEAST_GLIBC if inside.glibc is None or each <= int(inside.glibc.partition(".")[2])
    ]
    minor = 28 if inside.glibc is None else max(known, default=17)
    return f"{name}-manylinux2014" if minor == 17 else f"{name}-manylinux_2_{minor}"  # noqa: PLR2004


class Staged:
    """Packages that are installed into a folder, for a moment.

    Args:
        folder: The environment, as uv has made it.
        python: The image's.
    """

    def __init__(self, folder: Path, python: ImagePython) -> None:
        self._folder = folder
        self._python = python
        self._library = f"lib/python{python.version}/site-packages"
        self._interpreter = f"{ENVIRONMENT}/bin/python"

    def entries(self) -> list[Entry]:
        """The layer of a virtual environment with them."""
        return [*self.packages(), *self._environment()]

    def packages(self) -> list[Entry]:
        """Them alone, for an environment that has its Python."""
        found = {entry.path: entry for entry in self._files()}
        scripts = self._scripts(found)
        found.update(scripts)
        for entry in self._records(found, scripts):
            found[entry.path] = entry
        return list(found.values())

    # --- what uv has unpacked ---------------------------------------------------------------------

    def _files(self) -> list[Entry]:
        entries = []
        for folder, _, names in os.walk(self._folder):
            for name in names:
                place = Path(folder, name)
                path = self._path(place.relative_to(self._folder).as_posix())
                if path is not None:
                    entries.append(self._entry(path, place))
        return entries

    def _path(self, path: str) -> str | None:
        """Where a file belongs in the image's environment; None: nowhere."""
        if path in (".lock", "pyvenv.cfg", "CACHEDIR.TAG", ".gitignore") or path.endswith(".pyc"):
            return None
        site, headers = re.fullmatch(_SITE, path), re.fullmatch(_HEADERS, path)
        if site is not None:
            folder, _, name = site["rest"].rpartition("/")
            if folder.endswith(".dist-info") and "/" not in folder and name in _LEFT_OUT:
                return None
            return f"{self._library}/{site['rest']}"
        if headers is not None:
            return f"include/site/python{self._python.version}/{headers['rest']}"
        return path.removeprefix("local/")

    def _entry(self, path: str, place: Path) -> Entry:
        inside = f"{ENVIRONMENT[1:]}/{path}"
        if place.is_symlink():
            return Entry(path=inside, mode=0o777, link=os.readlink(place))  # noqa: PTH115  as it is written
        executable = bool(place.stat().st_mode & 0o100) or path.startswith("bin/")
        mode = 0o644 | (EXECUTABLE if executable else 0)
        if path.startswith("bin/"):
            content = _with_interpreter(place, self._interpreter)
            if content is not None:
                return Entry(path=inside, mode=mode, content=content)
        return Entry(path=inside, mode=mode, file=place)

    # --- console scripts --------------------------------------------------------------------------

    def _scripts(self, found: Mapping[str, Entry]) -> dict[str, Entry]:
        """The programs that packages declare, in words that do not depend on uv or this machine."""
        scripts: dict[str, Entry] = {}
        for path in sorted(found):
            entry = found[path]
            if entry.file is None or not self._is_of_distribution(path, "entry_points.txt"):
                continue
            for name, module, attribute in _entry_points(entry.file):
                inside = f"{ENVIRONMENT[1:]}/bin/{name}"
                if inside not in found:
                    continue  # uv has not made it: some extra that is not asked for
                text = _SCRIPT.format(
                    python=self._interpreter,
                    module=module,
                    first=attribute.partition(".")[0],
                    attribute=attribute,
                )
                scripts[inside] = Entry(path=inside, mode=0o755, content=text.encode())
        return scripts

    def _is_of_distribution(self, path: str, name: str) -> bool:
        """Whether a path is that of a file in the `.dist-info` of an installed distribution."""
        folder, _, last = path.rpartition("/")
        site = f"{ENVIRONMENT[1:]}/{self._library}"
        return last == name and folder.endswith(".dist-info") and posixpath.dirname(folder) == site

    # --- RECORD -----------------------------------------------------------------------------------

    def _records(self, found: Mapping[str, Entry], scripts: Mapping[str, Entry]) -> list[Entry]:
        """Each distribution's list of its files (PEP 376), true of what is in the layer."""
        entries = []
        site = f"{ENVIRONMENT[1:]}/{self._library}"
        for place in sorted(self._folder.rglob("*.dist-info/RECORD")):
            name = place.parent.name
            if place.parent.parent.name not in ("site-packages", "dist-packages"):
                continue  # a package that another one has taken in: setuptools has a dozen
            installer = Entry(path=f"{site}/{name}/INSTALLER", mode=0o644, content=b"proj\n")
            rows = [(f"{name}/RECORD", "", ""), _row(site, installer)]
            with place.open(encoding="utf-8", newline="") as stream:
                for listed, *_rest in csv.reader(stream):
                    path = posixpath.normpath(posixpath.join(site, listed))
                    entry = scripts.get(path) or found.get(path)
                    if entry is not None:
                        rows.append(_row(site, entry))
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(sorted(set(rows)))
            record = Entry(path=f"{site}/{name}/RECORD", mode=0o644, content=text.getvalue().encode())
            entries += [installer, record]
        return entries

    # --- what makes a folder a virtual environment ------------------------------------------------

    def _environment(self) -> list[Entry]:
        root = ENVIRONMENT[1:]
        version = self._python.version
        home = posixpath.dirname(self._python.path)
        settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"
        names = ("python", "python3", f"python{version}")
        links = [
            Entry(path=f"{root}/bin/{name}", mode=0o777, link="python" if index else self._python.path)
            for index, name in enumerate(names)
        ]
        settings_file = Entry(path=f"{root}/pyvenv.cfg", mode=0o644, content=settings.encode())
        return [settings_file, *links]


def install(packages: PackagesSpec, python: ImagePython, target: str, work: Path) -> Staged:
    """Have uv install packages for an image's Python into a folder.

    Args:
        packages: Which.
        python: The image's.
        target: The platform, as uv names it.
        work: A folder of `work_folder`.

    Raises:
        ImageError: A package has no wheel that fits, or cannot be had.
    """
    stage = work / "environment"
    stage.mkdir()
    if b"[[packages]]" not in packages.lock:
        return Staged(stage, python)
    # uv compares it with the Python that it runs with, whatever --python-version says.
    (work / _LOCK_NAME).write_bytes(re.sub(_REQUIRES_PYTHON, b"", packages.lock))
    argv = [
        uv_binary(), "pip", "install", "--prefix", str(stage), "--python", sys.executable,
        "--python-version", python.version, "--python-platform", target, "--only-binary", ":all:",
        "--no-deps", "--no-compile-bytecode", "--link-mode", "hardlink", "-r", str(work / _LOCK_NAME),
    ]  # fmt: skip
    # What is cached needs no network, but uv would ask the index about each file first.
    completed = run([*argv, "--offline"], cwd=work, env=packages.variables, check=False)
    if completed.returncode != 0 and not packages.offline and not re.search(_NO_WHEEL, completed.stderr):
        completed = run(argv, cwd=work, env=packages.variables, on_stderr=_tell, check=False)
    if completed.returncode != 0:
        raise _failure(completed.stderr, python, target)
    return Staged(stage, python)


def _tell(line: str) -> None:
    if re.match(r"\s*(Downloading|Downloaded|Prepared|Installed)\b", line):
        events.progress(redact(line.strip()))


def _failure(said: str, python: ImagePython, target: str) -> ImageError:
    missing = re.findall(_NO_WHEEL, said)
    if missing:
        names = ", ".join(sorted(set(missing)))
        return ImageError(
            f"There is no wheel of {names} for Python {python.version} on {target}.",
            hint="Choose a version that has one, or let docker build the image: --builder daemon",
        )
    lines = [redact(line) for line in said.splitlines() if line.strip() and "experimental" not in line]
    return ImageError(
        f"Cannot install the packages for Python {python.version} on {target}.", details=tuple(lines[-12:])
    )


def _with_interpreter(place: Path, interpreter: str) -> bytes | None:
    """A script whose first line names a Python, with the image's instead; None for any other file."""
    with place.open("rb") as stream:
        head = stream.read(2)
        if head != b"#!":
            return None
        content = head + stream.read()
    first, newline, rest = content.partition(b"\n")
    if first == b"#!/bin/sh" and rest.startswith(b"'''exec' "):  # how a long path is written
        rest = rest.split(b"' '''\n", 1)[-1]
    elif b"python" not in first:
        return None
    return b"#!" + interpreter.encode() + newline + rest


class _Parser(configparser.RawConfigParser):
    """A reader of `entry_points.txt`, in which names are as they are."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _entry_points(file: Path) -> list[tuple[str, str, str]]:
    """Name, module and attribute of the programs in an `entry_points.txt`."""
    parser = _Parser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return []
    found = []
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            match = re.fullmatch(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?", value.strip())
            if match is not None and re.fullmatch(r"[\w.+-]+", name):
                found.append((name, match[1], match[2]))
    return found


def _row(site: str, entry: Entry) -> tuple[str, str, str]:
    name = posixpath.relpath(entry.path, site)
    if entry.link is not None:
        return name, "", ""
    sha = hashlib.sha256()
    size = 0
    if entry.content is not None:
        sha.update(entry.content)
        size = len(entry.content)
    elif entry.file is not None:
        with entry.file.open("rb") as stream:
            while data := stream.read(1 << 20):
                sha.update(data)
                size += len(data)
    return name, f"sha256={base64.urlsafe_b64encode(sha.digest()).rstrip(b'=').decode()}", str(size)
