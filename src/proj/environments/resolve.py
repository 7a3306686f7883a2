"""Requirements to lock: calling the resolver, and what to try when the first answer is no."""

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
from proj.environments.uv import call_uv, is_offline, work_folder
from proj.environments.variables import expand_variables, expanded_values
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from proj.environments.inputs import PythonInput
    from proj.environments.interpreters import Interpreter
    from proj.environments.requirements import LocalPackage
    from proj.model import EnvironmentRequest
    from proj.process import Completed

_MAX_ATTEMPTS = 16
_UNDATED = re.compile(r"`([A-Za-z0-9_.]+?)-\d[^`]*` is missing an upload date")
# The line goes on with the version's date where it has one.
_FILTERED = re.compile(r"`([A-Za-z0-9_.-]+)` was filtered by `exclude-newer`(?!.*\bpublished at)")
_FAILED_BUILD = re.compile(r"Failed to (?:download and )?build `?([A-Za-z0-9_.-]+?)(?:==|\s@|`)")
_MISSING_MODULE = re.compile(
    r"ModuleNotFoundError: No module named '([A-Za-z0-9_]+)|ImportError: No module named (\w+)"
)
# Modules that setup scripts import, by distribution where the name is another.
_DISTRIBUTION = {
    "Cython": "cython",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "pkg_resources": "setuptools<82",
}
_NOT_FOUND = re.compile(
    r"(?:[Bb]ecause|and|that) ([A-Za-z0-9_.-]+) was not found in the "
    r"(?:package registry|provided package locations)"
)
_NO_VERSION = re.compile(
    r"(?:there (?:is no version|are no versions) of|only the following versions of|only) "
    r"([A-Za-z0-9_.-]+?)(?=[=<>!~ ]|$)"
)
_STANDARD_BUILD = ("setuptools<82", "wheel")


class Provided(msgspec.Struct, frozen=True, kw_only=True):
    """Distributions that are there already, whatever the index says: those of conda."""

    folder: Path | None = None
    """Wheels of them."""
    versions: Mapping[str, str] = {}
    """Distribution -> version."""


class _Strategy(msgspec.Struct):
    """How the next attempt goes about it."""

    as_of_s: int | None
    find_links: bool
    build: tuple[str, ...]
    undated: set[str]
    """Distributions for which the date does not count."""
    build_needs: dict[str, tuple[str, ...]]
    """Distribution -> what its build needs and does not say."""
    editable: bool
    """Whether editable local packages are installed as such."""
    notes: list[str]
    provided: dict[str, str] = {}
    """What is there already and stays: left out of the lock."""
    missing: set[str] = set()
    """Distributions of conda packages that the index has not."""
    loosened: set[str] = set()
    """Distributions of conda packages of which the index has no such version."""


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
    strategy = _Strategy(
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
            if completed.returncode < 0 or not _adapt(strategy, completed, project):
                break
    _refuse_missing(project, strategy)
    if completed.returncode != 0:
        raise tool_failure(
            f"Cannot resolve {project.origin} for Python {interpreter.version_text}", completed,
            as_of_s=strategy.as_of_s, offline=request.offline, python=interpreter.version_text,
            hidden=expanded_values(project.requirements),
        )  # fmt: skip
    strategy.notes.extend(_undated_note(completed.stdout, strategy))
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
    strategy = _Strategy(
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
    strategy: _Strategy,
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


def _input_lines(project: PythonInput, strategy: _Strategy) -> list[str]:
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


def _present(lines: tuple[str, ...], strategy: _Strategy) -> list[str]:
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


def _adapt(strategy: _Strategy, completed: Completed, project: PythonInput) -> bool:
    """Change the strategy after a failure; False if there is nothing left to try."""
    said = completed.stderr
    if (
        _adapt_editable(strategy, said)
        or _adapt_build(strategy, said)
        or _adapt_provided(strategy, said)
        or _adapt_missing(strategy, said, project)
    ):
        return True
    if "No solution found" not in said and "not found" not in said:
        return False
    if _adapt_dates(strategy, said):
        return True
    if not strategy.find_links:
        strategy.find_links = True
        return True
    if strategy.build != _unpinned(project.build) and _blames(said, strategy.build):
        strategy.build = _unpinned(project.build)
        strategy.notes.append(
            "The versions of build_dependencies contradict the dependencies and were not enforced."
        )
        return True
    return False


def _adapt_provided(strategy: _Strategy, said: str) -> bool:
    """Let pip replace what is there already where the requirements do not go with it."""
    if not strategy.provided or "No solution found" not in said:
        return False
    squeezed = re.sub(r"\s", "", said).lower()
    blamed = [
        name for name, version in strategy.provided.items()
        if f"{name}=={version}" in squeezed or f"{name}=={version.lower()}" in squeezed
    ]  # fmt: skip
    for name in blamed:
        version = strategy.provided.pop(name)
        strategy.notes.append(f"The `pip:` section replaces {name} {version} of conda.")
    return bool(blamed)


def _adapt_missing(strategy: _Strategy, said: str, project: PythonInput) -> bool:
    """Find out which of conda's packages, and if some may be left out which versions, the index has not."""
    names = dict(project.from_conda)
    squeezed = re.sub(r"\s+", " ", said)
    missing = {requirement_name(name) for name in _NOT_FOUND.findall(squeezed)} & set(
        names
    ) - strategy.missing
    if missing:
        strategy.missing |= missing
        return True
    if not project.drop_missing:
        return False
    blamed = {requirement_name(name) for name in _NO_VERSION.findall(squeezed)} & set(names)
    loosened = blamed - strategy.loosened - strategy.missing
    for name in sorted(loosened):
        strategy.notes.append(f"PyPI has no {names[name]}: another version of it is taken.")
    strategy.loosened |= loosened
    return bool(loosened)


def _refuse_missing(project: PythonInput, strategy: _Strategy) -> None:
    """Tell what PyPI has not of a conda file; an error unless it may be left out."""
    names = dict(project.from_conda)
    absent = [*project.absent, *(names[name] for name in sorted(strategy.missing))]
    if not absent:
        return
    if project.drop_missing:
        strategy.notes.append(f"Left out, since PyPI has nothing for them: {', '.join(absent)}.")
        return
    raise EnvironmentFailedError(
        f"{project.origin} asks for conda packages that PyPI has nothing for: {', '.join(absent)}.",
        hint="--drop-missing leaves them out. Without --env-manager, they come from conda's channels.",
    )


def _offer(provided: Provided, strategy: _Strategy, folder: Path) -> None:
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


def _unpinned(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The requirements without their versions; markers stay."""
    split = [line.partition(";") for line in lines]
    return tuple(f"{requirement_name(line)} {semicolon}{marker}".strip() for line, semicolon, marker in split)


def _blames(said: str, lines: tuple[str, ...]) -> bool:
    """Whether the resolver's explanation names one of these pins."""
    squeezed = re.sub(r"\s", "", said)
    pins = (re.sub(r"\s", "", line.partition(";")[0]) for line in lines)
    return any(pin in squeezed for pin in pins if pin != requirement_name(pin))


def _adapt_dates(strategy: _Strategy, said: str) -> bool:
    undated = {requirement_name(name) for name in _UNDATED.findall(said)}
    if strategy.as_of_s is None or not undated:
        return False
    filtered = {requirement_name(name) for name in _FILTERED.findall(said)}
    exempt = (undated & filtered) - strategy.undated
    if exempt:
        strategy.undated |= exempt
        return True
    if "published at" in said:
        return False  # a date is known, and it is too young
    date = iso_date(strategy.as_of_s)
    note = f"A package index tells no upload dates: packages are those of today, not of {date}."
    strategy.as_of_s = None
    strategy.undated = set()
    strategy.notes.append(note)
    return True


def _adapt_editable(strategy: _Strategy, said: str) -> bool:
    """Build tools from before PEP 660 (setuptools 64, 2022) cannot make editable installs in this way."""
    if not strategy.editable or "build_editable" not in said:
        return False
    strategy.editable = False
    strategy.notes.append(
        "The build tools of that time know no editable installs (PEP 660): local packages are installed "
        "as copies, anew whenever their code changes."
    )
    return True


def _adapt_build(strategy: _Strategy, said: str) -> bool:
    """A setup script that imports what it does not declare gets it, as in the days before build isolation."""
    failed = _FAILED_BUILD.search(said)
    missing = _MISSING_MODULE.findall(said)
    if failed is None or not missing:
        return False
    module = next(filter(None, missing[-1]))
    name = requirement_name(failed[1])
    need = _DISTRIBUTION.get(module, module)
    known = strategy.build_needs.get(name, ())
    if need in known or len(known) > len(_STANDARD_BUILD) + 4:
        return False
    strategy.build_needs[name] = (*(known or _STANDARD_BUILD), need)
    note = f"{name} needs {need} to be built and does not say so; it was provided."
    strategy.notes.append(note)
    return True


def _undated_note(lock: str, strategy: _Strategy) -> tuple[str, ...]:
    if not strategy.undated or strategy.as_of_s is None:
        return ()
    chosen = [name for name in sorted(strategy.undated) if f'name = "{name}"' in lock]
    if not chosen:
        return ()
    shown = ", ".join(chosen)
    note = f"No upload date is known of {shown}: the date {iso_date(strategy.as_of_s)} does not count for it."
    return (note,)
