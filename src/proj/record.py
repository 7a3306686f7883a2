"""What is written of a run: MLflow's tags, ours, and the artifacts under `proj/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from proj.errors import StoreError, UsageError
from proj.model import (
    BoundParameter,
    Checkout,
    Command,
    EnvironmentFacts,
    HostRuntime,
    Outcome,
    PreparedEnvironment,
    RecipeRuntime,
    Snapshot,
)
from proj.tracking.values import storable_tree
from proj.users import user_name
from proj.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.tracking.store import ArtifactStore

FORMAT = 1
"""Version of the JSON files under `proj/`."""

COMMAND = "proj/command.json"
SOURCE = "proj/source.json"
SOURCE_BUNDLE = "proj/source.bundle"
ENVIRONMENT = "proj/environment.json"
HOST = "proj/host.json"
INPUTS = "proj/inputs.json"
OUTCOME = "proj/outcome.json"
STDOUT = "proj/stdout.log"
STDERR = "proj/stderr.log"
PARCEL = "proj/code.tar.gz"
"""Code that is fetched from there while the run goes on; see `proj.parcels`."""

TAG_TREE = "proj.source.tree"
TAG_LOCK = "proj.lock"
TAG_IMAGE = "proj.image"
"""The digest of the image that ran, or its id where it is in no registry."""
TAG_REUSE = "proj.reuse"
"""Digest of all that a run was made of; see `proj.reuse`."""
TAG_REPRODUCES = "proj.reproduces"
"""The run that this one was made again from."""
TAG_CLAIM = "proj.claim"
TAG_CANCEL = "proj.cancel"
"""Set on a server by who wants the run to be stopped; its supervisor looks for it."""
TAG_REFERENCE = "proj.reference"
"""By what a run's execution is found from every machine, where that goes: in a cluster."""
TAG_BACKEND = "mlflow.project.backend"
TAG_FAILURE = "proj.failure"
TAG_MESSAGE = "proj.failure.message"
TAG_EXIT_CODE = "proj.exit_code"
TAG_SIGNAL = "proj.signal"
OUTCOME_TAGS = (TAG_CANCEL, TAG_FAILURE, TAG_MESSAGE, TAG_EXIT_CODE, TAG_SIGNAL)


class CommandRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/command.json`."""

    format: int = FORMAT
    line: str
    argv: tuple[str, ...]
    cwd: str
    variables: tuple[str, ...]
    """Names of the variables that proj set; never their values."""
    read: tuple[str, ...] = ()
    """Names of those that the line names and that were set around it; never their values."""
    parameters: tuple[BoundParameter, ...]
    docker_args: tuple[tuple[str, str | None], ...] = ()
    """What `-A` gave to the container: name and value; of variables their names only."""
    backend_config: Mapping[str, object] | None = None
    """The backend's settings of all places; secrets are `***`. None: they were not recorded."""
    timeout_s: float | None = None
    """How long it was allowed to take; None: for ever, or it was not recorded."""


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/source.json`."""

    format: int = FORMAT
    uri: str
    kind: str
    subdir: str
    version: str | None
    commit: str | None
    committed_at_s: int | None
    branch: str | None
    repository_url: str | None
    dirty: bool | None
    """None where there is no git."""
    changed_files: tuple[str, ...]
    snapshot: Snapshot | None = None
    """The tree that ran, and how to get it back; None where git is missing, and in older records."""


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The image that a run's container was made of."""

    name: str
    """As the project or the user named it, or as it was named when it was made."""
    reference: str
    """What was started: an id in an engine, or a reference with its digest."""
    digest: str | None
    """`sha256:<hex>` of its manifest in a registry."""
    image_id: str | None
    base: str | None
    base_digest: str | None
    made: str
    """named, dockerfile or assembled."""
    has_code: bool


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/environment.json`."""

    format: int = FORMAT
    kind: str
    summary: str
    python_requested: str | None
    as_of_s: int | None
    lock: str | None
    """The lock's artifact, beside this one under `proj/environment/`."""
    lock_digest: str | None
    notes: tuple[str, ...]
    facts: EnvironmentFacts
    image: ImageRecord | None = None
    """None where it ran on a machine as it is."""


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/outcome.json`."""

    format: int = FORMAT
    outcome: Outcome
    claim: str | None = None
    """The claim under which the run was made; a run that is made again under its id has another."""


def tags(
    checkout: Checkout,
    *,
    entry_point: str,
    backend: str,
    environment_kind: str,
    run_name: str,
    claim: str,
    parent_run_id: str | None,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """All that is known of a run before its environment is made, as tags: MLflow's names, then ours.

    Raises:
        UsageError: `extra` holds a name that is ours.
    """
    git = checkout.git
    found: dict[str, str | None] = {
        "mlflow.user": user_name(),
        "mlflow.source.name": _source_name(checkout),
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": entry_point,
        "mlflow.project.env": _MLFLOW_ENVIRONMENTS.get(environment_kind, environment_kind),
        TAG_BACKEND: backend,
        "mlflow.runName": run_name,
        "mlflow.parentRunId": parent_run_id,
        "proj.version": __version__,
        "proj.source.kind": checkout.kind,
        TAG_CLAIM: claim,
    }
    if git is not None:
        found |= {
            "mlflow.source.git.commit": git.commit,
            "mlflow.source.git.repoURL": git.repository_url,
            "mlflow.gitRepoURL": git.repository_url,
            "mlflow.source.git.branch": git.branch,
            "mlflow.source.git.dirty": str(git.dirty).lower(),
        }
    if checkout.version is not None:
        found["mlflow.project.version"] = checkout.version
    taken = [name for name in extra if name in found or name.startswith("proj.")]
    if taken:
        raise UsageError(f"The tag {taken[0]!r} is one that proj sets.", hint="Give the tag another name.")
    return {name: value for name, value in found.items() if value is not None} | dict(extra)


_MLFLOW_ENVIRONMENTS = {"system": "local", "python": "virtualenv", "conda": "conda"} | dict.fromkeys(
    ("image", "container", "recipe"), "docker"
)


def _source_name(checkout: Checkout) -> str:
    if checkout.kind == "local" and not checkout.private:
        return str(checkout.project_dir)
    return f"{checkout.uri.partition('#')[0]}#{checkout.subdir}" if checkout.subdir else checkout.uri


def source(checkout: Checkout, snapshot: Snapshot | None) -> SourceRecord:
    """What ran, for `proj/source.json`. The bytes of changed files are in the snapshot's bundle."""
    git = checkout.git
    return SourceRecord(
        uri=_source_name(checkout),
        kind=checkout.kind,
        subdir=checkout.subdir,
        version=checkout.version,
        commit=git.commit if git else None,
        committed_at_s=git.committed_at_s if git else None,
        branch=git.branch if git else None,
        repository_url=git.repository_url if git else None,
        dirty=git.dirty if git else None,
        changed_files=git.changed_files if git else (),
        snapshot=snapshot,
    )


def source_tags(snapshot: Snapshot | None) -> dict[str, str]:
    """What is known of the tree that runs, once it is kept."""
    return {} if snapshot is None else {TAG_TREE: snapshot.root.tree}


def command(
    what: Command,
    variables: Iterable[str],
    parameters: tuple[BoundParameter, ...],
    docker_args: tuple[tuple[str, str | None], ...] = (),
    backend_config: Mapping[str, object] | None = None,
    read: tuple[str, ...] = (),
    timeout_s: float | None = None,
) -> CommandRecord:
    """What was started, for `proj/command.json`."""
    return CommandRecord(
        line=what.line,
        argv=what.argv,
        cwd=what.cwd,
        variables=tuple(sorted(variables)),
        parameters=parameters,
        docker_args=tuple(map(_without_value, docker_args)),
        backend_config=backend_config,
        read=read,
        timeout_s=timeout_s,
    )


def _without_value(argument: tuple[str, str | None]) -> tuple[str, str | None]:
    """An argument of `docker run` as it is recorded: the values of variables are in no record."""
    name, value = argument
    return name, value.partition("=")[0] if value and name.lstrip("-") in ("e", "env") else value


def environment(prepared: PreparedEnvironment, facts: EnvironmentFacts) -> EnvironmentRecord:
    """What it ran in, for `proj/environment.json`."""
    return EnvironmentRecord(
        kind=prepared.kind,
        summary=prepared.summary,
        python_requested=prepared.python_requested,
        as_of_s=prepared.as_of_s,
        lock=f"proj/environment/{prepared.lock_name}" if prepared.lock_name else None,
        lock_digest=prepared.lock_digest,
        notes=prepared.notes,
        facts=facts,
        image=_image(prepared),
    )


def _image(prepared: PreparedEnvironment) -> ImageRecord | None:
    runtime = prepared.runtime
    if isinstance(runtime, HostRuntime):
        return None
    if isinstance(runtime, RecipeRuntime):
        return ImageRecord(
            name=runtime.image,
            reference=runtime.image,
            digest=runtime.digest,
            image_id=None,
            base=None,
            base_digest=None,
            made="named",
            has_code=False,
        )
    return ImageRecord(
        name=runtime.name or runtime.image,
        reference=runtime.image,
        digest=runtime.digest,
        image_id=runtime.image_id,
        base=runtime.base,
        base_digest=runtime.base_digest,
        made=runtime.made,
        has_code=runtime.has_code,
    )


def environment_tags(prepared: PreparedEnvironment) -> dict[str, str]:
    """What is known of the environment once it is there."""
    image = _image(prepared)
    found = {
        "proj.environment": prepared.summary,
        TAG_LOCK: prepared.lock_digest,
        TAG_IMAGE: None if image is None else image.digest or image.image_id,
        "mlflow.docker.image.uri": None if image is None else image.name,
        "mlflow.docker.image.id": None if image is None else image.image_id,
    }
    return {name: value for name, value in found.items() if value is not None}


def outcome_tags(outcome: Outcome) -> dict[str, str]:
    """How it ended, as tags."""
    found = {
        TAG_EXIT_CODE: None if outcome.exit_code is None else str(outcome.exit_code),
        TAG_FAILURE: outcome.failure.value if outcome.failure else None,
        TAG_SIGNAL: outcome.signal,
        TAG_MESSAGE: outcome.message,
    }
    return {name: value for name, value in found.items() if value is not None}


def write(artifacts: ArtifactStore, artifact_uri: str, path: str, value: object) -> None:
    r"""Store a value as a JSON artifact; bytes that are no UTF-8 become `\udc..` escapes, as in the store."""
    try:
        content = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        content = msgspec.json.encode(storable_tree(msgspec.to_builtins(value, enc_hook=str)))
    artifacts.write(artifact_uri, path, msgspec.json.format(content, indent=2) + b"\n")


def read_outcome(content: bytes) -> OutcomeRecord:
    """Read `proj/outcome.json` back.

    Raises:
        StoreError: It was written by a newer proj, or is damaged.
    """
    try:
        version = msgspec.json.decode(content, type=_Versioned).format
        if version > FORMAT:
            raise StoreError(f"{OUTCOME} has format {version}; this proj knows {FORMAT}: upgrade proj.")
        return msgspec.json.decode(content, type=OutcomeRecord)
    except msgspec.DecodeError as error:
        raise StoreError(f"{OUTCOME} is damaged: {error}") from error


class _Versioned(msgspec.Struct, frozen=True):
    format: int
