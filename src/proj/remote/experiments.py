"""The experiments of a tracking server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proj.errors import AlreadyExistsError, ConflictError, NotFoundError, UsageError
from proj.remote.batches import key_values
from proj.remote.client import UnknownCallError
from proj.remote.transport import UncertainError
from proj.tracking.experiments import ExperimentPage, ExperimentQuery
from proj.tracking.values import storable
from proj.wire.codec import Empty
from proj.wire.enums import view_type
from proj.wire.experiments import (
    CreateExperiment,
    DeleteExperimentTag,
    ExperimentAnswer,
    ExperimentId,
    ExperimentName,
    ExperimentsAnswer,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proj.model import Experiment
    from proj.remote.client import Client
    from proj.tracking.store import Lifecycle

_ID = re.compile(r"(?!\d{19})[\w-]{1,64}", re.ASCII)
"""What an id can be: servers fail in their own ways at longer numbers and other characters."""
_MAX_NAME = 500
_PAGE = 1000


class RemoteExperiments:
    """The half of a `RunStore` that is about experiments, over MLflow's REST protocol.

    Args:
        client: The server; `close` closes it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def create_experiment(
        self,
        name: str,
        *,
        exist_ok: bool = True,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Experiment:
        """See `ExperimentStore.create_experiment`."""
        there = self._named(name)
        if there is not None:
            return _taken(there, exist_ok=exist_ok)
        message = CreateExperiment(
            name=storable(name),
            artifact_location=storable(artifact_location or ""),
            tags=key_values(tags or {}),
        )
        try:
            made = self._client.post("experiments/create", message, ExperimentId)
        except (AlreadyExistsError, UncertainError):  # somebody else was faster; or we were
            there = self._named(name)
            if there is None:
                raise
            return _taken(there, exist_ok=exist_ok)
        return self.experiment(made.experiment_id)

    def experiment(self, experiment_id: str) -> Experiment:
        """See `ExperimentStore.experiment`."""
        check_id(experiment_id)
        message = ExperimentId(experiment_id=experiment_id)
        try:
            return self._client.get("experiments/get", message, ExperimentAnswer).experiment.to_model()
        except UnknownCallError:
            raise
        except (NotFoundError, UsageError) as error:
            raise _no_experiment(experiment_id) from error

    def experiment_named(self, name: str) -> Experiment:
        """See `ExperimentStore.experiment_named`."""
        found = self._named(name)
        if found is None:
            raise NotFoundError(f"There is no experiment called {name!r}.", hint=_LIST)
        return found

    def _named(self, name: str) -> Experiment | None:
        if not 0 < len(name) <= _MAX_NAME:  # it would not fit into a request's first line
            return None
        message = ExperimentName(experiment_name=storable(name))
        try:
            found = self._client.get("experiments/get-by-name", message, ExperimentAnswer)
        except NotFoundError:
            return None
        return found.experiment.to_model()

    def experiments(self, lifecycle: Lifecycle = "active") -> tuple[Experiment, ...]:
        """See `ExperimentStore.experiments`."""
        return tuple(sorted(self._all_experiments(lifecycle), key=_age))

    def _all_experiments(self, lifecycle: Lifecycle) -> Iterator[Experiment]:
        token: str | None = None
        while True:
            page = self.search_experiments(
                ExperimentQuery(lifecycle=lifecycle, limit=_PAGE, page_token=token)
            )
            yield from page.experiments
            token = page.next_page_token
            if token is None:
                return

    def search_experiments(self, query: ExperimentQuery) -> ExperimentPage:
        """See `ExperimentStore.search_experiments`."""
        message = SearchExperiments(
            max_results=query.limit,
            page_token=query.page_token or "",
            filter=expression(query.filter),
            order_by=tuple(expression(each) for each in query.order_by),
            view_type=view_type(query.lifecycle),
        )
        found = self._client.post("experiments/search", message, ExperimentsAnswer)
        return ExperimentPage(
            experiments=tuple(each.to_model() for each in found.experiments),
            next_page_token=found.next_page_token or None,
        )

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """See `ExperimentStore.rename_experiment`. It takes two calls to see that it can be done."""
        self._active_experiment(experiment_id)
        other = self._named(name)
        if other is not None and other.experiment_id != experiment_id:
            raise AlreadyExistsError(f"There is an experiment called {name!r} already.")
        message = UpdateExperiment(experiment_id=experiment_id, new_name=storable(name))
        self._client.post("experiments/update", message, Empty)

    def delete_experiment(self, experiment_id: str) -> None:
        """See `ExperimentStore.delete_experiment`."""
        if self.experiment(experiment_id).lifecycle_stage != "active":
            raise NotFoundError(f"The experiment {experiment_id} is deleted already.")
        self._client.post("experiments/delete", ExperimentId(experiment_id=experiment_id), Empty)

    def restore_experiment(self, experiment_id: str) -> None:
        """See `ExperimentStore.restore_experiment`."""
        if self.experiment(experiment_id).lifecycle_stage != "deleted":
            raise NotFoundError(f"The experiment {experiment_id} is not deleted.")
        self._client.post("experiments/restore", ExperimentId(experiment_id=experiment_id), Empty)

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """See `ExperimentStore.set_experiment_tags`. Each tag is a call of its own."""
        self._active_experiment(experiment_id)
        for key, value in tags.items():
            message = SetExperimentTag(experiment_id=experiment_id, key=storable(key), value=storable(value))
            self._client.post("experiments/set-experiment-tag", message, Empty)

    def remove_experiment_tags(self, experiment_id: str, *keys: str) -> int:
        """See `ExperimentStore.remove_experiment_tags`. Each tag is a call of its own.

        Raises:
            UsageError: The server is older than MLflow 3 and cannot do it.
        """
        there = self._active_experiment(experiment_id).tags
        removed = 0
        for key in {storable(key) for key in keys} & there.keys():
            message = DeleteExperimentTag(experiment_id=experiment_id, key=key)
            try:
                self._client.post("experiments/delete-experiment-tag", message, Empty)
            except NotFoundError:  # somebody else was faster
                continue
            removed += 1
        return removed

    def _active_experiment(self, experiment_id: str) -> Experiment:
        found = self.experiment(experiment_id)
        if found.lifecycle_stage != "active":
            raise ConflictError(
                f"The experiment {found.name!r} is deleted.", hint="Restore it on the server, or use another."
            )
        return found


_LIST = "`proj runs` shows the names that are there."


def check_id(experiment_id: str) -> None:
    """See that a text can be the id of an experiment.

    Raises:
        NotFoundError: It can be none.
    """
    if not _ID.fullmatch(experiment_id):
        raise _no_experiment(experiment_id)


def possible_ids(experiment_ids: Sequence[str]) -> tuple[str, ...]:
    """Return those texts that can be ids of experiments: all are of one kind, nearly always numbers."""
    possible = tuple(each for each in experiment_ids if _ID.fullmatch(each))
    return tuple(each for each in possible if each.isdecimal()) or possible


def expression(text: str) -> str:
    """Return a filter or an order as it is sent.

    Raises:
        UsageError: It holds what cannot be sent.
    """
    if storable(text) != text:
        raise UsageError(f"{text!r} holds half a character, which is nowhere in a record.")
    return text


def _no_experiment(experiment_id: str) -> NotFoundError:
    return NotFoundError(f"There is no experiment with the id {experiment_id!r}.", hint=_LIST)


def _taken(there: Experiment, *, exist_ok: bool) -> Experiment:
    if there.lifecycle_stage != "active":
        raise ConflictError(
            f"There is a deleted experiment called {there.name!r}.", hint="Restore it, or use another name."
        )
    if not exist_ok:
        raise AlreadyExistsError(f"There is an experiment called {there.name!r} already.")
    return there


def _age(experiment: Experiment) -> tuple[int, int, str]:
    """What sorts experiments oldest first; ids made in the same millisecond are numbers that count up."""
    return experiment.created_ms, len(experiment.experiment_id), experiment.experiment_id
