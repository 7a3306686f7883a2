"""Reads the records of a tracking server, or of any other `Tracking`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import ProjError, StoreError
from proj.importing.files import ArtifactPlaces, StoreFiles
from proj.importing.model import ForeignExperiment, ForeignLoggedModel, ForeignModel, ForeignRun
from proj.importing.rules import number
from proj.remote.client import UnknownCallError
from proj.tracking.artifact_stores import uri_scheme
from proj.tracking.inputs import RunInputs
from proj.tracking.logged_models import LoggedModelQuery
from proj.tracking.registry import RegistryQuery
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from proj.importing.model import Files, Problems, Source
    from proj.model import Metric, RunRecord
    from proj.tracking import Tracking
    from proj.tracking.logged_models import LoggedModel
    from proj.tracking.registry import ModelVersion, RegisteredModel

_PAGE = 200
_POINTS = 10_000
_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
"""Registered models that are prompts are found only by those who ask for them."""


def server_source(url: str, problems: Problems, beside: tuple[Path, ...] = ()) -> TrackingSource:
    """Open the records of a tracking server.

    Args:
        url: The server's; what stands before its host are credentials.
        problems: Takes what cannot be read.
        beside: Folders in which artifacts are looked for that the server has in folders of its own.

    Raises:
        UsageError: It is no URL.
        UnreachableError: The server does not answer.
        StoreError: The credentials do not fit, or it is no tracking server.
    """
    from proj.remote.store import check, open_remote

    check(url)
    return TrackingSource(open_remote(url), problems, beside)


class TrackingSource:
    """A `Source` that is a `Tracking`: what a server says through our client.

    Args:
        tracking: What to read; closed with the source.
        problems: Takes what cannot be read.
        beside: Folders in which artifacts are looked for that are not where they are said to be.
    """

    def __init__(self, tracking: Tracking, problems: Problems, beside: tuple[Path, ...] = ()) -> None:
        self._tracking = tracking
        self._problems = problems
        self._places = ArtifactPlaces(beside, problems)
        self.missing_roots = self._places.missing
        self.uri = tracking.uri

    def experiments(self) -> Iterator[ForeignExperiment]:
        """See `Source.experiments`."""
        for experiment in self._tracking.runs.experiments("all"):
            yield ForeignExperiment(
                experiment_id=experiment.experiment_id,
                name=experiment.name,
                artifact_location=experiment.artifact_location,
                created_ms=experiment.created_ms or None,
                updated_ms=experiment.updated_ms or None,
                deleted=experiment.lifecycle_stage == "deleted",
                tags=experiment.tags,
            )

    # --- runs -----------------------------------------------------------------------------------------

    def runs(
        self, experiments: Collection[ForeignExperiment]
    ) -> Iterator[tuple[ForeignRun, Iterator[Metric]]]:
        """See `Source.runs`."""
        for experiment in experiments:
            token = None
            while True:
                page = self._tracking.runs.search_runs(
                    RunQuery(
                        experiment_ids=(experiment.experiment_id,),
                        lifecycle="all",
                        limit=_PAGE,
                        page_token=token,
                    )
                )
                inputs = self._tracking.inputs.of_runs([run.run_id for run in page.runs])
                for run in page.runs:
                    yield _run(run, inputs.get(run.run_id)), self._points(run)
                token = page.next_page_token
                if token is None:
                    break

    def _points(self, run: RunRecord) -> Iterator[Metric]:
        for key in run.metrics:
            token = None
            try:
                while True:
                    page = self._tracking.runs.metric_page(run.run_id, key, limit=_POINTS, page_token=token)
                    for point in page.points:
                        yield point if point.value == number(point.value) else _infinite(point)
                    token = page.next_page_token
                    if token is None:
                        break
            except ProjError as error:
                self._problems.add(
                    f"run {run.run_id}", f"The history of {key!r} is left out: {error.message}"
                )

    # --- models ---------------------------------------------------------------------------------------

    def logged_models(self, experiments: Collection[ForeignExperiment]) -> Iterator[ForeignLoggedModel]:
        """See `Source.logged_models`. No server tells of deleted ones."""
        for experiment in experiments:
            token = None
            while True:
                query = LoggedModelQuery(experiment_ids=(experiment.experiment_id,), page_token=token)
                try:
                    page = self._tracking.logged_models.search_logged_models(query)
                except StoreError as error:
                    if isinstance(error.__cause__, UnknownCallError):  # a server before 3.0 has none
                        return
                    raise
                yield from map(_logged_model, page.models)
                token = page.next_page_token
                if token is None:
                    break

    def models(self) -> Iterator[ForeignModel]:
        """See `Source.models`."""
        for condition in ("", _PROMPTS):
            token = None
            while True:
                page = self._tracking.registry.search_models(
                    RegistryQuery(filter=condition, page_token=token)
                )
                for model in page.models:
                    yield self._model(model, condition)
                token = page.next_page_token
                if token is None:
                    break

    def _model(self, model: RegisteredModel, condition: str) -> ForeignModel:
        quoted = model.name.replace("'", "''")
        where = f"name = '{quoted}'" + (f" and {condition}" if condition else "")
        versions: list[ModelVersion] = []
        token = None
        while True:
            page = self._tracking.registry.search_versions(
                RegistryQuery(filter=where, limit=_PAGE, page_token=token)
            )
            versions += page.versions
            token = page.next_page_token
            if token is None:
                break
        return ForeignModel(
            name=model.name,
            created_ms=model.created_ms,
            updated_ms=model.updated_ms,
            description=model.description,
            tags=model.tags,
            aliases=model.aliases,
            versions=tuple(versions),
            last_version=max((version.version for version in versions), default=0),
        )

    def files(self, owner: ForeignRun | ForeignLoggedModel) -> Files | None:
        """See `Source.files`."""
        if owner.artifact_uri is None:
            return None
        if uri_scheme(owner.artifact_uri) in (
            "",
            "file",
        ):  # a folder of the server's, which may be this machine
            return self._places.files(owner)
        return StoreFiles(self._tracking.artifacts, owner.artifact_uri)

    def close(self) -> None:
        """See `Source.close`."""
        self._tracking.close()


def _run(run: RunRecord, inputs: RunInputs | None) -> ForeignRun:
    gone_ms = run.ended_ms or run.started_ms
    return ForeignRun(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        name=run.run_name,
        user=run.user,
        status=run.status,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        deleted_ms=gone_ms if run.lifecycle_stage == "deleted" else None,
        artifact_uri=run.artifact_uri,
        params=run.params,
        tags=run.tags,
        inputs=inputs or RunInputs(),
    )


def _infinite(point: Metric) -> Metric:
    return msgspec.structs.replace(point, value=number(point.value))


def _logged_model(model: LoggedModel) -> ForeignLoggedModel:
    return ForeignLoggedModel(
        model_id=model.model_id,
        experiment_id=model.experiment_id,
        name=model.name,
        status=model.status,
        created_ms=model.created_ms,
        updated_ms=model.updated_ms,
        deleted=model.lifecycle_stage == "deleted",
        model_type=model.model_type,
        source_run_id=model.source_run_id,
        status_message=model.status_message,
        artifact_uri=model.artifact_location,
        params=model.params,
        tags=model.tags,
        metrics=model.metrics,
    )


if TYPE_CHECKING:

    def _conforms(source: TrackingSource) -> Source:
        return source
