"""Locks: pylock.toml (PEP 751) with hashes, resolved once for an input and kept."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj import events, paths
from proj.environments.cache import exclusively, unwritable, write_atomically
from proj.environments.failures import iso_time, parse_iso_time
from proj.environments.requirements import read_text
from proj.environments.variables import (
    expanded_values,
    hide_in_urls,
    hosts_of_literal_logins,
    warning_of_secret,
    without_literal_logins,
)
from proj.errors import EnvironmentFailedError
from proj.model import LockMode
from proj.process import strip_userinfo

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.model import EnvironmentRequest

LOCK_NAME = "pylock.toml"
HEADER = "# proj: "
"""Begins the comments in which a lock of ours says what it was made for, and how."""
_MADE_FOR = rf"(?m)^{HEADER}input (sha256:[0-9a-f]+)$"
_LOCAL = r'(?P<before>\bpath = ")(?P<path>(?:[^"\\]|\\.)*)(?P<after>")'
_EDITABLE = r'(?P<entry>\bpath = "(?P<path>(?:[^"\\]|\\.)*)"[^\n}]*?), editable = true\b'
_LOCAL_URL = r'\burl = "file://(?P<path>/(?:[^"\\]|\\.)*)"'


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock: what is installed, byte for byte."""

    text: str
    """pylock.toml; paths in it are relative to the project's folder."""
    shipped: bool = False
    """Whether it is the project's own."""
    as_of_s: int | None = None
    """Only packages uploaded before this time were considered."""
    notes: tuple[str, ...] = ()
    build_needs: Mapping[str, tuple[str, ...]] = {}
    """Distribution -> what building it needs beside what it declares."""

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the lock without its comments."""
        body = "\n".join(line for line in self.text.splitlines() if not line.startswith("#"))
        return "sha256:" + hashlib.sha256(body.strip().encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def count(self) -> int:
        """How many packages it names."""
        return self.text.count("[[packages]]")


def find_lock(project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest) -> Lock | None:
    """The lock that is there already: the project's own, or the one kept for this input.

    Raises:
        EnvironmentFailedError: The project must ship a lock (`--locked`, `--frozen`) and does not.
    """
    if request.lock is not None:
        return _parse(request.lock.decode("utf-8", "surrogateescape"), shipped=True)
    if request.mode is LockMode.UPGRADE:
        return None
    shipped = project.shipped_lock
    if (
        shipped is None
        and request.mode in (LockMode.LOCKED, LockMode.FROZEN)
        and not project.requirements.hashed
    ):
        raise EnvironmentFailedError(
            f"The project ships no lock, and --{request.mode.value} asks for one.",
            hint="`proj env lock` writes one (pylock.toml) beside the project file.",
        )
    if shipped is not None and shipped.name == LOCK_NAME:
        return _own_lock(shipped, project, request)
    return _read(_kept(project, interpreter, request) / LOCK_NAME)


def obtain_lock(project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest) -> Lock:
    """The lock for an input: the project's own, the one kept for it, else resolved now and kept.

    Raises:
        EnvironmentFailedError: It cannot be resolved, or `--locked`/`--frozen` cannot be met.
    """
    lock = find_lock(project, interpreter, request)
    if lock is not None:
        if request.mode is LockMode.LOCKED and lock.shipped:
            _check(lock, project, interpreter, request)
        return lock
    folder = _kept(project, interpreter, request)
    with exclusively(folder, "Another run is resolving the same requirements; waiting."):
        if request.mode is not LockMode.UPGRADE:
            lock = _read(folder / LOCK_NAME)
            if lock is not None:
                return lock
        from proj.environments.resolve import export_uv_lock, resolve

        try:
            if project.shipped_lock is not None and request.mode is not LockMode.UPGRADE:
                lock = export_uv_lock(project, interpreter, request)
            else:
                lock = resolve(project, interpreter, request)
        except OSError as error:  # work folders: a full disk, a read-only cache
            raise unwritable(paths.cache(), error) from error
        write_atomically(folder / LOCK_NAME, lock.text.encode("utf-8", "surrogateescape"))
    return lock


def finish(
    text: str,
    *,
    project: PythonInput,
    project_dir: Path,
    as_of_s: int | None,
    notes: tuple[str, ...],
    build_needs: Mapping[str, tuple[str, ...]] | None = None,
    shipped: bool = False,
) -> Lock:
    """Make uv's output ours: no secrets, paths relative to the project, a header with its origin."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()
    values = expanded_values(project.requirements)
    body = relative_paths(strip_userinfo(hide_in_urls(body, values)), project_dir)
    # The packages were chosen for this minor version; uv writes the patch version as the least one.
    body = re.sub(r'(?m)^requires-python = ">=(3\.\d+)\.\d+"$', r'requires-python = "==\1.*"', body)
    header = [f"input sha256:{project.digest(project_dir)}"]
    header += [f"as-of {iso_time(as_of_s)}"] if as_of_s is not None else []
    header += [f"note {note}" for note in notes]
    header += [f"build {name} {' '.join(needs)}" for name, needs in sorted((build_needs or {}).items())]
    lines = "".join(f"{HEADER}{line}\n" for line in header)
    return Lock(
        text=f"{lines}{body}\n", as_of_s=as_of_s, notes=notes, shipped=shipped, build_needs=build_needs or {}
    )


def relative_paths(text: str, project_dir: Path) -> str:
    """A lock whose absolute paths below the project's folder are relative to it."""
    base = os.path.realpath(project_dir)

    def relative(match: re.Match[str]) -> str:
        path = match["path"]
        return (
            f"{match['before']}{os.path.relpath(path, base)}{match['after']}"
            if path.startswith("/")
            else match[0]
        )

    def as_path(match: re.Match[str]) -> str:
        from urllib.parse import unquote

        path = unquote(match["path"])
        if not path.startswith(base + os.sep):
            return match[0]
        return f'path = "{os.path.relpath(path, base)}"'

    return re.sub(_LOCAL_URL, as_path, re.sub(_LOCAL, relative, text))


def absolute_paths(text: str, project_dir: Path) -> str:
    """A lock whose paths are absolute: how the installer gets it."""
    base = os.path.realpath(project_dir)

    def absolute(match: re.Match[str]) -> str:
        path = os.path.normpath(os.path.join(base, match["path"]))  # noqa: PTH118  text
        return f"{match['before']}{path}{match['after']}"

    return re.sub(_LOCAL, absolute, text)


def without_editable(lock: Lock, project_dir: Path) -> Lock:
    """A lock whose editable packages in private checkouts are copies: the next run has another checkout.

    So an environment does not depend on where a commit was checked out.
    """
    from proj.environments.localcode import is_private

    def copied(match: re.Match[str]) -> str:
        return match["entry"] if is_private(project_dir / match["path"]) else match[0]

    if "editable = true" not in lock.text:
        return lock
    return msgspec.structs.replace(lock, text=re.sub(_EDITABLE, copied, lock.text))


def local_paths(text: str) -> tuple[tuple[str, bool], ...]:
    """The folders and files that a lock refers to, with whether they are installed as editable."""
    found = re.findall(r'\bpath = "((?:[^"\\]|\\.)*)"([^\n}]*editable = true)?', text)
    return tuple((path, bool(editable)) for path, editable in found)


def _check(lock: Lock, project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest) -> None:
    """See to it that a lock of another tool fits; ours says what it was made for. Once is enough."""
    if re.search(_MADE_FOR, lock.text) or project.path == project.shipped_lock:
        return
    checked = _kept(project, interpreter, request) / "fits"
    if checked.exists():
        return
    from proj.environments.fit import check_fit

    check_fit(lock, project, interpreter, request)
    write_atomically(checked, b"")


def _own_lock(path: Path, project: PythonInput, request: EnvironmentRequest) -> Lock:
    text = read_text(path)
    lock = _parse(without_literal_logins(text), shipped=True)
    for note in (warning_of_secret(path.name, host) for host in hosts_of_literal_logins(text)):
        events.warning(note)
        lock = msgspec.structs.replace(lock, notes=(*lock.notes, note))
    made_for = re.search(_MADE_FOR, lock.text)
    if path == project.path or request.mode is LockMode.FROZEN:
        return lock
    if made_for and made_for[1] != f"sha256:{project.digest(request.project_dir)}":
        return msgspec.structs.replace(lock, notes=(*lock.notes, note_of_age(path, project.origin, request)))
    return lock


def note_of_age(path: Path, origin: str, request: EnvironmentRequest) -> str:
    """Say that a project's lock was made before its declaration was changed, and what to note of that.

    Args:
        path: The lock.
        origin: The declaration.
        request: The request.

    Raises:
        EnvironmentFailedError: `--locked` wants one that fits.
    """
    if request.mode is LockMode.LOCKED:
        raise EnvironmentFailedError(
            f"{path.name} is older than {origin}, but --locked wants one that fits.",
            hint="`proj env lock` makes it anew; --frozen uses it as it is.",
        )
    note = f"{path.name} was made before {origin} was changed; it is used as it is."
    events.warning(f"{note} `proj env lock` makes it anew.")
    return note


def _kept(project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest) -> Path:
    """The folder of the lock that is kept for an input on this kind of machine."""
    shipped = project.shipped_lock if request.mode is not LockMode.UPGRADE else None
    uses_shipped = shipped is not None
    parts = (
        "lock 1",
        project.digest(request.project_dir),
        hashlib.sha256(shipped.read_bytes()).hexdigest() if shipped is not None else None,
        interpreter.version[:2],
        sys.platform,
        os.uname().machine,
        uses_shipped and request.mode is LockMode.LOCKED,  # checked against its requirements
        None if uses_shipped or project.requirements.hashed else request.as_of_s,
        *([interpreter.target] if interpreter.target is not None else []),
    )
    return paths.cache() / "locks" / hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:24]


def _read(path: Path) -> Lock | None:
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    return _parse(raw.decode("utf-8", "surrogateescape"), shipped=False)


def _parse(text: str, *, shipped: bool) -> Lock:
    header = read_header(text)
    return Lock(
        text=text, shipped=shipped, as_of_s=header.as_of_s, notes=header.notes,
        build_needs=dict(header.build_needs),
    )  # fmt: skip


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a lock of ours says of itself in comments."""

    input: str | None = None
    """`sha256:<hex>` of the declaration that it was made for."""
    as_of_s: int | None = None
    notes: tuple[str, ...] = ()
    build_needs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """See `Lock`."""


def read_header(text: str) -> Header:
    """Read the comments that begin with `HEADER`."""
    as_of = re.search(rf"(?m)^{HEADER}as-of (\S+)$", text)
    made_for = re.search(_MADE_FOR, text)
    needs = re.findall(rf"(?m)^{HEADER}build (\S+) (.+)$", text)
    return Header(
        input=made_for[1] if made_for else None, as_of_s=_seconds(as_of[1]) if as_of else None,
        notes=tuple(re.findall(rf"(?m)^{HEADER}note (.+)$", text)),
        build_needs=tuple((name, tuple(listed.split())) for name, listed in needs),
    )  # fmt: skip


def _seconds(text: str) -> int | None:
    try:
        return parse_iso_time(text)
    except ValueError:
        return None
