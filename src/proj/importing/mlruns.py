"""Reads an `mlruns` folder, MLflow's file store, of 1.x, 2.x and 3.x.

Each experiment is a folder with a `meta.yaml`, each run a folder in it; parameters, tags and metrics are
files whose names are the keys. See `mlflow/store/tracking/file_store.py` and
`mlflow/store/model_registry/file_store.py`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import msgspec

from proj.errors import NotFoundError, StoreError
from proj.importing.files import ArtifactPlaces
from proj.importing.folders import BadMetaError, Folder, Meta
from proj.importing.mlruns_models import read_logged_model, read_registered_model
from proj.importing.model import ForeignExperiment, ForeignRun
from proj.importing.points import read_points
from proj.importing.rules import MODEL_ID, RUN_ID, note_traces, run_status
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput, RunInputs
from proj.tracking.values import RUN_NAME_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from proj.importing.model import Files, ForeignLoggedModel, ForeignModel, Problems, Source
    from proj.model import Metric

P = ParamSpec("P")
T = TypeVar("T")

TRASH = ".trash"
MODELS = "models"
_RESERVED = frozenset({"tags", "datasets", "traces", MODELS})
"""Folders in an experiment that are no runs."""
_USER_TAG = "mlflow.user"


class MlrunsSource:
    """A `Source` that is an `mlruns` folder.

    Args:
        root: The folder.
        problems: Takes what cannot be read.
        beside: Further folders in which artifacts are looked for that are not where they are said to be.

    Raises:
        NotFoundError: There is no such folder.
        StoreError: It is no `mlruns` folder.
    """

    def __init__(self, root: Path, problems: Problems, beside: tuple[Path, ...] = ()) -> None:
        self._folder = Folder(Path(os.path.realpath(root)), problems)
        self._problems = problems
        self._places = ArtifactPlaces((self._folder.root, root.absolute().parent, *beside), problems)
        self.missing_roots = self._places.missing
        self.uri = root.absolute().as_uri()
        _check(root)

    def experiments(self) -> Iterator[ForeignExperiment]:
        """See `Source.experiments`."""
        for parent, deleted in (("", False), (TRASH, True)):
            for name in self._folder.folders(parent):
                path = os.path.join(parent, name)  # noqa: PTH118  strings: there may be 100,000 of them
                if name == TRASH or (name == MODELS and not parent) or not self._folder.has_meta(path):
                    continue
                experiment = self._guarded(path, self._experiment)
                if experiment is not None:
                    yield msgspec.structs.replace(experiment, deleted=deleted or experiment.deleted)

    def _experiment(self, meta: Meta, path: str) -> ForeignExperiment:
        created_ms = meta.integer("creation_time")
        if created_ms is None:  # before 1.29
            created_ms = int(meta.path.stat().st_mtime * 1000)
        return ForeignExperiment(
            experiment_id=meta.text("experiment_id") or meta.path.parent.name,
            name=meta.required("name"),
            artifact_location=meta.text("artifact_location"),
            created_ms=created_ms,
            updated_ms=meta.integer("last_update_time") or created_ms,
            deleted=meta.text("lifecycle_stage") == "deleted",
            tags=self._folder.values(f"{path}/tags"),
            folder=path,
        )

    # --- runs -----------------------------------------------------------------------------------------

    def runs(
        self, experiments: Collection[ForeignExperiment]
    ) -> Iterator[tuple[ForeignRun, Iterator[Metric]]]:
        """See `Source.runs`."""
        note_traces(sum(len(self._folder.folders(f"{each.folder}/traces")) for each in experiments))
        for experiment in experiments:
            datasets = _Datasets(self._folder, f"{experiment.folder}/datasets")
            for name in self._folder.folders(experiment.folder):
                path = f"{experiment.folder}/{name}"
                if name in _RESERVED or not (RUN_ID.fullmatch(name) or self._folder.has_meta(path)):
                    continue
                run = self._guarded(path, self._run, experiment, datasets)
                if run is not None:
                    yield run, read_points(self._folder, f"{path}/metrics")

    def _run(self, meta: Meta, path: str, experiment: ForeignExperiment, datasets: _Datasets) -> ForeignRun:
        run_id = meta.text("run_id") or meta.required("run_uuid")
        if run_id != meta.path.parent.name or not RUN_ID.fullmatch(run_id):
            raise meta.bad(f"the run id {run_id!r} is not the name of its folder")
        tags = self._folder.values(f"{path}/tags")
        deleted = experiment.deleted or meta.text("lifecycle_stage") == "deleted"
        started_ms = meta.integer("start_time") or 0
        ended_ms = meta.integer("end_time")
        return ForeignRun(
            run_id=run_id,
            experiment_id=experiment.experiment_id,
            name=meta.text("run_name") or tags.get(RUN_NAME_TAG) or meta.text("name") or "",
            user=meta.text("user_id") or tags.get(_USER_TAG) or "",
            status=run_status(meta.value("status"), meta),
            started_ms=started_ms,
            ended_ms=ended_ms,
            deleted_ms=(meta.integer("deleted_time") or ended_ms or started_ms) if deleted else None,
            artifact_uri=meta.text("artifact_uri"),
            params=self._folder.values(f"{path}/params"),
            tags=tags,
            inputs=self._inputs(path, datasets),
            folder=path,
        )

    def _inputs(self, path: str, datasets: _Datasets) -> RunInputs:
        used: list[DatasetInput] = []
        models: list[str] = []
        for name in self._folder.folders(f"{path}/inputs"):
            meta = self._folder.meta(f"{path}/inputs/{name}")
            source = meta.required("source_id")
            if meta.text("source_type") == "MODEL":
                models.append(source)
                continue
            dataset = datasets.get(source)
            if dataset is None:
                self._problems.add(meta.path, f"The dataset {source} is not there.")
            else:
                used.append(DatasetInput(dataset=dataset, tags=meta.texts("tags")))
        outputs = []
        for name in self._folder.folders(f"{path}/outputs"):
            meta = self._folder.meta(f"{path}/outputs/{name}")
            outputs.append(ModelOutput(model_id=meta.required("source_id"), step=meta.integer("step") or 0))
        return RunInputs(datasets=tuple(used), models=tuple(models), outputs=tuple(outputs))

    # --- models ---------------------------------------------------------------------------------------

    def logged_models(self, experiments: Collection[ForeignExperiment]) -> Iterator[ForeignLoggedModel]:
        """See `Source.logged_models`."""
        for experiment in experiments:
            parent = f"{experiment.folder}/{MODELS}"
            for name in self._folder.folders(parent):
                path = f"{parent}/{name}"
                if not MODEL_ID.fullmatch(name):
                    continue
                model = self._guarded(path, self._logged_model, experiment)
                if model is not None:
                    yield model

    def models(self) -> Iterator[ForeignModel]:
        """See `Source.models`."""
        for name in self._folder.folders(MODELS):
            path = f"{MODELS}/{name}"
            model = self._guarded(path, self._model)
            if model is not None:
                yield model

    def _logged_model(self, meta: Meta, path: str, experiment: ForeignExperiment) -> ForeignLoggedModel:
        return read_logged_model(self._folder, meta, path, experiment)

    def _model(self, meta: Meta, path: str) -> ForeignModel:
        return read_registered_model(self._folder, meta, path)

    def files(self, owner: ForeignRun | ForeignLoggedModel) -> Files | None:
        """See `Source.files`."""
        return self._places.files(owner, self._folder.root / owner.folder / "artifacts")

    def close(self) -> None:
        """See `Source.close`."""

    def _guarded(
        self, path: str, read: Callable[Concatenate[Meta, str, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Read what a folder's `meta.yaml` and its neighbours say; name what is bad, and go on."""
        try:
            return read(self._folder.meta(path), path, *args, **kwargs)
        except BadMetaError as error:
            self._problems.add(error.place, error.message)
        except OSError as error:
            self._problems.add(error.filename or path, f"It cannot be read: {error.strerror}.")
        return None


class _Datasets:
    """The datasets of one experiment, each read once."""

    def __init__(self, folder: Folder, path: str) -> None:
        self._folder = folder
        self._path = path
        self._read: dict[str, Dataset | None] = {}

    def get(self, dataset_id: str) -> Dataset | None:
        """Return the dataset with an id; None if there is none."""
        if dataset_id not in self._read:
            self._read[dataset_id] = self._load(dataset_id)
        return self._read[dataset_id]

    def _load(self, dataset_id: str) -> Dataset | None:
        path = f"{self._path}/{dataset_id}"
        if "/" in dataset_id or not self._folder.has_meta(path):
            return None
        meta = self._folder.meta(path)
        return Dataset(
            name=meta.required("name"),
            digest=meta.required("digest"),
            source_type=meta.text("source_type") or "",
            source=meta.text("source") or "",
            schema=meta.text("schema"),
            profile=meta.text("profile"),
        )


def _check(root: Path) -> None:
    """Raise unless a folder looks like MLflow's."""
    if not root.is_dir():
        raise NotFoundError(f"There is no folder {root}.")
    try:
        entries = list(root.iterdir())
    except OSError as error:
        raise StoreError(f"The folder {root} cannot be read: {error.strerror}.") from error
    if _holds_records(entries):
        return
    if any(entry.name == "proj.db" for entry in entries):
        raise StoreError(
            f"{root} holds records of proj, not of MLflow.",
            hint=f"`proj --tracking-uri {root} runs` lists them.",
        )
    within = root / "mlruns"
    databases = [entry for entry in entries if entry.suffix in (".db", ".sqlite")]
    hint = "It has experiments in it, each a folder with a meta.yaml."
    with contextlib.suppress(OSError):
        if within.is_dir() and _holds_records(list(within.iterdir())):  # beside a database it has only files
            databases = [within]
    if databases:
        hint = f"Did you mean {' or '.join(f'mlflow:{each}' for each in sorted(databases))}?"
    raise StoreError(f"{root} is no mlruns folder of MLflow.", hint=hint)


def _holds_records(entries: list[Path]) -> bool:
    return any(
        (entry / "meta.yaml").is_file() or (entry.name in (TRASH, MODELS) and entry.is_dir())
        for entry in entries
    )


if TYPE_CHECKING:

    def _conforms(source: MlrunsSource) -> Source:
        return source
