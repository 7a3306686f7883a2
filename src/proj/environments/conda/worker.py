"""Solves, downloads and links with rattler: a program that answers a task on its standard input.

The one importer of `rattler`. It has a process of its own because rattler's threads go on when Python ends,
and take the interpreter down with them about every second time; here the end is `os._exit`. So neither its
memory nor its crashes are those of the process that looks after a run.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.messages import (
    Answer,
    Check,
    Checked,
    Failed,
    Link,
    Linked,
    Locked,
    LockRead,
    PypiPackage,
    ReadLock,
    Solve,
    Solved,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rattler

    from proj.environments.conda.messages import Network, Wanted

_OTHER_PLATFORMS = ("win-64", "osx-64", "osx-arm64", "linux-64", "linux-aarch64", "win-32", "linux-ppc64le")
_NEAR = 3
_MAX_ROUNDS = 8
_UNREACHABLE = re.compile(
    r"error sending request|dns error|Connection refused|timed out|tcp connect|connection (?:closed|reset)"
    r"|No such file or directory|could not find subdir|HTTP status|status code|not found",
    re.IGNORECASE,
)


def main() -> None:
    """Answer the task on standard input, and end without waiting for any thread."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    answer = asyncio.run(_answer(task))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def tell(message: str) -> None:
    """Report progress to who started this process."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


async def _answer(task: Task) -> Answer:
    try:
        if isinstance(task, Solve):
            return await _Solver(task).solve()
        if isinstance(task, Link):
            return await _link(task)
        if isinstance(task, Check):
            return _check(task)
        return _read_lock(task)
    except Exception as error:  # noqa: BLE001  the library's errors have no common base; each becomes an answer
        return failure_of(error)


def failure_of(error: Exception) -> Failed:
    """What an error of the library means."""
    lines = tuple(line.rstrip() for line in str(error).splitlines() if line.strip())
    said = "\n".join(lines)
    if "os error 28" in said or "No space left" in said:
        return Failed(cause="disk", message="The disk is full.", lines=lines)
    if re.search(r"hash mismatch|sha256|md5|checksum|digest", said, re.IGNORECASE):
        return Failed(cause="hash", message="A package is not the one that is locked.", lines=lines)
    if "no usable repodata cache" in said:
        return Failed(cause="offline", message="What the channels have is not in the cache.", lines=lines)
    if _UNREACHABLE.search(said):
        return Failed(cause="unreachable", message="A channel cannot be read.", lines=lines)
    return Failed(
        cause="other", message=f"{type(error).__name__}: {lines[0] if lines else error}", lines=lines[1:]
    )


# --- solving ----------------------------------------------------------------------------------------------


class _Solver:
    """Solves; where there is no answer, finds out what is missing, misspelt, or of another platform."""

    def __init__(self, task: Solve) -> None:
        self._task = task
        self._wanted = list(task.wanted)
        self._channels = list(task.channels)
        self._notes: list[str] = []
        self._gateway = _gateway(task.network)
        self._virtual = _virtual_packages(task)

    async def solve(self) -> Answer:
        from rattler.exceptions import SolverError

        for _ in range(_MAX_ROUNDS):
            try:
                records = await self._once()
            except SolverError as error:  # noqa: PERF203  each round is slow by itself
                failed = await self._adapt(error)
                if failed is not None:
                    return failed
            else:
                return await self._solved(records)
        raise AssertionError("each round changes something")

    async def _once(self) -> list[rattler.RepoDataRecord]:
        import rattler

        limit = self._task.as_of_s
        return await rattler.solve(
            [rattler.Channel(url) for url in self._channels],
            [rattler.MatchSpec(wanted.spec) for wanted in self._wanted],
            gateway=self._gateway,
            platforms=[rattler.Subdir(self._task.platform), rattler.Subdir("noarch")],
            virtual_packages=self._virtual,
            exclude_newer=dt.datetime.fromtimestamp(limit, dt.timezone.utc) if limit is not None else None,
            timestamp_policy="allow-missing",
            channel_relations="disabled",
        )

    async def _solved(self, records: list[rattler.RepoDataRecord]) -> Solved:
        import rattler

        ordered = rattler.PackageRecord.sort_topologically(list(records))
        by_name = {record.name.normalized: record for record in records}
        records = [by_name[record.name.normalized] for record in ordered]
        if self._task.as_of_s is not None:
            undated = [record.name.normalized for record in records if _made_at(record) is None]
            if undated:
                self._notes.append(
                    f"No build date is known of {', '.join(undated)}: the date does not count for it."
                )
        packages = [await _locked(record, self._task.network) for record in records]
        return Solved(packages=tuple(packages), notes=tuple(self._notes))

    async def _adapt(self, error: Exception) -> Failed | None:
        """Change what is asked for such that another round makes sense; else say why there is no answer."""
        found = await self._candidates([wanted.name for wanted in self._wanted])
        missing = [
            wanted for wanted in self._wanted if not found[wanted.name] and not wanted.name.startswith("__")
        ]
        if self._task.more_channels and not set(self._task.more_channels) <= set(self._channels):
            self._channels += [url for url in self._task.more_channels if url not in self._channels]
            return None
        if missing and await self._leave_out(missing):
            return None
        if missing:
            return await self._missing(missing)
        if self._loosen_builds(found) or self._loosen_python(found):
            return None
        lines = tuple(line.rstrip() for line in str(error).splitlines() if line.strip())
        return Failed(
            cause="unsatisfiable", message=_collision(lines), lines=lines[: 2 * _MAX_ROUNDS],
            hint=self._known_versions(found),
        )  # fmt: skip

    async def _candidates(
        self, names: Sequence[str], platforms: Sequence[str] | None = None
    ) -> dict[str, list[rattler.RepoDataRecord]]:
        """The packages of these names, whatever their versions; none that is too young."""
        import rattler

        subdirs = [rattler.Subdir(text) for text in platforms or (self._task.platform, "noarch")]
        answer = await self._gateway.query(
            [rattler.Channel(url) for url in self._channels], subdirs, list(dict.fromkeys(names)),
            recursive=False, channel_relations="disabled",
        )  # fmt: skip
        found: dict[str, list[rattler.RepoDataRecord]] = {name: [] for name in names}
        for record in (record for records in answer for record in records):
            if not self._is_young(record):
                found.setdefault(record.name.normalized, []).append(record)
        return found

    def _is_young(self, record: rattler.RepoDataRecord) -> bool:
        limit, made = self._task.as_of_s, _made_at(record)
        return limit is not None and made is not None and made.timestamp() > limit

    async def _leave_out(self, missing: Sequence[Wanted]) -> bool:
        """Do without packages that only other platforms have."""
        others = [text for text in _OTHER_PLATFORMS if text != self._task.platform]
        elsewhere: set[str] = set()
        for platform in others:
            # a channel need not have all platforms
            with contextlib.suppress(Exception):
                found = await self._candidates([wanted.name for wanted in missing], [platform])
                elsewhere |= {name for name, records in found.items() if records}
        for name in sorted(elsewhere):
            self._notes.append(f"{name} is not made for {self._task.platform} and was left out.")
        self._wanted = [wanted for wanted in self._wanted if wanted.name not in elsewhere]
        return bool(elsewhere)

    async def _missing(self, missing: Sequence[Wanted]) -> Failed:
        import rattler

        names = [name.normalized for name in await self._gateway.names(
            [rattler.Channel(url) for url in self._channels],
            [rattler.Subdir(self._task.platform), rattler.Subdir("noarch")],
        )]  # fmt: skip
        lines = []
        for wanted in missing:
            near = difflib.get_close_matches(wanted.name, names, n=_NEAR, cutoff=0.6)
            near = near or [name for name in names if wanted.name in name.split("-")][:_NEAR]
            lines.append(
                f"{wanted.name}: did you mean {' or '.join(near)}?"
                if near
                else f"{wanted.name}: no such name"
            )
        shown = ", ".join(wanted.name for wanted in missing)
        young = " that early" if self._task.as_of_s is not None else ""
        return Failed(cause="missing", message=f"No channel has {shown}{young}.", lines=tuple(lines))

    def _loosen_builds(self, found: dict[str, list[rattler.RepoDataRecord]]) -> bool:
        """Drop the build strings of specs that no build here meets, where another build of them would."""
        import rattler

        changed = False
        for number, wanted in enumerate(self._wanted):
            if wanted.spec == wanted.without_build:
                continue
            strict, loose = rattler.MatchSpec(wanted.spec), rattler.MatchSpec(wanted.without_build)
            candidates = found[wanted.name]
            if any(strict.matches(record) for record in candidates):
                continue
            if any(loose.matches(record) for record in candidates):
                self._notes.append(
                    f"{wanted.name} has no build {strict.build} for {self._task.platform}: "
                    "another build of the same version is taken."
                )
                self._wanted[number] = msgspec.structs.replace(wanted, spec=wanted.without_build)
                changed = True
        return changed or self._loosen_chosen_builds()

    def _loosen_chosen_builds(self) -> bool:
        """Drop all builds where they do not go together: an export from a channel that went on."""
        exact = [
            wanted for wanted in self._wanted if wanted.spec != wanted.without_build and wanted.exact_version
        ]
        if not exact or len(exact) < len(self._wanted) // 2:
            return False
        self._wanted = [msgspec.structs.replace(wanted, spec=wanted.without_build) for wanted in self._wanted]
        self._notes.append(
            "The build strings that are asked for do not go together: the versions alone count."
        )
        return True

    def _loosen_python(self, found: dict[str, list[rattler.RepoDataRecord]]) -> bool:
        """Take the nearest patch version of Python where the one asked for is not to be had."""
        import rattler

        for number, wanted in enumerate(self._wanted):
            match = re.fullmatch(r"(\d+\.\d+)\.(\d+)", wanted.exact_version)
            if wanted.name != "python" or match is None or not self._task.nearest_python:
                continue
            if any(rattler.MatchSpec(wanted.spec).matches(record) for record in found["python"]):
                return False
            patches = {str(record.version) for record in found["python"]}
            near = [text for text in patches if re.fullmatch(rf"{re.escape(match[1])}\.\d+", text)]
            if not near:
                return False
            patch = int(match[2])
            nearest = min(near, key=lambda text: (abs(int(text.rpartition(".")[2]) - patch), text))
            self._notes.append(
                f"No channel has Python {wanted.exact_version}: {nearest}, the nearest patch of it, is used."
            )
            spec = f'python[version="=={nearest}"]'
            self._wanted[number] = msgspec.structs.replace(
                wanted, spec=spec, without_build=spec, exact_version=nearest
            )
            return True
        return False

    def _known_versions(self, found: dict[str, list[rattler.RepoDataRecord]]) -> str | None:
        """Which versions there are of a spec that nothing meets."""
        import rattler

        for wanted in self._wanted:
            spec, candidates = rattler.MatchSpec(wanted.without_build), found[wanted.name]
            if candidates and not any(spec.matches(record) for record in candidates):
                newest = sorted({record.version for record in candidates})
                shown = ", ".join(str(version) for version in newest[-6:])
                return f"Of {wanted.name} there is {shown}."
        return None


def _made_at(record: rattler.RepoDataRecord) -> dt.datetime | None:
    """When a package came into its channel, else when it was built: what rattler goes by."""
    return record.indexed_timestamp or record.timestamp


def _collision(lines: Sequence[str]) -> str:
    """The two requirements that collide, as far as the solver's tree tells."""
    tops = [
        match[1].replace(" *", "")
        for line in lines
        if (
            match := re.match(
                r"^[├└]─+ (.+?) (?:can be installed|cannot be installed|would require|, which|conflict)", line
            )
        )
    ]
    if len(tops) > 1:
        return f"{tops[0]} and {tops[-1]} cannot be installed together."
    if tops:
        return f"{tops[0]} cannot be installed."
    text = " ".join(lines).partition("because of: ")[2] or " ".join(lines)
    return text.strip().rstrip(".") + "."


async def _locked(record: rattler.RepoDataRecord, network: Network) -> Locked:
    sha256 = record.sha256.hex() if record.sha256 else None
    md5 = record.md5.hex() if record.md5 else None
    if sha256 is None and md5 is None:
        import hashlib

        from rattler.package_streaming import download_bytes

        sha256 = hashlib.sha256(await download_bytes(_client(network), record.url)).hexdigest()
    locked = Locked(url=record.url, sha256=sha256, md5=None if sha256 else md5)
    _remember(locked, record, network)
    return locked


# --- linking ----------------------------------------------------------------------------------------------


async def _link(task: Link) -> Answer:
    import rattler

    records = await asyncio.gather(*(_record(locked, task.network) for locked in task.packages))
    cache = Path(task.network.cache) / "packages"
    if task.network.offline:
        index = await rattler.PackageCache(cache).index()
        absent = [
            record.file_name for record in records
            if not record.url.startswith("file:") and not index.contains_record(record)
        ]  # fmt: skip
        if absent:
            return Failed(cause="offline", message=f"Not in the cache: {', '.join(absent[:6])}.")
    await rattler.install(
        records=list(records),
        target_prefix=task.prefix,
        cache_dir=cache,
        platform=rattler.Subdir(task.platform),
        execute_link_scripts=task.scripts,
        show_progress=False,
        client=_client(task.network),
        reporter=_reporter(len(records)),
        alternative_target_prefix=task.target_prefix,
    )
    return Linked()


def _reporter(total: int) -> rattler.InstallerReporter:
    """What tells how far the linking is."""
    import rattler

    class Reporter(rattler.InstallerReporter):
        done = 0

        def on_link_start(self, operation: int, package_name: str) -> int:
            self.done += 1
            tell(f"Linking {package_name} ({self.done} of {total})")
            return operation

    return Reporter()  # type: ignore[abstract]  # its empty bodies are meant to be inherited


async def _record(locked: Locked, network: Network) -> rattler.RepoDataRecord:
    """What a package says of itself: from what was kept of it, its unpacked files, else its archive."""
    import rattler

    folder, _, file_name = locked.url.rpartition("/")
    path = _index_file(locked, network)
    if not path.is_file():
        content = _unpacked(file_name, network) or await _fetched(locked, network)
        _write(path, content)
    record = rattler.PackageRecord.from_index_json(path, None, locked.sha256, locked.md5)
    return rattler.RepoDataRecord(record, file_name, locked.url, folder.rpartition("/")[0] + "/")


def _index_file(locked: Locked, network: Network) -> Path:
    name = locked.url.rpartition("/")[2]
    return Path(network.cache) / "index" / f"{name}.{(locked.sha256 or locked.md5 or 'unknown')[:16]}.json"


def _unpacked(file_name: str, network: Network) -> bytes | None:
    stem = re.sub(r"\.(?:conda|tar\.bz2)$", "", file_name)
    try:
        return (Path(network.cache) / "packages" / stem / "info" / "index.json").read_bytes()
    except OSError:
        return None


async def _fetched(locked: Locked, network: Network) -> bytes:
    from rattler.package_streaming import fetch_raw_package_file_from_url

    if network.offline and not locked.url.startswith("file:"):
        raise OSError(f"Not in the cache, and offline: {locked.url}")
    if locked.url.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        from rattler.package_streaming import PackageArchive

        archive = await PackageArchive.from_path(unquote(urlsplit(locked.url).path))
        return await archive.read_file("info/index.json") or b""
    return await fetch_raw_package_file_from_url(_client(network), locked.url, "info/index.json")


def _remember(locked: Locked, record: rattler.RepoDataRecord, network: Network) -> None:
    """Keep what the channel says of a package: linking needs it, and a lock has no place for it."""
    noarch = record.noarch
    kind = "python" if noarch.python else "generic" if noarch.generic else None
    content: dict[str, object] = {
        "name": record.name.source, "version": str(record.version), "build": str(record.build),
        "build_number": record.build_number, "subdir": str(record.subdir), "arch": record.arch,
        "platform": record.platform, "depends": list(record.depends), "constrains": list(record.constrains),
        "license": record.license,
    }  # fmt: skip
    if kind is not None:
        content["noarch"] = kind
    if record.timestamp is not None:
        content["timestamp"] = int(record.timestamp.timestamp() * 1000)
    _write(_index_file(locked, network), msgspec.json.encode(content))


def _write(path: Path, content: bytes) -> None:
    from proj import files

    if not path.is_file():
        files.write_whole(path, content)


# --- locks ------------------------------------------------------------------------------------------------


def _check(task: Check) -> Checked:
    import rattler

    records = []
    for locked in task.packages:
        file_name = locked.url.rpartition("/")[2]
        name, version, build = re.sub(r"\.(?:conda|tar\.bz2)$", "", file_name).rsplit("-", 2)
        subdir = locked.url.split("/")[-2]
        records.append(rattler.PackageRecord(name, version, rattler.BuildString(build), 0, subdir))
    unmet = [
        wanted.spec for wanted in task.wanted
        if not any(rattler.MatchSpec(wanted.without_build).matches(record) for record in records)
    ]  # fmt: skip
    return Checked(unmet=tuple(unmet))


def _read_lock(task: ReadLock) -> Answer:
    import rattler

    lock = rattler.LockFile.from_path(Path(task.path))
    environment = lock.default_environment()
    if environment is None:
        return Failed(cause="other", message="It has no environment `default`.")
    platform = next((each for each in environment.platforms() if str(each.subdir) == task.platform), None)
    if platform is None:
        known = ", ".join(sorted(str(each.subdir) for each in environment.platforms()))
        return Failed(cause="platform", message=f"It is for {known}, not for {task.platform}.")
    records = environment.conda_repodata_records_for_platform(platform) or []
    pypi = environment.pypi_packages_for_platform(platform) or []
    ordered = rattler.PackageRecord.sort_topologically(list(records))
    by_name = {record.name.normalized: record for record in records}
    return LockRead(
        packages=tuple(
            Locked(
                url=record.url, sha256=record.sha256.hex() if record.sha256 else None,
                md5=record.md5.hex() if record.md5 and not record.sha256 else None,
            )
            for record in (by_name[each.name.normalized] for each in ordered)
        ),
        pypi=tuple(
            PypiPackage(
                name=each.name, version=str(each.version), location=each.location,
                sha256=each.hashes.sha256.hex() if each.hashes and each.hashes.sha256 else None,
            )
            for each in pypi
        ),
    )  # fmt: skip


# --- the network ------------------------------------------------------------------------------------------


def _gateway(network: Network) -> rattler.Gateway:
    import rattler

    action = "force-cache-only" if network.offline else "cache-or-fetch"
    return rattler.Gateway(
        cache_dir=Path(network.cache) / "repodata",
        default_config=rattler.SourceConfig(cache_action=action),  # type: ignore[arg-type]  # a literal of two
        client=_client(network),
    )


def _client(network: Network) -> rattler.Client:
    """A client with the usual layers: what is to be tried again, who the user is, mirrors, object stores."""
    import rattler
    from rattler import networking

    if not network.logins:
        lines = [] if network.verify_tls else ["tls-no-verify = true"]
        lines += ["[mirrors]"] if network.mirrors else []
        for url, mirrors in network.mirrors.items():
            lines.append(f"{_quoted(url)} = [{', '.join(map(_quoted, mirrors))}]")
        return rattler.Client.from_config(rattler.Config.from_toml("\n".join(lines)))
    return rattler.Client([
        networking.RetryMiddleware(),
        networking.MirrorMiddleware({url: list(mirrors) for url, mirrors in network.mirrors.items()}),
        networking.AddHeadersMiddleware(lambda host, path: _login(host, path, network)),
        networking.AuthenticationMiddleware(),
        networking.OciMiddleware(), networking.GCSMiddleware(), networking.S3Middleware(),
    ])  # fmt: skip


def _login(host: str, path: str, network: Network) -> dict[str, str] | None:
    """The header for a request that goes to where a login is for."""
    from urllib.parse import urlsplit

    for url, login in network.logins.items():
        parts = urlsplit(url)
        if parts.hostname == host and path.startswith(f"{parts.path.rstrip('/')}/"):
            return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    return None


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _virtual_packages(task: Solve) -> list[rattler.GenericVirtualPackage]:
    """What the machine has that packages can ask for: its kernel, C library, GPU driver."""
    import rattler

    if task.virtual_packages is None:
        overrides = rattler.VirtualPackageOverrides.from_env()
        return [each.into_generic() for each in rattler.VirtualPackage.detect(overrides)]
    found = []
    for text in task.virtual_packages:
        name, _, rest = text.partition("=")
        version, _, build = rest.partition("=")
        found.append(
            rattler.GenericVirtualPackage(
                rattler.PackageName(name), rattler.Version(version or "0"), rattler.BuildString(build or "0")
            )
        )
    return found


if __name__ == "__main__":
    main()
