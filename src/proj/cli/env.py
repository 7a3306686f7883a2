"""`proj env list`, `show`, `verify`, `prune` and `lock`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from proj import paths, projectfile, source
from proj.cli import output, wording
from proj.cli.options import as_of_option
from proj.environments.asof import as_of_s
from proj.environments.conda.packages import CachedPackages, cached_packages
from proj.environments.failures import iso_date
from proj.environments.inventory import EnvironmentInfo, PruneResult, find_environment, list_environments
from proj.environments.shipping import WrittenLock, write_lock
from proj.errors import UsageError
from proj.model import EnvironmentRequest, LockMode
from proj.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)
_SHORT_KEY = 8


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    """The environments in the cache."""

    environments: tuple[EnvironmentInfo, ...]
    size_bytes: int
    conda_packages: CachedPackages

    def text(self) -> Iterator[output.Block]:
        """Yield a table, the environment used last first."""
        yield from self._table()
        cached = self.conda_packages
        if cached.count:
            counted = wording.counted(cached.count, "conda package")
            output.say(f"{counted} in {cached.directory}, {wording.size(cached.size_bytes)}.")

    def _table(self) -> Iterator[output.Block]:
        if not self.environments:
            output.say("No environments.")
            return
        yield output.Table(
            columns=("ENVIRONMENT", "PYTHON", "PACKAGES", "SIZE", "LAST USED", "RUNS", "FROM"),
            rows=tuple(_row(info) for info in self.environments),
            right_aligned=frozenset({"PACKAGES", "SIZE", "RUNS"}),
        )
        output.say(f"{len(self.environments)} in all, {wording.size(self.size_bytes)}.")


class ShowResult(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one environment."""

    environment: EnvironmentInfo
    packages: tuple[str, ...]
    """`name==version` of what is installed."""

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each fact, then the packages."""
        info = self.environment
        state = "complete" if info.complete else "incomplete: never used"
        yield f"environment  {info.key} ({'orphaned' if info.orphaned else state})"
        yield f"folder       {info.directory}"
        yield f"declared by  {info.origin} in {info.project_dir}"
        python = f"{info.python_version} ({info.interpreter})" if info.python_version else "none"
        yield f"python       {python}, made by {info.manager}"
        yield f"packages     {len(self.packages)}, {wording.size(info.size_bytes)}"
        if info.as_of_s is not None:
            yield f"as of        {iso_date(info.as_of_s)}"
        yield f"lock         {info.lock_digest}"
        yield f"built        {wording.clock(info.created_s * 1000)}"
        yield f"last used    {wording.clock(info.last_used_s * 1000)}"
        yield f"runs         {', '.join(run[:_SHORT_KEY] for run in info.runs) or 'none'}"
        yield from (f"  {package}" for package in self.packages)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one environment; nothing if `problems` is empty."""

    key: str
    problems: tuple[str, ...]


class VerifyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found by comparing environments with their locks."""

    environments: tuple[Verified, ...]
    exit_code: int

    def text(self) -> Iterator[output.Block]:
        """Yield a line for each environment, and one for each problem."""
        for verified in self.environments:
            count = len(verified.problems)
            yield f"{verified.key}: " + (f"{count} problem{'s' * (count > 1)}" if count else "as locked")
            yield from (f"  {problem}" for problem in verified.problems)


class PrunedResult(PruneResult, frozen=True, kw_only=True):
    """What was removed, told to people."""

    def text(self) -> Iterator[output.Block]:
        """Yield what went, and what was spared."""
        yield from (
            f"{info.key}  {wording.size(info.size_bytes):>10}  {info.origin}" for info in self.removed
        )
        verb = "would be freed" if self.dry_run else "freed"
        noun = "environment" if len(self.removed) == 1 else "environments"
        packages = self.conda_packages.count
        also = f" and {wording.counted(packages, 'unused conda package')}" if packages else ""
        yield f"{len(self.removed)} {noun}{also}, {wording.size(self.freed_bytes)} {verb}"
        if self.conda_packages_in_use:
            output.say("Conda packages are being installed: they were kept.")
        if self.in_use:
            output.say(f"In use, and kept: {', '.join(info.key for info in self.in_use)}")


class LockResult(WrittenLock, frozen=True, kw_only=True):
    """A lock that was written, told to people."""

    def text(self) -> Iterator[output.Block]:
        """Yield one line."""
        state = "written" if self.changed else "unchanged"
        noun = "package" if self.packages == 1 else "packages"
        target = f"Python {self.python_version}" if self.python_version else "conda"
        yield f"{self.path} {state}: {self.packages} {noun} for {target}"


@click.group()
def command() -> None:
    """List, verify, lock and prune environments."""


@command.command("list")
@output.json_option
def list_() -> ListResult:
    """List the environments in the cache, the one used last first."""
    found = list_environments()
    return ListResult(
        environments=found,
        size_bytes=sum(info.size_bytes for info in found),
        conda_packages=cached_packages(),
    )


@command.command()
@click.argument("environment")
@output.json_option
def show(environment: str) -> ShowResult:
    """Show one ENVIRONMENT: its Python, its packages, the runs that used it. A prefix of its name will do."""
    from proj.environments.conda.facts import conda_facts
    from proj.environments.facts import virtual_environment_facts

    info = find_environment(environment)
    facts = (conda_facts if info.kind == "conda" else virtual_environment_facts)(Path(info.directory))
    packages = tuple(f"{package.name}=={package.version}" for package in facts.packages)
    return ShowResult(environment=info, packages=packages)


@command.command()
@click.argument("environments", nargs=-1)
@output.json_option
def verify(environments: tuple[str, ...]) -> VerifyResult:
    """Compare ENVIRONMENTS (default: all) with their locks and their files with the recorded hashes.

    The exit code is 1 if something is wrong.
    """
    from proj.environments.verify import verify as verify_one

    infos = [find_environment(name) for name in environments] or list_environments()
    found = tuple(Verified(key=info.key, problems=verify_one(info)) for info in infos)
    return VerifyResult(environments=found, exit_code=int(any(verified.problems for verified in found)))


@command.command()
@click.option("--older-than", metavar="TIME", help="Those not used for this long, such as 30d.")
@click.option("--max-size", metavar="SIZE", help="Those used longest ago, until the rest fits, such as 10GB.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@output.json_option
def prune(older_than: str | None, max_size: str | None, everything: bool, dry_run: bool) -> PrunedResult:
    """Remove environments from the cache; never one that is in use.

    Without an option, remove what interrupted builds left, and what belongs to folders that are gone. Conda
    packages in the cache that no environment is made of then go as well.
    """
    from proj.environments.inventory import prune as prune_cache

    result = prune_cache(
        older_than_s=parse_duration(older_than) if older_than else None,
        max_size_bytes=parse_size(max_size) if max_size else None,
        everything=everything,
        dry_run=dry_run,
    )
    return PrunedResult(**msgspec.structs.asdict(result))


@command.command()
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--python", metavar="VERSION", help="Python to lock for, instead of the one the project asks for."
)
@as_of_option
@click.option(
    "--env-manager",
    metavar="NAME",
    help="uv or virtualenv: take conda's packages from PyPI; conda: conda's own.",
)
@click.option("--conda-exe", metavar="PROGRAM", help="conda, mamba or micromamba to solve with.")
@click.option("--drop-missing", is_flag=True, help="Leave out conda packages that PyPI has not.")
@click.option("--upgrade", is_flag=True, help="Resolve anew instead of keeping what runs have used so far.")
@click.option("--offline", is_flag=True, help="Do without the network: cached packages only.")
@output.json_option
def lock(
    folder: str,
    python: str | None,
    as_of: str,
    env_manager: str | None,
    conda_exe: str | None,
    drop_missing: bool,
    upgrade: bool,
    offline: bool,
) -> LockResult:
    """Write a lock into the project in FOLDER, to be committed: the packages that a run would get.

    It is called pylock.toml, or conda-PLATFORM.lock where the packages are conda's.
    """
    checkout = source.fetch(folder, version=None, cwd=Path.cwd())
    project = projectfile.load(checkout.project_dir)
    request = EnvironmentRequest(
        project_dir=checkout.project_dir,
        root=checkout.root,
        declaration=project.environment,
        manager=env_manager or os.environ.get("PROJ_ENV_MANAGER") or None,
        python=python,
        as_of_s=as_of_s(as_of, checkout),
        mode=LockMode.UPGRADE if upgrade else LockMode.REUSE,
        offline=offline,
        conda_exe=conda_exe or os.environ.get("PROJ_CONDA_EXE") or None,
        drop_missing=drop_missing or os.environ.get("PROJ_DROP_MISSING") == "1",
    )
    return LockResult(**msgspec.structs.asdict(write_lock(request)))


def parse_size(text: str) -> int:
    """Read a size in bytes: `500MB`, `10GB`, `2GiB`, `1000`.

    Raises:
        UsageError: It is none of these.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"Not a size: {text!r}.", hint="Write it like 500MB or 10GB.")
    power = " kmgt".index(match["unit"].lower() or " ")
    return int(float(match["number"]) * (1024 if match["binary"] else 1000) ** power)


def _row(info: EnvironmentInfo) -> tuple[str, ...]:
    state = "" if info.complete and not info.orphaned else " (orphaned)" if info.orphaned else " (incomplete)"
    return (
        info.key[:_SHORT_KEY] + state,
        info.python_version,
        str(info.packages),
        wording.size(info.size_bytes),
        wording.ago(info.last_used_s * 1000),
        str(len(info.runs)),
        wording.one_line(_declared_in(info)),
    )


def _declared_in(info: EnvironmentInfo) -> str:
    """The file that declared it; with its folder where a person can find it: not in a checkout of ours."""
    folder = Path(info.project_dir)
    if not folder.is_dir() or folder.is_relative_to(paths.cache()):
        return info.origin
    return str(folder / info.origin)
