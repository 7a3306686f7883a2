"""Images that the engine has already: those of runs that are made again, and those that others just make."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from proj import events, files, paths
from proj.errors import ImageError
from proj.images.engine import Engine
from proj.images.pulling import at_digest, ensure, find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.images.pulling import EngineImage
    from proj.model import EnvironmentRequest


def recorded(request: EnvironmentRequest, name: str) -> EngineImage | None:
    """The very image of a run that is made again, in the engine; None where there was none, or it is gone.

    Says so if it is gone, for what is used instead may be another.

    Args:
        request: What is asked for.
        name: The image's name, in whose repository it is asked for by its digest.
    """
    asked, engine = request.image, Engine()
    if asked.recorded_id is None and asked.recorded_digest is None:
        return None
    found = find(engine, asked.recorded_id) if asked.recorded_id is not None else None
    if found is not None:
        return found
    reason = "the docker daemon has it no more"
    if asked.recorded_digest is not None:
        try:
            return ensure(
                engine,
                at_digest(name, asked.recorded_digest),
                pull="missing",
                platform=asked.platform,
                credentials=asked.credentials,
            )
        except ImageError as error:
            reason = error.message.rstrip(".")
    which = asked.recorded_id or asked.recorded_digest or name
    events.warning(
        f"The image that ran, {which[:19]}, is gone: {reason}. What {name} is now is used instead."
    )
    return None


def in_registry(request: EnvironmentRequest, name: str) -> str | None:
    """The very image of a run that is made again, for a cluster; None where there was none, or it is gone.

    Says so if it is gone, for what is made instead may be another.

    Args:
        request: What is asked for.
        name: A repository, or an image in it.

    Returns:
        `host/name@sha256:…`
    """
    asked = request.image
    if asked.recorded_digest is None:
        return None
    from proj import images

    pinned = at_digest(name, asked.recorded_digest)
    reason = "It is not there any more."
    try:
        if images.is_pushed(pinned, insecure=asked.insecure):
            return pinned
    except ImageError as error:
        reason = error.message
    events.warning(f"The image that ran, {pinned}, cannot be had: {reason} It is made again.")
    return None


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Let one process of this user do something with the engine, while the others wait to find it done."""
    descriptor = files.lock(paths.cache() / "images" / f"{what}.lock")
    try:
        yield
    finally:
        os.close(descriptor)
