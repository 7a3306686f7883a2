"""All that is known of a run, as one value; what was never recorded is None or empty.

Everything is read through the tracking stores, so the records may be anywhere. What an older proj, a newer
one or another client wrote is taken as far as it can be understood.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from proj import record
from proj.compare.locks import PackageFacts, read_packages
from proj.compare.portable import portable_line, portable_value
from proj.environments.origins import IN_PLACE, is_pinned
from proj.errors import NotFoundError, ProjError
from proj.host import Host
from proj.inputs import Input, InputsRecord
from proj.model import ParameterKind, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from proj.model import RunRecord
    from proj.tracking import Tracking

T = TypeVar("T")
_OWN = "proj/"
"""Files below are the record itself, no results."""
IMAGE_TAGS = (record.TAG_IMAGE, "mlflow.docker.image.id")
_IMAGE_NAME_TAG = "mlflow.docker.image.uri"


class Evidence(Protocol):
    """What is read of a run only when it is needed."""

    def series(self, key: str) -> tuple[tuple[int, float], ...]:
        """Return step and value of all points of a metric, in the order of its history."""

    def open(self, path: str) -> BinaryIO:
        """Open an artifact, or a file of the record under `proj/`.

        Raises:
            NotFoundError: There is no such file.
        """


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ran, as far as `proj/source.json` says so."""

    uri: str = ""
    kind: str = ""
    subdir: str = ""
    commit: str | None = None
    branch: str | None = None
    repository_url: str | None = None
    dirty: bool | None = None
    changed_files: tuple[str, ...] = ()
    snapshot: Snapshot | None = None

    @property
    def tree(self) -> str | None:
        """Git's hash of the tree as it ran; None for records without snapshot."""
        return self.snapshot.root.tree if self.snapshot is not None else None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a run."""

    run_id: str
    run_name: str
    status: str
    evidence: Evidence
    exit_code: int | None = None
    failure: str | None = None
    source: SourceFacts | None = None
    packages: Mapping[str, PackageFacts] | None = None
    """What the lock names, else what was installed; None where neither is recorded."""
    lock_digest: str | None = None
    python: str | None = None
    """Such as `CPython 3.11.7`."""
    platform: str | None = None
    libraries: Mapping[str, str] = {}
    """For linear algebra: name -> version or file."""
    image: str | None = None
    """Digest or id of what ran; None where its name alone is known, which may mean any."""
    image_name: str | None = None
    host: Host | None = None
    variables: Mapping[str, str] | None = None
    """Values of the variables that numbers depend on; None where they were not looked at."""
    command: str | None = None
    """The shell line; folders of this machine are written `{name}` and `.`."""
    backend: str | None = None
    """Where it ran."""
    backend_settings: Mapping[str, str] | None = None
    """The backend's, by their names, as JSON where they are no text; None where they were not recorded."""
    timeout: str | None = None
    """How long it was allowed to take."""
    docker_args: str | None = None
    """Arguments of `docker run`, as `-A` takes them."""
    variables_set: tuple[str, ...] | None = None
    """Names of the variables that proj set."""
    params: Mapping[str, str] = {}
    """Folders of this machine are written as in `command` where the program logged them."""
    given: frozenset[str] = frozenset()
    """Names of the parameters that the entry point got; the others were logged by the program."""
    inputs: Mapping[str, Input] | None = None
    """Parameter -> file or folder; None where inputs were not looked at."""
    paths: frozenset[str] = frozenset()
    """Names of the parameters that name an input."""
    metrics: Mapping[str, float] = {}
    """The latest values."""
    artifacts: Mapping[str, int | None] = {}
    """Path -> size; without the files under `proj/`. Files of a logged model stand below its name."""


class _Facts(msgspec.Struct, frozen=True):
    implementation: str | None = None
    python_version: str | None = None
    platform: str | None = None
    packages: tuple[dict[str, str], ...] = ()
    libraries: tuple[dict[str, str | None], ...] = ()


class _HostVariables(msgspec.Struct, frozen=True):
    variables: dict[str, str] | None = None
    """Older records of a host have none."""


class _Environment(msgspec.Struct, frozen=True):
    lock: str | None = None
    lock_digest: str | None = None
    facts: _Facts = _Facts()


def read_facts(tracking: Tracking, run: RunRecord) -> RunFacts:
    """Read what is known of a run. Metrics' histories and artifacts' bytes stay where they are.

    Raises:
        StoreError: The store cannot be read.
    """
    evidence = _Recorded(tracking, run)
    environment = evidence.document(record.ENVIRONMENT, _Environment)
    command = evidence.document(record.COMMAND, record.CommandRecord)
    inputs = evidence.document(record.INPUTS, InputsRecord)
    facts = environment.facts if environment is not None else _Facts()
    bound = command.parameters if command is not None else ()
    source = evidence.document(record.SOURCE, SourceFacts) or _source_of_tags(run)
    subdir = source.subdir if source is not None else ""
    packages = _packages(evidence.packages(environment), command, subdir)
    paths = frozenset(each.name for each in bound if each.kind is ParameterKind.PATH and each.value)
    named = {each.parameter: each for each in inputs.inputs} if inputs is not None else {}
    looked = inputs is not None or (command is not None and not paths)
    host = evidence.document(record.HOST, _HostVariables)
    return RunFacts(
        run_id=run.run_id,
        run_name=run.run_name,
        status=run.status.value,
        evidence=evidence,
        exit_code=_number(run.tags.get(record.TAG_EXIT_CODE)),
        failure=run.tags.get(record.TAG_FAILURE),
        source=source,
        packages=packages,
        lock_digest=run.tags.get("proj.lock") or (environment.lock_digest if environment else None),
        python=" ".join(filter(None, (facts.implementation, facts.python_version))) or None,
        platform=facts.platform,
        libraries={str(each.get("name")): _library(each) for each in facts.libraries},
        image=next((run.tags[tag] for tag in IMAGE_TAGS if tag in run.tags), _pinned(run)),
        image_name=run.tags.get(_IMAGE_NAME_TAG),
        host=evidence.document(record.HOST, Host),
        variables=host.variables if host is not None else None,
        command=portable_line(command, subdir) if command is not None else None,
        backend=run.tags.get(record.TAG_BACKEND),
        backend_settings=_settings(command),
        timeout=f"{command.timeout_s:g} s" if command is not None and command.timeout_s is not None else None,
        docker_args=_docker_args(command) if command is not None else None,
        variables_set=command.variables if command is not None else None,
        params={**_logged(run, command, subdir), **{each.name: each.given for each in bound}},
        given=frozenset(each.name for each in bound),
        inputs=named if looked else None,
        paths=paths,
        metrics={key: metric.value for key, metric in run.metrics.items()},
        artifacts=evidence.sizes,
    )


def _pinned(run: RunRecord) -> str | None:
    """The digest in an image's name, if it was named by one."""
    return run.tags.get(_IMAGE_NAME_TAG, "").partition("@")[2] or None


def _settings(command: record.CommandRecord | None) -> Mapping[str, str] | None:
    if command is None or command.backend_config is None:
        return None
    return dict(_flat(command.backend_config, ""))


def _flat(settings: Mapping[str, object], above: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield f"{above}{name}", shown


def _docker_args(command: record.CommandRecord) -> str:
    return " ".join(name if value is None else f"{name}={value}" for name, value in command.docker_args)


def _logged(run: RunRecord, command: record.CommandRecord | None, subdir: str) -> Mapping[str, str]:
    """A run's parameters; programs log folders, too, which are others wherever the run is made again."""
    if command is None:
        return run.params
    return {name: portable_value(value, command, subdir) for name, value in run.params.items()}


def _packages(
    found: Mapping[str, PackageFacts] | None, command: record.CommandRecord | None, subdir: str
) -> Mapping[str, PackageFacts] | None:
    """Those that are used where they lie in the tree are known by the tree."""
    if found is None or command is None:
        return found
    folder = os.path.normpath(command.cwd)
    root = os.path.normpath(os.path.join(folder, os.path.relpath(".", subdir or ".")))  # noqa: PTH118  text
    return {
        name: msgspec.structs.replace(each, loose=None)
        if each.loose and _is_below(os.path.join(folder, each.loose), root)  # noqa: PTH118  text
        else each
        for name, each in found.items()
    }


def _is_below(path: str, root: str) -> bool:
    return "://" not in path and f"{os.path.normpath(path)}/".startswith(f"{root}/")


def _installed(found: Mapping[str, str]) -> PackageFacts:
    source = found.get("source")
    loose = None if source is None or is_pinned(source) else source.removeprefix(IN_PLACE)
    if loose is not None and loose == source and loose.startswith("/"):
        loose = f"file://{loose}"  # a copy, made at some time: not what lies there
    return PackageFacts(version=" ".join(filter(None, (found.get("version", ""), source))), loose=loose)


def _library(found: Mapping[str, str | None]) -> str:
    """Where a library lies below the environment depends on the Python; its own name does not."""
    return found.get("version") or (found.get("file") or "").rpartition("/")[2]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _source_of_tags(run: RunRecord) -> SourceFacts | None:
    """What a run of MLflow, or of a script, says of its code."""
    commit = run.tags.get("mlflow.source.git.commit")
    if commit is None:
        return None
    dirty = {"true": True, "false": False}.get(run.tags.get("mlflow.source.git.dirty", ""))
    return SourceFacts(
        uri=run.tags.get("mlflow.source.name", ""),
        commit=commit,
        branch=run.tags.get("mlflow.source.git.branch"),
        repository_url=run.tags.get("mlflow.source.git.repoURL"),
        dirty=dirty,
    )


class _Recorded:
    """`Evidence` of a store."""

    def __init__(self, tracking: Tracking, run: RunRecord) -> None:
        self._tracking = tracking
        self._run = run
        self._places = dict(self._files())
        self.sizes = {path: size for path, (_, _, size) in self._places.items() if not path.startswith(_OWN)}

    def _files(self) -> Iterator[tuple[str, tuple[str, str, int | None]]]:
        uri = self._run.artifact_uri
        for file in self._tracking.artifacts.walk(uri):
            yield file.path, (uri, file.path, file.size_bytes)
        seen: dict[str, int] = {}
        for name, location in self._models():
            seen[name] = seen.get(name, 0) + 1
            folder = name if seen[name] == 1 else f"{name} ({seen[name]})"
            for file in self._tracking.artifacts.walk(location):
                yield f"{folder}/{file.path}", (location, file.path, file.size_bytes)

    def _models(self) -> Iterator[tuple[str, str]]:
        """Models that the run logged, as MLflow 3 keeps them: beside the run's artifacts."""
        try:
            known = self._tracking.inputs.of_runs((self._run.run_id,)).get(self._run.run_id)
        except ProjError:  # a server that knows no such thing
            return
        for output in known.outputs if known else ():
            try:
                model = self._tracking.logged_models.logged_model(output.model_id)
            except NotFoundError:
                continue
            yield model.name, model.artifact_location

    def series(self, key: str) -> tuple[tuple[int, float], ...]:
        """See `Evidence.series`."""
        points = self._tracking.runs.metric_history(self._run.run_id, key)
        return tuple((point.step, point.value) for point in points)

    def open(self, path: str) -> BinaryIO:
        """See `Evidence.open`."""
        uri, inner, _ = self._places.get(path, (self._run.artifact_uri, path, None))
        return self._tracking.artifacts.open(uri, inner)

    def document(self, path: str, kind: type[T]) -> T | None:
        """Read a JSON file of the record; None where it is not there, or not as this proj knows it."""
        if path not in self._places:
            return None
        try:
            with self.open(path) as file:
                return msgspec.json.decode(file.read(), type=kind)
        except (NotFoundError, msgspec.MsgspecError):
            return None

    def packages(self, environment: _Environment | None) -> Mapping[str, PackageFacts] | None:
        """What the lock names; without a lock, what was installed."""
        if environment is None:
            return None
        if environment.lock is not None and environment.lock in self._places:
            with self.open(environment.lock) as file:
                locked = read_packages(file.read())
            if locked is not None:
                return locked
        facts = environment.facts
        found = {each["name"]: _installed(each) for each in facts.packages}
        return found if found or facts.python_version else None
