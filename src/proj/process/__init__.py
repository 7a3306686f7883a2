"""The only package that starts processes."""

from __future__ import annotations

from proj.process.guard import guard_environment, new_token
from proj.process.interrupts import Interrupted, deferred, interruptible
from proj.process.ladder import StopCause
from proj.process.outputs import Output
from proj.process.redact import is_secret, redact, strip_userinfo
from proj.process.run import Completed, run
from proj.process.spawn import DEVNULL, PIPE, merged_environment, spawn
from proj.process.streams import Streams
from proj.process.supervise import Ending, Supervision, signal_name

__all__ = [
    "DEVNULL",
    "PIPE",
    "Completed",
    "Ending",
    "Interrupted",
    "Output",
    "StopCause",
    "Streams",
    "Supervision",
    "deferred",
    "guard_environment",
    "interruptible",
    "is_secret",
    "merged_environment",
    "new_token",
    "redact",
    "run",
    "signal_name",
    "spawn",
    "strip_userinfo",
]
