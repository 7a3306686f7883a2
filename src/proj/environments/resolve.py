"""Requirements to lock: calling the resolver, until its answer is yes or there is nothing left to try."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.environments.failures import iso_date, iso_time, tool_failure
from proj.environments.indexes import has_user_find_links, no_index, tool_variables
from proj.environments.lock import Lock, finish
from proj.environments.requirements import requirement_name
from proj.environments.sourcetree import kept_clean
from proj.environments.strategy import Strategy, adapt, refuse_missing, undated_note
from proj.environments.uv import call_uv, is_offline, work_folder
from proj.environments.variables import expand_variables, expanded_values

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.environments.requirements import LocalPackage
    from proj.model import EnvironmentRequest
    from proj.process import Completed

_MAX_ATTEMPTS = 16


class Provided(msgspec.Struct, frozen=True, kw_only=True):
    """Distributions that are there already, whatever the index says: those of conda."""

    folder: Path | None = None
    """Wheels of them."""
    versions: Mapping[str, str] = {}
    """Distribution -> version."""


def resolve(
    project: PythonInput,
    interpreter: Interpreter,
    request: EnvironmentRequest,
    provided: Provided | None = None,
) -> Lock:
    """Resolve an input for an interpreter, as of the request's date.

    Args:
        project: The input.
        interpreter: The Python.
        request: The request.
        provided: What is installed already. As with pip, it stays where it will do, and is replaced where
        not.

    Raises:
        EnvironmentFailedError: There is no solution, or the index cannot be reached.
    """
    hashed = project.requirements.hashed
    as_of_s = None if hashed else request.as_of_s
    # Links have no dates: the user's own are looked at only where the dated indexes have no answer.
    strategy = Strategy(
        as_of_s=as_of_s, find_links=as_of_s is None or no_index() or not has_user_find_links(),
        build=project.build, undated=set(), build_needs={}, editable=True, notes=[],
        provided=dict(provided.versions) if provided is not None else {},
    )  # fmt: skip
    date = f" as of {iso_date(as_of_s)}" if as_of_s is not None else ""
    noun = "requirement" if project.count == 1 else "requirements"
    events.step(f"Resolving {project.count} {noun} of {project.origin}{date}")
    local = [package.path for package in project.requirements.local]
    with work_folder() as folder, kept_clean(local):
        for _ in range(_MAX_ATTEMPTS + 2 * len(project.from_conda)):
            if provided is not None:
                _offer(provided, strategy, folder / "provided")
            completed = _attempt(folder, project, interpreter, request, strategy)
            if completed.returncode == 0:
                break
            if completed.returncode < 0 or not adapt(strategy, completed, project):
                break
    refuse_missing(project, strategy)
    if completed.returncode != 0:
        raise tool_failure(
            f"Cannot resolve {project.origin} for Python {interpreter.version_text}", completed,
            as_of_s=strategy.as_of_s, offline=request.offline, python=interpreter.version_text,
            hidden=expanded_values(project.requirements),
        )  # fmt: skip
    strategy.notes.extend(undated_note(completed.stdout, strategy))
    for note in strategy.notes:
        events.warning(note)
    lock = finish(
        _without(completed.stdout, strategy.provided),
        project=project, project_dir=request.project_dir, as_of_s=strategy.as_of_s,
        notes=tuple(strategy.notes), build_needs=strategy.build_needs,
    )  # fmt: skip
    if hashed:
        from proj.environments.hashes import keep_listed_hashes

        lock = msgspec.structs.replace(
            lock, text=keep_listed_hashes(lock.text, project.requirements, project.origin)
        )
    return lock


def resolve_within(
    constraints: tuple[str, ...], project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest
) -> Completed:
    """One resolution of an input, as of now, that may take no other versions than the constraints name."""
    requirements = project.requirements
    limited = msgspec.structs.replace(requirements, constraints=(*requirements.constraints, *constraints))
    strategy = Strategy(
        as_of_s=None, find_links=True, build=(), undated=set(), build_needs={}, editable=False, notes=[]
    )
    with work_folder() as folder, kept_clean([package.path for package in requirements.local]):
        project = msgspec.structs.replace(project, requirements=limited)
        return _attempt(folder, project, interpreter, request, strategy)


def export_uv_lock(project: PythonInput, interpreter: Interpreter, request: EnvironmentRequest) -> Lock:
    """The project's uv.lock as pylock.toml.

    Raises:
        EnvironmentFailedError: uv cannot read it, or `--locked` asks for one that fits pyproject.toml.
    """
    from proj.model import LockMode

    check = "--locked" if request.mode is LockMode.LOCKED else "--frozen"
    arguments = [
        "export", check, "--format", "pylock.toml", "--no-header", "--python", interpreter.path,
    ]  # fmt: skip
    completed = call_uv(arguments, cwd=project.path.parent, offline=request.offline)
    if completed.returncode != 0:
        raise tool_failure(
            f"Cannot use the uv.lock of {project.origin}", completed,
            as_of_s=None, offline=request.offline, python=interpreter.version_text,
        )  # fmt: skip
    return finish(
        completed.stdout,
        project=project,
        project_dir=request.project_dir,
        as_of_s=None,
        notes=(),
        shipped=True,
    )


def _attempt(
    folder: Path,
    project: PythonInput,
    interpreter: Interpreter,
    request: EnvironmentRequest,
    strategy: Strategy,
) -> Completed:
    constraints = expand_variables(project.requirements.constraints)
    constraints += [f"{name}=={version}" for name, version in sorted(strategy.provided.items())]
    (folder / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    arguments = [
        "pip", "compile", "-", "--format", "pylock.toml", "--generate-hashes", "--no-header", "--no-annotate",
        "--python", interpreter.path, "--constraints", str(folder / "constraints.txt"),
    ]  # fmt: skip
    if interpreter.target is not None:
        arguments += ["--python-version", interpreter.version_text, "--python-platform", interpreter.target]
    arguments += build_arguments(folder, strategy.as_of_s, strategy.build_needs)
    if strategy.provided:
        arguments += ["--find-links", str(folder / "provided")]
    for name in sorted({*strategy.undated, *(strategy.provided if strategy.as_of_s is not None else ())}):
        arguments += ["--exclude-newer-package", f"{name}=false"]
    if project.requirements.hashed:
        arguments.append("--no-deps")
    if no_index():
        arguments.append("--no-index")
    if request.mode.value == "upgrade" and not is_offline(request.offline):
        arguments.append("--refresh")
    return call_uv(
        arguments,
        # A pyproject.toml may have indexes and sources for uv; any other kind of file must not find some.
        cwd=project.path.parent if project.kind == "pyproject" else folder,
        variables=tool_variables(with_find_links=strategy.find_links),
        stdin="\n".join(_input_lines(project, strategy)) + "\n",
        offline=request.offline,
        hidden=expanded_values(project.requirements),
    )


def build_arguments(
    folder: Path, as_of_s: int | None, build_needs: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Options that resolving and installing share, so that both build a package in the same way."""
    arguments = ["--exclude-newer", iso_time(as_of_s)] if as_of_s is not None else []
    if build_needs:
        lines = [f"{msgspec.json.encode(name).decode()} = {msgspec.json.encode(needs).decode()}\n"
                 for name, needs in sorted(build_needs.items())]  # fmt: skip
        (folder / "uv.toml").write_text("[extra-build-dependencies]\n" + "".join(lines), encoding="utf-8")
    return arguments


def _input_lines(project: PythonInput, strategy: Strategy) -> list[str]:
    requirements = project.requirements
    return [
        *expand_variables(requirements.options),
        *strategy.build,
        *expand_variables(_present(requirements.lines, strategy)),
        *(
            _local_line(package, editable=package.editable and strategy.editable)
            for package in requirements.local
        ),
    ]


def _present(lines: tuple[str, ...], strategy: Strategy) -> list[str]:
    """The requirements without those that no index has; of some any version."""
    named = ((requirement_name(line), line) for line in lines)
    return [
        name if name in strategy.loosened else line for name, line in named if name not in strategy.missing
    ]


def _local_line(package: LocalPackage, *, editable: bool) -> str:
    url = Path(package.path).as_uri()
    if editable:
        return f"-e {url}{package.extras}" + (f" ; {package.marker}" if package.marker else "")
    return f"{package.path}{package.extras}" + (f" ; {package.marker}" if package.marker else "")


def _offer(provided: Provided, strategy: Strategy, folder: Path) -> None:
    """Put the wheels of what stays where the resolver finds them."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for wheel in provided.folder.glob("*.whl") if provided.folder is not None else ():
        if requirement_name(wheel.name.partition("-")[0]) in strategy.provided:
            shutil.copy(wheel, folder)


def _without(lock: str, names: Mapping[str, str]) -> str:
    """pylock.toml without some packages."""
    head, *blocks = lock.split("[[packages]]\n")
    kept = [
        block for block in blocks
        if not ((match := re.search(r'(?m)^name = "([^"]+)"', block)) and requirement_name(match[1]) in names)
    ]  # fmt: skip
    return "[[packages]]\n".join([head, *kept])
