"""Where the files of a new model version are: that a client may only name what it could read anyway.

A version's source is opened later for whoever asks for the version, by this server too. So a folder of this
machine, or of the artifacts behind it, has to belong to the run or model that is named with it; see
`_validate_source_run` in `mlflow/server/handlers.py`.
"""

from __future__ import annotations

import posixpath
import urllib.parse
from typing import TYPE_CHECKING

import msgspec

from proj.errors import NotFoundError
from proj.server.limits import readings
from proj.tracking.registry import Stage
from proj.wire.errors import ApiError, invalid

if TYPE_CHECKING:
    from proj.server.routes import Context
    from proj.tracking.registry import ModelVersion

_PROMPT_SOURCES = ("dummy-source", "prompt-template")
"""MLflow's clients keep prompts as versions without files, and have to say something."""
_ARTIFACTS_PATH = "/api/2.0/mlflow-artifacts/artifacts"


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from."""

    source: str
    """As the store keeps it."""
    run_id: str | None
    model_id: str | None


class ModelUri(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a `models:/…` URI; with a name alone it is the newest version."""

    model_id: str | None = None
    name: str = ""
    version: int | None = None
    stage: Stage | None = None
    alias: str | None = None


def resolve(
    context: Context, source: str, run_id: str | None, model_id: str | None, *, prompt: bool = False
) -> Lineage:
    """Check the source of a new version, and find what it comes from.

    Args:
        context: The request's.
        source: As the client gave it.
        run_id: The run that made the model, as given.
        model_id: The logged model that becomes the version, as given.
        prompt: Whether it is the version of a prompt, which has no files.

    Raises:
        ApiError: It leads somewhere that the client did not name.
    """
    stored = context.site.stored_uri(source)
    if prompt:
        if source not in _PROMPT_SOURCES:
            raise _refused(source, "Prompts have no files.")
        return Lineage(source=source, run_id=run_id or None, model_id=model_id or None)
    scheme = _split(stored).scheme.lower()
    if scheme == "models":
        uri = parse_model_uri(source)
        if uri.model_id is None:
            return _of_version(find_version(context, uri), source, run_id, model_id)
        if uri.model_id != model_id:
            raise _refused(source, "The parameter model_id must name the same model.")
    _check_path(source, stored)
    if scheme == "runs":
        _check_run_uri(source, run_id, model_id)
    elif (
        scheme in ("", "file", "mlflow-artifacts") or _ARTIFACTS_PATH in stored or context.site.keeps(stored)
    ):
        _check_owner(context, source, stored, run_id, model_id)
    return Lineage(source=stored, run_id=run_id or None, model_id=model_id or None)


def parse_model_uri(uri: str) -> ModelUri:
    """Read a `models:/…` URI.

    Raises:
        ApiError: It is none.
    """
    parts = _split(uri)
    name, slash, suffix = urllib.parse.unquote(parts.path).lstrip("/").partition("/")
    if parts.netloc or not name.strip() or "/" in suffix or (slash and not suffix.strip()):
        raise _refused(uri, "It is not of the form models:/<name>/<version>.")
    if slash:
        if suffix.isascii() and suffix.isdigit() and len(suffix) < 19:  # noqa: PLR2004  int64
            return ModelUri(name=name, version=int(suffix))
        return ModelUri(name=name) if suffix.lower() == "latest" else ModelUri(name=name, stage=stage(suffix))
    before, at, alias = name.rpartition("@")
    return ModelUri(name=before, alias=alias) if at and before and alias else ModelUri(model_id=name)


def stage(name: str) -> Stage:
    """Return a stage by its name in any case.

    Raises:
        ApiError: There is no such stage.
    """
    for known in Stage:
        if known.value.lower() == name.lower():
            return known
    names = ", ".join(known.value for known in Stage)
    raise invalid(f"Invalid Model Version stage: {name}. Value must be one of {names}.")


def find_version(context: Context, uri: ModelUri) -> ModelVersion:
    """Return the version that a `models:/…` URI stands for.

    Raises:
        NotFoundError: There is none.
    """
    registry = context.tracking.registry
    if uri.version is not None:
        return registry.version(uri.name, uri.version)
    if uri.stage is None:
        return registry.version_by_alias(uri.name, uri.alias or "latest")
    found = registry.latest_versions(uri.name, (uri.stage,))
    if not found:
        raise NotFoundError(f"No version of {uri.name!r} is in the stage {uri.stage.value}.")
    return found[0]


def _of_version(version: ModelVersion, source: str, run_id: str | None, model_id: str | None) -> Lineage:
    """Come from another version, with all that is known of it."""
    for name, given, known in (("run_id", run_id, version.run_id), ("model_id", model_id, version.model_id)):
        if given is not None and given != (known or ""):
            raise _refused(source, f"The parameter {name} must be that of the version it names.")
    return Lineage(
        source=f"models:/{version.name}/{version.version}", run_id=version.run_id, model_id=version.model_id
    )


def _split(uri: str) -> urllib.parse.SplitResult:
    try:
        return urllib.parse.urlsplit(uri)
    except ValueError as error:
        raise _refused(uri, f"It is no URI: {error}.") from error


def _check_path(source: str, stored: str) -> None:
    for meant in readings(stored):
        if "\x00" in meant or ".." in meant.replace("\\", "/").split("/"):
            raise _refused(source, "It must be absolute, without relative parts.")


def _check_run_uri(source: str, run_id: str | None, model_id: str | None) -> None:
    parts = _split(source)
    named = parts.path.lstrip("/").partition("/")[0]
    if parts.netloc or model_id or not run_id or named != run_id:
        raise _refused(source, "The parameter run_id must name the same run.")


def _check_owner(
    context: Context, source: str, stored: str, run_id: str | None, model_id: str | None
) -> None:
    try:
        if model_id:
            root = context.tracking.logged_models.logged_model(model_id).artifact_location
        elif run_id:
            root = context.tracking.runs.run(run_id).artifact_uri
        else:
            raise _refused(source, "The parameter run_id must name the run that the folder belongs to.")
    except NotFoundError as error:
        raise _refused(source, "There is no such run or model.") from error
    inner, outer = _place(stored), _place(root)
    if inner != outer and not inner.startswith(f"{outer}/"):
        owner = "model" if model_id else "run"
        raise _refused(source, f"It is not among the artifacts of the {owner} that is named with it.")


def _place(uri: str) -> str:
    parts = _split(uri)
    path = posixpath.normpath(urllib.parse.unquote(parts.path))
    return f"{parts.scheme.lower() or 'file'}://{parts.netloc.lower()}{path.rstrip('/')}"


def _refused(source: str, why: str) -> ApiError:
    return invalid(f"Invalid model version source: '{source}'. {why}")
