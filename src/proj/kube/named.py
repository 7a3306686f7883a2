"""What a Job names of its namespace, and cannot run without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proj.kube.settings import QUEUE_LABEL
from proj.kube.shapes import containers_of, mapping, mappings, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_VARIABLES = (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap"))
_OF_ALL_VARIABLES = (("secretRef", "Secret"), ("configMapRef", "ConfigMap"))
_PLURALS = {
    "Secret": "secrets", "ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims",
    "ServiceAccount": "serviceaccounts",
}  # fmt: skip


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An object that has to be there."""

    kind: str
    name: str

    def path(self, namespace: str) -> str:
        """Where the API has it."""
        if self.kind == "PriorityClass":
            return f"/apis/scheduling.k8s.io/v1/priorityclasses/{self.name}"
        if self.kind == "LocalQueue":
            return f"/apis/kueue.x-k8s.io/v1beta1/namespaces/{namespace}/localqueues/{self.name}"
        return f"/api/v1/namespaces/{namespace}/{_PLURALS[self.kind]}/{self.name}"


def named(job: Mapping[str, Any]) -> tuple[Named, ...]:
    """What a Job names, each once; what it says that it can do without is left out.

    Args:
        job: The Job as it would be created, perhaps of a template of any shape.
    """
    pod = pod_of(job)
    found = [*_alone(job, pod), *_of_volumes(pod)]
    for container in containers_of(pod):
        for variable in mappings(container.get("env")):
            found += _referred(mapping(variable.get("valueFrom")), _OF_VARIABLES)
        for source in mappings(container.get("envFrom")):
            found += _referred(source, _OF_ALL_VARIABLES)
    known = dict.fromkeys((kind, name) for kind, name in found if isinstance(name, str) and name)
    return tuple(Named(kind=kind, name=name) for kind, name in known)


def _alone(job: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "ServiceAccount", pod.get("serviceAccountName")
    yield "PriorityClass", pod.get("priorityClassName")
    yield "LocalQueue", mapping(mapping(job.get("metadata")).get("labels")).get(QUEUE_LABEL)
    for secret in mappings(pod.get("imagePullSecrets")):
        yield "Secret", secret.get("name")


def _of_volumes(pod: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for volume in mappings(pod.get("volumes")):
        sources = mappings(mapping(volume.get("projected")).get("sources"))
        for each in (volume, *sources):
            secret, config_map = mapping(each.get("secret")), mapping(each.get("configMap"))
            if not secret.get("optional"):
                yield "Secret", secret.get("secretName") or secret.get("name")
            if not config_map.get("optional"):
                yield "ConfigMap", config_map.get("name")
        yield "PersistentVolumeClaim", mapping(volume.get("persistentVolumeClaim")).get("claimName")


def _referred(source: Mapping[str, Any], kinds: tuple[tuple[str, str], ...]) -> list[tuple[str, object]]:
    references = [(kind, mapping(source.get(key))) for key, kind in kinds]
    return [(kind, each.get("name")) for kind, each in references if not each.get("optional")]
