"""The files of a run as people see them: its artifacts, and the models that it logged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from proj.errors import NotFoundError
from proj.model import ArtifactInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from proj.model import RunRecord
    from proj.tracking import Tracking
    from proj.tracking.logged_models import LoggedModel


def logged_models(tracking: Tracking, run: RunRecord) -> Iterator[LoggedModel]:
    """Yield the models that a run logged and that are still there.

    Clients before MLflow 3 keep theirs among the run's artifacts.
    """
    known = tracking.inputs.of_runs((run.run_id,)).get(run.run_id)
    for output in known.outputs if known else ():
        with contextlib.suppress(NotFoundError):
            yield tracking.logged_models.logged_model(output.model_id)


class RunFiles:
    """The artifacts of a run, and each model that it logged as a folder of its name, as MLflow shows them.

    Of two models of one name the later is shown; an artifact of that name hides it.
    """

    def __init__(self, tracking: Tracking, run: RunRecord) -> None:
        self._store = tracking.artifacts
        self._uri = run.artifact_uri
        self._models = {
            model.name: model.artifact_location
            for model in logged_models(tracking, run)
            if model.name not in ("", ".", "..") and "/" not in model.name
        }
        if self._models:
            for entry in self._store.list(self._uri):
                self._models.pop(entry.path, None)

    def _place(self, path: str) -> tuple[str, str, str]:
        """Return where a path is: an artifact URI, the path below it, and what stands before that here."""
        first, _, rest = path.partition("/")
        model = self._models.get(first)
        return (self._uri, path, "") if model is None else (model, rest, f"{first}/")

    def list(self, path: str = "") -> tuple[ArtifactInfo, ...]:
        """Return the entries directly below `path`, by name."""
        uri, inner, prefix = self._place(path)
        entries = [_below(prefix, entry) for entry in self._store.list(uri, inner)]
        if not path:
            entries += [ArtifactInfo(path=name, is_dir=True) for name in self._models]
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def walk(self, path: str = "") -> Iterator[ArtifactInfo]:
        """Yield all files below `path`, by name."""
        uri, inner, prefix = self._place(path)
        yield from (_below(prefix, entry) for entry in self._store.walk(uri, inner))
        if not path:
            for name in sorted(self._models):
                yield from self.walk(name)

    def open(self, path: str) -> BinaryIO:
        """Open one file for reading.

        Raises:
            NotFoundError: There is no such file.
        """
        uri, inner, _ = self._place(path)
        return self._store.open(uri, inner)


def _below(prefix: str, entry: ArtifactInfo) -> ArtifactInfo:
    return msgspec.structs.replace(entry, path=prefix + entry.path) if prefix else entry
