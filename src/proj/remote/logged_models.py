"""The logged models of a tracking server."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from proj.errors import ConflictError, NotFoundError, StoreError, UsageError
from proj.remote.batches import key_values
from proj.remote.client import UnknownCallError
from proj.tracking.logged_models import LoggedModel, LoggedModelPage
from proj.tracking.values import optional, parameter_conflict, storable
from proj.wire.codec import Empty
from proj.wire.experiments import ExperimentAnswer, ExperimentId, ExperimentsAnswer, SearchExperiments
from proj.wire.logged_models import (
    CreateLoggedModel,
    DatasetIn,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    GetLoggedModel,
    LoggedModelAnswer,
    LoggedModelsAnswer,
    LogLoggedModelParams,
    OfLoggedModel,
    OrderIn,
    SearchLoggedModels,
    SetLoggedModelTags,
    status_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proj.remote.client import Client
    from proj.tracking.logged_models import (
        LoggedModelQuery,
        LoggedModelStatus,
        LoggedModelStore,
        NewLoggedModel,
    )

_Answer = TypeVar("_Answer", bound=msgspec.Struct)

_CALL = "logged-models"
_GC = "`proj gc` and `mlflow gc` are for where the records are kept: run them there."
_MAX_EXPERIMENTS = 1000
"""In one answer."""


class RemoteLoggedModelStore:
    """Logged models on a server of ours, or of MLflow 3; older ones have none.

    The protocol cannot search for deleted models, remove models for good, or keep the message of a status.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def create_logged_model(self, new: NewLoggedModel) -> LoggedModel:
        """See `LoggedModelStore.create_logged_model`."""
        message = CreateLoggedModel(
            experiment_id=storable(new.experiment_id),
            name=optional(new.name) or "",
            model_type=optional(new.model_type) or "",
            source_run_id=optional(new.source_run_id) or "",
            params=key_values(new.params),
            tags=key_values(new.tags),
        )
        try:
            return self._call("POST", _CALL, message, LoggedModelAnswer).model.to_model()
        except UsageError as error:
            self._check_experiment(new.experiment_id, error)
            raise

    def _check_experiment(self, experiment_id: str, error: UsageError) -> None:
        """See whether an error means that an experiment is deleted."""
        found = self._client.get(
            "experiments/get", ExperimentId(experiment_id=experiment_id), ExperimentAnswer
        )
        if found.experiment.lifecycle_stage == "deleted":
            raise ConflictError(error.message) from error

    def logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """See `LoggedModelStore.logged_model`."""
        try:
            return self._get(GetLoggedModel(model_id=model_id))
        except NotFoundError:
            if not allow_deleted:
                raise
        found = self._get(GetLoggedModel(model_id=model_id, allow_deleted=True))
        return msgspec.structs.replace(found, lifecycle_stage="deleted")

    def _get(self, message: GetLoggedModel) -> LoggedModel:
        return self._call("GET", _path(message.model_id), message, LoggedModelAnswer).model.to_model()

    def finalize_logged_model(
        self, model_id: str, status: LoggedModelStatus, message: str | None = None
    ) -> LoggedModel:
        """See `LoggedModelStore.finalize_logged_model`; the message is not recorded."""
        del message
        given = FinalizeLoggedModel(model_id=model_id, status=status_name(status))
        return self._call("PATCH", _path(model_id), given, LoggedModelAnswer).model.to_model()

    def delete_logged_model(self, model_id: str) -> None:
        """See `LoggedModelStore.delete_logged_model`."""
        self.logged_model(model_id)  # a server deletes what is deleted once more without a word
        self._call("DELETE", _path(model_id), OfLoggedModel(model_id=model_id), Empty)

    def purge_logged_models(self, model_ids: Sequence[str]) -> None:
        """Refuse it: MLflow's protocol cannot.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"A tracking server removes no models for good ({len(model_ids)} asked for).", hint=_GC
        )

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """See `LoggedModelStore.set_logged_model_tags`."""
        message = SetLoggedModelTags(model_id=model_id, tags=key_values(tags))
        self._call("PATCH", f"{_path(model_id)}/tags", message, Empty)

    def remove_logged_model_tags(self, model_id: str, *keys: str) -> int:
        """See `LoggedModelStore.remove_logged_model_tags`."""
        tags = self.logged_model(model_id).tags
        there = [key for key in dict.fromkeys(map(storable, keys)) if key in tags]
        for key in there:
            message = DeleteLoggedModelTag(model_id=model_id, tag_key=key)
            self._call("DELETE", f"{_path(model_id)}/tags/{quote(key, safe='')}", message, Empty)
        return len(there)

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """See `LoggedModelStore.log_logged_model_params`."""
        known = self.logged_model(model_id).params
        given = {storable(key): storable(value) for key, value in params.items()}
        conflicts = tuple(
            (key, known[key], value) for key, value in given.items() if known.get(key, value) != value
        )
        if conflicts:
            raise parameter_conflict(f"the model {model_id}", conflicts)
        new = {key: value for key, value in given.items() if key not in known}
        if new:
            message = LogLoggedModelParams(model_id=model_id, params=key_values(new))
            self._call("POST", f"{_path(model_id)}/params", message, Empty)

    # --- search ---------------------------------------------------------------------------------------

    def search_logged_models(self, query: LoggedModelQuery) -> LoggedModelPage:
        """See `LoggedModelStore.search_logged_models`; only for active models."""
        if query.limit < 1:
            raise UsageError(f"The limit {query.limit} is not a positive number.")
        if query.lifecycle != "active" or query.deleted_before_ms is not None:
            raise UsageError("A tracking server finds no deleted models.", hint=_GC)
        given = query.experiment_ids
        experiments = self._experiments() if given is None else experiment_numbers(given)
        if not experiments:
            return LoggedModelPage(models=())
        message = SearchLoggedModels(
            experiment_ids=experiments,
            filter=storable(query.filter),
            datasets=tuple(
                DatasetIn(dataset_name=each.name, dataset_digest=each.digest or "") for each in query.datasets
            ),
            max_results=query.limit,
            order_by=tuple(
                OrderIn(
                    field_name=each.field,
                    ascending=each.ascending,
                    dataset_name=each.dataset.name if each.dataset else "",
                    dataset_digest=(each.dataset.digest if each.dataset else None) or "",
                )
                for each in query.order_by
            ),
            page_token=query.page_token or "",
        )
        found = self._call("POST", f"{_CALL}/search", message, LoggedModelsAnswer)
        return LoggedModelPage(
            models=tuple(model.to_model() for model in found.models),
            next_page_token=found.next_page_token or None,
        )

    def _experiments(self) -> tuple[str, ...]:
        """Ids of all experiments: a search has to name them."""
        found: list[str] = []
        token = ""
        while True:
            message = SearchExperiments(max_results=_MAX_EXPERIMENTS, view_type="ALL", page_token=token)
            answer = self._client.get("experiments/search", message, ExperimentsAnswer)
            found += [experiment.experiment_id for experiment in answer.experiments]
            token = answer.next_page_token or ""
            if not token:
                return tuple(found)

    def _call(self, method: str, path: str, message: msgspec.Struct, answer: type[_Answer]) -> _Answer:
        try:
            return self._client.call(method, path, message, answer)
        except UnknownCallError as error:
            raise StoreError(
                f"The tracking server {self._client.url} keeps no logged models.",
                hint="MLflow's servers do from version 3 on.",
            ) from error


def experiment_numbers(ids: Iterable[str]) -> tuple[str, ...]:
    """Return those ids that can be an experiment's: MLflow's server refuses a search for any other."""
    return tuple(each for each in ids if each.isascii() and each.isdecimal())


def _path(model_id: str) -> str:
    return f"{_CALL}/{quote(storable(model_id), safe='')}"


if TYPE_CHECKING:

    def _models(client: Client) -> LoggedModelStore:
        return RemoteLoggedModelStore(client)
