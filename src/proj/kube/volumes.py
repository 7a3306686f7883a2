"""Which volumes a run's pod has, and where its containers find them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UsageError
from proj.kube.names import slug
from proj.model import ARTIFACTS_DIR, CODE_DIR

if TYPE_CHECKING:
    from proj.kube.blueprint import Blueprint
    from proj.kube.settings import CustomVolume

_TOP = CODE_DIR.rpartition("/")[0]
BUNDLE_DIR = f"{_TOP}/bundle"
WORK_DIR = f"{_TOP}/work"
HOME_DIR = f"{_TOP}/home"
ENVIRONMENT_DIR = f"{_TOP}/env"
CACHE_DIR = f"{_TOP}/cache"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  the place that POSIX shared memory has on Linux
_WORK = "proj-work"
_BUNDLE = "proj-bundle"
_CACHE = "proj-cache"
_VOLUME = re.compile(r"(?P<source>[^:]+):(?P<target>/[^:]*)(?::(?P<mode>[^:]*))?")


class VolumeMount(msgspec.Struct, frozen=True, kw_only=True):
    """A volume in a container."""

    name: str
    path: str
    sub_path: str | None = None
    read_only: bool = False

    def manifest(self) -> dict[str, Any]:
        """As the API server takes it."""
        found: dict[str, Any] = {"name": self.name, "mountPath": self.path}
        if self.sub_path:
            found["subPath"] = self.sub_path
        return {**found, "readOnly": True} if self.read_only else found


class PodVolumes(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's volumes, and which container has which."""

    volumes: tuple[dict[str, Any], ...]
    main: tuple[VolumeMount, ...]
    prepare: tuple[VolumeMount, ...] = ()


def volumes_of(blueprint: Blueprint) -> PodVolumes:
    """All volumes of a run.

    Raises:
        UsageError: One that is asked for cannot be had on a cluster.
    """
    settings, bundle = blueprint.settings, blueprint.bundle
    volumes: list[dict[str, Any]] = [{"name": _WORK, "emptyDir": {}}]
    shared = [_work(ARTIFACTS_DIR), _work(HOME_DIR)]
    prepare: list[VolumeMount] = []
    if bundle is not None:
        sources = [{"configMap": {"name": each.name}} for each in bundle.maps]
        volumes.append({"name": _BUNDLE, "projected": {"sources": sources}})
        shared.append(VolumeMount(name=_BUNDLE, path=BUNDLE_DIR, read_only=True))
        if bundle.code_digest is not None:
            shared.append(_work(CODE_DIR))
        (prepare if blueprint.prepares else shared).append(_work(WORK_DIR))
    own: list[VolumeMount] = []
    if blueprint.shares:
        volumes.append({"name": _CACHE, "persistentVolumeClaim": {"claimName": settings.cache_claim}})
        prepare.append(VolumeMount(name=_CACHE, path=CACHE_DIR))
        own.append(VolumeMount(name=_CACHE, path=CACHE_DIR, read_only=True))  # it is that of others, too
    elif blueprint.lock_digest is not None:
        shared.append(_work(ENVIRONMENT_DIR))
    for number, volume in enumerate(settings.volumes):
        name = f"{slug(volume.path)}-{number}"
        volumes.append({"name": name, **_source(volume)})
        own.append(
            VolumeMount(name=name, path=volume.path, sub_path=volume.sub_path, read_only=volume.read_only)
        )
    for found, mount in _declared(blueprint, {volume.path for volume in settings.volumes}):
        volumes.append(found)
        own.append(mount)
    return PodVolumes(
        volumes=tuple(volumes),
        main=(*shared, *own),
        prepare=(*shared, *prepare) if blueprint.prepares else (),
    )


def _work(path: str) -> VolumeMount:
    return VolumeMount(name=_WORK, path=path, sub_path=path.rpartition("/")[2])


def _source(volume: CustomVolume) -> dict[str, Any]:
    if volume.claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    if volume.config_map is not None:
        return {"configMap": {"name": volume.config_map}}
    if volume.secret is not None:
        return {"secret": {"secretName": volume.secret}}
    return {"emptyDir": {}}


def _declared(blueprint: Blueprint, taken: set[str]) -> list[tuple[dict[str, Any], VolumeMount]]:
    """What `docker_env` says of volumes; a volume of the settings at the same path stands for it."""
    docker = blueprint.docker
    if docker is None:
        return []
    found: list[tuple[dict[str, Any], VolumeMount]] = []
    for number, text in enumerate(docker.volumes):
        match = _VOLUME.fullmatch(text)
        if match is None:
            raise UsageError(f"The volume {text!r} of docker_env is not of the form SOURCE:TARGET.")
        target = match["target"]
        if target in taken:
            continue
        source = match["source"]
        if not blueprint.settings.allow_host_path or not source.startswith("/"):
            raise UsageError(
                f"docker_env mounts {source} of this machine at {target}, which a cluster does not have.",
                hint=f"Say what is to be there instead: `volumes: [{{path: {target}, claim: NAME}}]` in the "
                "backend's settings; or `--allow-host-path` for the folder of that name on the node.",
            )
        name = f"host-{number}"
        found.append(
            (
                {"name": name, "hostPath": {"path": source}},
                VolumeMount(name=name, path=target, read_only=match["mode"] == "ro"),
            )
        )
    if docker.shm_size is not None:
        memory = {"medium": "Memory", "sizeLimit": _quantity(docker.shm_size)}
        found.append(({"name": "shm", "emptyDir": memory}, VolumeMount(name="shm", path=_SHARED_MEMORY)))
    return found


def _quantity(size: str) -> str:
    """Docker's `2g` as Kubernetes' `2Gi`."""
    match = re.fullmatch(r"(\d+)\s*([bkmgt]?)b?", size.strip().lower())
    if match is None:
        raise UsageError(f"The size {size!r} of /dev/shm in docker_env is none, such as 2g.")
    unit = match[2].upper() if match[2] != "b" else ""
    return f"{match[1]}{unit}{'i' if unit else ''}"
