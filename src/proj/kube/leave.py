"""What a project file must not say by itself: it may be a stranger's, and the nodes are the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proj.errors import UsageError
from proj.kube.settings import TEMPLATES
from proj.kube.shapes import mapping, mappings, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_THE_NODE = ("hostPID", "hostIPC", "hostNetwork")
_LISTS = ("containers", "initContainers")


def check_leave(project: str, own: str) -> None:
    """See that the project file gives itself no leave that is the user's to give.

    Args:
        project: Settings of the project file, a JSON object.
        own: The user's, by options and `--backend-config`.

    Raises:
        UsageError: It does.
    """
    if msgspec.json.decode(project or "{}").get("allow-host-path") and not _is_given(own):
        raise UsageError(
            "The project file sets allow-host-path, by which it may mount folders of a node: that is yours "
            "to allow.",
            hint="If you trust the project: `--allow-host-path`, or the same setting in --backend-config.",
        )


def check_template(template: Mapping[str, Any], project: str, own: str) -> None:
    """See that a Job template that the project file names does not reach into the nodes.

    Args:
        template: The template.
        project: Settings of the project file, a JSON object.
        own: The user's, by options and `--backend-config`.

    Raises:
        UsageError: It does, and the user has not allowed it.
    """
    known, given = msgspec.json.decode(own or "{}"), msgspec.json.decode(project or "{}")
    if _is_given(own) or any(name in known for name in TEMPLATES):
        return
    found = ", ".join(dict.fromkeys(_reaching(template)))
    if found and any(name in given for name in TEMPLATES):
        raise UsageError(
            f"The Job template of the project file reaches into the nodes ({found}): that is yours to allow.",
            hint="`--allow-host-path` if you trust the project, or your own template in --backend-config.",
        )


def _is_given(own: str) -> bool:
    return bool(msgspec.json.decode(own or "{}").get("allow-host-path"))


def _reaching(template: Mapping[str, Any]) -> Iterator[str]:
    """What of a template is the node's: folders, namespaces, privileges."""
    pod = pod_of(template)
    yield from (name for name in _OF_THE_NODE if pod.get(name))
    for volume in mappings(pod.get("volumes")):
        if "hostPath" in volume:
            yield f"hostPath {mapping(volume['hostPath']).get('path')}"
    for key in _LISTS:
        for container in mappings(pod.get(key)):
            if mapping(container.get("securityContext")).get("privileged"):
                yield "privileged"
