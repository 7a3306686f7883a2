"""Manifests that others have written may be of any shape: what is not there, or not so, is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """A list of mappings; an empty one for anything else."""
    return [mapping(each) for each in value] if isinstance(value, list) else []


def pod_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The specification of a Job's pod."""
    return mapping(_pod_template(job).get("spec"))


def annotations_of_pod(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The annotations that a Job's pod gets."""
    return mapping(mapping(_pod_template(job).get("metadata")).get("annotations"))


def _pod_template(job: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(job.get("spec")).get("template"))


def containers_of(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All containers of a pod, those that come before the others too."""
    return [*mappings(pod.get("containers")), *mappings(pod.get("initContainers"))]
