"""From an execution and settings to the objects that run it; pure, so that each rule can be tested alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from proj.errors import UsageError
from proj.kube.blueprint import Manifest, merge, secret_values
from proj.kube.names import INSTANCE_LABEL, MANAGED_BY, RUN_LABEL, SESSION_LABEL, label
from proj.kube.pod import fill_pod
from proj.kube.settings import QUEUE_LABEL

if TYPE_CHECKING:
    from proj.kube.blueprint import Blueprint, Names
    from proj.kube.objects import Job
    from proj.kube.settings import Settings

_COMPLETE = "proj/complete"
HELD_S = 600
"""How long a Job may wait for its parts. Then it has failed, and is removed as what has ended is: whoever was
to bring them is gone, or cannot reach the cluster. Before Kubernetes 1.24 that never comes: the time of a Job
without pods does not begin there."""
_SHORT_S = 60
"""A deadline that may be over before all parts are there."""


def job(blueprint: Blueprint, names: Names) -> Manifest:
    """The Job: the user's template, if there is one, and what is ours in it.

    Raises:
        UsageError: The template is none, or something that is asked for cannot be had on a cluster.
    """
    settings = blueprint.settings
    manifest = _template(settings)
    spec = manifest.setdefault("spec", {})
    pod = spec.setdefault("template", {})
    labels = _labels(blueprint, names)
    merge(pod.setdefault("metadata", {}), "labels", labels)
    merge(pod["metadata"], "annotations", settings.annotations)
    meta = manifest.setdefault("metadata", {})
    meta.pop("generateName", None)
    meta |= {"name": names.job, "namespace": names.namespace}
    queue = {QUEUE_LABEL: settings.queue} if settings.queue else {}
    merge(meta, "labels", {**labels, **queue})
    merge(meta, "annotations", settings.annotations)
    spec.setdefault("backoffLimit", 0)
    spec.setdefault("ttlSecondsAfterFinished", settings.ttl_s)
    for name in ("parallelism", "completions"):
        if spec.get(name) not in (None, 1):
            raise UsageError(
                f"The Job template asks for {name}: {spec[name]}, and a run is one pod.",
                hint="Leave it out; several runs are several Jobs.",
            )
    if settings.deadline_s is not None:
        spec["activeDeadlineSeconds"] = settings.deadline_s
    if settings.queue:
        spec["suspend"] = True
    fill_pod(pod.setdefault("spec", {}), blueprint, names)
    return manifest


def waits_for_parts(blueprint: Blueprint) -> bool:
    """Whether the Job must not start before objects are there that it owns."""
    return blueprint.bundle is not None or bool(secret_values(blueprint))


def held(manifest: Manifest) -> Manifest:
    """The Job without pods, until what it owns is there: `parallelism` says how many it may have.

    A deadline of its own stays as it is: controllers of old have missed the change of one at the beginning.
    """
    wanted = manifest["spec"].get("activeDeadlineSeconds")
    keeps = wanted is not None and wanted >= _SHORT_S
    spec = {**manifest["spec"], "activeDeadlineSeconds": wanted if keeps else HELD_S}
    if manifest["spec"].get("suspend"):
        meta = manifest["metadata"]
        annotations = {**(meta.get("annotations") or {}), _COMPLETE: "false"}
        return {**manifest, "metadata": {**meta, "annotations": annotations}, "spec": spec}
    return {**manifest, "spec": {**spec, "parallelism": 0}}


def release(manifest: Manifest) -> Manifest:
    """The change by which a Job that was held begins."""
    spec = manifest["spec"]
    wanted = {"activeDeadlineSeconds": spec.get("activeDeadlineSeconds")}  # None: it is removed
    if spec.get("suspend"):  # it begins when its queue says so
        return {"metadata": {"annotations": {_COMPLETE: "true"}}, "spec": wanted}
    return {"spec": {**wanted, "parallelism": spec.get("parallelism", 1)}}


def is_held(found: Job) -> bool:
    """Whether a Job was left before all was there that it needs."""
    status = found.status
    if status.active or status.succeeded or status.failed:
        return False
    # A queue may suspend what was held without it: a template's label is enough for that.
    return found.spec.parallelism == 0 or (found.metadata.annotations or {}).get(_COMPLETE) == "false"


def owner(found: Job) -> Manifest:
    """By what an object says that it belongs to a Job, and goes when the Job goes."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": found.metadata.name,
        "uid": found.metadata.uid,
    }


def secret(blueprint: Blueprint, names: Names, owned_by: Manifest) -> Manifest | None:
    """The run's Secret; None where nothing is secret."""
    values = secret_values(blueprint)
    if not values:
        return None
    labels = {MANAGED_BY: "proj", RUN_LABEL: blueprint.execution.run_id}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.secret,
            "namespace": names.namespace,
            "labels": labels,
            "ownerReferences": [owned_by],
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": values,
    }


# --- the parts ----------------------------------------------------------------------------------------


def _template(settings: Settings) -> Manifest:
    found = settings.kube_job_template
    if found is None:
        return {"apiVersion": "batch/v1", "kind": "Job"}
    if found.get("kind") != "Job":
        raise UsageError(
            f"The Job template is of the kind {found.get('kind')!r}.",
            hint="`kube-job-template-path` names a YAML file with one Job.",
        )
    return {**copy.deepcopy(dict(found)), "apiVersion": "batch/v1"}


def _labels(blueprint: Blueprint, names: Names) -> dict[str, str]:
    execution = blueprint.execution
    entry_point = execution.origin.entry_point if execution.origin else ""
    found = {
        "app.kubernetes.io/name": label(execution.project_name),
        "app.kubernetes.io/component": label(entry_point),
        **blueprint.settings.labels,
        INSTANCE_LABEL: names.job,
        MANAGED_BY: "proj",
        RUN_LABEL: execution.run_id,
        SESSION_LABEL: names.session,
    }
    return {name: value for name, value in found.items() if value}
