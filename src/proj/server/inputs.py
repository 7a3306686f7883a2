"""Handlers of what goes into runs and comes out of them: datasets and logged models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from proj.server import limits
from proj.server.policy import Access
from proj.server.routes import RawRoute, Route, its_run
from proj.wire.codec import Empty
from proj.wire.errors import invalid
from proj.wire.runs import DatasetsAnswer, DatasetSummaryOut, LogInputs, LogOutputs, SearchDatasets

if TYPE_CHECKING:
    from proj.server.routes import Context

_MAX_DATASETS = 1000
_MAX_NAME = 500
_MAX_DIGEST = 36
_MAX_SOURCE = 65_535
_MAX_SCHEMA = 1_048_575
_MAX_PROFILE = 16_777_215
_MAX_TAG_KEY = 255
_MAX_TAG_VALUE = 500
_MAX_EXPERIMENTS = 20


def log_inputs(context: Context, request: LogInputs) -> Empty:
    """`POST runs/log-inputs`."""
    if len(request.datasets) > _MAX_DATASETS:
        raise invalid(f"A batch logging request can contain at most {_MAX_DATASETS} datasets.")
    for given in request.datasets:
        dataset = given.dataset
        for path, text, limit in (
            ("name", dataset.name, _MAX_NAME),
            ("digest", dataset.digest, _MAX_DIGEST),
            ("source", dataset.source, _MAX_SOURCE),
            ("schema", dataset.schema or "", _MAX_SCHEMA),
            ("profile", dataset.profile or "", _MAX_PROFILE),
            *(("tag key", tag.key, _MAX_TAG_KEY) for tag in given.tags),
            *(("tag value", tag.value, _MAX_TAG_VALUE) for tag in given.tags),
        ):
            limits.check_length(text, limit, path)
    context.tracking.inputs.log_inputs(
        request.run,
        datasets=[given.to_model() for given in request.datasets],
        models=[model.model_id for model in request.models],
    )
    return Empty()


def log_outputs(context: Context, request: LogOutputs) -> Empty:
    """`POST runs/outputs`."""
    context.tracking.inputs.log_outputs(request.run, [model.to_model() for model in request.models])
    return Empty()


def search_datasets(context: Context, request: SearchDatasets) -> DatasetsAnswer:
    """`POST experiments/search-datasets`."""
    if not 1 <= len(request.experiment_ids) <= _MAX_EXPERIMENTS:
        raise invalid(f"SearchDatasets request must specify 1 to {_MAX_EXPERIMENTS} experiment_ids.")
    found = context.tracking.inputs.search_datasets(request.experiment_ids)
    return DatasetsAnswer(
        dataset_summaries=tuple(
            DatasetSummaryOut(
                experiment_id=summary.experiment_id,
                name=summary.name,
                digest=summary.digest,
                context=UNSET if summary.context is None else summary.context,
            )
            for summary in found
        )
    )


ROUTES: tuple[Route | RawRoute, ...] = (
    Route("POST", "runs/log-inputs", log_inputs, LogInputs, Access.LOG, its_run),
    Route("POST", "runs/outputs", log_outputs, LogOutputs, Access.LOG, its_run),
    Route("POST", "experiments/search-datasets", search_datasets, SearchDatasets),
    # MLflow's own path for it lacks a slash.
    Route("POST", "/api/2.0mlflow/experiments/search-datasets", search_datasets, SearchDatasets),
)
