"""The contract suite of `RunStore`; that of `ArtifactStore` comes with it.

A third party proves a store by subclassing one, in a test module of its own::

    class TestMyStore(RunStoreContract):
        @pytest.fixture
        def store(self) -> Iterator[RunStore]:
            store = MyStore(...)
            yield store
            store.close()
"""
# ruff: noqa: S101, PLR2004, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import pytest

from proj.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    ParameterConflictError,
    UsageError,
)
from proj.model import NewRun, RunStatus
from proj.testing.artifact_stores import ArtifactStoreContract
from proj.testing.finding import RunFindingContract, names, new_run, point
from proj.testing.threads import in_threads
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.model import Metric, RunRecord
    from proj.tracking.store import RunStore


__all__ = ["ArtifactStoreContract", "RunStoreContract", "new_run", "point"]


class RunStoreContract(RunFindingContract):
    """What every `RunStore` guarantees. Subclasses give the fixture `store`, an empty store."""

    @pytest.fixture
    def store(self) -> RunStore:
        raise NotImplementedError

    def test_a_run_is_reopened_whole_or_not_at_all(self, store: RunStore) -> None:
        run = new_run(store)
        store.log(run.run_id, params={"a": "1"}, tags={"claim": "first", "end": "bad"})
        store.update_run(run.run_id, status=RunStatus.FAILED, ended_ms=5)
        reopen = functools.partial(store.reopen_run, run.run_id, drop_tags=("end",))
        with pytest.raises(ConflictError):
            reopen(params={"a": "2"}, tags={"claim": "second"}, expect_tag=("claim", "first"))
        with pytest.raises(ConflictError):
            reopen(params={}, tags={"claim": "second"}, expect_tag=("claim", None))
        there = store.run(run.run_id)
        assert (there.status, there.tags["claim"], there.tags["end"]) == (RunStatus.FAILED, "first", "bad")
        reopen(params={"b": "3"}, tags={"claim": "second"}, expect_tag=("claim", "first"))
        there = store.run(run.run_id)
        assert (there.status, there.ended_ms, there.tags["claim"]) == (RunStatus.SCHEDULED, None, "second")
        assert there.params == {"a": "1", "b": "3"}
        assert "end" not in there.tags

    # --- runs -----------------------------------------------------------------------------------------

    def test_a_run_comes_back_as_it_was_created(self, store: RunStore) -> None:
        experiment = store.create_experiment("wine")
        created = store.create_run(
            NewRun(
                experiment_id=experiment.experiment_id,
                run_name="brisk-otter",
                started_ms=1_700_000_000_123,
                user="ada",
                status=RunStatus.RUNNING,
                params={"alpha": "0.5", "empty": "", "odd": "a'b\"c\n$x é😀"},
                tags={"team": "red"},
            )
        )
        assert len(created.run_id) == 32
        assert int(created.run_id, 16) >= 0
        assert created.run_name == "brisk-otter"
        assert created.user == "ada"
        assert created.status is RunStatus.RUNNING
        assert created.started_ms == 1_700_000_000_123
        assert created.ended_ms is None
        assert created.lifecycle_stage == "active"
        assert created.params == {"alpha": "0.5", "empty": "", "odd": "a'b\"c\n$x é😀"}
        assert created.tags == {"team": "red", "mlflow.runName": "brisk-otter"}
        assert created.run_id in created.artifact_uri
        assert store.run(created.run_id) == created

    def test_an_unknown_run_is_not_found(self, store: RunStore) -> None:
        unknown = "0" * 32
        with pytest.raises(NotFoundError):
            store.run(unknown)
        with pytest.raises(NotFoundError):
            store.log(unknown, tags={"a": "b"})
        with pytest.raises(NotFoundError):
            store.update_run(unknown, status=RunStatus.FAILED)
        with pytest.raises(NotFoundError):
            store.delete_runs([unknown])
        with pytest.raises(NotFoundError):
            store.metric_history(unknown, "m")

    def test_a_state_changes(self, store: RunStore, run: RunRecord) -> None:
        assert store.update_run(run.run_id, status=RunStatus.FAILED, ended_ms=77)
        ended = store.run(run.run_id)
        assert (ended.status, ended.ended_ms) == (RunStatus.FAILED, 77)

    def test_only_an_open_run_changes_if_open(self, store: RunStore, run: RunRecord) -> None:
        assert store.update_run(run.run_id, status=RunStatus.FINISHED, ended_ms=77, if_open=True)
        assert not store.update_run(run.run_id, status=RunStatus.KILLED, ended_ms=99, if_open=True)
        assert store.run(run.run_id).status is RunStatus.FINISHED
        assert store.update_run(run.run_id, status=RunStatus.KILLED, ended_ms=99)
        assert store.run(run.run_id).ended_ms == 99

    def test_a_run_that_ends_has_an_end_and_one_that_goes_on_has_none(
        self, store: RunStore, run: RunRecord
    ) -> None:
        store.update_run(run.run_id, status=RunStatus.FINISHED)
        assert store.run(run.run_id).ended_ms is not None
        store.update_run(run.run_id, status=RunStatus.RUNNING)
        assert store.run(run.run_id).ended_ms is None

    def test_the_name_and_its_tag_are_one(self, store: RunStore, run: RunRecord) -> None:
        store.update_run(run.run_id, run_name="second")
        assert store.run(run.run_id).tags["mlflow.runName"] == "second"
        store.log(run.run_id, tags={"mlflow.runName": "third"})
        assert store.run(run.run_id).run_name == "third"

    def test_a_run_moves_to_another_experiment(self, store: RunStore, run: RunRecord) -> None:
        other = store.create_experiment("other")
        store.move_run(run.run_id, other.experiment_id)
        moved = store.run(run.run_id)
        assert moved.experiment_id == other.experiment_id
        assert moved.artifact_uri == run.artifact_uri
        assert names(store, RunQuery(experiment_ids=(other.experiment_id,))) == [run.run_name]
        for run_id, experiment_id in ((run.run_id, "999999"), ("0" * 32, other.experiment_id)):
            with pytest.raises(NotFoundError):
                store.move_run(run_id, experiment_id)

    def test_children_come_with_their_children(self, store: RunStore, run: RunRecord) -> None:
        child, grandchild, other = new_run(store, "child"), new_run(store, "grandchild"), new_run(store)
        store.log(child.run_id, tags={"mlflow.parentRunId": run.run_id})
        store.log(grandchild.run_id, tags={"mlflow.parentRunId": child.run_id})
        assert store.children(run.run_id) == (child.run_id, grandchild.run_id)
        assert store.children(other.run_id) == store.children("0" * 32) == ()
        store.log(run.run_id, tags={"mlflow.parentRunId": grandchild.run_id})
        assert store.children(child.run_id) == (grandchild.run_id, run.run_id), "a circle ends"
        store.delete_runs([grandchild.run_id])
        assert store.children(child.run_id) == (run.run_id,)
        assert store.children(child.run_id, "deleted") == (grandchild.run_id,)

    # --- parameters, tags, metrics --------------------------------------------------------------------

    def test_a_parameter_never_changes(self, store: RunStore, run: RunRecord) -> None:
        store.log(run.run_id, params={"alpha": "1"})
        store.log(run.run_id, params={"alpha": "1", "beta": "2"})
        with pytest.raises(ConflictError, match="alpha"):
            store.log(run.run_id, params={"new": "x", "alpha": "3"}, tags={"t": "x"}, metrics=[point("m", 1)])
        found = store.run(run.run_id)
        assert found.params == {"alpha": "1", "beta": "2"}
        assert "t" not in found.tags, "a call that fails writes nothing"
        assert not found.metrics

    def test_a_refused_parameter_says_what_is_there(self, store: RunStore, run: RunRecord) -> None:
        store.log(run.run_id, params={"a": "1", "b": "2", "c": "3"})
        with pytest.raises(ParameterConflictError) as caught:
            store.log(run.run_id, params={"a": "x", "b": "2", "c": "y", "new": "n"})
        assert caught.value.conflicts == (("a", "1", "x"), ("c", "3", "y"))
        for part in (run.run_id, "'a'", "'1'", "'x'", "'c'", "'3'", "'y'"):
            assert part in caught.value.message
        assert "new" not in store.run(run.run_id).params

    def test_a_tag_takes_its_newest_value(self, store: RunStore, run: RunRecord) -> None:
        store.log(run.run_id, tags={"a": "1", "b": "1"})
        store.log(run.run_id, tags={"a": "2"})
        tags = store.run(run.run_id).tags
        assert (tags["a"], tags["b"]) == ("2", "1")

    def test_tags_are_removed(self, store: RunStore, run: RunRecord) -> None:
        store.log(run.run_id, tags={"a": "1", "b": "1"})
        assert store.remove_tags(run.run_id, ["a", "never-there"]) == 1
        tags = store.run(run.run_id).tags
        assert "a" not in tags
        assert tags["b"] == "1"
        with pytest.raises(NotFoundError):
            store.remove_tags("0" * 32, ["a"])

    def test_history_is_in_the_order_of_step_and_time(self, store: RunStore, run: RunRecord) -> None:
        points = [point("m", 3.0, step=2), point("m", 1.0, step=0), point("m", 2.0, step=1, timestamp_ms=5)]
        later = point("m", 9.0, step=1, timestamp_ms=6)
        store.log(run.run_id, metrics=points)
        store.log(run.run_id, metrics=[later])
        assert store.metric_history(run.run_id, "m") == (points[1], points[2], later, points[0])
        assert store.metric_history(run.run_id, "other") == ()

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_history_comes_in_pages(self, store: RunStore, run: RunRecord, limit: int) -> None:
        values = [3.5, -math.inf, math.inf, 0.1, 1e308]
        points = [point("m", value, step=step - 1, timestamp_ms=2**40) for step, value in enumerate(values)]
        points += [point("m", 0.1, step=9), point("m", 0.2, step=9), point("m", math.nan, step=10)]
        store.log(run.run_id, metrics=points)
        found: list[Metric] = []
        token: str | None = None
        while True:
            page = store.metric_page(run.run_id, "m", limit=limit, page_token=token)
            found += page.points
            token = page.next_page_token
            if token is None:
                break
            assert len(page.points) == limit
        assert math.isnan(found.pop().value)
        assert found == points[:-1]
        assert store.metric_page(run.run_id, "other").points == ()

    def test_a_page_of_history_that_cannot_be_is_a_usage_error(self, store: RunStore, run: RunRecord) -> None:
        for limit, token in ((0, None), (1, "nonsense"), (1, "1:2:3")):
            with pytest.raises(UsageError):
                store.metric_page(run.run_id, "m", limit=limit, page_token=token)
        with pytest.raises(NotFoundError):
            store.metric_page("0" * 32, "m")

    def test_a_sample_of_a_history_is_spread_over_it(self, store: RunStore, run: RunRecord) -> None:
        values = [-math.inf, *map(float, range(19)), math.inf]
        points = [point("m", value, step=number // 3 - 1) for number, value in enumerate(values)]
        store.log(run.run_id, metrics=points)
        sample = functools.partial(store.metric_sample, run.run_id, "m")
        assert sample() == sample(limit=21) == tuple(points)
        assert sample(limit=5) == tuple(points[::5])
        assert sample(limit=1) == tuple(points[-1:])
        assert sample(steps=(1, 2)) == tuple(points[6:12])
        assert sample(steps=(1, 2), limit=2) == (points[6], points[11])
        assert sample(steps=(50, 60)) == store.metric_sample(run.run_id, "other") == ()
        with pytest.raises(NotFoundError):
            store.metric_sample("0" * 32, "m")
        with pytest.raises(UsageError):
            sample(limit=0)

    def test_histories_of_several_runs_come_at_once(self, store: RunStore) -> None:
        runs = sorted(new_run(store).run_id for _ in range(3))
        points = [point("m", 1.0, step=step) for step in range(2)]
        for run_id in runs[:2]:
            store.log(run_id, metrics=points)
        expected = [(run_id, each) for run_id in runs[:2] for each in points]
        asked = [*reversed(runs), "0" * 32, runs[0]]
        assert store.metric_histories(asked, "m") == tuple(expected)
        assert store.metric_histories(asked, "m", limit=3) == tuple(expected[:3])

    def test_the_same_point_twice_is_one(self, store: RunStore, run: RunRecord) -> None:
        for _ in range(2):
            store.log(run.run_id, metrics=[point("m", 1.0), point("m", 1.0), point("m", math.nan)])
        assert len(store.metric_history(run.run_id, "m")) == 2

    @pytest.mark.parametrize(
        ("first", "second", "latest"),
        [
            (point("m", 0, step=1), point("m", 0, step=0, timestamp_ms=9), "first"),
            (point("m", 0, step=1), point("m", 0, step=1, timestamp_ms=9), "second"),
            (point("m", 1), point("m", 2), "second"),
            (point("m", 2), point("m", 1), "first"),
            (point("m", 0, step=-2), point("m", 0, step=-1), "second"),
        ],
    )
    @pytest.mark.parametrize("together", [True, False])
    def test_the_latest_point_has_the_greatest_step_time_and_value(
        self, store: RunStore, run: RunRecord, first: Metric, second: Metric, latest: str, together: bool
    ) -> None:
        points = [first, second]
        for batch in [points] if together else [points[:1], points[1:]]:
            store.log(run.run_id, metrics=batch)
        assert store.run(run.run_id).metrics["m"] == points[0 if latest == "first" else 1]

    def test_numbers_that_are_no_numbers_are_kept(self, store: RunStore, run: RunRecord) -> None:
        values = {
            "nan": math.nan,
            "up": math.inf,
            "down": -math.inf,
            "tiny": 5e-324,
            "big": 1.7976931348623157e308,
        }
        store.log(run.run_id, metrics=[point(key, value) for key, value in values.items()])
        latest = {key: metric.value for key, metric in store.run(run.run_id).metrics.items()}
        history = {key: store.metric_history(run.run_id, key)[0].value for key in values}
        assert math.isnan(latest.pop("nan"))
        assert math.isnan(history.pop("nan"))
        del values["nan"]
        assert latest == history == values

    # --- removal --------------------------------------------------------------------------------------

    def test_deleted_runs_are_out_of_sight_until_restored(self, store: RunStore, run: RunRecord) -> None:
        store.delete_runs([run.run_id])
        store.delete_runs([run.run_id])
        assert store.run(run.run_id).lifecycle_stage == "deleted"
        assert names(store, RunQuery()) == []
        assert names(store, RunQuery(lifecycle="deleted")) == [run.run_name]
        assert names(store, RunQuery(lifecycle="all")) == [run.run_name]
        with pytest.raises(NotFoundError, match="deleted"):
            store.find_run(run.run_id)
        assert store.find_run(run.run_id, "deleted").run_id == run.run_id
        with pytest.raises(ConflictError):
            store.log(run.run_id, tags={"late": "1"})
        store.restore_runs([run.run_id])
        assert store.find_run(run.run_id) == run

    def test_deletion_is_all_or_nothing(self, store: RunStore, run: RunRecord) -> None:
        with pytest.raises(NotFoundError):
            store.delete_runs([run.run_id, "0" * 32])
        assert store.run(run.run_id).lifecycle_stage == "active"

    def test_runs_are_searched_by_the_time_of_their_deletion(self, store: RunStore, run: RunRecord) -> None:
        store.delete_runs([run.run_id])
        assert names(store, RunQuery(lifecycle="deleted", deleted_before_ms=1)) == []
        assert names(store, RunQuery(lifecycle="deleted", deleted_before_ms=2**50)) == [run.run_name]

    def test_only_deleted_runs_are_purged(self, store: RunStore) -> None:
        kept, gone = new_run(store, "kept"), new_run(store, "gone")
        for each in (kept, gone):
            store.log(each.run_id, params={"a": "1"}, tags={"b": "2"}, metrics=[point("m", 1.0)])
        store.delete_runs([gone.run_id])
        store.purge_runs([kept.run_id, gone.run_id, "0" * 32])
        assert store.run(kept.run_id).params == {"a": "1"}
        assert len(store.metric_history(kept.run_id, "m")) == 1
        with pytest.raises(NotFoundError):
            store.run(gone.run_id)

    # --- threads --------------------------------------------------------------------------------------

    def test_threads_log_at_once(self, store: RunStore, run: RunRecord) -> None:
        def log(number: int) -> None:
            for step in range(20):
                store.log(run.run_id, metrics=[point(f"m{number}", step, step=step)])

        in_threads([functools.partial(log, number) for number in range(4)])
        assert all(len(store.metric_history(run.run_id, f"m{number}")) == 20 for number in range(4))

    def test_threads_see_whole_calls_only(self, store: RunStore, run: RunRecord) -> None:
        """What one call wrote is there whole or not at all, however many read meanwhile."""
        seen: set[tuple[int, int, int]] = set()

        def log() -> None:
            for number in range(20):
                key = f"k{number}"
                store.log(run.run_id, params={key: "v"}, tags={key: "v"}, metrics=[point(key, 1.0)])

        def look() -> None:
            for _ in range(20):
                found = store.search_runs(RunQuery(filter="run_name = 'a-run'")).runs[0]
                tags = [key for key in found.tags if key.startswith("k")]
                seen.add((len(found.params), len(tags), len(found.metrics)))

        in_threads([log, look, look, look])
        assert all(params == tags == metrics for params, tags, metrics in seen)
        assert len(store.run(run.run_id).params) == 20

    def test_threads_make_one_experiment(self, store: RunStore) -> None:
        found: list[str] = []
        refused: list[str] = []

        def make() -> None:
            found.append(store.create_experiment("shared").experiment_id)
            try:
                store.create_experiment("alone", exist_ok=False)
            except AlreadyExistsError as error:
                refused.append(error.message)

        in_threads([make] * 6)
        assert len(set(found)) == 1
        assert len(refused) == 5

    def test_threads_agree_on_a_parameter(self, store: RunStore, run: RunRecord) -> None:
        kept: list[str] = []

        def log(value: str) -> None:
            try:
                store.log(run.run_id, params={"alpha": value}, tags={f"tag-{value}": "t"})
            except ParameterConflictError:
                return
            kept.append(value)

        in_threads([functools.partial(log, str(number)) for number in range(6)])
        found = store.run(run.run_id)
        assert [found.params["alpha"]] == kept
        assert [key for key in found.tags if key.startswith("tag-")] == [f"tag-{kept[0]}"]
