"""Models in an `mlruns` folder: logged ones in their experiments, registered ones in `models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proj.importing.folders import BadMetaError
from proj.importing.model import ForeignLoggedModel, ForeignModel
from proj.importing.points import read_model_points
from proj.importing.rules import DELETED_STAGE, MODEL_ID, model_status, stage
from proj.tracking.registry import ModelVersion

if TYPE_CHECKING:
    from proj.importing.folders import Folder, Meta
    from proj.importing.model import ForeignExperiment

_VERSION = "version-"


def read_logged_model(
    folder: Folder, meta: Meta, path: str, experiment: ForeignExperiment
) -> ForeignLoggedModel:
    """Read a logged model of MLflow 3.

    Raises:
        BadMetaError: It is not as MLflow writes it.
    """
    model_id = meta.required("model_id")
    if model_id != meta.path.parent.name or not MODEL_ID.fullmatch(model_id):
        raise meta.bad(f"the model id {model_id!r} is not the name of its folder")
    created_ms = meta.integer("creation_timestamp") or 0
    return ForeignLoggedModel(
        model_id=model_id,
        experiment_id=experiment.experiment_id,
        name=meta.text("name") or "",
        status=model_status(meta.value("status"), meta),
        created_ms=created_ms,
        updated_ms=meta.integer("last_updated_timestamp") or created_ms,
        deleted=experiment.deleted or meta.text("lifecycle_stage") == "deleted",
        model_type=meta.text("model_type"),
        source_run_id=meta.text("source_run_id"),
        status_message=meta.text("status_message"),
        artifact_uri=meta.text("artifact_location"),
        params=folder.values(f"{path}/params"),
        tags=folder.values(f"{path}/tags"),
        metrics=tuple(read_model_points(folder, f"{path}/metrics", model_id)),
        folder=path,
    )


def read_registered_model(folder: Folder, meta: Meta, path: str) -> ForeignModel:
    """Read a registered model with its versions; versions that are not as MLflow writes them are left out.

    Raises:
        BadMetaError: The model itself is not.
    """
    versions = []
    last = 0
    for name in folder.folders(path):
        if not name.startswith(_VERSION):
            continue
        try:
            own = folder.meta(f"{path}/{name}")
            number = own.integer("version")
            if number is None:
                raise own.bad("it has no version")
            last = max(last, number)
            if own.text("current_stage") != DELETED_STAGE:
                tags = folder.values(f"{path}/{name}/tags")
                versions.append(_version(own, meta.required("name"), number, tags))
        except BadMetaError as error:
            folder.problems.add(error.place, error.message)
    created_ms = meta.integer("creation_timestamp") or 0
    return ForeignModel(
        name=meta.required("name"),
        created_ms=created_ms,
        updated_ms=meta.integer("last_updated_timestamp") or created_ms,
        description=meta.text("description"),
        tags=folder.values(f"{path}/tags"),
        aliases=_aliases(folder, path),
        versions=tuple(versions),
        last_version=last,
    )


def _version(meta: Meta, name: str, number: int, tags: dict[str, str]) -> ModelVersion:
    created_ms = meta.integer("creation_timestamp") or 0
    return ModelVersion(
        name=name,
        version=number,
        created_ms=created_ms,
        updated_ms=meta.integer("last_updated_timestamp") or created_ms,
        description=meta.text("description"),
        user=meta.text("user_id"),
        stage=stage(meta.text("current_stage"), meta),
        source=meta.text("source"),
        storage_location=meta.text("storage_location"),
        run_id=meta.text("run_id"),
        run_link=meta.text("run_link"),
        model_id=meta.text("model_id"),
        status=meta.text("status") or "READY",
        status_message=meta.text("status_message"),
        tags=tags,
    )


def _aliases(folder: Folder, path: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for alias, text in folder.values(f"{path}/aliases").items():
        if text.strip().isdecimal():
            found[alias] = int(text)
        else:
            folder.problems.add(f"{folder.root}/{path}/aliases/{alias}", "The alias names no version.")
    return found
