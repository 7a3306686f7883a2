"""What went into the runs of a tracking server, and came out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj.errors import ConflictError, NotFoundError, UsageError
from proj.remote.logged_models import experiment_numbers
from proj.tracking.inputs import RunInputs
from proj.tracking.values import storable
from proj.wire.codec import Empty
from proj.wire.entities import ModelInputIo, ModelOutputIo, OfRun, dataset_input_out
from proj.wire.runs import DatasetsAnswer, LogInputs, LogOutputs, RunAnswer, SearchDatasets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proj.remote.client import Client
    from proj.tracking.inputs import DatasetInput, DatasetSummary, InputStore, ModelOutput
    from proj.wire.entities import RunOut

_SEARCH_DATASETS = "/ajax-api/2.0/mlflow/experiments/search-datasets"
"""Where MLflow's servers have it; below `/api/` the path lacks a slash."""
_MAX_EXPERIMENTS = 20
_MAX_DATASETS = 1000
_NOTHING = RunInputs()


class RemoteInputStore:
    """Datasets and logged models of runs on a server. Servers before MLflow 2.4 keep none.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        """See `InputStore.log_inputs`."""
        given = RunInputs(datasets=tuple(datasets), models=tuple(dict.fromkeys(models)))

        def send(inputs: RunInputs) -> None:
            message = LogInputs(
                run_id=storable(run_id),
                datasets=tuple(dataset_input_out(dataset) for dataset in inputs.datasets),
                models=tuple(ModelInputIo(model_id=storable(model_id)) for model_id in inputs.models),
            )
            self._client.post("runs/log-inputs", message, Empty)

        self._log(run_id, given, send)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """See `InputStore.log_outputs`."""

        def send(outputs: RunInputs) -> None:
            made = tuple(
                ModelOutputIo(model_id=storable(output.model_id), step=output.step)
                for output in outputs.outputs
            )
            self._client.post("runs/outputs", LogOutputs(run_id=storable(run_id), models=made), Empty)

        self._log(run_id, RunInputs(outputs=tuple(dict.fromkeys(models))), send)

    def _log(self, run_id: str, given: RunInputs, send: Callable[[RunInputs], None]) -> None:
        """Log what goes in or out; where that is refused, without the models that the run has already.

        MLflow's server refuses a model that it was told of, and has no word of its own for a deleted run.
        """
        try:
            send(given)
        except UsageError as error:
            run = self._run(run_id)
            if run.info.lifecycle_stage == "deleted":
                raise ConflictError(error.message) from error
            known = run.to_inputs()
            new = msgspec.structs.replace(
                given,
                models=tuple(model_id for model_id in given.models if model_id not in known.models),
                outputs=tuple(output for output in given.outputs if output not in known.outputs),
            )
            if new == _NOTHING:
                return
            if new == given:
                raise
            send(new)

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, RunInputs]:
        """See `InputStore.of_runs`."""
        found = {run_id: self._of_run(run_id) for run_id in dict.fromkeys(run_ids)}
        return {run_id: inputs for run_id, inputs in found.items() if inputs != _NOTHING}

    def _of_run(self, run_id: str) -> RunInputs:
        try:
            return self._run(run_id).to_inputs()
        except NotFoundError:
            return _NOTHING

    def _run(self, run_id: str) -> RunOut:
        return self._client.get("runs/get", OfRun(run_id=storable(run_id)), RunAnswer).run

    def search_datasets(self, experiment_ids: Sequence[str]) -> tuple[DatasetSummary, ...]:
        """See `InputStore.search_datasets`."""
        found: list[DatasetSummary] = []
        numbers = experiment_numbers(experiment_ids)
        for start in range(0, len(numbers), _MAX_EXPERIMENTS):
            some = SearchDatasets(experiment_ids=numbers[start : start + _MAX_EXPERIMENTS])
            answer = self._client.post(_SEARCH_DATASETS, some, DatasetsAnswer)
            found += [summary.to_model() for summary in answer.dataset_summaries]
        found.sort(key=lambda each: (each.experiment_id, each.name, each.digest, each.context or ""))
        return tuple(found[:_MAX_DATASETS])


if TYPE_CHECKING:

    def _inputs(client: Client) -> InputStore:
        return RemoteInputStore(client)
