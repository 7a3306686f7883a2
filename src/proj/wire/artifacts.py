"""Requests and responses of `artifacts/…` and `mlflow-artifacts/…`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proj.wire.codec import Message
from proj.wire.entities import FileInfoOut, OfRun


class ListArtifacts(OfRun, frozen=True):
    """`GET artifacts/list`."""

    path: str = ""
    page_token: str = ""


class ListProxied(Message, frozen=True):
    """`GET mlflow-artifacts/artifacts`."""

    path: str = ""


class FilesAnswer(Message, frozen=True):
    """What they answer."""

    files: tuple[FileInfoOut, ...] = ()
    root_uri: str | UnsetType = UNSET
