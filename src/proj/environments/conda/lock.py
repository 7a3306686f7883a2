"""Locks of conda environments: an explicit list (`@EXPLICIT`) with hashes, as conda itself installs from it.

What the `pip:` section came to stands behind it as the lines of a pylock.toml in comments: one file is the
whole environment, and conda, mamba and micromamba take it as it is for the conda packages.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from proj import events, paths
from proj.environments.cache import exclusively, write_atomically
from proj.environments.conda.explicit import (
    EXPLICIT,
    PIP_LINE,
    entries,
    is_explicit,
    name_version_build,
    pip_part,
)
from proj.environments.conda.messages import Digest, Digested, Locked, Solve, Solved
from proj.environments.conda.service import ask
from proj.environments.conda.urls import bare, bare_text
from proj.environments.failures import iso_date, iso_time
from proj.environments.lock import HEADER, Lock, note_of_age, read_header
from proj.environments.requirements import read_text
from proj.environments.uv import work_folder
from proj.errors import EnvironmentFailedError
from proj.model import LockMode

if TYPE_CHECKING:
    from pathlib import Path

    from proj.environments.conda.declared import CondaProject
    from proj.environments.conda.program import Program
    from proj.environments.conda.target import Target
    from proj.model import EnvironmentRequest

_SHA256_DIGITS = 64
_BY_NAME = (
    "{} has packages without hashes: what their channels have under these names is taken, whatever it is."
)


class CondaLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock: what is linked and installed, byte for byte."""

    platform: str
    packages: tuple[Locked, ...]
    """In the order in which they are installed."""
    pip: str = ""
    """pylock.toml of the `pip:` section; paths in it are relative to the project's folder."""
    input: str | None = None
    """`sha256:<hex>` of the declaration that it was made for; None where it does not say."""
    as_of_s: int | None = None
    notes: tuple[str, ...] = ()
    build_needs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """See `proj.environments.lock.Lock`."""
    shipped: bool = False

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the packages."""
        lines = [
            f"platform {self.platform}",
            *map(_line, self.packages),
            self.pip_lock.digest if self.pip else "",
        ]
        return "sha256:" + hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def unhashed(self) -> int:
        """How many conda packages are locked by their names alone."""
        return sum(not locked.has_digest for locked in self.packages)

    @property
    def count(self) -> int:
        """How many packages it names."""
        return len(self.packages) + self.pip_lock.count

    @property
    def pip_lock(self) -> Lock:
        """The lock of the `pip:` section."""
        return Lock(
            text=self.pip, as_of_s=self.as_of_s, build_needs=dict(self.build_needs), shipped=self.shipped
        )

    @property
    def python(self) -> str | None:
        """The version of its Python; None where it has none."""
        named = (name_version_build(locked.url) for locked in self.packages)
        return next((version for name, version, _ in named if name == "python"), None)

    def explicit(self) -> str:
        """The conda packages alone, as a list that conda and its kin take."""
        return "\n".join((f"# platform: {self.platform}", EXPLICIT, *map(_line, self.packages), ""))

    def text(self) -> str:
        """The file."""
        header = [f"input {self.input}"] if self.input else []
        header += [f"as-of {iso_time(self.as_of_s)}"] if self.as_of_s is not None else []
        header += [f"note {note}" for note in self.notes]
        header += [f"build {name} {' '.join(needs)}" for name, needs in self.build_needs]
        lines = [HEADER + line for line in header]
        lines += [f"# platform: {self.platform}", EXPLICIT, *map(_line, self.packages)]
        if self.pip:
            lines += [f"{HEADER}pip packages, as pylock.toml"]
            lines += [
                (PIP_LINE + line).rstrip() for line in self.pip.splitlines() if not line.startswith("#")
            ]
        return "\n".join(lines) + "\n"


def _line(locked: Locked) -> str:
    if locked.sha256:
        return f"{locked.url}#sha256:{locked.sha256}"
    return f"{locked.url}#{locked.md5}" if locked.md5 else locked.url


def parse_lock(text: str, *, origin: str, platform: str, shipped: bool) -> CondaLock:
    """Parse an explicit list, ours or another tool's.

    Args:
        text: The file.
        origin: Its name, for messages.
        platform: That of this machine: another one's packages are refused.
        shipped: Whether it is the project's own.

    Raises:
        EnvironmentFailedError: It is none, or is for another platform.
    """
    if not is_explicit(text):
        raise EnvironmentFailedError(f"{origin} is no explicit list: it has no line {EXPLICIT}.")
    packages = []
    for entry in entries(text):
        if entry.url is None:
            raise EnvironmentFailedError(
                f"{origin}:{entry.number}: not the URL of a conda package: {bare_text(entry.text)}",
                hint="Behind @EXPLICIT each line is a URL that ends with .conda or .tar.bz2.",
            )
        sha256 = entry.digest if len(entry.digest) == _SHA256_DIGITS else None
        md5 = entry.digest if entry.digest and sha256 is None else None
        packages.append(Locked(url=bare(entry.url), sha256=sha256, md5=md5))
    _refuse_other_platform(packages, text, origin, platform)
    return CondaLock(
        platform=platform, packages=tuple(packages), pip=pip_part(text), shipped=shipped,
        **msgspec.structs.asdict(read_header(text)),
    )  # fmt: skip


def find_lock(
    project: CondaProject,
    platform: str,
    request: EnvironmentRequest,
    tool: str,
    target: Target | None = None,
) -> CondaLock | None:
    """The complete lock that is there already: the run's, the project's own, or the one kept for its input.

    Args:
        project: The declaration.
        platform: conda's name for the platform.
        request: The request.
        tool: What makes the lock: another solver has another answer.
        target: Where the environment will be; None: on this machine.

    Raises:
        EnvironmentFailedError: The project must ship a lock (`--locked`, `--frozen`) and does not.
    """
    if request.lock is not None:
        text = request.lock.decode("utf-8", "surrogateescape")
        lock = parse_lock(text, origin="The recorded lock", platform=platform, shipped=True)
        return _with_note(lock, _BY_NAME.format("The recorded lock")) if lock.unhashed else lock
    if _solves(project, request):
        return None
    strict = request.mode in (LockMode.LOCKED, LockMode.FROZEN)
    if project.lock_file is None and strict:
        raise EnvironmentFailedError(
            f"The project ships no lock, and --{request.mode.value} asks for one.",
            hint=f"`proj env lock` writes one ({lock_name(platform)}) beside the project file.",
        )
    if project.lock_file is not None:
        from proj.environments.conda.shipped import read_shipped

        lock = read_shipped(project.lock_file, project, platform)
        lock = _judged(lock, project, request)
        if strict and lock.unhashed:
            raise EnvironmentFailedError(
                f"{project.lock_file.name} has no hash of {lock.unhashed} of its packages, and "
                f"--{request.mode.value} asks for exactly what is locked.",
                hint="`conda list --explicit --md5` writes them. Without "
                f"--{request.mode.value}, those that the channels have now are found out and kept.",
            )
        if not lock.unhashed and (lock.pip or not project.has_pip):
            return lock
        if strict:
            raise EnvironmentFailedError(
                f"{project.lock_file.name} has no packages for the `pip:` section of {project.origin}.",
                hint="`proj env lock` writes a lock that has them.",
            )
    try:
        kept = read_text(_kept(project, platform, request, tool, target) / lock_name(platform))
    except EnvironmentFailedError:
        return None
    return parse_lock(
        kept, origin="The lock in the cache", platform=platform, shipped=project.lock_file is not None
    )


def obtain_lock(
    project: CondaProject,
    platform: str,
    request: EnvironmentRequest,
    program: Program | None,
    target: Target | None = None,
) -> CondaLock:
    """The lock for a project: one that is there, else solved now and kept.

    Raises:
        EnvironmentFailedError: There is no solution, or `--locked`/`--frozen` cannot be met.
    """
    tool = program.kind if program is not None else "rattler"
    lock = find_lock(project, platform, request, tool, target)
    if lock is not None:
        if request.mode is LockMode.LOCKED and lock.input is None and project.specs and request.lock is None:
            from proj.environments.conda.fit import check_fit

            check_fit(lock, project, request)
        return lock
    folder = _kept(project, platform, request, tool, target)
    with exclusively(folder, "Another run is solving for the same packages; waiting."):
        if request.mode is not LockMode.UPGRADE:
            lock = find_lock(project, platform, request, tool, target)
            if lock is not None:
                return lock
        lock = _made(project, platform, request, program, target)
        write_atomically(folder / lock_name(platform), lock.text().encode("utf-8", "surrogateescape"))
    return lock


def _made(
    project: CondaProject,
    platform: str,
    request: EnvironmentRequest,
    program: Program | None,
    target: Target | None,
) -> CondaLock:
    with work_folder() as folder:
        linked = None
        if project.lock_file is not None and not _solves(project, request):
            from proj.environments.conda.shipped import read_shipped

            lock = read_shipped(project.lock_file, project, platform)
            if lock.unhashed:
                lock = _with_digests(lock, project, request, project.lock_file.name)
        elif program is not None:
            linked = folder / "conda"
            lock = program.solve(project, platform, request, linked)
        else:
            virtual = target.virtual_packages if target is not None else None
            lock = solve(project, platform, request, virtual)
        if project.has_pip and not lock.pip:
            from proj.environments.conda.pip import lock_pip

            lock = lock_pip(lock, project, request, target, program, linked)
    for note in lock.notes:
        events.warning(note)
    return msgspec.structs.replace(lock, input=f"sha256:{project.digest(request.project_dir)}")


def solve(
    project: CondaProject,
    platform: str,
    request: EnvironmentRequest,
    virtual_packages: tuple[str, ...] | None = None,
) -> CondaLock:
    """Solve for the conda packages of a project, as of the request's date; the `pip:` section is left open.

    Args:
        project: The declaration.
        platform: The platform to solve for; need not be this machine's.
        request: The request.
        virtual_packages: `name=version=build` of what that platform has; None: as this machine.

    Raises:
        EnvironmentFailedError: There is no solution, or a channel cannot be read.
    """
    limit = f" as of {iso_date(request.as_of_s)}" if request.as_of_s is not None else ""
    count = len(project.specs)
    events.step(f"Solving {count} package{'s' * (count != 1)} of {project.origin} for {platform}{limit}")
    from proj.environments.conda.hints import hint_for

    solved = ask(
        Solve(
            wanted=project.wanted(), channels=tuple(access.url for access in project.channels),
            more_channels=tuple(access.url for access in project.more_channels), platform=platform,
            virtual_packages=virtual_packages, as_of_s=request.as_of_s,
            nearest_python=request.python_match == "nearest", network=project.network(request),
        ),
        Solved, what=f"Cannot solve {project.origin} for {platform}",
        hints=lambda failed: hint_for(failed, project, request), secrets=project.secrets,
        variables=project.settings.variables(),
    )  # fmt: skip
    return CondaLock(platform=platform, packages=solved.packages, notes=solved.notes, as_of_s=request.as_of_s)


def lock_name(platform: str) -> str:
    """The name of a lock's file."""
    return f"conda-{platform}.lock"


def _judged(lock: CondaLock, project: CondaProject, request: EnvironmentRequest) -> CondaLock:
    """A shipped lock, with a note if it was made before the declaration was changed."""
    fits = lock.input is None or lock.input == f"sha256:{project.digest(request.project_dir)}"
    if fits or request.mode is LockMode.FROZEN or project.lock_file is None:
        return lock
    note = note_of_age(project.lock_file, project.origin, request)
    return _with_note(lock, note)


def _solves(project: CondaProject, request: EnvironmentRequest) -> bool:
    """Whether no lock that is there counts; a list that is the declaration itself always does."""
    return request.mode is LockMode.UPGRADE and bool(project.specs)


def _with_note(lock: CondaLock, note: str) -> CondaLock:
    return msgspec.structs.replace(lock, notes=(*lock.notes, note))


def _with_digests(
    lock: CondaLock, project: CondaProject, request: EnvironmentRequest, origin: str
) -> CondaLock:
    """A lock with the digests of what its channels have now, and a note that it had none."""
    from proj.environments.conda.hints import hint_for

    digested = ask(
        Digest(packages=lock.packages, network=project.network(request)), Digested,
        what=f"Cannot find out the hashes that {origin} lacks",
        hints=lambda failed: hint_for(failed, project, request, lock.packages), secrets=project.secrets,
        variables=project.settings.variables(),
    )  # fmt: skip
    lock = msgspec.structs.replace(lock, packages=digested.packages)
    return _with_note(lock, _BY_NAME.format(origin))


def _kept(
    project: CondaProject, platform: str, request: EnvironmentRequest, tool: str, target: Target | None
) -> Path:
    """The folder of the lock that is kept for an input."""
    from proj.environments.conda.machine import overrides, traces

    shipped = project.lock_file if not _solves(project, request) else None
    parts = (
        "conda lock 2", project.digest(request.project_dir), platform, tool,
        hashlib.sha256(shipped.read_bytes()).hexdigest() if shipped is not None else None,
        None if shipped is not None else request.as_of_s,
        request.python_match, overrides(), target if target is not None else traces(),
    )  # fmt: skip
    return paths.cache() / "locks" / hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:24]


def _refuse_other_platform(packages: list[Locked], text: str, origin: str, platform: str) -> None:
    subdirs = {locked.url.split("/")[-2] for locked in packages} - {"noarch"}
    said = re.search(r"(?m)^# platform: (\S+)\s*$", text)
    other = sorted(subdirs - {platform}) or ([said[1]] if said and said[1] != platform else [])
    if other:
        raise EnvironmentFailedError(
            f"{origin} is for {', '.join(other)}, not for {platform}, where it is to be used.",
            hint="Use it on a machine of that kind, or write one for this kind.",
        )
