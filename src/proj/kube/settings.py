"""What can be said of a run on Kubernetes: in the project file, in `--backend-config`, by options."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from proj.errors import UsageError
from proj.kube.names import OWN_LABELS
from proj.kube.quantities import quantity
from proj.times import parse_duration

Delivery = Literal["bundle", "image"]
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


class CustomVolume(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A volume for the program: exactly one of a claim, a ConfigMap, a Secret, an empty folder."""

    path: str
    """Where the program finds it."""
    claim: str | None = None
    """A PersistentVolumeClaim."""
    config_map: str | None = None
    secret: str | None = None
    empty_dir: bool = False
    read_only: bool = False
    sub_path: str | None = None


class Toleration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A taint that the pod does not mind."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    tolerationSeconds: int | None = None  # noqa: N815  as Kubernetes writes it


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """All settings; each may stand in any of the places, and the nearest to the command line counts."""

    kube_context: str | None = None
    """Context of the kubeconfig; None: the current one."""
    namespace: str | None = None
    """None: the context's."""
    repository_uri: str | None = None
    """Where images are pushed, such as `registry.example.org/team/name`."""
    kube_job_template_path: str | None = None
    """YAML file with a Job: what is not set here stays as it is there."""
    kube_job_template: Mapping[str, Any] | None = None
    """The template itself."""
    delivery: Delivery | None = None
    """How the code gets there; None: `image` where there is a repository, else `bundle`."""
    base_image: str | None = None
    """What environments are made on top of; None: `python:X.Y-slim`."""
    service_account: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str | None = None
    queue: str | None = None
    """A LocalQueue of Kueue."""
    deadline: str | None = None
    """How long the Job may take at most, such as `2h`: the cluster itself ends it."""
    pending_timeout: str | None = None
    """How long the pod may wait for a node; None: 30 minutes, with a queue for ever."""
    ttl: str = "1d"
    """How long the Job is kept when it has ended."""
    cpu: str | int | float | None = None
    memory: str | int | None = None
    gpus: int | None = None
    gpu_resource: str = "nvidia.com/gpu"
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    security: Literal["restricted", "image"] = "restricted"
    """`restricted`: no privileges and no new ones; `image`: as the image and the cluster have it."""
    run_as_user: int | None = None
    volumes: tuple[CustomVolume, ...] = ()
    allow_host_path: bool = False
    """Whether `docker_env.volumes` may name folders of the node."""
    allow_privileges: bool = False
    """Whether the project file may name Secrets, claims and service accounts, and ask for privileges."""
    secrets_from: tuple[str, ...] = ()
    """Secrets of the namespace, all keys of which become variables."""
    cache_claim: str | None = None
    """A PersistentVolumeClaim that keeps Python environments between runs."""
    environment: Mapping[str, str] = {}
    """Variables for the pod: such as `PIP_INDEX_URL`."""
    endpoint_host: str | None = None
    """An address of this machine that pods reach: the run's own endpoint listens there."""
    dns_policy: Literal["ClusterFirst", "Default", "ClusterFirstWithHostNet"] | None = None

    @property
    def wants_image(self) -> bool:
        """Whether the code goes there in an image."""
        return self.delivery == "image" or (self.delivery is None and self.repository_uri is not None)

    @property
    def ttl_s(self) -> int:
        """`ttl` in seconds."""
        return int(parse_duration(self.ttl))

    @property
    def deadline_s(self) -> int | None:
        """`deadline` in seconds."""
        return None if self.deadline is None else max(1, int(parse_duration(self.deadline)))

    @property
    def pending_s(self) -> float | None:
        """How long the pod may wait for a node; None: for ever."""
        if self.pending_timeout is not None:
            return parse_duration(self.pending_timeout)
        return None if self._is_queued else 1800.0

    @property
    def _is_queued(self) -> bool:
        """Whether it waits in a queue, by the setting or by the label itself."""
        meta = (self.kube_job_template or {}).get("metadata")
        labels = meta.get("labels") if isinstance(meta, dict) else None
        known = labels if isinstance(labels, dict) else {}
        return self.queue is not None or QUEUE_LABEL in self.labels or QUEUE_LABEL in known


NAMES: tuple[str, ...] = Settings.__struct_encode_fields__
TEMPLATES = ("kube-job-template", "kube-job-template-path")
"""The two ways to name a template: one of them stands for the other, too."""
_FIELD = re.compile(r"`\$\.?(?P<place>[^`]*)`")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")


def read_settings(config: str) -> Settings:
    """Read the settings from a JSON object.

    Raises:
        UsageError: One is unknown, or is not what it should be.
    """
    try:
        settings = msgspec.json.decode(config or "{}", type=Settings)
    except msgspec.ValidationError as error:
        raise _explained(str(error)) from error
    except msgspec.DecodeError as error:
        raise UsageError(f"The backend's settings are no JSON: {error}.") from error
    _check(settings)
    return settings


def _explained(said: str) -> UsageError:
    unknown = _UNKNOWN.search(said)
    if unknown is not None:
        name = unknown["name"]
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        return UsageError(
            f"Unknown setting of the backend kubernetes: {name!r}.",
            hint=f"{hint}docs/reference/kubernetes.md lists all of them.",
        )
    place = _FIELD.search(said)
    what = f"The setting {place['place']!r} of the backend kubernetes" if place else "The backend's settings"
    return UsageError(f"{what}: {said.partition(' - at ')[0]}.")


def is_of_each_machine(host: str) -> bool:
    """Whether an address means another machine on each: a loopback, or none at all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _check(settings: Settings) -> None:
    _ = settings.ttl_s, settings.deadline_s, settings.pending_s  # raise for what is no length of time
    for volume in settings.volumes:
        kinds = [volume.claim, volume.config_map, volume.secret, volume.empty_dir or None]
        if sum(kind is not None for kind in kinds) != 1:
            raise UsageError(
                f"The volume at {volume.path} needs exactly one of claim, config-map, secret, empty-dir."
            )
        if not volume.path.startswith("/"):
            raise UsageError(f"The volume's path {volume.path!r} is not absolute.")
    taken = next((name for name in OWN_LABELS if name in settings.labels), None)
    if taken is not None:
        raise UsageError(
            f"The label {taken} is proj's own: it finds the run's pods by it.",
            hint="Take another name for it in `labels`.",
        )
    for name, amount in (("cpu", settings.cpu), ("memory", settings.memory)):
        if amount is not None and quantity(str(amount)) is None:
            raise UsageError(
                f"The setting {name!r} is {amount!r}, which is no amount as Kubernetes writes them.",
                hint="Such as 500m or 2 for processors, 512Mi, 16Gi or 16G for memory.",
            )
    if settings.gpus is not None and settings.gpus < 0:
        raise UsageError(f"gpus is {settings.gpus}, which is no number of GPUs.")


def merged(*configs: str) -> str:
    """Settings of several places as one JSON object: of one name, the last counts; of templates, too.

    Raises:
        UsageError: One of them is no JSON object.
    """
    found: dict[str, msgspec.Raw] = {}
    try:
        for config in configs:
            more = msgspec.json.decode(config or "{}", type=dict[str, msgspec.Raw])
            if any(name in more for name in TEMPLATES):
                found = {name: value for name, value in found.items() if name not in TEMPLATES}
            found |= more
    except msgspec.DecodeError as error:
        raise UsageError(f"The backend's settings are no JSON object: {error}.") from error
    return msgspec.json.encode(found).decode()
