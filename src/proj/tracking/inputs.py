"""The interface of what goes into runs and comes out of them: datasets and logged models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset; name and digest tell it from the others of an experiment."""

    name: str
    digest: str
    source_type: str
    source: str
    """Where it came from, JSON."""
    schema: str | None = None
    profile: str | None = None


class DatasetInput(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as the input of a run."""

    dataset: Dataset
    tags: Mapping[str, str] = {}
    """`mlflow.data.context` says what it was for, such as `training`."""


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model as the output of a run."""

    model_id: str
    step: int = 0


class RunInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What went into a run and came out of it."""

    datasets: tuple[DatasetInput, ...] = ()
    models: tuple[str, ...] = ()
    """Ids of logged models that the run used."""
    outputs: tuple[ModelOutput, ...] = ()


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that runs of an experiment used, once for each purpose."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None
    """The value of the tag `mlflow.data.context`."""


class InputStore(Protocol):
    """What goes into runs and comes out of them. Each call is atomic; logging the same twice is no error."""

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        """Record inputs of a run; a dataset that the run has already keeps its tags.

        Args:
            run_id: The run.
            datasets: Datasets with the tags of this use.
            models: Ids of logged models.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: The run is deleted.
        """

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record logged models that a run made.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: The run is deleted.
        """

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, RunInputs]:
        """Return run id -> inputs and outputs, for those runs that have any."""

    def search_datasets(self, experiment_ids: Sequence[str]) -> tuple[DatasetSummary, ...]:
        """Return the datasets of experiments, by experiment, name and digest; at most 1,000."""
