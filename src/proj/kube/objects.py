"""What the API server says of Jobs, pods and events, as far as it is looked at."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
_NANOSECONDS = re.compile(r"(\.\d{6})\d*")


class _Object(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base: fields that are not named here are skipped."""


class Owner(_Object, frozen=True):
    """Who an object belongs to."""

    uid: str = ""
    kind: str = ""
    name: str = ""


class Meta(_Object, frozen=True):
    """What all objects have."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None


class Condition(_Object, frozen=True):
    """A statement about an object."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None


class Waiting(_Object, frozen=True):
    """Why a container does not run yet."""

    reason: str | None = None
    message: str | None = None


class Running(_Object, frozen=True):
    """Since when a container runs."""

    started_at: str | None = None


class Terminated(_Object, frozen=True):
    """How a container ended."""

    exit_code: int
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(_Object, frozen=True):
    """One of the three is there."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Object, frozen=True):
    """What the kubelet says of a container."""

    name: str
    state: ContainerState = ContainerState()
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    restart_count: int = 0


class Resources(_Object, frozen=True):
    """What a container gets."""

    limits: Mapping[str, str] | None = None
    requests: Mapping[str, str] | None = None


class Container(_Object, frozen=True):
    """A container as it was asked for."""

    name: str
    image: str = ""
    resources: Resources = Resources()


class PodSpec(_Object, frozen=True):
    """A pod as it was asked for."""

    node_name: str | None = None
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None
    active_deadline_seconds: int | None = None


class PodStatus(_Object, frozen=True):
    """What is known of a pod."""

    phase: str = "Pending"
    reason: str | None = None
    message: str | None = None
    conditions: tuple[Condition, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(_Object, frozen=True):
    """A pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if it is stated."""
        return next((each for each in self.status.conditions or () if each.type == kind), None)

    def container(self, name: str) -> ContainerStatus | None:
        """What is known of a container, if anything is."""
        known = (*(self.status.init_container_statuses or ()), *(self.status.container_statuses or ()))
        return next((each for each in known if each.name == name), None)


class JobSpec(_Object, frozen=True):
    """A Job as it was asked for."""

    parallelism: int | None = None
    backoff_limit: int | None = None
    suspend: bool | None = None
    active_deadline_seconds: int | None = None
    pod_failure_policy: Mapping[str, Any] | None = None


class JobStatus(_Object, frozen=True):
    """What is known of a Job."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    start_time: str | None = None
    conditions: tuple[Condition, ...] | None = None


class Job(_Object, frozen=True):
    """A Job."""

    metadata: Meta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    def holds(self, kind: str) -> Condition | None:
        """The condition of that type, if it is true."""
        found = (each for each in self.status.conditions or () if each.type == kind)
        return next((each for each in found if each.status == "True"), None)


class Involved(_Object, frozen=True):
    """What an event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Series(_Object, frozen=True):
    """How often an event was told, by those who speak `events.k8s.io`."""

    count: int | None = None
    last_observed_time: str | None = None


class Event(_Object, frozen=True):
    """What a part of the cluster told of an object."""

    metadata: Meta
    involved_object: Involved = Involved()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: Series | None = None

    @property
    def times(self) -> int:
        """How often it happened."""
        return self.count or (self.series.count if self.series is not None else None) or 1

    @property
    def last(self) -> str | None:
        """When it happened last."""
        of_series = self.series.last_observed_time if self.series is not None else None
        return self.last_timestamp or of_series or self.event_time or self.metadata.creation_timestamp


class Items(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A list of objects."""

    metadata: Meta = Meta()
    items: tuple[T, ...] | None = None


class Status(_Object, frozen=True):
    """What the API server says in place of an object."""

    message: str = ""
    reason: str = ""
    code: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


def seconds(timestamp: str | None) -> float | None:
    """Seconds since the epoch of a time as the API tells it (RFC 3339); None where there is none."""
    if not timestamp:
        return None
    text = _NANOSECONDS.sub(r"\1", timestamp).replace("Z", "+00:00")
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def milliseconds(timestamp: str | None) -> int | None:
    """As `seconds`, in milliseconds."""
    found = seconds(timestamp)
    return None if found is None else round(found * 1000)
