"""The runs of a tracking server."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from proj.errors import ConflictError, NotFoundError, ProjError, UnreachableError, UsageError
from proj.model import RunStatus
from proj.record import TAG_CLAIM
from proj.remote.batches import MAX_PARAMS, MAX_TAG_VALUE, batches, check_lengths, key_values
from proj.remote.experiments import check_id
from proj.remote.finding import RunFinder, quoted
from proj.remote.transport import UncertainError
from proj.times import now_ms
from proj.tracking.store import RunQuery
from proj.tracking.values import RUN_NAME_TAG, parameter_conflict, storable
from proj.wire.codec import Empty
from proj.wire.entities import OfRun
from proj.wire.runs import (
    CreateRun,
    DeleteTag,
    RunAnswer,
    RunInfoAnswer,
    UpdateRun,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proj.model import Metric, NewRun, RunRecord
    from proj.tracking.store import RunStore

_LOOKS_AFTER_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each look for a run whose creation had no answer."""


class RemoteRunStore(RunFinder):
    """A `RunStore` that a tracking server keeps, ours or MLflow's; safe for many threads.

    MLflow's protocol has no transactions. A call that takes several requests says so in its docstring: others
    may see it half done, and if the server goes away in the middle, the rest is missing.

    Args:
        client: The server; `close` closes it.
    """

    # --- runs -----------------------------------------------------------------------------------------

    def create_run(self, new: NewRun) -> RunRecord:
        """See `RunStore.create_run`.

        Parameters, and a state other than RUNNING, come with requests of their own; a run that they are
        refused for is deleted again. If the answer to the creation is lost, the run is looked for by its tag
        `proj.claim` for some seconds: the server may still be at it.
        """
        tags = {RUN_NAME_TAG: new.run_name, **new.tags}
        check_id(new.experiment_id)
        check_lengths(new.params, tags)
        message = CreateRun(
            experiment_id=new.experiment_id,
            user_id=storable(new.user),
            run_name=storable(tags[RUN_NAME_TAG]),
            start_time=new.started_ms,
            tags=key_values(tags),
        )
        try:
            run_id = self._client.post("runs/create", message, RunAnswer).run.to_model().run_id
        except UncertainError as error:
            run_id = self._claimed(new, error)
        except (UsageError, ConflictError):
            self._active_experiment(new.experiment_id)
            raise
        try:
            self.log(run_id, params=new.params)
            if new.status is not RunStatus.RUNNING:
                ended_ms = new.started_ms if new.status.finished else None
                self.update_run(run_id, status=new.status, ended_ms=ended_ms)
        except UnreachableError:  # its claim tells of it when the server is back
            raise
        except ProjError:
            with contextlib.suppress(ProjError):
                self.delete_runs([run_id])
            raise
        return self.run(run_id)

    def _claimed(self, new: NewRun, lost: UncertainError) -> str:
        """Find a run whose creation had no answer.

        Raises:
            UncertainError: It is not there, for now.
        """
        claim = new.tags.get(TAG_CLAIM)
        if claim is None:
            raise lost
        query = RunQuery(
            experiment_ids=(new.experiment_id,), filter=f"tags.`{TAG_CLAIM}` = {quoted(claim)}", limit=1
        )
        for pause_s in _LOOKS_AFTER_S:
            time.sleep(pause_s)
            try:
                found = self.search_runs(query).runs
            except UnreachableError:
                raise lost from None
            if found:
                return found[0].run_id
        raise lost

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """See `RunStore.log`.

        More than fit into one request of MLflow's (100 parameters, 100 tags, 1000 in all, a megabyte) go in
        several; parameters are compared with what is there before the first. MLflow's own server writes one
        request in several transactions.

        Raises:
            UsageError: A value is longer than servers keep, or the server refuses a name.
        """
        params, tags = params or {}, tags or {}
        check_lengths(params, tags)
        if len(params) > MAX_PARAMS:
            _refuse_changes(self._active_run(run_id), params)
        try:
            for batch in batches(run_id, params, metrics, tags):
                self._client.post("runs/log-batch", batch, Empty)
        except UsageError:
            _refuse_changes(self._active_run(run_id), params)
            raise

    def remove_tags(self, run_id: str, keys: Sequence[str]) -> int:
        """See `RunStore.remove_tags`. Each tag is a request of its own."""
        there = self._active_run(run_id).tags
        removed = 0
        for key in {storable(key) for key in keys} & there.keys():
            with contextlib.suppress(NotFoundError):  # somebody else was faster
                self._client.post("runs/delete-tag", DeleteTag(run_id=run_id, key=key), Empty)
                removed += 1
        return removed

    def reopen_run(
        self,
        run_id: str,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        drop_tags: Sequence[str] = (),
        expect_tag: tuple[str, str | None] | None = None,
    ) -> None:
        """See `RunStore.reopen_run`.

        What speaks against it is looked for before anything is written, but a server has no means to do both
        at once: of callers at the same moment more than one may succeed.
        """
        there = self._active_run(run_id)
        if expect_tag is not None and there.tags.get(storable(expect_tag[0])) != expect_tag[1]:
            raise ConflictError(f"The run {run_id} was taken up by somebody else meanwhile.")
        _refuse_changes(there, params)
        self.log(run_id, params=params, tags=tags)
        self.remove_tags(run_id, drop_tags)
        self.update_run(run_id, status=RunStatus.SCHEDULED)

    def move_run(self, run_id: str, experiment_id: str) -> None:
        """Refuse it: MLflow's protocol cannot.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"The run {run_id} cannot be put into the experiment {experiment_id}: a tracking server moves no "
            "runs.",
            hint="Name the experiment when the run is made: --experiment-name.",
        )

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        ended_ms: int | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        if_open: bool = False,
    ) -> bool:
        """See `RunStore.update_run`.

        With `if_open` the run is looked at first; tags are written next, and the state last. Tags that are
        too long lose their end: a run must not stay open for the sake of a text.
        """
        if if_open and self.run(run_id).status.finished:
            return False
        if tags:
            self.log(run_id, tags={key: value[:MAX_TAG_VALUE] for key, value in tags.items()})
        if status is not None and status.finished and ended_ms is None:
            ended_ms = now_ms()
        if status is None and ended_ms is None and run_name is None:
            return bool(tags)
        message = UpdateRun(
            run_id=run_id,
            status=None if status is None else status.value,
            end_time=ended_ms,
            run_name=None if run_name is None else storable(run_name),
        )
        try:
            self._client.post("runs/update", message, RunInfoAnswer)
        except UsageError:
            self._active_run(run_id)
            raise
        return True

    def _active_run(self, run_id: str) -> RunRecord:
        found = self.run(run_id)
        if found.lifecycle_stage != "active":
            raise ConflictError(
                f"The run {run_id} is deleted.", hint=f"`proj restore {run_id}` brings it back."
            )
        return found

    # --- removal --------------------------------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> None:
        """See `RunStore.delete_runs`. All are looked up before the first is deleted."""
        self._each(run_ids, "active", "runs/delete")

    def restore_runs(self, run_ids: Sequence[str]) -> None:
        """See `RunStore.restore_runs`. All are looked up before the first is restored."""
        self._each(run_ids, "deleted", "runs/restore")

    def _each(self, run_ids: Sequence[str], stage: str, path: str) -> None:
        found = [self.run(run_id) for run_id in run_ids]
        for run in found:
            if run.lifecycle_stage == stage:
                self._client.post(path, OfRun(run_id=run.run_id), Empty)

    def purge_runs(self, run_ids: Sequence[str]) -> None:
        """Refuse it: MLflow's protocol cannot.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"A tracking server removes no runs for good ({len(run_ids)} asked for).",
            hint="`proj gc` and `mlflow gc` are for where the records are kept: run them there.",
        )

    def close(self) -> None:
        """See `RunStore.close`."""
        self._client.close()


def _refuse_changes(run: RunRecord, params: Mapping[str, str]) -> None:
    """See that no parameter would change.

    Raises:
        ParameterConflictError: Some would.
    """
    given = {storable(key): storable(value) for key, value in params.items()}
    changed = [(key, run.params[key], value) for key, value in given.items() if key in run.params]
    conflicts = tuple(each for each in changed if each[1] != each[2])
    if conflicts:
        raise parameter_conflict(f"the run {run.run_id}", conflicts)


if TYPE_CHECKING:

    def _conforms(store: RemoteRunStore) -> RunStore:
        return store
