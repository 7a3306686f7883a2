"""Requests and responses of `runs/…`."""

from __future__ import annotations

from proj.server.wire.codec import Int64, Message
from proj.server.wire.entities import KeyValue, RunOut


class CreateRun(Message, frozen=True):
    """`POST runs/create`."""

    experiment_id: str = ""
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: tuple[KeyValue, ...] = ()


class RunAnswer(Message, frozen=True):
    """What `runs/create` and `runs/get` answer."""

    run: RunOut
