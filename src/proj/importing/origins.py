"""Where records came from, in tags; and where the files of model versions are now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import msgspec

from proj.errors import NotFoundError
from proj.tracking.artifact_stores import uri_scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proj.tracking.logged_models import LoggedModelStore
    from proj.tracking.past import PastStore
    from proj.tracking.registry import ModelVersion

ORIGIN = "proj.import."
"""Tags that say where a record came from begin so."""
_NOWHERE = "not-imported:"
"""No store has URIs of this scheme."""
_FILES = re.compile(r"/(?P<owner>[0-9a-f]{32}|m-[0-9a-f]{32})/artifacts(?:/(?P<path>.*))?$")
_OURS = re.compile(r"(?:/artifacts|^mlflow-artifacts:)/(?P<owner>[0-9a-f]{32})(?:/(?P<path>.*))?$")
"""As a server of ours says where a run's files are."""
_OF_RUN = re.compile(r"runs:/+(?P<owner>[0-9a-f]{32})(?:/(?P<path>.*))?$")
_OF_MODEL = re.compile(r"models:/+(?P<owner>m-[0-9a-f]{32})/?(?P<path>)$")
_PROMPTS = ("dummy-source", "prompt-template")
"""MLflow's clients keep prompts as versions without files, and have to say something."""


def with_origin(
    tags: Mapping[str, str], source: str, *, experiment_id: str, artifact_uri: str | None
) -> dict[str, str]:
    """Add tags that say where a run or model was; those that it has already stay."""
    origin = {f"{ORIGIN}from": source, f"{ORIGIN}experiment_id": experiment_id}
    if artifact_uri:
        origin[f"{ORIGIN}artifact_uri"] = artifact_uri
    return {**origin, **tags}


class Relocation:
    """Says where the files of model versions are, now that their runs and logged models are here.

    A version whose files were in some other folder of a machine is left without files: whoever may read the
    version could else read that folder, if this machine has one of that name.

    Args:
        past: Knows the runs.
        models: Knows the logged models.
    """

    def __init__(self, past: PastStore, models: LoggedModelStore) -> None:
        self._past = past
        self._models = models
        self._roots: dict[str, str | None] = {}

    def knows(self, version: ModelVersion) -> bool:
        """Whether the run or logged model that a version came from is here."""
        owners = [version.run_id, version.model_id, _owner(version.storage_location or version.source or "")]
        return any(owner is not None and self._root(owner) is not None for owner in owners)

    def moved(self, version: ModelVersion, source: str) -> tuple[ModelVersion, str | None]:
        """Return a version as it is here, and what could not be had of it.

        Args:
            version: As it is there.
            source: Where it comes from, for its tags.
        """
        given = version.source or ""
        tags = {f"{ORIGIN}from": source, f"{ORIGIN}source": given, **version.tags}
        location = self._place(version.storage_location or given) or self._place(given)
        problem = None
        symbolic = uri_scheme(given) in ("runs", "models") or given in _PROMPTS
        if location is None and not symbolic and uri_scheme(given) in ("", "file"):
            location = f"{_NOWHERE}{given}"
            problem = f"Its files are not those of a run or model that is here, and left out: {given}"
        if location is None:
            stored = version.storage_location or given
            location = given if uri_scheme(stored) in ("", "file") else stored
        return (
            msgspec.structs.replace(
                version, source=given if symbolic else location, storage_location=location, tags=tags
            ),
            problem,
        )

    def _place(self, uri: str) -> str | None:
        """Return where the files of a URI are here; None if they are not."""
        match = _match(uri)
        if match is None:
            return None
        root = self._root(match["owner"])
        path = match["path"] or ""
        if root is None or not path:
            return root
        if uri_scheme(uri) == "file":
            path = unquote(path)
        if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
            return None
        return f"{root}/{quote(path.strip('/')) if root.startswith('file:') else path.strip('/')}"

    def _root(self, owner: str) -> str | None:
        if owner not in self._roots:
            self._roots[owner] = self._look_up(owner)
        return self._roots[owner]

    def _look_up(self, owner: str) -> str | None:
        if owner.startswith("m-"):
            try:
                return self._models.logged_model(owner, allow_deleted=True).artifact_location
            except NotFoundError:
                return None
        known = self._past.known_runs([owner]).get(owner)
        return None if known is None else known.artifact_uri


def _owner(uri: str) -> str | None:
    match = _match(uri)
    return None if match is None else match["owner"]


def _match(uri: str) -> re.Match[str] | None:
    return _FILES.search(uri) or _OURS.search(uri) or _OF_RUN.match(uri) or _OF_MODEL.match(uri)
