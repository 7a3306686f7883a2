"""Solves, downloads and links with rattler: a program that answers a task on its standard input.

With `solver`, `index`, `archives`, `fitting` and `transport` the one importer of `rattler`. It has a process
of its own because rattler's threads go on when Python ends, and take the interpreter down with them about
every second time; here the end is `os._exit`. So neither its memory nor its crashes are those of the process
that looks after a run.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.archives import digest, download, from_folder, refuse_others, tell_origin
from proj.environments.conda.contents import Contents, UnsafePackageError
from proj.environments.conda.fitting import check
from proj.environments.conda.index import is_whole, record_of
from proj.environments.conda.messages import (
    UNSAFE_HINT,
    Answer,
    Check,
    Digest,
    Download,
    Failed,
    Link,
    Linked,
    Locked,
    LockRead,
    PypiPackage,
    ReadLock,
    Solve,
    Task,
)
from proj.environments.conda.solver import Solver
from proj.environments.conda.transport import client, refuse_leaks
from proj.environments.conda.verified import claim, is_known, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import rattler

    from proj.environments.conda.messages import Network

_UNREACHABLE = re.compile(
    r"error sending request|failed after \d+ retries|dns error|Connection refused|timed out|tcp connect"
    r"|connection (?:closed|reset)|No such file or directory|could not find subdir|HTTP status|status code"
    r"|not found|There is no file",
    re.IGNORECASE,
)
# rattler's words and ours; what else speaks of digests may be a package's name, as in `r-digest`
_OTHER_BYTES = re.compile(r"^(?:Caused by: )?hash mismatch (?:of|when) ", re.MULTILINE)


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
        return await _done(task)
    except UnsafePackageError as error:
        return Failed(cause="other", message=f"{error}.", hint=UNSAFE_HINT)
    except Exception as error:  # noqa: BLE001  the library's errors have no common base; each becomes an answer
        return failure_of(error)


def _asked(task: Task) -> Iterable[str]:
    """The URLs that a task speaks to."""
    if isinstance(task, ReadLock):
        return ()
    mirrors = task.network.mirrors
    urls = (
        (*task.channels, *task.more_channels)
        if isinstance(task, Solve)
        else (locked.url for locked in task.packages)
    )
    own = (url for url in urls if not url.startswith(tuple(f"{each}/" for each in mirrors)))
    return (*(url for url in own if url not in mirrors), *(url for each in mirrors.values() for url in each))


async def _done(task: Task) -> Answer:
    if not isinstance(task, ReadLock):
        refuse_leaks(_asked(task), task.network)
    if isinstance(task, Solve):
        return await Solver(task).solve()
    if isinstance(task, Link):
        return await _link(task)
    if isinstance(task, Digest):
        return await digest(task)
    if isinstance(task, Download):
        return await download(task)
    if isinstance(task, Check):
        return await check(task)
    return _read_lock(task)


def failure_of(error: Exception) -> Failed:
    """What an error of the library means."""
    lines = tuple(line.rstrip() for line in str(error).splitlines() if line.strip())
    said = "\n".join(lines)
    if "os error 28" in said or "No space left" in said:
        return Failed(cause="disk", message="The disk is full.", lines=lines)
    if _OTHER_BYTES.search(said):
        return Failed(cause="hash", message="A package is not the one that is locked.", lines=lines)
    if "failed to link" in said:
        return _link_failure(said, lines)
    if "no usable repodata cache" in said or said.startswith("Not in the cache"):
        return Failed(cause="offline", message="What the channels have is not in the cache.", lines=lines)
    if _UNREACHABLE.search(said):
        return Failed(cause="unreachable", message="A channel cannot be read.", lines=lines)
    return Failed(
        cause="other", message=f"{type(error).__name__}: {lines[0] if lines else error}", lines=lines[1:]
    )


def _link_failure(said: str, lines: tuple[str, ...]) -> Failed:
    if "target prefix cannot be longer" not in said:
        return Failed(cause="other", message="A package cannot be linked.", lines=lines)
    file = re.search(r"failed to link (\S+)", said)
    return Failed(
        cause="other", lines=lines, hint="Set PROJ_CACHE to a shorter path, such as /var/tmp/proj.",
        message=f"{file[1] if file else 'A package'} has room for shorter paths than the environment's.",
    )  # fmt: skip


async def _link(task: Link) -> Answer:
    import rattler

    located = from_folder(task.packages, task.folder)
    # Those of the folder have been compared.
    refuse_others(here for here, locked in zip(located, task.packages, strict=True) if here is locked)
    using = claim(located, task.network)
    records = await asyncio.gather(*(record_of(locked, task.network) for locked in located))
    cache = Path(task.network.cache) / "packages"
    # Files of environments are links to those in the cache: a program may have written into one, and who
    # cleans up may have removed one. What is not as the package says is had again.
    mode = rattler.ValidationMode.full()
    remote = [each for each in zip(located, records, strict=True) if not each[0].url.startswith("file:")]
    if task.network.offline and remote:
        index = await rattler.PackageCache(cache).index()
        absent = [
            record.file_name for locked, record in remote
            if not (index.contains_record(record) and is_known(locked, task.network)
                    and is_whole(record.file_name, task.network))
        ]  # fmt: skip
        if absent:
            return Failed(cause="offline", message=f"Not in the cache: {', '.join(absent[:6])}.")
        mode = rattler.ValidationMode.skip()  # it would have them again from the network, offline or not
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    installing = asyncio.ensure_future(rattler.install(
        records=list(records),
        target_prefix=task.prefix,
        package_cache=rattler.PackageCache.new_layered([cache], validation_mode=mode),
        platform=rattler.Subdir(task.platform),
        execute_link_scripts=task.scripts,
        show_progress=False,
        client=client(task.network),
        reporter=_reporter(
            Contents(records, cache), refused,
            {record.name.normalized: locked for locked, record in zip(located, records, strict=True)},
            task.network,
        ),
        alternative_target_prefix=task.target_prefix,
    ))  # fmt: skip
    # After a refusal, linking stands still until this process ends.
    await asyncio.wait([installing, refused], return_when=asyncio.FIRST_COMPLETED)
    await (refused if refused.done() else installing)
    using.close()
    if task.folder is not None:
        tell_origin(task.prefix, task.packages)
    return Linked()


def _reporter(
    contents: Contents, refused: asyncio.Future[None], packages: Mapping[str, Locked], network: Network
) -> rattler.InstallerReporter:
    """What tells how far the linking is, and lets nothing be linked that has not been looked at."""
    import rattler

    loop = asyncio.get_running_loop()

    class Reporter(rattler.InstallerReporter):
        done = 0

        def on_link_start(self, operation: int, package_name: str) -> int:
            try:
                note(packages[package_name], network)
                contents.check(package_name)
            except Exception as error:  # noqa: BLE001  whatever it is would not stop the linking
                loop.call_soon_threadsafe(_refuse, refused, error)
                threading.Event().wait()
            self.done += 1
            tell(f"Linking {package_name} ({self.done} of {len(packages)})")
            return operation

    return Reporter()  # type: ignore[abstract]  # its empty bodies are meant to be inherited


def _refuse(refused: asyncio.Future[None], error: Exception) -> None:
    if not refused.done():
        refused.set_exception(error)


def _read_lock(task: ReadLock) -> Answer:
    import rattler

    try:
        lock = rattler.LockFile.from_path(Path(task.path))
    except Exception as error:  # noqa: BLE001  the library's errors have no common base
        return Failed(
            cause="other", message=f"It is no lock that can be read here: {str(error).strip()}.",
            hint="Lock anew, with pixi or with `proj env lock`; a newer proj may know newer formats.",
        )  # fmt: skip
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


if __name__ == "__main__":
    main()
