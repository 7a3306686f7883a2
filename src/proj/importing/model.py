"""What readers of other stores yield, and what is said of an import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from proj.model import RunStatus
from proj.tracking.inputs import RunInputs
from proj.tracking.past import PastLoggedModel, PastModel
from proj.tracking.values import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import BinaryIO

    from proj.model import Metric


class ForeignExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as the other store has it."""

    experiment_id: str
    name: str
    artifact_location: str | None = None
    created_ms: int | None = None
    updated_ms: int | None = None
    deleted: bool = False
    tags: Mapping[str, str] = {}
    folder: str = ""
    """Where a folder store keeps it."""


class ForeignRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the other store has it, without the history of its metrics."""

    run_id: str
    experiment_id: str
    name: str
    user: str
    status: RunStatus
    started_ms: int
    ended_ms: int | None = None
    deleted_ms: int | None = None
    artifact_uri: str | None = None
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    inputs: RunInputs = RunInputs()
    folder: str = ""
    """Where a folder store keeps it."""


class ForeignLoggedModel(PastLoggedModel, frozen=True, kw_only=True):
    """A logged model as the other store has it, its experiment's id that of there."""

    artifact_uri: str | None = None
    folder: str = ""
    """Where a folder store keeps it."""


class ForeignModel(PastModel, frozen=True, kw_only=True):
    """A registered model as the other store has it."""


class ForeignFile(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact of the other store."""

    path: str
    """Relative, with `/`."""
    size_bytes: int | None


class Files(Protocol):
    """The artifacts of one run or model."""

    def walk(self) -> Iterator[ForeignFile]:
        """Yield all files.

        Raises:
            ProjError: They cannot be listed.
        """

    def open(self, path: str) -> BinaryIO:
        """Open one for reading.

        Raises:
            ProjError: It cannot be read.
        """

    def changed_s(self, path: str) -> float | None:
        """When a file was changed last, seconds since the epoch; None where that is not known."""


class Source(Protocol):
    """A store of records in another's format, opened for reading. Nothing in it is ever changed."""

    uri: str
    """Where it is, without credentials."""
    missing_roots: list[str]
    """Folders in which artifacts should be, and which are not there."""

    def experiments(self) -> Iterable[ForeignExperiment]:
        """Yield the experiments, deleted ones too."""

    def runs(
        self, experiments: Collection[ForeignExperiment]
    ) -> Iterator[tuple[ForeignRun, Iterator[Metric]]]:
        """Yield the runs of experiments, deleted ones too, each with all points of its metrics.

        The points can be read until the next run is asked for.
        """

    def logged_models(self, experiments: Collection[ForeignExperiment]) -> Iterator[ForeignLoggedModel]:
        """Yield the logged models of experiments, deleted ones too."""

    def models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""

    def files(self, owner: ForeignRun | ForeignLoggedModel) -> Files | None:
        """The artifacts of a run or a logged model; None where there are none.

        Raises:
            ProjError: There should be some, and cannot be had.
        """

    def close(self) -> None:
        """Release what is open."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be taken over; the rest was."""

    place: str
    """File with line, or the id of a run or model."""
    message: str


class Tally(msgspec.Struct, kw_only=True):
    """How many of a kind were met."""

    new: int = 0
    changed: int = 0
    """Here already, and something was added to them or followed their state."""
    there: int = 0
    """Here already, as they are."""

    @property
    def all(self) -> int:
        """How many there are."""
        return self.new + self.changed + self.there


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import did, or would do."""

    source: str
    dry_run: bool = False
    experiments: Tally = msgspec.field(default_factory=Tally)
    runs: Tally = msgspec.field(default_factory=Tally)
    points: int = 0
    """New points of metrics."""
    logged_models: Tally = msgspec.field(default_factory=Tally)
    registered_models: Tally = msgspec.field(default_factory=Tally)
    versions: int = 0
    """New versions of registered models."""
    files: Tally = msgspec.field(default_factory=Tally)
    """Artifacts."""
    size_bytes: int = 0
    """Of new and changed artifacts."""
    missing_roots: list[str] = []
    """Folders in which artifacts should be, and which are not there."""
    problems: list[Problem] = []
    """The first of them."""
    problem_count: int = 0


class Problems:
    """Collects what could not be taken over, and tells the user of the first of them at once."""

    MAX_KEPT = 1000
    _MAX_TOLD = 20

    def __init__(self) -> None:
        self.kept: list[Problem] = []
        self.count = 0

    def add(self, place: object, message: str) -> None:
        """Take one problem."""
        from proj import events

        self.count += 1
        place, message = storable(str(place)), storable(message)
        if self.count <= self.MAX_KEPT:
            self.kept.append(Problem(place=place, message=message))
        if self.count <= self._MAX_TOLD:
            events.warning(f"{place}: {message}")
