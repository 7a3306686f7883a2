"""The runs of a tracking server."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

from proj.errors import ConflictError, NotFoundError, ProjError, UnreachableError, UsageError
from proj.model import RunStatus
from proj.record import TAG_CLAIM
from proj.remote.batches import MAX_PARAMS, MAX_TAG_VALUE, batches, check_lengths, key_values
from proj.remote.experiments import RemoteExperiments, check_id, expression, possible_ids
from proj.remote.reading import RunReader
from proj.remote.transport import UncertainError
from proj.times import now_ms
from proj.tracking.records import MAX_LISTED, chosen_run, run_prefix
from proj.tracking.sqlite import PARENT_TAG
from proj.tracking.store import RunPage, RunQuery
from proj.tracking.values import RUN_NAME_TAG, parameter_conflict, storable
from proj.wire.codec import Empty
from proj.wire.entities import OfRun
from proj.wire.enums import view_type
from proj.wire.runs import (
    CreateRun,
    DeleteTag,
    RunAnswer,
    RunInfoAnswer,
    RunsAnswer,
    SearchRuns,
    UpdateRun,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proj.model import Metric, NewRun, RunRecord
    from proj.remote.client import Client
    from proj.tracking.store import Lifecycle, RunStore

_ID_DIGITS = 32
_AT_ONCE = 100
_LOOKS_AFTER_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each look for a run whose creation had no answer."""


class RemoteRunStore(RunReader, RemoteExperiments):
    """A `RunStore` that a tracking server keeps, ours or MLflow's; safe for many threads.

    MLflow's protocol has no transactions. A call that takes several requests says so in its docstring: others
    may see it half done, and if the server goes away in the middle, the rest is missing.

    Args:
        client: The server; `close` closes it.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._knows_lists = True

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
            experiment_ids=(new.experiment_id,), filter=f"tags.`{TAG_CLAIM}` = {_quoted(claim)}", limit=1
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

    def children(self, run_id: str, lifecycle: Lifecycle = "active") -> tuple[str, ...]:
        """See `RunStore.children`. A search for each generation, on MLflow's server for each run."""
        experiments = tuple(each.experiment_id for each in self._all_experiments("all"))
        found: dict[str, str] = {run_id: "all"}
        generation: list[str] = [run_id]
        while generation:
            below = self._runs_below(generation, experiments)
            new = sorted((run for run in below if run.run_id not in found), key=lambda run: run.run_id)
            found.update({run.run_id: run.lifecycle_stage for run in new})
            generation = [run.run_id for run in new]
        del found[run_id]
        return tuple(child for child, stage in found.items() if lifecycle in ("all", stage))

    def _runs_below(self, parents: Sequence[str], experiments: tuple[str, ...]) -> Iterator[RunRecord]:
        for start in range(0, len(parents), _AT_ONCE):
            some = parents[start : start + _AT_ONCE]
            if len(some) > 1 and self._knows_lists:
                listed = ", ".join(_quoted(parent) for parent in some)
                try:
                    yield from self._all_runs(f"tags.`{PARENT_TAG}` IN ({listed})", experiments)
                    continue
                except UnreachableError:
                    raise
                except ProjError:  # MLflow's grammar has lists for attributes only
                    self._knows_lists = False
            for parent in some:
                yield from self._all_runs(f"tags.`{PARENT_TAG}` = {_quoted(parent)}", experiments)

    def _all_runs(self, text: str, experiments: tuple[str, ...]) -> list[RunRecord]:
        found: list[RunRecord] = []
        token: str | None = None
        while True:
            page = self.search_runs(
                RunQuery(experiment_ids=experiments, filter=text, lifecycle="all", page_token=token)
            )
            found += page.runs
            token = page.next_page_token
            if token is None:
                return found

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

    # --- finding --------------------------------------------------------------------------------------

    def find_run(self, prefix: str, lifecycle: Lifecycle = "active") -> RunRecord:
        """See `RunStore.find_run`."""
        runs = self._standing_for(prefix, lifecycle)
        elsewhere = not runs and bool(prefix) and bool(self._standing_for(prefix, "all"))
        return chosen_run(prefix, runs, lifecycle, elsewhere=elsewhere)

    def _standing_for(self, name: str, lifecycle: Lifecycle) -> list[RunRecord]:
        """Runs that a name may stand for, newest first; a whole id stands for nothing else."""
        if not name:
            return []
        if name == "latest":
            return list(self.search_runs(RunQuery(lifecycle=lifecycle, limit=1)).runs)
        prefix = run_prefix(name)
        if prefix is not None and len(prefix) == _ID_DIGITS:
            with contextlib.suppress(NotFoundError):
                run = self.run(prefix)
                return [run] if lifecycle in ("all", run.lifecycle_stage) else []
        filters = [f"attributes.run_name = {_quoted(storable(name))}"]
        if prefix is not None:
            filters.append(f"attributes.run_id LIKE '{prefix}%'")
        found: dict[str, RunRecord] = {}
        for text in filters:
            page = self.search_runs(RunQuery(filter=text, lifecycle=lifecycle, limit=MAX_LISTED + 1))
            found.update({run.run_id: run for run in page.runs})
        return sorted(found.values(), key=lambda run: -run.started_ms)

    def search_runs(self, query: RunQuery) -> RunPage:
        """See `RunStore.search_runs`. Where no experiments are named, they are listed first.

        Raises:
            UsageError: Also for the time of deletion, which servers do not tell.
        """
        if query.deleted_before_ms is not None:
            raise UsageError(
                "A tracking server does not tell when runs were deleted.",
                hint="`proj gc` and `mlflow gc` are for where the records are kept: run them there.",
            )
        experiments, token = self._scope(query)
        if not experiments:
            return RunPage(runs=())
        message = SearchRuns(
            experiment_ids=experiments,
            filter=expression(query.filter),
            run_view_type=view_type(query.lifecycle),
            max_results=query.limit,
            order_by=tuple(expression(each) for each in query.order_by),
            page_token=token,
        )
        found = self._client.post("runs/search", message, RunsAnswer)
        next_token = found.next_page_token or None
        if next_token is not None and query.experiment_ids is None:
            next_token = json.dumps([next_token, *experiments])
        return RunPage(runs=tuple(run.to_model() for run in found.runs), next_page_token=next_token)

    def _scope(self, query: RunQuery) -> tuple[tuple[str, ...], str]:
        """Return the experiments to search, and the server's page token.

        A search has to name them. Ours remember them in the token, so that the next page is one of the same
        search though somebody made an experiment meanwhile.
        """
        token = query.page_token or ""
        if query.experiment_ids is not None:
            return possible_ids(query.experiment_ids), token
        if token:
            try:
                token, *experiments = json.loads(token)
                return tuple(map(str, experiments)), str(token)
            except (ValueError, TypeError) as error:
                raise UsageError("The page token is none that this search gave.") from error
        lifecycle: Lifecycle = "active" if query.lifecycle == "active" else "all"
        return tuple(each.experiment_id for each in self._all_experiments(lifecycle)), ""

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


def _quoted(text: str) -> str:
    """Text as a filter has it. MLflow knows no way to write a quote within the same quotes."""
    if "'" in text and '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


if TYPE_CHECKING:

    def _conforms(store: RemoteRunStore) -> RunStore:
        return store
