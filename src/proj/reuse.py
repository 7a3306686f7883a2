"""Whether a run would be one that has been made before: all that decides its result, as one digest.

The digest is a tag of every run that ended well, so that an earlier run is found by an index. A run of which
something is not known (files that are not kept, inputs that were not read) has none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj import events, record
from proj.environments.origins import IN_PLACE, is_pinned, unpinned
from proj.errors import NotFoundError, ProjError, StoreError
from proj.host import deciding
from proj.model import HostRuntime, ImageRuntime, ParameterKind, RecipeRuntime, RunStatus
from proj.tracking.values import storable_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proj.compare import RunFacts
    from proj.inputs import InputsRecord
    from proj.model import (
        BoundParameter,
        Checkout,
        EnvironmentFacts,
        PreparedEnvironment,
        RunRecord,
        Snapshot,
    )
    from proj.tracking import Tracking

Parts = Mapping[str, str]
"""What decides a result: its name for people -> its value."""

_PRELOADING = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES")
_LOADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "R_LIBS", "R_LIBS_USER", *_PRELOADING)
"""Variables that make programs load code which neither the tree nor the environment names."""
_MOUNTING = ("v", "volume", "mount", "volumes-from", "device")
"""Arguments of `docker run` that bring files from elsewhere."""
_READING = ("env-file", "security-opt")
"""Those that name files which are read here."""
_VALUE = "value of "
"""Before the names of variables that the shell line reads."""
_CANDIDATES = 50
_COMPARED = 5
_SHORT = 24


class UnknownPartError(ProjError):
    """Something that decides the result is not known, so no run can be said to be the same."""

    code = "not_reusable"


def is_whole(snapshot: Snapshot | None) -> bool:
    """Whether all files that git does not ignore are in a snapshot."""
    return snapshot is not None and all(
        left.reason == "ignored" and not left.committed for left in snapshot.left_out
    )


def parts(
    *,
    tree: str,
    checkout: Checkout,
    entry_point: str,
    line: str,
    parameters: Iterable[BoundParameter],
    inputs: InputsRecord | None,
    prepared: PreparedEnvironment,
    facts: EnvironmentFacts | None,
    docker_args: tuple[tuple[str, str | None], ...] = (),
    large_files: Sequence[str] = (),
) -> Parts:
    """Name all that decides the result of a run, as it is now.

    Args:
        tree: Hash of the tree.
        checkout: Where it lies here.
        entry_point: What runs.
        line: The shell line that it became: that depends on the quoting, too.
        parameters: With their values.
        inputs: What its `path` parameters name; None: it has none.
        prepared: What it runs in.
        facts: What is in that; needed only where no lock says so.
        docker_args: What a container is given by `-A`.
        large_files: Those of Git LFS whose content is there; of the others the tree has the pointer.

    Raises:
        UnknownPartError: Something is not known.
    """
    names = os.uname()
    large = {"large files": ", ".join(sorted(large_files))} if large_files else {}
    parameters = tuple(parameters)
    found = {
        "code": tree,
        **large,
        "folder": checkout.subdir,
        "entry point": entry_point,
        "command": _portable(line, parameters),
        "machine": f"{names.sysname} {names.machine}",
        **_parameter_parts(parameters, inputs),
        **_environment_parts(prepared, facts, checkout),
    }
    variables: dict[str, str | None] = dict(os.environ)
    if isinstance(prepared.runtime, HostRuntime):
        variables |= prepared.runtime.variables
        found |= _loading_parts(variables, checkout)
        found |= _read_parts(line, prepared.runtime.variables)
    if isinstance(prepared.runtime, ImageRuntime):
        found |= _container_parts(prepared.runtime, docker_args)
    return found | {f"variable {name}": value for name, value in deciding(variables).items()}


def _portable(line: str, parameters: Iterable[BoundParameter]) -> str:
    """The line without the paths of inputs; the quotes around them stay, for they tell the quoting."""
    paths = [each for each in parameters if each.kind is ParameterKind.PATH and len(each.value) > 1]
    for each in sorted(paths, key=lambda each: -len(each.value)):
        line = line.replace(each.value, f"{{{each.name}}}")
    return line


def _loading_parts(variables: Mapping[str, str | None], checkout: Checkout) -> dict[str, str]:
    """The variables by which programs load code: it has to be that of the tree."""
    found = {}
    for name in _LOADING:
        value = variables.get(name)
        if not value:
            continue
        places = [_in_tree(place, checkout) for place in value.split(os.pathsep)]
        known = [place for place in places if place is not None]
        if name in _PRELOADING or len(known) < len(places):
            raise UnknownPartError(f"{name} is set, and what it names is no part of the code")
        found[f"variable {name}"] = os.pathsep.join(known)
    return found


def _read_parts(line: str, own: Mapping[str, str | None]) -> dict[str, str]:
    """The values of variables that the line reads; as digests, for some may be secret."""
    if "$" not in line:
        return {}
    from proj.command.surroundings import read_variables  # few lines do

    read = read_variables(line, os.environ, own=own)
    return {f"{_VALUE}{name}": _digest(os.environ[name]) for name in read}


def _in_tree(path: str, checkout: Checkout) -> str | None:
    """A path relative to the tree; None if it leads out of it."""
    root = os.path.realpath(checkout.root)
    real = os.path.realpath(os.path.join(checkout.project_dir, path))  # noqa: PTH118  `path` may be empty
    inside = real == root or real.startswith(root.rstrip(os.sep) + os.sep)
    return os.path.relpath(real, root) if inside else None


def _parameter_parts(parameters: Iterable[BoundParameter], inputs: InputsRecord | None) -> dict[str, str]:
    known = {each.parameter: each for each in inputs.inputs} if inputs is not None else {}
    found = {}
    for each in parameters:
        if each.kind is ParameterKind.URI and each.value:
            raise UnknownPartError(f"what the parameter {each.name} names is not looked at")
        if each.kind is not ParameterKind.PATH or not each.value:
            found[f"parameter {each.name}"] = each.given
            continue
        given = known.get(each.name)
        if given is None or given.digest is None:
            reason = given.reason if given is not None and given.reason else "it was not read"
            raise UnknownPartError(f"the content of the input {each.name} is not known: {reason}")
        found[f"input {each.name}"] = given.digest
    return found


def _environment_parts(
    prepared: PreparedEnvironment, facts: EnvironmentFacts | None, checkout: Checkout
) -> dict[str, str]:
    if isinstance(prepared.runtime, ImageRuntime):
        image = prepared.runtime.image_id or prepared.runtime.digest
        if image is None:
            raise UnknownPartError("the image has no digest")
        return {"image": image}
    if isinstance(prepared.runtime, RecipeRuntime):
        raise UnknownPartError("what the environment is made on top of is known by its name alone")
    if prepared.lock_digest is not None and prepared.python_version is not None:
        for name, place in unpinned(prepared.lock or b""):
            if _in_tree(place, checkout) is None:
                raise UnknownPartError(f"the package {name} comes from {place}, which is no part of the code")
        return {"lock": prepared.lock_digest, "Python": prepared.python_version}
    if facts is None or facts.python_version is None:
        raise UnknownPartError("what is in the environment is not known")
    for each in facts.packages:
        if each.source is not None and not _is_known(each.source, checkout):
            raise UnknownPartError(
                f"the package {each.name} was installed from {each.source}, which may have been changed since"
            )
    installed = sorted(
        " ".join(filter(None, (f"{each.name}=={each.version}", each.source))) for each in facts.packages
    )
    return {"packages": " ".join(installed), "Python": facts.python_version}


def _container_parts(
    runtime: ImageRuntime, docker_args: tuple[tuple[str, str | None], ...]
) -> dict[str, str]:
    """What a container gets that neither code nor image tell; as a digest, for some may be secret."""
    arguments = [(name.lstrip("-"), value) for name, value in docker_args]
    volumes = runtime.docker.volumes if runtime.docker is not None else ()
    if volumes or any(name in _MOUNTING for name, _ in arguments):
        raise UnknownPartError("what the container's volumes hold is not looked at")
    given: list[list[object]] = [
        [name, value, _copied(value)] for name, value in arguments if name in ("e", "env")
    ]
    given += [[name, _content(name, value)] for name, value in arguments if name not in ("e", "env")]
    declared = runtime.docker.environment if runtime.docker is not None else ()
    given += [["env", name, os.environ.get(name)] for name, value in declared if value is None]
    return {"container": _digest(given)} if given else {}


def _copied(value: str | None) -> str | None:
    """The value of a variable that is copied from here, where it is one."""
    return os.environ.get(value) if value is not None and "=" not in value else None


def _content(name: str, value: str | None) -> object:
    """The value of an argument; where it names a file that is read here, what that holds."""
    if value is None or name not in _READING:
        return value
    from proj.backends.docker.argfiles import read_named  # few runs name such files

    try:
        found = read_named(name, value)
    except ValueError as error:
        raise UnknownPartError(f"what {name} of the container names is not known: {error}") from error
    return value if found is None else [found]


def _is_known(source: str, checkout: Checkout) -> bool:
    """Whether what was installed from there is known: by a digest or commit, or as part of the tree."""
    in_place = source.startswith(IN_PLACE)
    return is_pinned(source) or (in_place and _in_tree(source.removeprefix(IN_PLACE), checkout) is not None)


def digest(known: Parts) -> str:
    """`blake2b:<hex>` of the parts."""
    return _digest([storable_tree((name, value)) for name, value in sorted(known.items())])


def _digest(values: object) -> str:
    try:
        from _blake2 import blake2b  # `hashlib` loads OpenSSL, which every run would wait for
    except ImportError:  # another Python than CPython
        from hashlib import blake2b
    return "blake2b:" + str(blake2b(msgspec.json.encode(values), digest_size=32).hexdigest())


def find(known: Parts, tracking: Tracking) -> RunRecord | None:
    """The latest run that ended well and was made of the same, if its files are still there.

    Raises:
        StoreError: The records cannot be searched.
    """
    from proj.tracking.store import RunQuery

    query = f"tags.`{record.TAG_REUSE}` = '{digest(known)}' and attributes.status = 'FINISHED'"
    for run in tracking.runs.search_runs(RunQuery(filter=query, limit=_COMPARED)).runs:
        try:
            with tracking.artifacts.open(run.artifact_uri, record.OUTCOME) as file:
                if record.read_outcome(file.read()).outcome.status is RunStatus.FINISHED:
                    return run
        except StoreError:  # noqa: PERF203  what it made may be gone as well
            continue
    return None


def note_ignored(checkout: Checkout) -> None:
    """Say that files which git ignores were not compared, if there are any."""
    from proj.source.ignored import ignored

    if checkout.private or checkout.git is None:
        return
    try:
        found = ignored(checkout.root)
    except ProjError:  # a run is reused all the same
        return
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        events.note(f"What git ignores was not compared: {found[0]}{more}.")


def nearest(known: Parts, tracking: Tracking) -> str:
    """Say which earlier run differs least, and in what; a sentence for people."""
    from proj.tracking.store import RunQuery

    name = known["entry point"].replace("'", "")
    query = f"tags.`mlflow.project.entryPoint` = '{name}' and attributes.status = 'FINISHED'"
    found = tracking.runs.search_runs(RunQuery(filter=query, limit=_CANDIDATES)).runs
    tagged = [run for run in found if record.TAG_REUSE in run.tags]
    if not tagged:
        return f"No earlier run of {known['entry point']} can be reused."
    likely = sorted(tagged, key=lambda run: _unlike(known, run))[:_COMPARED]
    compared = [(run, _differences(known, _parts_of(run, tracking))) for run in likely]
    run, differing = min(compared, key=lambda pair: len(pair[1]))
    who = f"the nearest, {run.run_id[:8]} ({run.run_name}),"
    values = [name.removeprefix(_VALUE) for name in known if name.startswith(_VALUE)]
    if not differing and values:
        return f"No earlier run can be reused: {who} may have had other values of {', '.join(values)}."
    if not differing:  # all is the same but what it left behind is gone
        return f"No earlier run can be reused: of {who} the files are gone."
    return f"No earlier run can be reused: {who} differs in {', '.join(differing)}."


def _unlike(known: Parts, run: RunRecord) -> int:
    """How many of the parts that are tags or parameters differ."""
    tags = {"code": record.TAG_TREE, "lock": record.TAG_LOCK}
    count = sum(known.get(part) != run.tags.get(tag) for part, tag in tags.items())
    return count + sum(
        run.params.get(part.removeprefix("parameter ")) != value
        for part, value in known.items()
        if part.startswith("parameter ")
    )


def _parts_of(run: RunRecord, tracking: Tracking) -> Parts:
    """The same for a run that has been made, as far as its record tells."""
    from proj.compare import read_facts

    facts = read_facts(tracking, run)
    found = {
        "entry point": run.tags.get("mlflow.project.entryPoint", ""),
        **_recorded_line(facts),
        **_recorded(facts),
    }
    for name in facts.given:
        entry = facts.inputs.get(name) if facts.inputs else None
        if entry is None:
            found[f"parameter {name}"] = facts.params.get(name, "")
        elif entry.digest is not None:
            found[f"input {name}"] = entry.digest
    return found


def _recorded_line(facts: RunFacts) -> dict[str, str]:
    try:
        with facts.evidence.open(record.COMMAND) as file:
            found = msgspec.json.decode(file.read(), type=record.CommandRecord)
    except (NotFoundError, msgspec.MsgspecError):
        return {}
    return {"command": _portable(found.line, found.parameters)}


def _recorded(facts: RunFacts) -> dict[str, str]:
    found = {"Python": (facts.python or "").rpartition(" ")[2]}
    if facts.source is not None:
        found |= {"code": facts.source.tree or "", "folder": facts.source.subdir}
        if facts.source.snapshot is not None and facts.source.snapshot.large_files:
            found["large files"] = ", ".join(sorted(facts.source.snapshot.large_files))
    if facts.host is not None:
        found["machine"] = f"{facts.host.system} {facts.host.machine}"
        found |= {f"variable {name}": value for name, value in deciding(facts.host.variables).items()}
    if facts.lock_digest is not None:
        found["lock"] = facts.lock_digest
    elif facts.packages is not None:
        found["packages"] = " ".join(
            sorted(f"{name}=={each.version}" for name, each in facts.packages.items())
        )
    return found


def _differences(known: Parts, other: Parts) -> list[str]:
    names = sorted(
        name
        for name in {*known, *other}
        if known.get(name) != other.get(name) and not name.startswith(_VALUE)  # no record tells
    )
    if len(names) > 1 and "command" in names:  # it follows from the others
        names.remove("command")
    return [f"the {name}{_change(other.get(name), known.get(name))}" for name in names]


def _change(before: str | None, now: str | None) -> str:
    """Both values, as far as they are short."""
    shown = ["not set" if value is None else repr(value) for value in (before, now)]
    return "" if max(map(len, shown)) > _SHORT else f" ({shown[0]}, now {shown[1]})"
