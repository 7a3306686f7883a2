"""Finding runs of a tracking server."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import msgspec

from proj.errors import NotFoundError, ProjError, UnreachableError, UsageError
from proj.remote.experiments import RemoteExperiments, expression, possible_ids
from proj.remote.reading import RunReader
from proj.tracking.records import MADE_BY_TAGS, MAX_LISTED, PARENT_TAG, chosen_run, run_prefix
from proj.tracking.store import RunPage, RunQuery
from proj.tracking.values import storable
from proj.wire.enums import view_type
from proj.wire.runs import RunsAnswer, SearchRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proj.model import RunRecord
    from proj.remote.client import Client
    from proj.tracking.store import Lifecycle

_ID_DIGITS = 32
_AT_ONCE = 100


class RunFinder(RunReader, RemoteExperiments):
    """The part of a `RunStore` that finds runs.

    Args:
        client: The server.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._knows_lists = True

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
            return self._latest(lifecycle)
        prefix = run_prefix(name)
        if prefix is not None and len(prefix) == _ID_DIGITS:
            with contextlib.suppress(NotFoundError):
                run = self.run(prefix)
                return [run] if lifecycle in ("all", run.lifecycle_stage) else []
        filters = [f"attributes.run_name = {quoted(storable(name))}"]
        if prefix is not None:
            filters.append(f"attributes.run_id LIKE '{prefix}%'")
        found: dict[str, RunRecord] = {}
        for text in filters:
            page = self.search_runs(RunQuery(filter=text, lifecycle=lifecycle, limit=MAX_LISTED + 1))
            found.update({run.run_id: run for run in page.runs})
        return sorted(found.values(), key=lambda run: -run.started_ms)

    def _latest(self, lifecycle: Lifecycle) -> list[RunRecord]:
        """The newest run that no other one made, if there is one, else the newest.

        MLflow's grammar cannot ask for what a run does not have, so runs are looked through.
        """
        if lifecycle == "all":
            return self._latest("active") or self._latest("deleted")
        newest = self.search_runs(RunQuery(lifecycle=lifecycle, limit=1)).runs
        if not newest or _is_of_its_own(newest[0]):
            return list(newest)
        query = RunQuery(lifecycle=lifecycle, limit=_AT_ONCE)
        while True:
            page = self.search_runs(query)
            for run in page.runs:
                if _is_of_its_own(run):
                    return [run]
            if page.next_page_token is None:
                return list(newest)
            query = msgspec.structs.replace(query, page_token=page.next_page_token)

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
                listed = ", ".join(quoted(parent) for parent in some)
                try:
                    yield from self._all_runs(f"tags.`{PARENT_TAG}` IN ({listed})", experiments)
                    continue
                except UnreachableError:
                    raise
                except ProjError:  # MLflow's grammar has lists for attributes only
                    self._knows_lists = False
            for parent in some:
                yield from self._all_runs(f"tags.`{PARENT_TAG}` = {quoted(parent)}", experiments)

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


def _is_of_its_own(run: RunRecord) -> bool:
    return not run.tags.keys() & MADE_BY_TAGS


def quoted(text: str) -> str:
    """Text as a filter has it. MLflow knows no way to write a quote within the same quotes."""
    if "'" in text and '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
