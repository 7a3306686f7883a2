"""The interface of what was recorded elsewhere: it keeps the ids, times and numbers that it had there.

What is here already is added to and never taken back, so the same records may be added any number of times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from proj.model import Metric, RunStatus
from proj.tracking.inputs import RunInputs
from proj.tracking.logged_models import LoggedModelStatus, ModelMetric
from proj.tracking.registry import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Sequence


class PastExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment of another store."""

    name: str
    created_ms: int
    updated_ms: int
    deleted: bool = False
    tags: Mapping[str, str] = {}
    mark: str
    """The key of a tag that only this experiment of that store leads to: it is found again under any name."""


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of another store, or of a long history a part."""

    run_id: str
    """32 hexadecimal digits."""
    experiment_id: str
    """As it is here."""
    name: str
    user: str
    status: RunStatus
    started_ms: int
    ended_ms: int | None = None
    deleted_ms: int | None = None
    """When it was deleted; None: it is not."""
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    metrics: tuple[Metric, ...] = ()
    """Points of its metrics, which the next part may go on with."""
    inputs: RunInputs = RunInputs()


class PastLoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model of another store."""

    model_id: str
    experiment_id: str
    """As it is here."""
    name: str
    status: LoggedModelStatus
    created_ms: int
    updated_ms: int
    deleted: bool = False
    model_type: str | None = None
    source_run_id: str | None = None
    status_message: str | None = None
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    metrics: tuple[ModelMetric, ...] = ()


class PastModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model of another store with its versions."""

    name: str
    created_ms: int
    updated_ms: int
    description: str | None = None
    tags: Mapping[str, str] = {}
    aliases: Mapping[str, int] = {}
    """Alias -> version."""
    versions: tuple[ModelVersion, ...] = ()
    """With the numbers that they have there; their aliases are not looked at."""
    last_version: int = 0
    """The greatest number that was ever given there: it is not given again."""


class KnownRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is here."""

    status: RunStatus
    artifact_uri: str


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an experiment, run or model that was added."""

    id: str
    """The experiment's, run's or logged model's id here; a registered model's name."""
    new: bool
    """Whether it was not here before."""
    deleted: bool = False
    """Whether it is deleted here."""
    changed: bool = False
    """Whether its state is another one now: an open run has ended, an upload is complete."""
    points: int = 0
    """New points of metrics."""
    values: int = 0
    """New parameters, tags, inputs and outputs, aliases."""
    versions: int = 0
    """New versions."""
    renumbered: Mapping[int, int] = {}
    """Number of a new version there -> another one that it has here, since its own was taken."""


class PastStore(Protocol):
    """Takes in what was recorded elsewhere. Each call is atomic.

    What is here stays as it is: parameters, tags, names, descriptions, aliases, and what is deleted. Only
    what had not ended when it was added last follows: an open run gets the state, name and tags that it has
    there by now, a logged model the state of its upload. Of a model version the later change counts.
    """

    def add_experiment(self, past: PastExperiment) -> Added:
        """Add an experiment, or tags to the one that carries its mark, or else has its name."""

    def add_runs(self, runs: Sequence[PastRun]) -> tuple[Added, ...]:
        """Add runs, or what is new of them, in this order.

        Raises:
            NotFoundError: There is no such experiment.
        """

    def artifact_uri(self, experiment: str, run_id: str) -> str:
        """Return where the files of a run go that is not here yet, so that they can be there before it is.

        Args:
            experiment: The name of its experiment, which need not be here either.
            run_id: The run.
        """

    def known_runs(self, run_ids: Sequence[str]) -> dict[str, KnownRun]:
        """Return run id -> what is here of it, deleted ones too."""

    def add_logged_models(self, models: Sequence[PastLoggedModel]) -> tuple[Added, ...]:
        """Add logged models, or what is new of them; points that unknown runs measured are left out.

        Raises:
            NotFoundError: There is no such experiment.
        """

    def add_model(self, model: PastModel) -> Added:
        """Add a registered model, or versions, tags and aliases to the one that has its name.

        A version whose number is another version's here gets the next free one.
        """
