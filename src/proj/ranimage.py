"""The image that a command ran in, where only the place that pulled it knows: made part of the record."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from proj import events, record
from proj.backends import BACKENDS
from proj.errors import ProjError

if TYPE_CHECKING:
    from pathlib import Path

    from proj.model import Outcome, RanImage
    from proj.tracking import Tracking


def image_tags(
    tracking: Tracking, backend: str, outcome: Outcome, *, folder: Path, uris: tuple[str, ...]
) -> dict[str, str]:
    """Complete `proj/environment.json` by the image that ran; returns what is to be said of it as tags.

    Args:
        tracking: The records.
        backend: Where it ran.
        outcome: How it ended; of what never began nothing is known.
        folder: What was left of it: the execution's `record_dir`.
        uris: Where the run's files may be; what is completed is written to the first.
    """
    try:
        tell = getattr(BACKENDS.load(backend), "image_that_ran", None)
    except ProjError:  # a plugin that is gone
        return {}
    ran: RanImage | None = tell(folder) if tell is not None and outcome.started_ms is not None else None
    if ran is None:
        return {}
    digest, image_id = ran.digest, ran.image_id
    try:
        found = _environment(tracking, uris)
        image = found.get("image") if found is not None else None
        if found is not None and isinstance(image, dict):
            completed = _completed(image, ran)
            digest, image_id = completed["digest"], completed["image_id"]
            if completed != image:
                record.write(tracking.artifacts, uris[0], record.ENVIRONMENT, {**found, "image": completed})
    except ProjError as error:
        events.warning(f"The record is incomplete: {error.message}")
    tags = {record.TAG_IMAGE: digest or image_id, "mlflow.docker.image.id": image_id}
    return {name: value for name, value in tags.items() if value is not None}


def _environment(tracking: Tracking, uris: tuple[str, ...]) -> dict[str, Any] | None:
    """The file as it is; what a newer proj has written in it stays."""
    for uri in uris:
        with (
            contextlib.suppress(ProjError, msgspec.MsgspecError),
            tracking.artifacts.open(uri, record.ENVIRONMENT) as file,
        ):
            return msgspec.json.decode(file.read(), type=dict[str, Any])
    return None


def _completed(image: dict[str, Any], ran: RanImage) -> dict[str, Any]:
    """What was run by its digest was that, whatever other names the place has for it."""
    if image.get("digest") is not None:
        return image
    return {
        **image,
        "reference": ran.reference if ran.digest is not None else image.get("reference"),
        "digest": ran.digest,
        "image_id": image.get("image_id") or ran.image_id,
    }
