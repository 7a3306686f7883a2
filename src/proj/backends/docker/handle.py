"""A container that runs: its output, its end, and how it is asked to end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from proj import events
from proj.backends.docker import outputs
from proj.backends.docker.logged import Logged
from proj.backends.docker.outcome import lost, outcome_of, started_ms
from proj.errors import ImageError
from proj.images.engine import STDERR, STDOUT, EngineError
from proj.model import ImageRuntime
from proj.process.following import Following
from proj.times import now_ms

if TYPE_CHECKING:
    from proj.images.engine import Engine, Stream
    from proj.model import Execution, Outcome

_PAUSE_S: Final = 0.5
_AWAY_S: Final = 120.0
"""For how long an engine that does not answer is asked again: it may be starting anew."""
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_STREAMS: Final = {STDOUT: "stdout", STDERR: "stderr"}
_Found = Literal["whole", "cut", "gone"]
"""How far a stream could be taken: to its end, not so far, or it is there no more."""


class DockerHandle:
    """A container that is under way, or has ended.

    Args:
        engine: Where it is.
        container: Its id.
        execution: What runs in it.
        following: Passes its output on; None: that begins with `wait`, after what is stored already.
    """

    def __init__(
        self, engine: Engine, container: str, execution: Execution, following: Following | None = None
    ) -> None:
        self._engine = engine
        self._container = container
        self._execution = execution
        self._following = following
        self._cancelled = False
        self._seen = {number: Logged() for number in _STREAMS}
        """Number of stream -> how much of it has been passed on."""
        self._inspected: dict[str, Any] | None = None
        self._outcome: Outcome | None = None
        self._gone = False

    @property
    def reference(self) -> str:
        """The container's id."""
        return self._container

    @property
    def ended(self) -> bool:
        """Whether it has ended, so that `wait` returns at once."""
        if self._outcome is not None:
            return True
        try:
            state = self._inspect()["State"]
        except (EngineError, ImageError):
            return False
        return state["Status"] not in ("created", "running", "paused", "restarting")

    def follow(self, attached: contextlib.ExitStack | None, stream: Stream | None) -> None:
        """Begin to take output and to wait for the end, in threads.

        Args:
            attached: What closes the stream.
            stream: Its output from the beginning on; None: the engine's log of it.
        """
        threading.Thread(
            target=self._take_output, args=(attached, stream), name="proj-output", daemon=True
        ).start()
        threading.Thread(target=self._await_end, name="proj-end", daemon=True).start()

    def wait(self) -> Outcome:
        """Follow the container to its end; see `Handle.wait`."""
        if self._outcome is None:
            following = self._following or self._resumed()
            if self._cancelled:
                following.cancel()
            stopped = following.wait(self.send)
            if self._inspected is None:
                self._outcome = lost(
                    "The container is gone: somebody removed it."
                    if self._gone
                    else "The docker daemon went away, and does not answer any more."
                )
            else:
                self._bring_outputs()
                memory = int((self._inspected.get("HostConfig") or {}).get("Memory") or 0)
                self._outcome = outcome_of(self._inspected, stopped, self._execution, memory)
        return self._outcome

    def cancel(self) -> None:
        """Ask the container to stop; see `Handle.cancel`."""
        self._cancelled = True
        if self._following is not None:
            self._following.cancel()

    def _bring_outputs(self) -> None:
        runtime, code = self._execution.runtime, self._execution.code
        if code is not None and isinstance(runtime, ImageRuntime) and runtime.has_code:
            outputs.bring(self._engine, self._container, code, Path(self._execution.record_dir).parent)

    def _resumed(self) -> Following:
        """Go on where the logs end: the engine gives all of its own from the beginning."""
        folder = Path(self._execution.record_dir)
        limit_s = self._execution.timeout_s
        if limit_s is not None:
            begun_ms = started_ms(self._inspect()) or now_ms()
            limit_s = max(0.0, limit_s - (now_ms() - begun_ms) / 1000)
        for number, name in _STREAMS.items():
            self._seen[number].add_file(folder / f"{name}.log")
        self._following = Following(
            folder,
            grace_s=self._execution.grace_s,
            deadline=None if limit_s is None else time.monotonic() + limit_s,
            quiet=True,
        )
        self.follow(None, None)
        return self._following

    def forget(self) -> None:
        """Remove the container: how it ended is recorded."""
        if self._execution.keep:
            events.note(f"The container is kept: {self._container[:12]}")
            return
        with contextlib.suppress(EngineError, ImageError):
            self._engine.ask("DELETE", f"/containers/{self._container}", {"force": "1", "v": "1"})

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to all processes in the container. Never raises."""
        with contextlib.suppress(EngineError, ImageError):
            shared = (self._inspect().get("HostConfig") or {}).get("PidMode")
            if signum is signal.SIGKILL or shared:
                # Among processes that are others' as well, "all" would be the whole machine (`-A pid=host`).
                query = {"signal": signum.name.removeprefix("SIG")}
                self._engine.ask("POST", f"/containers/{self._container}/kill", query)
                return
            # Its first process is a shell that waits, and which the kernel keeps signals from.
            name = signum.name.removeprefix("SIG")
            script = {"Cmd": ["sh", "-c", f"kill -s {name} -- -1; kill -s CONT -- -1"], "AttachStdout": False}
            made = self._engine.ask("POST", f"/containers/{self._container}/exec", body=script)
            self._engine.ask("POST", f"/exec/{made['Id']}/start", body={"Detach": True})

    # --- in threads -----------------------------------------------------------------------------------

    def _take_output(self, attached: contextlib.ExitStack | None, stream: Stream | None) -> None:
        following = self._following
        assert following is not None  # noqa: S101  who starts this thread has made it
        tty = self._tty()
        found: _Found = "cut"
        try:
            if stream is not None:
                with attached or contextlib.nullcontext(), contextlib.suppress(OSError):
                    self._pass_on(following, stream, {}, tty=tty)
                    found = "whole"
            while not (found == "whole" and self._is_over()) and self._outcome is None:
                over = self._is_over()
                taken = self._take_log(following, tty=tty, follow=not over)
                if taken == "gone":
                    return
                # Who follows the log as the container ends misses what came last (`docker logs -f`, too).
                found = taken if over else "cut"
                if taken == "cut" or not self._is_over():
                    time.sleep(_PAUSE_S)
        finally:
            following.end_output()

    def _take_log(self, following: Following, *, tty: bool, follow: bool) -> _Found:
        """Take the engine's log of the container from where we are."""
        try:
            with self._engine.logs(self._container, follow=follow) as stream:
                known = {number: seen.size_bytes for number, seen in self._seen.items()}
                self._pass_on(following, stream, known, tty=tty)
        except EngineError as error:
            return "gone" if error.status in (_NOT_FOUND, _CONFLICT) else "cut"
        except (ImageError, OSError):
            return "cut"
        return "whole"

    def _pass_on(self, following: Following, stream: Stream, skipped: dict[int, int], *, tty: bool) -> None:
        for number, data in stream.pieces(tty=tty):
            skip = min(skipped.get(number, 0), len(data))
            if skip:
                skipped[number] -= skip
            fresh = data[skip:]
            if fresh:
                self._seen[number].add(fresh)
                following.feed(number, fresh)

    def _await_end(self) -> None:
        away_since: float | None = None
        while True:
            try:
                self._engine.ask("POST", f"/containers/{self._container}/wait", timeout_s=None)
                self._inspected = self._inspect()
                break
            except EngineError as error:
                if error.status == _NOT_FOUND:
                    self._gone = True
                    break
            except (ImageError, OSError, ValueError):  # the engine ended, in the midst of an answer perhaps
                pass
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > _AWAY_S:
                break
            time.sleep(_PAUSE_S)
        if self._following is not None:
            self._following.end()

    def _is_over(self) -> bool:
        return self._inspected is not None or self._gone or self.ended

    def _inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = self._engine.ask("GET", f"/containers/{self._container}/json")
        return found

    def _tty(self) -> bool:
        with contextlib.suppress(EngineError, ImageError):
            return bool((self._inspect().get("Config") or {}).get("Tty"))
        return False
