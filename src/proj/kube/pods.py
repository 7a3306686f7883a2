"""What is known of one pod at a moment; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.kube import verdict
from proj.kube.objects import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.kube.objects import ContainerStatus, Pod, Terminated


def main_of(pod: Pod) -> str:
    """Name of the container that runs the program."""
    return pod.spec.containers[0].name if pod.spec.containers else ""


def containers(pod: Pod) -> Iterator[tuple[ContainerStatus, bool]]:
    """The containers of a pod that are of interest, each with whether it is an init container."""
    for status in pod.status.init_container_statuses or ():
        yield status, True
    main = pod.container(main_of(pod))
    if main is not None:
        yield main, False


def begun(pod: Pod) -> bool:
    """Whether the program has begun in a pod."""
    return verdict.started(pod, main_of(pod))


def terminated(pod: Pod) -> tuple[ContainerStatus, Terminated] | None:
    """How the program's container ended, if it has."""
    status = pod.container(main_of(pod))
    if status is None or status.state.terminated is None:
        return None
    return status, status.state.terminated


def program_ended(pod: Pod) -> bool:
    """Whether the program does not run in a pod any more, and is not going to."""
    if pod.status.phase in ("Succeeded", "Failed") or terminated(pod) is not None:
        return True
    return not begun(pod) and pod.metadata.deletion_timestamp is not None and not _any_running(pod)


def cut_short(pod: Pod) -> bool:
    """Whether the program was told to end before it had: what it makes of that is no end of its own."""
    found = terminated(pod)
    asked_s = seconds(pod.metadata.deletion_timestamp)
    ended_s = seconds(found[1].finished_at) if found is not None else None
    if asked_s is None or ended_s is None:
        return False
    # The API tells when the grace is over, in whole seconds.
    return ended_s >= asked_s - (pod.metadata.deletion_grace_period_seconds or 0)


def _any_running(pod: Pod) -> bool:
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    return any(status.state.running is not None for status in statuses)
