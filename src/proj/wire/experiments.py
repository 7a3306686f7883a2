"""Requests and responses of `experiments/…`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proj.wire.codec import Int64, Message, Text
from proj.wire.entities import ExperimentOut, KeyValue


class CreateExperiment(Message, frozen=True):
    """`POST experiments/create`."""

    name: Text
    artifact_location: str = ""
    tags: tuple[KeyValue, ...] = ()


class ExperimentId(Message, frozen=True):
    """`experiments/get`, `/delete`, `/restore`; what `experiments/create` answers."""

    experiment_id: Text


class ExperimentName(Message, frozen=True):
    """`GET experiments/get-by-name`."""

    experiment_name: Text


class UpdateExperiment(Message, frozen=True):
    """`POST experiments/update`."""

    experiment_id: Text
    new_name: Text


class SetExperimentTag(Message, frozen=True):
    """`POST experiments/set-experiment-tag`."""

    experiment_id: Text
    key: Text
    value: str = ""


class DeleteExperimentTag(Message, frozen=True):
    """`POST experiments/delete-experiment-tag`."""

    experiment_id: Text
    key: Text


class SearchExperiments(Message, frozen=True):
    """`experiments/search`; the clients of 1.x call `experiments/list`."""

    max_results: Int64 = 1000
    page_token: str = ""
    filter: str = ""
    order_by: tuple[str, ...] = ()
    view_type: str | int | None = None


class ExperimentAnswer(Message, frozen=True):
    """What `experiments/get` answers."""

    experiment: ExperimentOut


class ExperimentsAnswer(Message, frozen=True):
    """What `experiments/search` answers."""

    experiments: tuple[ExperimentOut, ...] = ()
    next_page_token: str | UnsetType = UNSET
