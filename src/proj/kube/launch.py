"""Make the objects of a run, such that whoever is killed on the way leaves nothing that nobody owns.

The Job comes first, without pods. All else names it as its owner, so what is there goes when the Job goes.
Then the Job gets its pod, which finds everything that it needs.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import msgspec

from proj import events
from proj.errors import BackendError, FailureCode
from proj.kube import manifest
from proj.kube.client import MERGE, STRATEGIC
from proj.kube.errors import BUSY, CONFLICT, NOT_FOUND, ApiError, ConfigError
from proj.kube.names import RUN_LABEL, SESSION_LABEL
from proj.kube.objects import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.kube.blueprint import Blueprint, Manifest, Names
    from proj.kube.client import Client
    from proj.kube.parts import ConfigMap

_TRIES = 5
_PATIENT_TRIES = 8
"""Of a request that is to clean up: with the pauses in between it takes most of half a minute."""


def launch(
    client: Client,
    blueprint: Blueprint,
    names: Names,
    *,
    on_name: Callable[[Names], None],
) -> Job:
    """Create a run's Job and what it owns.

    Args:
        client: To whom.
        blueprint: What runs.
        names: What the objects are called; another name is taken where the Job's is not free.
        on_name: Called with the names before the Job of that name is created.

    Raises:
        UsageError: It cannot be run on a cluster.
        BackendError: The cluster refuses it, or does not answer; nothing is left of it, or that is told.
    """
    body = manifest.job(blueprint, names)
    waits = manifest.waits_for_parts(blueprint)
    for _ in range(_TRIES):
        on_name(names)
        try:
            made = _create_job(client, manifest.held(body) if waits else body, names)
        except ApiError as error:
            if error.status in BUSY:  # perhaps it was made nevertheless
                _withdraw(client, names)
            if error.status != CONFLICT:
                raise
        except ConfigError:
            raise
        except BaseException:  # so it may be where the answer was lost
            _withdraw(client, names)
            raise
        else:
            break
        names = msgspec.structs.replace(names, job=f"{names.job[:52]}-{secrets.token_hex(2)}")
        body = manifest.job(blueprint, names)
    else:
        raise BackendError(f"The name {names.job} is taken.", code=FailureCode.REFUSED)
    if waits:
        try:
            _complete(client, blueprint, names, body, made)
        except BaseException:
            _withdraw(client, names, made)
            raise
    return made


def delete(client: Client, names: Names, *, uid: str | None = None, tries: int = 2) -> None:
    """Delete a Job and all that it owns.

    Args:
        client: To whom.
        names: What it is called.
        uid: Of the one that is meant; None: any of that name.
        tries: How often at most.

    Raises:
        BackendError: The cluster refuses it, or does not answer.
    """
    path = f"/apis/batch/v1/namespaces/{names.namespace}/jobs/{names.job}"
    body: Manifest = {"propagationPolicy": "Background"}
    if uid is not None:
        body["preconditions"] = {"uid": uid}
    client.send("DELETE", path, f"delete the Job {names.job}", body=body, tries=tries)


def _withdraw(client: Client, names: Names, made: Job | None = None) -> None:
    """See that nothing is left of a Job; where that cannot be had, it is told."""
    path = f"/apis/batch/v1/namespaces/{names.namespace}/jobs/{names.job}"
    what = f"read the Job {names.job}"
    try:
        if made is None:  # a Job of that name may be somebody else's
            made = msgspec.json.decode(client.send("GET", path, what, tries=_PATIENT_TRIES), type=Job)
            if (made.metadata.labels or {}).get(SESSION_LABEL) != names.session:
                return
        delete(client, names, uid=made.metadata.uid, tries=_PATIENT_TRIES)
    except ApiError as error:
        if error.status in (NOT_FOUND, CONFLICT):
            return
        _tell_left(names, error, known=made is not None)
    except BackendError as error:
        _tell_left(names, error, known=made is not None)


def _tell_left(names: Names, error: BackendError, *, known: bool) -> None:
    job = f"The Job {names.job} in the namespace {names.namespace}"
    left = "is left" if known else "may have been made, and then is left"
    events.warning(
        f"{job} {left}: it cannot be deleted now: {error.message} "
        f"`kubectl delete job {names.job} -n {names.namespace}` does so later."
    )


def _create_job(client: Client, body: Manifest, names: Names) -> Job:
    path = f"/apis/batch/v1/namespaces/{names.namespace}/jobs"
    try:
        answer = client.send("POST", path, f"create the Job {names.job}", body=body)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        # Perhaps it is ours, made by a request whose answer was lost.
        found = client.get(f"{path}/{names.job}", Job, f"read the Job {names.job}")
        wanted = body["metadata"]["labels"]
        labels = found.metadata.labels or {}
        if any(labels.get(name) != wanted[name] for name in (RUN_LABEL, SESSION_LABEL)):
            raise
        return found
    return msgspec.json.decode(answer, type=Job)


def _complete(client: Client, blueprint: Blueprint, names: Names, body: Manifest, made: Job) -> None:
    owner = manifest.owner(made)
    for part in blueprint.bundle.maps if blueprint.bundle is not None else ():
        _provide(client, part, names.namespace, owner)
    secret = manifest.secret(blueprint, names, owner)
    if secret is not None:
        path = f"/api/v1/namespaces/{names.namespace}/secrets"
        with _already_there():
            client.send("POST", path, f"create the Secret {names.secret}", body=secret)
    path = f"/apis/batch/v1/namespaces/{names.namespace}/jobs/{names.job}"
    client.send("PATCH", path, f"start the Job {names.job}", body=manifest.release(body), content_type=MERGE)


@contextlib.contextmanager
def _already_there() -> Iterator[None]:
    """An object of ours whose first answer was lost is there already."""
    try:
        yield
    except ApiError as error:
        if error.status != CONFLICT:
            raise


def _provide(client: Client, part: ConfigMap, namespace: str, owner: Manifest) -> None:
    """See that a ConfigMap is there and belongs to the Job too; what others brought is not sent again."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    change = {"metadata": {"ownerReferences": [owner]}}
    for _ in range(_TRIES):
        try:
            client.send(
                "PATCH", f"{path}/{part.name}", f"share the ConfigMap {part.name}", body=change,
                content_type=STRATEGIC, metadata_only=True,
            )  # fmt: skip
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
        else:
            return
        try:
            client.send(
                "POST", path, f"create the ConfigMap {part.name}", body=part.manifest(namespace, owner),
                metadata_only=True,
            )  # fmt: skip
        except ApiError as error:
            if error.status != CONFLICT:
                raise
        else:
            return
    raise BackendError(
        f"The ConfigMap {part.name} comes and goes.", code=FailureCode.REFUSED, hint="Try again."
    )
