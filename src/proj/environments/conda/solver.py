"""Solving with rattler, and finding out why there is no answer. Belongs to `worker`."""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import re
from typing import TYPE_CHECKING

import msgspec

from proj.environments.conda.index import locked
from proj.environments.conda.messages import Answer, Failed, Solve, Solved, Wanted
from proj.environments.conda.reasons import Hidden, Need, collision, hidden_package, shown, unmet_need
from proj.environments.conda.transport import gateway

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rattler

_OTHER_PLATFORMS = ("win-64", "osx-64", "osx-arm64", "linux-64", "linux-aarch64", "win-32", "linux-ppc64le")
_NEAR = 3
_MAX_ROUNDS = 8
_MAX_LINES = 16


class Solver:
    """Solves; where there is no answer, finds out what is missing, misspelt, or of another platform."""

    def __init__(self, task: Solve) -> None:
        self._task = task
        self._wanted = list(task.wanted)
        self._channels = list(task.channels)
        self._notes: list[str] = []
        self._gateway = gateway(task.network)
        self._virtual = _virtual_packages(task)

    async def solve(self) -> Answer:
        """Find the packages, or say why there are none."""
        from rattler.exceptions import GatewayError, SolverError

        unreadable = [wanted for wanted in self._wanted if not _is_readable(wanted)]
        if unreadable:
            return Failed(
                cause="other", message=f"{unreadable[0].spec} is no package that can be looked for.",
                hint="Write versions like =1.21, >=1.19,<2 or 1.2|1.4.*.",
            )  # fmt: skip
        for _ in range(_MAX_ROUNDS):
            try:
                records = await self._once()
            except SolverError as error:  # noqa: PERF203  each round is slow by itself
                failed = await self._adapt(error)
                if failed is not None:
                    return failed
            except GatewayError as error:
                return await self._no_channel(error)
            else:
                return await self._solved(records)
        raise AssertionError("each round changes something")

    async def _no_channel(self, error: Exception) -> Failed:
        """The failure where one of the channels answers with something that is no channel's.

        Raises:
            Exception: It is another failure.
        """
        import rattler

        if "failed to parse" not in str(error):
            raise error
        for url in self._channels:
            for subdir in (self._task.platform, "noarch"):
                try:
                    await self._gateway.names([rattler.Channel(url)], [rattler.Subdir(subdir)])
                except Exception as reason:  # noqa: BLE001, PERF203  the library's have no common base
                    lines = tuple(line.strip() for line in str(reason).splitlines() if line.strip())
                    return Failed(
                        cause="other", lines=lines,
                        message=f"{url} is no channel: its {subdir}/repodata.json cannot be read.",
                        hint="It may be a page for people, or one to sign in. Check the channel's URL.",
                    )  # fmt: skip
        raise error

    async def _once(self) -> list[rattler.RepoDataRecord]:
        import rattler

        limit = self._task.as_of_s
        # The gateway fetches what meets the specs of a name, and the first channel that has some of that is
        # the one: with the bare name beside them, it is the first that has the package at all.
        specs = [wanted.spec for wanted in self._wanted] + [
            _anything_of(wanted) for wanted in self._wanted if not wanted.name.startswith("__")
        ]
        return await rattler.solve(
            [rattler.Channel(url) for url in self._channels],
            [rattler.MatchSpec(spec) for spec in dict.fromkeys(specs)],
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
        self._notes += self._from_more_channels(records)
        packages = [await locked(record, self._task.network) for record in records]
        return Solved(packages=tuple(packages), notes=tuple(self._notes))

    def _from_more_channels(self, records: Sequence[rattler.RepoDataRecord]) -> list[str]:
        """Which packages come from channels that the file does not name."""
        named = {wanted.channel for wanted in self._wanted}
        notes = []
        for url in self._task.more_channels:
            names = [each.name.normalized for each in records if (each.channel or "").rstrip("/") == url]
            if names and url not in named:
                notes.append(
                    f"From {url}, which .condarc or conda itself adds to the file's channels: "
                    f"{', '.join(names)}."
                )
        return notes

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
        return await self._why(error, found)

    async def _why(self, error: Exception, found: dict[str, list[rattler.RepoDataRecord]]) -> Failed:
        """Which requirements have no answer."""
        lines = tuple(line.rstrip() for line in str(error).splitlines() if line.strip())
        hidden = hidden_package(lines)
        if hidden is not None:
            return await self._hidden(hidden, lines[:_MAX_LINES])
        need = unmet_need(lines, {wanted.name for wanted in self._wanted})
        if need is not None and need.name.startswith("__"):
            return _lacking(need, lines[:_MAX_LINES])
        return Failed(
            cause="unsatisfiable", message=collision(lines) if need is None else await self._unmet(need),
            lines=lines[:_MAX_LINES], hint=self._known_versions(found),
        )  # fmt: skip

    async def _hidden(self, hidden: Hidden, lines: tuple[str, ...]) -> Failed:
        """The failure where another channel hides what would do."""
        found = (await self._candidates([hidden.name]))[hidden.name]
        first = (found[0].channel or "").rstrip("/") if found else "a channel"
        channel = hidden.channel.rstrip("/")
        there = f"is in {channel}, behind {first}, which has {hidden.name} too"
        return Failed(
            cause="unsatisfiable", lines=lines, message=f"{hidden.text} would do, and {there}.",
            hint=f"The first channel that has a package counts; {channel}::{hidden.name} names another.",
        )  # fmt: skip

    async def _unmet(self, need: Need) -> str:
        """Which two requirements collide, where one of them is a need of a package."""
        asked = next((wanted for wanted in self._wanted if wanted.name == need.name), None)
        if asked is not None:
            both = f"{need.owner} needs {need.text}, and {shown(asked.spec)} is asked for"
            return f"{both}: they cannot be installed together."
        there = (await self._candidates([need.name]))[need.name]
        young = " that early" if self._task.as_of_s is not None else ""
        of_it = "a version of it that would do" if there else "it"
        return f"{need.owner} needs {need.text}, and no channel has {of_it}{young}."

    async def _candidates(
        self, names: Sequence[str], platforms: Sequence[str] | None = None, *, young: bool = False
    ) -> dict[str, list[rattler.RepoDataRecord]]:
        """The packages of these names, whatever their versions; none that is too young, but with `young`."""
        import rattler

        subdirs = [rattler.Subdir(text) for text in platforms or (self._task.platform, "noarch")]
        answer = await self._gateway.query(
            [rattler.Channel(url) for url in self._channels], subdirs, list(dict.fromkeys(names)),
            recursive=False, channel_relations="disabled",
        )  # fmt: skip
        found: dict[str, list[rattler.RepoDataRecord]] = {name: [] for name in names}
        for record in (record for records in answer for record in records):
            if young or not self._is_young(record):
                found.setdefault(record.name.normalized, []).append(record)
        return {name: self._of_first_channel(name, records) for name, records in found.items()}

    def _of_first_channel(
        self, name: str, records: list[rattler.RepoDataRecord]
    ) -> list[rattler.RepoDataRecord]:
        """Those of the one channel that a package may come from."""
        own = next((wanted.channel for wanted in self._wanted if wanted.name == name), "")
        for url in [own] if own else self._channels:
            of_it = [record for record in records if (record.channel or "").rstrip("/") == url.rstrip("/")]
            if of_it:
                return of_it
        return []

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

        young = await self._earliest([wanted.name for wanted in missing])
        if young:
            told = tuple(f"{name}: the earliest is of {day}" for name, day in young.items())
            return Failed(
                cause="unsatisfiable", message=f"No channel has {', '.join(young)} that early.", lines=told,
                hint=f"All of that is there as of {max(young.values())}: --as-of takes a date.",
            )  # fmt: skip
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
        return Failed(cause="missing", message=f"No channel has {shown}.", lines=tuple(lines))

    async def _earliest(self, names: Sequence[str]) -> dict[str, str]:
        """Name -> the date of its earliest build, for those that are there, but too young."""
        if self._task.as_of_s is None:
            return {}
        found = await self._candidates(names, young=True)
        made = {name: list(filter(None, map(_made_at, records))) for name, records in found.items()}
        return {name: min(times).date().isoformat() for name, times in made.items() if times}

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


def _is_readable(wanted: Wanted) -> bool:
    import rattler

    try:
        rattler.MatchSpec(wanted.spec)
    except Exception:  # noqa: BLE001  the library's errors have no common base
        return False
    return True


def _anything_of(wanted: Wanted) -> str:
    return f'{wanted.name}[channel="{wanted.channel}"]' if wanted.channel else wanted.name


def _made_at(record: rattler.RepoDataRecord) -> dt.datetime | None:
    """When a package came into its channel, else when it was built: what rattler goes by."""
    return record.indexed_timestamp or record.timestamp


def _lacking(need: Need, lines: tuple[str, ...]) -> Failed:
    """The failure where a package needs something of the machine."""
    variable = f"CONDA_OVERRIDE_{need.name.strip('_').upper()}"
    needs = f"it needs {need.text}, which is not there where it will run"
    return Failed(
        cause="platform", lines=lines, message=f"{need.owner} cannot be installed: {needs}.",
        hint=f"{variable}=VERSION says that it is there.",
    )  # fmt: skip


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
