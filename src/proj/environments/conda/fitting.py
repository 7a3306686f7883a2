"""Finding what none of some packages meets. Belongs to `worker`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.environments.conda.explicit import name_version_build
from proj.environments.conda.index import record_of
from proj.environments.conda.messages import Check, Checked

if TYPE_CHECKING:
    from proj.environments.conda.messages import PipWanted, Wanted


async def check(task: Check) -> Checked:
    """Compare the packages with what is wanted; what the machine has is not in a lock, and not looked at."""
    unmet = [
        wanted.spec for wanted in task.wanted
        if not wanted.name.startswith("__") and not await _is_met(wanted, task)
    ]  # fmt: skip
    unmet += [wanted.written for wanted in task.pip_wanted if not _has(wanted, task.pip_packages)]
    return Checked(unmet=tuple(unmet))


async def _is_met(wanted: Wanted, task: Check) -> bool:
    import rattler

    spec = rattler.MatchSpec(wanted.without_build)
    for locked in task.packages:
        if name_version_build(locked.url)[0].lower() != wanted.name:
            continue
        if wanted.channel and not locked.url.startswith(f"{wanted.channel}/"):
            continue
        if spec.matches(await record_of(locked, task.network)):
            return True
    return False


def _has(wanted: PipWanted, packages: tuple[tuple[str, str], ...]) -> bool:
    import rattler

    versions = [version for name, version in packages if name == wanted.name]
    if not wanted.version or "" in versions:
        return bool(versions)
    try:
        spec = rattler.MatchSpec(f'{wanted.name}[version="{wanted.version}"]')
        records = [
            rattler.PackageRecord(wanted.name, version, rattler.BuildString("0"), 0, "noarch")
            for version in versions
        ]
    except Exception:  # noqa: BLE001  the library's errors have no common base; what it cannot read is not judged
        return bool(versions)
    return any(spec.matches(record) for record in records)
