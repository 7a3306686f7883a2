"""Runs out of an archive, into the records of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from proj import events
from proj.archive.container import CHUNK_BYTES
from proj.archive.documents import LOCAL_TAGS, ArchivedRun, encode, encode_points, model_metrics
from proj.archive.manifest import SOURCE, WHOLE, WHOLE_BUNDLE
from proj.errors import ConflictError, StoreError
from proj.model import Metric
from proj.process import deferred
from proj.tracking.inputs import RunInputs
from proj.tracking.past import PastExperiment, PastLoggedModel, PastRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proj.archive.reading import Archive
    from proj.tracking import Tracking
    from proj.tracking.past import KnownRun, PastStore

_NO_MARK = "proj.archive"
"""No experiment has a tag of that key: experiments are told apart by their names."""


class AddedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run of an archive, or would."""

    run_id: str
    name: str
    experiment: str
    status: str
    state: Literal["new", "there"]
    """`there`: it was here already, as it is in the archive."""
    files: int
    """How many were written: of a run that is there, those that were missing."""
    size_bytes: int
    """Of those."""


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of artifacts and what has to be written there."""

    uri: str
    files: Mapping[str, str]
    """Path -> file in the archive."""
    is_empty: bool
    """Whether nothing is there yet."""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    run: ArchivedRun
    metrics: tuple[Metric, ...]
    is_new: bool
    artifacts: _Place


def add(archive: Archive, tracking: Tracking, *, dry_run: bool = False) -> tuple[AddedRun, ...]:
    """Add the runs of an archive that was verified.

    All files of a run are in place before it is there, and all runs are there at once. A run keeps its id;
    one that is here already stays as it is, and only files that were removed from it are brought back.

    Args:
        archive: The archive.
        tracking: The records.
        dry_run: Only say what would be done.

    Raises:
        ConflictError: Another run of one's id is here; nothing is added.
        DamagedError: The archive has changed since it was verified; nothing is added.
        StoreError: The records cannot be written; nothing is added.
    """
    past = tracking.past
    if past is None:
        raise StoreError(f"Nothing can be imported into {tracking.uri}: it is a server.")
    known = past.known_runs([run.run_id for run in archive.runs])
    plans = [_plan(archive, tracking, past, run, known.get(run.run_id)) for run in archive.runs]
    if not dry_run:
        _write(archive, tracking, past, plans)
    return tuple(_added(archive, plan) for plan in plans)


def preview(archive: Archive) -> tuple[AddedRun, ...]:
    """Say what `add` would do where there are no records yet."""
    return tuple(
        AddedRun(
            run_id=run.run_id,
            name=run.name,
            experiment=run.experiment,
            status=run.status.value,
            state="new",
            files=len(files := archive.artifacts(run.run_id)),
            size_bytes=sum(archive.members[name].size_bytes for name in files.values()),
        )
        for run in archive.runs
    )


# --- what is to be done -------------------------------------------------------------------------------


def _plan(
    archive: Archive, tracking: Tracking, past: PastStore, run: ArchivedRun, known: KnownRun | None
) -> _Plan:
    metrics = archive.metrics(run.run_id)
    if known is not None:
        _check_same(tracking, run, metrics)
    # Of a run that is new, an import may have left files that was killed.
    uri = past.artifact_uri(run.experiment, run.run_id) if known is None else known.artifact_uri
    files = archive.artifacts(run.run_id)
    return _Plan(
        run=run,
        metrics=metrics,
        is_new=known is None,
        artifacts=_place(archive, tracking, uri, files, f"run {run.run_id}"),
    )


def _check_same(tracking: Tracking, run: ArchivedRun, metrics: tuple[Metric, ...]) -> None:
    """See that a run that is here is the one in the archive; its name and tags may have changed since."""
    here = tracking.runs.run(run.run_id)
    history = [point for key in here.metrics for point in tracking.runs.metric_history(run.run_id, key)]
    facts = {
        "state": (here.status, run.status),
        "start": (here.started_ms, run.started_ms),
        "end": (here.ended_ms, run.ended_ms),
        "user": (here.user, run.user),
        "parameters": (dict(here.params), dict(run.params)),
        "metrics": (encode_points(history), encode_points(metrics)),
    }
    different = [name for name, (ours, theirs) in facts.items() if ours != theirs]
    if different:
        raise ConflictError(
            f"Run {run.run_id} is here already, and is another one: its {different[0]} differs.",
            hint="Import it into another folder: PROJ_HOME=FOLDER proj import …",
        )


def _place(archive: Archive, tracking: Tracking, uri: str, files: Mapping[str, str], owner: str) -> _Place:
    """Which files are not here; those that are must be the same."""
    here = {info.path for info in tracking.artifacts.walk(uri)}
    for path in sorted(here & files.keys()):
        digest = hashlib.sha256()
        with tracking.artifacts.open(uri, path) as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != archive.digests[files[path]]:
            raise ConflictError(f"The artifact {path} of {owner} is here already, and is another one.")
    missing = {path: name for path, name in files.items() if path not in here}
    return _Place(uri=uri, files=missing, is_empty=not here)


def _added(archive: Archive, plan: _Plan) -> AddedRun:
    return AddedRun(
        run_id=plan.run.run_id,
        name=plan.run.name,
        experiment=plan.run.experiment,
        status=plan.run.status.value,
        state="new" if plan.is_new else "there",
        files=len(plan.artifacts.files),
        size_bytes=sum(archive.members[name].size_bytes for name in plan.artifacts.files.values()),
    )


# --- doing it -----------------------------------------------------------------------------------------


def _write(archive: Archive, tracking: Tracking, past: PastStore, plans: list[_Plan]) -> None:
    new = [plan for plan in plans if plan.is_new]
    try:
        for plan in plans:
            events.step(f"Importing run {plan.run.name} ({plan.run.run_id})")
            _put(archive, tracking, plan.artifacts)
            if plan.is_new:
                _put_code(archive, tracking, plan)
        experiments = _experiments(past, plans)
        past.add_runs([_past_run(plan, experiments[plan.run.experiment]) for plan in new])
    except BaseException:
        with deferred():
            there = past.known_runs([plan.run.run_id for plan in new])
            for plan in new:
                if plan.run.run_id not in there:
                    _take_back(tracking, plan.artifacts)
        raise
    for plan in plans:
        _add_models(archive, tracking, past, plan.run, experiments[plan.run.experiment])


def _put(archive: Archive, tracking: Tracking, place: _Place) -> None:
    for path, name in place.files.items():
        with tracking.artifacts.create(place.uri, path) as out:
            for chunk in archive.chunks(name):
                out.write(chunk)


def _put_code(archive: Archive, tracking: Tracking, plan: _Plan) -> None:
    """Keep what makes the run's code independent of its remote, where that is no artifact of its own."""
    source = plan.run.source
    if source is None or source.bundle is None or not source.bundle.startswith(SOURCE):
        return
    uri = plan.artifacts.uri
    _put(archive, tracking, _Place(uri=uri, files={WHOLE_BUNDLE: source.bundle}, is_empty=False))
    tracking.artifacts.write(uri, WHOLE, encode(source))


def _take_back(tracking: Tracking, place: _Place) -> None:
    """Remove what was put there; what was there before may be somebody's."""
    for path in ("",) if place.is_empty else (*place.files, WHOLE, WHOLE_BUNDLE):
        tracking.artifacts.delete(place.uri, path)


def _experiments(past: PastStore, plans: Iterable[_Plan]) -> dict[str, str]:
    """Name -> id here."""
    found: dict[str, str] = {}
    for plan in plans:
        run = plan.run
        if run.experiment in found:
            continue
        added = past.add_experiment(
            PastExperiment(
                name=run.experiment, created_ms=run.started_ms, updated_ms=run.started_ms, mark=_NO_MARK
            )
        )
        found[run.experiment] = added.id
        if added.deleted:
            events.warning(f"The experiment {run.experiment!r} is deleted here: its new runs are, too.")
    return found


def _past_run(plan: _Plan, experiment_id: str) -> PastRun:
    run = plan.run
    return PastRun(
        run_id=run.run_id,
        experiment_id=experiment_id,
        name=run.name,
        user=run.user,
        status=run.status,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        params=run.params,
        tags={name: value for name, value in run.tags.items() if name not in LOCAL_TAGS},
        metrics=plan.metrics,
        inputs=RunInputs(datasets=run.inputs.datasets, models=run.inputs.models, outputs=run.inputs.outputs),
    )


def _add_models(
    archive: Archive, tracking: Tracking, past: PastStore, run: ArchivedRun, experiment_id: str
) -> None:
    if not run.models:
        return
    past.add_logged_models(
        [
            PastLoggedModel(
                model_id=model.model_id,
                experiment_id=experiment_id,
                name=model.name,
                status=model.status,
                created_ms=model.created_ms,
                updated_ms=model.updated_ms,
                model_type=model.model_type,
                source_run_id=run.run_id,
                status_message=model.status_message,
                params=model.params,
                tags=model.tags,
                metrics=model_metrics(model),
            )
            for model in run.models
        ]
    )
    for model in run.models:
        uri = tracking.logged_models.logged_model(model.model_id, allow_deleted=True).artifact_location
        files = archive.files_of_model(model.model_id)
        _put(archive, tracking, _place(archive, tracking, uri, files, f"model {model.model_id}"))
