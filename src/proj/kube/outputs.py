"""The output of a run's pods: each container's log on its way into the record, and to our own streams."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proj.kube import pods
from proj.kube.logs import LogFollower
from proj.kube.sinks import Marked, Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proj.errors import BackendError
    from proj.kube.hub import Hub
    from proj.kube.objects import Pod
    from proj.kube.state import JobState
    from proj.model import Execution
    from proj.process.interrupts import Pending

_LOOK_S = 0.25
_LOGS_WAIT_S = 60.0
_TURN_WAIT_S = 30.0
"""How long a pod's output waits for the rest of that of the pods before it."""


class Outputs:
    """All output of a run; `close` gives it up.

    Args:
        execution: What runs.
        hub: Of its namespace.
        again: Whether another process followed it before: its output comes again from the beginning.
        tap: Takes the bytes of its stdout, if metrics are read of it.
        on_trouble: Called with why output cannot be had just now.

    Raises:
        OSError: The logs cannot be written.
    """

    def __init__(
        self,
        execution: Execution,
        hub: Hub,
        *,
        again: bool,
        tap: Callable[[bytes], None] | None,
        on_trouble: Callable[[BackendError], None],
    ) -> None:
        self._hub = hub
        self._on_trouble = on_trouble
        self._followers: dict[tuple[str, str, int], LogFollower] = {}
        self._programs: list[LogFollower] = []
        """Those of the program's own container, of all pods."""
        self._held_since_s: float | None = None
        folder, quiet = Path(execution.record_dir), execution.quiet
        self._stdout = Sink(folder / "stdout.log", None if quiet else "stdout", tap=tap, resumed=again)
        self._stderr = Sink(folder / "stderr.log", None if quiet else "stderr", again=again)

    def follow(self, state: JobState) -> bool:
        """Follow all containers that have begun; returns whether there are new ones.

        The program's output in a pod comes when that in the pods before it has come: it is never mixed up.
        """
        count = len(self._followers)
        for pod in state.followed:
            for status, is_init in pods.containers(pod):
                if status.state.running is None and status.state.terminated is None:
                    continue
                key = (pod.metadata.uid, status.name, status.restart_count)
                if key not in self._followers:
                    if not is_init and not self._is_its_turn():
                        continue
                    self._followers[key] = self._start(pod, status.name, is_init=is_init)
                if status.state.terminated is not None:
                    self._followers[key].terminated()
        return len(self._followers) > count

    def _is_its_turn(self) -> bool:
        """Whether the output of the pods before has come, or was waited for long enough."""
        left = [each for each in self._programs if not each.join(0)]
        if not left:
            self._held_since_s = None
            return True
        self._held_since_s = self._held_since_s or time.monotonic()
        if time.monotonic() - self._held_since_s >= _TURN_WAIT_S:
            for each in left:
                each.stop()
        return False

    def finish(self, state: JobState, pending: Pending, *, stopped: bool) -> list[str]:
        """Take the rest of the output; returns what has to be said of it.

        Args:
            state: Of the Job.
            pending: Signals: they end the wait.
            stopped: Whether we have ended the run: what of it is gone is not waited for.
        """
        end_s = time.monotonic() + _LOGS_WAIT_S
        while True:
            for (uid, _, _), follower in self._followers.items():
                follower.terminated()
                while not follower.join(_LOOK_S):
                    gone = uid not in state.pods
                    if time.monotonic() > end_s or pending.take() or (gone and stopped):
                        follower.stop()
                        self._stdout.hurry()
                        self._stderr.hurry()
                        follower.join(_LOOK_S)
                        break
            if time.monotonic() > end_s or not self.follow(state):
                break
        lost = [follower.lost for follower in self._followers.values() if follower.lost]
        problems = [f"The output is incomplete: {lost[0]}."] if lost else []
        return problems + [
            f"{sink.log.name} is incomplete: {sink.log_error.strerror}."
            for sink in (self._stdout, self._stderr)
            if sink.log_error is not None
        ]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let whoever writes wait, for as long as the block lasts."""
        with self._stdout.held(), self._stderr.held():
            yield

    def close(self) -> None:
        """Give it up."""
        for follower in self._followers.values():
            follower.stop()
        self._stdout.close()
        self._stderr.close()

    def _start(self, pod: Pod, container: str, *, is_init: bool) -> LogFollower:
        path = f"/api/v1/namespaces/{self._hub.namespace}/pods/{pod.metadata.name}"
        if is_init:
            marked = Marked(self._stderr, f"[{container}] ")
            write, on_end = marked.write, marked.end
        else:
            write, on_end = self._stdout.write, lambda: None
        follower = LogFollower(
            self._hub.client, path, container, sink=write, on_end=on_end, on_trouble=self._on_trouble
        )
        if not is_init:
            self._programs.append(follower)
        follower.start()
        return follower
