"""Writes what a `Source` yields into the records of this machine."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, TypeVar

import msgspec

from proj import events
from proj.errors import ProjError
from proj.importing.origins import ORIGIN, Relocation, with_origin
from proj.times import now_ms
from proj.tracking.inputs import RunInputs
from proj.tracking.past import PastExperiment, PastLoggedModel, PastRun

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proj.importing.copying import Copier
    from proj.importing.model import (
        ForeignExperiment,
        ForeignLoggedModel,
        ForeignModel,
        ForeignRun,
        ImportReport,
        Problems,
        Source,
        Tally,
    )
    from proj.tracking import Tracking
    from proj.tracking.past import Added, PastStore

T = TypeVar("T")

_BATCH_RUNS = 200
_BATCH_POINTS = 20_000
"""One transaction takes so many; a few dozen milliseconds."""
_BATCH_MODELS = 100


class Writer:
    """Takes over all that a source has.

    What is killed in between leaves whole runs, and runs whose history or files go on with the next import.

    Args:
        source: Where records come from.
        tracking: Where they go.
        past: Takes them in as they were.
        report: Counts what is done.
        problems: Takes what could not be done.
        copier: Copies artifacts; None: they are left out.
    """

    def __init__(
        self,
        *,
        source: Source,
        tracking: Tracking,
        past: PastStore,
        report: ImportReport,
        problems: Problems,
        copier: Copier | None,
    ) -> None:
        self._source = source
        self._tracking = tracking
        self._past = past
        self._report = report
        self._problems = problems
        self._copier = copier
        self._here: dict[str, str] = {}
        """Experiment there -> experiment here."""
        self._copied: set[str] = set()
        """Runs that are not complete yet, and whose files are copied."""
        self._met: dict[str, Added] = {}
        """Runs that are not complete yet -> what became of them so far."""

    def write(self, experiments: Collection[ForeignExperiment], *, whole: bool) -> None:
        """Take over experiments with their runs and models, and the registered models.

        Args:
            experiments: Those to take over.
            whole: Whether these are all; else only versions whose run is here are taken over.
        """
        doing = "Looking at" if self._report.dry_run else "Importing"
        noun = "experiment" if len(experiments) == 1 else "experiments"
        events.step(f"{doing} {len(experiments)} {noun} of {self._source.uri}")
        for experiment in experiments:
            self._experiment(experiment)
        self._runs(experiments)
        for models in _chunks(self._source.logged_models(experiments), _BATCH_MODELS):
            self._logged_models(models)
        relocation = Relocation(self._past, self._tracking.logged_models)
        for model in self._source.models():
            self._model(model, relocation, whole=whole)

    def _experiment(self, experiment: ForeignExperiment) -> None:
        origin = f"{self._source.uri}#{experiment.experiment_id}"
        mark = f"{ORIGIN}{hashlib.sha256(origin.encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"
        tags = {**experiment.tags, mark: origin}
        if experiment.artifact_location:
            tags.setdefault(f"{ORIGIN}artifact_location", experiment.artifact_location)
        created_ms = experiment.created_ms or now_ms()
        added = self._past.add_experiment(
            PastExperiment(
                name=experiment.name,
                created_ms=created_ms,
                updated_ms=experiment.updated_ms or created_ms,
                deleted=experiment.deleted,
                tags=tags,
                mark=mark,
            )
        )
        self._here[experiment.experiment_id] = added.id
        _count(self._report.experiments, added)
        if added.deleted and not experiment.deleted:
            events.warning(
                f"The experiment {experiment.name!r} is deleted here: what is new of it is deleted, too."
            )

    # --- runs -----------------------------------------------------------------------------------------

    def _runs(self, experiments: Collection[ForeignExperiment]) -> None:
        parts: list[PastRun] = []
        begun: list[ForeignRun] = []
        ended: list[ForeignRun] = []
        size = 0
        for run, points in self._source.runs(experiments):
            begun.append(run)
            part = self._part(run)
            for some in _chunks(points, _BATCH_POINTS):
                size += len(some)
                parts.append(msgspec.structs.replace(part, metrics=tuple(some)))
                if size >= _BATCH_POINTS:
                    self._flush(parts, begun, ended)
                    parts, begun, ended, size = [], [], [], 0
                part = msgspec.structs.replace(part, params={}, tags={}, inputs=RunInputs())
            if not parts or parts[-1].run_id != run.run_id:
                parts.append(part)
            ended.append(run)
            if len(ended) >= _BATCH_RUNS:
                self._flush(parts, begun, ended)
                parts, begun, ended, size = [], [], [], 0
        self._flush(parts, begun, ended)

    def _part(self, run: ForeignRun) -> PastRun:
        return PastRun(
            run_id=run.run_id,
            experiment_id=self._here[run.experiment_id],
            name=run.name,
            user=run.user,
            status=run.status,
            started_ms=run.started_ms,
            ended_ms=run.ended_ms,
            deleted_ms=run.deleted_ms,
            params=run.params,
            tags=self._tags(run),
            inputs=run.inputs,
        )

    def _flush(self, parts: list[PastRun], begun: list[ForeignRun], ended: list[ForeignRun]) -> None:
        """Write a batch.

        Files of runs that are open here come before the state that says that there are no more of them; those
        of others after the run that they belong to.
        """
        if not parts:
            return
        known = self._past.known_runs([run.run_id for run in begun])
        for run in begun:
            if run.run_id in known and not known[run.run_id].status.finished:
                self._copy(run, run.run_id, known[run.run_id].artifact_uri, follow=True)
        for each in self._past.add_runs(parts):
            self._report.points += each.points
            before = self._met.get(each.id)
            self._met[each.id] = each if before is None else _sum(before, each)
        here = self._past.known_runs([run.run_id for run in ended])
        for run in ended:
            _count(self._report.runs, self._met.pop(run.run_id))
            self._copy(run, run.run_id, here[run.run_id].artifact_uri)
            self._copied.discard(run.run_id)
        events.progress(f"{self._report.runs.all} runs", self._report.runs.all)

    def _copy(
        self, owner: ForeignRun | ForeignLoggedModel, owner_id: str, uri: str, *, follow: bool = False
    ) -> None:
        if self._copier is None or owner_id in self._copied:
            return
        self._copied.add(owner_id)
        try:
            files = self._source.files(owner)
            if files is not None:
                self._copier.copy(files, uri, follow=follow)
        except ProjError as error:
            kind = "logged model" if owner_id.startswith("m-") else "run"
            self._problems.add(f"{kind} {owner_id}", error.message)

    # --- models ---------------------------------------------------------------------------------------

    def _logged_models(self, models: Sequence[ForeignLoggedModel]) -> None:
        added = self._past.add_logged_models([self._logged_model(model) for model in models])
        for model, each in zip(models, added, strict=True):
            _count(self._report.logged_models, each)
            there = self._tracking.logged_models.logged_model(model.model_id, allow_deleted=True)
            self._copy(model, model.model_id, there.artifact_location)
        events.progress(f"{self._report.logged_models.all} logged models", self._report.logged_models.all)

    def _logged_model(self, model: ForeignLoggedModel) -> PastLoggedModel:
        return msgspec.structs.replace(
            model, experiment_id=self._here[model.experiment_id], tags=self._tags(model)
        )

    def _tags(self, item: ForeignRun | ForeignLoggedModel) -> Mapping[str, str]:
        """Its tags, and where it comes from."""
        return with_origin(
            item.tags, self._source.uri, experiment_id=item.experiment_id, artifact_uri=item.artifact_uri
        )

    def _model(self, model: ForeignModel, relocation: Relocation, *, whole: bool) -> None:
        versions = []
        for version in model.versions:
            if not whole and not relocation.knows(version):
                continue
            moved, problem = relocation.moved(version, self._source.uri)
            versions.append(moved)
            if problem is not None:
                self._problems.add(f"version {version.version} of {model.name}", problem)
        if not whole and not versions:
            return
        numbers = {version.version for version in versions}
        added = self._past.add_model(
            msgspec.structs.replace(
                model,
                aliases={alias: number for alias, number in model.aliases.items() if number in numbers},
                versions=tuple(versions),
            )
        )
        _count(self._report.registered_models, added)
        self._report.versions += added.versions
        for there, here in added.renumbered.items():
            events.note(f"Version {there} of {model.name} is version {here} here: its number was taken.")


def _sum(first: Added, second: Added) -> Added:
    """What became of a run that came in parts."""
    return msgspec.structs.replace(
        first,
        changed=first.changed or second.changed,
        points=first.points + second.points,
        values=first.values + second.values,
    )


def _count(tally: Tally, added: Added) -> None:
    if added.new:
        tally.new += 1
    elif added.changed or added.points or added.values or added.versions:
        tally.changed += 1
    else:
        tally.there += 1


def _chunks(values: Iterator[T], size: int) -> Iterator[list[T]]:
    while some := list(itertools.islice(values, size)):
        yield some
