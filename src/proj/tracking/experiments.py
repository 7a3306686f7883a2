"""The interface of experiments: named groups of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from proj.model import Experiment

if TYPE_CHECKING:
    from collections.abc import Mapping


Lifecycle = Literal["active", "deleted", "all"]


class ExperimentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments to return, in which order."""

    filter: str = ""
    """MLflow's grammar: `name LIKE 'wine%' and tags.team = 'red' and creation_time > 1700000000000`."""
    order_by: tuple[str, ...] = ()
    """`name`, `experiment_id`, `creation_time`, `last_update_time`, each with ASC or DESC; default: newest
    first."""
    lifecycle: Lifecycle = "active"
    limit: int = 1000
    page_token: str | None = None


class ExperimentPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search."""

    experiments: tuple[Experiment, ...]
    next_page_token: str | None = None


class ExperimentStore(Protocol):
    """Experiments with MLflow's data model; the half of a `RunStore` that is about groups of runs."""

    def create_experiment(
        self,
        name: str,
        *,
        exist_ok: bool = True,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Experiment:
        """Return the active experiment called `name`, created if need be.

        Args:
            name: Unique among all experiments, deleted ones too.
            exist_ok: Whether one that is there is returned, as it is.
            artifact_location: URI below which the files of its runs are kept; None: the store's own place.
            tags: The new experiment's tags.

        Raises:
            ConflictError: There is a deleted experiment of that name.
            AlreadyExistsError: There is one, and `exist_ok` is False.
        """

    def experiment(self, experiment_id: str) -> Experiment:
        """Return one experiment, deleted ones too.

        Raises:
            NotFoundError: There is none with that id.
        """

    def experiment_named(self, name: str) -> Experiment:
        """Return the experiment called `name`, deleted ones too.

        Raises:
            NotFoundError: There is none with that name.
        """

    def experiments(self, lifecycle: Lifecycle = "active") -> tuple[Experiment, ...]:
        """Return the experiments, oldest first."""

    def search_experiments(self, query: ExperimentQuery) -> ExperimentPage:
        """Return the experiments that match.

        Raises:
            UsageError: The filter or order cannot be understood; names the position.
        """

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name.

        Raises:
            NotFoundError: There is none with that id.
            ConflictError: It is deleted.
            AlreadyExistsError: Another one, perhaps a deleted one, has that name.
        """

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an active experiment and its runs as deleted.

        Raises:
            NotFoundError: There is no active one with that id.
        """

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment and all its runs back.

        Raises:
            NotFoundError: There is no deleted one with that id.
        """

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; a tag that is there gets the new value.

        Raises:
            NotFoundError: There is no such experiment.
            ConflictError: It is deleted.
        """

    def remove_experiment_tags(self, experiment_id: str, *keys: str) -> int:
        """Remove tags; return how many of them were there.

        Raises:
            NotFoundError: There is no such experiment.
            ConflictError: It is deleted.
        """
