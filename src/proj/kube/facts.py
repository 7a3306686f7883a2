"""What the cluster said of a run's Job, its pods and their events, for the record."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from proj.files import write_whole
from proj.kube.objects import seconds
from proj.model import RanImage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from proj.kube.objects import ContainerStatus, Event, Pod

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
FACTS = "kubernetes.json"
"""Name of the file, beside the logs, with what the cluster said."""


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A container, for the record."""

    name: str
    image: str
    image_id: str
    exit_code: int | None
    reason: str | None
    restarts: int


class PodFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, for the record."""

    name: str
    node: str | None
    phase: str
    reason: str | None
    message: str | None
    containers: tuple[ContainerFacts, ...]


class EventFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An event, for the record."""

    about: str
    type: str
    reason: str
    message: str
    count: int
    last: str | None


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`proj/kubernetes.json`."""

    format: int = 1
    job: str
    namespace: str
    pods: tuple[PodFacts, ...]
    events: tuple[EventFacts, ...]
    image_id: str | None = None
    """Of the container that the program ran in, in the pod that counts."""


def image_that_ran(path: Path) -> RanImage | None:
    """What ran, as far as the facts of a Job that are written down say so."""
    try:
        facts = msgspec.json.decode(path.read_bytes(), type=JobFacts)
    except (OSError, msgspec.MsgspecError):
        return None
    return parse_image_id(facts.image_id or "")


def parse_image_id(text: str) -> RanImage | None:
    """Take an `imageID` apart: `docker-pullable://name@sha256:…`, `name@sha256:…`, or only an id."""
    text = text.partition("://")[2] or text
    name, _, digest = text.rpartition("@")
    if _HEX.fullmatch(digest):  # an id, as CRI-O writes it
        digest = f"sha256:{digest}"
    if not _DIGEST.fullmatch(digest):
        return None
    if not name:
        return RanImage(reference=digest, image_id=digest)
    return RanImage(reference=text, digest=digest)


def write_facts(
    path: Path,
    *,
    job: str,
    namespace: str,
    pods: Iterable[Pod],
    told: Iterable[Event],
    image_id: str | None = None,
) -> None:
    """Write down what is known at the end; where that cannot be, the outcome itself is told by others."""
    found = JobFacts(
        job=job,
        namespace=namespace,
        pods=tuple(_pod_facts(pod) for pod in pods),
        events=tuple(
            EventFacts(
                about=f"{event.involved_object.kind}/{event.involved_object.name}",
                type=event.type,
                reason=event.reason,
                message=event.message,
                count=event.times,
                last=event.last,
            )
            for event in sorted(told, key=lambda event: seconds(event.last) or 0)
        ),
        image_id=image_id,
    )
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    except OSError:
        return


def _pod_facts(pod: Pod) -> PodFacts:
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    return PodFacts(
        name=pod.metadata.name,
        node=pod.spec.node_name,
        phase=pod.status.phase,
        reason=pod.status.reason,
        message=pod.status.message,
        containers=tuple(_container_facts(status) for status in statuses),
    )


def _container_facts(status: ContainerStatus) -> ContainerFacts:
    state = status.state
    ended, waiting = state.terminated, state.waiting
    return ContainerFacts(
        name=status.name,
        image=status.image,
        image_id=status.image_id,
        exit_code=ended.exit_code if ended else None,
        reason=(ended.reason if ended else None) or (waiting.reason if waiting else None),
        restarts=status.restart_count,
    )
