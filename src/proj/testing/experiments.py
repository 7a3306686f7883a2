"""The half of `RunStoreContract` that is about experiments."""
# ruff: noqa: S101, S106, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.errors import AlreadyExistsError, ConflictError, NotFoundError, UsageError
from proj.model import NewRun
from proj.testing.differences import Contract
from proj.tracking.experiments import ExperimentQuery
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.model import Experiment, RunRecord
    from proj.tracking.store import RunStore

_NOWHERE = ["999999", "", "x", "-1", "1" * 40, "9" * 5000, "²", "\ud800"]


def experiment_names(store: RunStore, query: ExperimentQuery) -> list[str]:
    """Names of all the experiments but the default one that a query finds, page after page."""
    found: list[str] = []
    token: str | None = None
    while True:
        page = store.search_experiments(
            ExperimentQuery(
                filter=query.filter,
                order_by=query.order_by,
                lifecycle=query.lifecycle,
                limit=query.limit,
                page_token=token,
            )
        )
        found += [each.name for each in page.experiments if each.experiment_id != "0"]
        token = page.next_page_token
        if token is None:
            return found
        assert len(page.experiments) == query.limit


def run_in(store: RunStore, experiment: Experiment, name: str = "a-run") -> RunRecord:
    """Create a run in an experiment."""
    return store.create_run(NewRun(experiment_id=experiment.experiment_id, run_name=name, started_ms=1))


class ExperimentContract(Contract):
    """What every store of experiments guarantees. Subclasses give the fixture `store`, an empty store."""

    @pytest.fixture
    def store(self) -> RunStore:
        raise NotImplementedError

    @pytest.fixture
    def wine(self, store: RunStore) -> Experiment:
        """Make an experiment."""
        return store.create_experiment("wine", tags={"team": "red"})

    def test_an_experiment_is_created_once(self, store: RunStore) -> None:
        first = store.create_experiment("wine")
        assert store.create_experiment("wine") == first
        assert store.experiment(first.experiment_id) == first
        assert [found.name for found in store.experiments()].count("wine") == 1

    def test_one_that_is_there_can_be_refused(self, store: RunStore) -> None:
        made = store.create_experiment("wine", exist_ok=False)
        with pytest.raises(AlreadyExistsError, match="wine"):
            store.create_experiment("wine", exist_ok=False)
        assert store.experiment_named("wine") == made

    def test_experiments_come_oldest_first(self, store: RunStore) -> None:
        names = ["zebra", "ant", "mole"]
        for name in names:
            store.create_experiment(name)
        assert [found.name for found in store.experiments() if found.name in names] == names

    @pytest.mark.parametrize("experiment_id", _NOWHERE)
    def test_an_unknown_experiment_is_not_found(self, store: RunStore, experiment_id: str) -> None:
        with pytest.raises(NotFoundError):
            store.experiment(experiment_id)
        with pytest.raises(NotFoundError):
            store.create_run(NewRun(experiment_id=experiment_id, run_name="r", started_ms=0))
        with pytest.raises(NotFoundError):
            store.rename_experiment(experiment_id, "other")
        with pytest.raises(NotFoundError):
            store.delete_experiment(experiment_id)
        with pytest.raises(NotFoundError):
            store.restore_experiment(experiment_id)
        with pytest.raises(NotFoundError):
            store.set_experiment_tags(experiment_id, {"a": "b"})
        with pytest.raises(NotFoundError):
            store.experiment_named(experiment_id)

    def test_tags_are_set_and_removed(self, store: RunStore, wine: Experiment) -> None:
        store.set_experiment_tags(wine.experiment_id, {"team": "blue", "odd é": "it's"})
        assert store.experiment(wine.experiment_id).tags == {"team": "blue", "odd é": "it's"}
        assert store.remove_experiment_tags(wine.experiment_id, "team", "never-there") == 1
        assert store.experiment_named("wine").tags == {"odd é": "it's"}

    def test_a_place_of_its_own_is_where_its_runs_keep_files(self, store: RunStore) -> None:
        made = store.create_experiment("far", artifact_location="s3://bucket/far/")
        assert store.experiment(made.experiment_id).artifact_location == "s3://bucket/far/"
        run = run_in(store, made)
        assert run.artifact_uri == f"s3://bucket/far/{run.run_id}/artifacts"
        found = store.search_runs(RunQuery(filter=f"artifact_uri = '{run.artifact_uri}'"))
        assert [each.run_id for each in found.runs] == [run.run_id]

    def test_an_experiment_is_renamed(self, store: RunStore, wine: Experiment) -> None:
        store.rename_experiment(wine.experiment_id, "wine")
        store.rename_experiment(wine.experiment_id, "beer")
        assert store.experiment_named("beer").experiment_id == wine.experiment_id
        with pytest.raises(NotFoundError):
            store.experiment_named("wine")
        other = store.create_experiment("wine")
        with pytest.raises(AlreadyExistsError):
            store.rename_experiment(other.experiment_id, "beer")

    def test_a_deleted_experiment_takes_its_runs_along(self, store: RunStore, wine: Experiment) -> None:
        run = run_in(store, wine)
        store.delete_experiment(wine.experiment_id)
        assert store.experiment(wine.experiment_id).lifecycle_stage == "deleted"
        assert store.run(run.run_id).lifecycle_stage == "deleted"
        assert wine.name not in [each.name for each in store.experiments()]
        assert [each.name for each in store.experiments("deleted")] == ["wine"]
        with pytest.raises(NotFoundError):
            store.delete_experiment(wine.experiment_id)
        store.restore_experiment(wine.experiment_id)
        assert store.run(run.run_id) == run
        with pytest.raises(NotFoundError):
            store.restore_experiment(wine.experiment_id)

    def test_a_deleted_experiment_is_changed_by_nothing(self, store: RunStore, wine: Experiment) -> None:
        store.delete_experiment(wine.experiment_id)
        with pytest.raises(ConflictError):
            run_in(store, wine)
        with pytest.raises(ConflictError):
            store.rename_experiment(wine.experiment_id, "beer")
        with pytest.raises(ConflictError):
            store.set_experiment_tags(wine.experiment_id, {"a": "b"})
        for exist_ok in (True, False):
            with pytest.raises(ConflictError, match="deleted"):
                store.create_experiment("wine", exist_ok=exist_ok)

    def test_no_run_moves_to_a_deleted_experiment(self, store: RunStore, wine: Experiment) -> None:
        moved = run_in(store, store.create_experiment("other"))
        store.delete_experiment(wine.experiment_id)
        with pytest.raises(ConflictError):
            store.move_run(moved.run_id, wine.experiment_id)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "bac"),
            ("name = 'a'", "a"),
            ("name LIKE 'A%'", ""),
            ("attribute.name ILIKE 'A%'", "a"),
            ("name != 'a' and tags.team = 'red'", "c"),
            ("tags.team LIKE 'r%'", "ac"),
            ("tag.team IS NULL", "b"),
            ("tags.`two words` = 'x'", "a"),
            ("creation_time > 0 and last_update_time < 0", ""),
            ("experiment_id = '0'", ""),
        ],
    )
    def test_a_filter_chooses(self, store: RunStore, text: str, expected: str) -> None:
        store.create_experiment("b")
        store.create_experiment("a", tags={"team": "red", "two words": "x"})
        store.create_experiment("c", tags={"team": "red"})
        for limit in (1, 2, 100):
            query = ExperimentQuery(filter=text, order_by=("experiment_id",), limit=limit)
            assert "".join(experiment_names(store, query)) == expected
        assert sorted(experiment_names(store, ExperimentQuery(filter=text))) == sorted(expected)

    @pytest.mark.parametrize(
        ("order", "expected"),
        [("name", "abc"), ("name DESC", "cba"), ("experiment_id ASC", "bac"), ("experiment_id DESC", "cab")],
    )
    def test_an_order_sorts(self, store: RunStore, order: str, expected: str) -> None:
        for name in "bac":
            store.create_experiment(name)
        for limit in (1, 2, 100):
            query = ExperimentQuery(order_by=(order,), limit=limit)
            assert "".join(experiment_names(store, query)) == expected

    def test_deleted_experiments_are_searched_apart(self, store: RunStore, wine: Experiment) -> None:
        store.create_experiment("beer")
        store.delete_experiment(wine.experiment_id)
        assert experiment_names(store, ExperimentQuery()) == ["beer"]
        assert experiment_names(store, ExperimentQuery(lifecycle="deleted")) == ["wine"]
        assert sorted(experiment_names(store, ExperimentQuery(lifecycle="all"))) == ["beer", "wine"]

    @pytest.mark.parametrize(
        "query",
        [
            ExperimentQuery(filter="nmae = 'x'"),
            ExperimentQuery(filter="metrics.loss < 1"),
            ExperimentQuery(filter="creation_time = 'x'"),
            ExperimentQuery(order_by=("nothing",)),
            ExperimentQuery(limit=0),
            ExperimentQuery(page_token="nonsense"),
        ],
    )
    def test_what_cannot_be_understood_is_a_usage_error(
        self, store: RunStore, query: ExperimentQuery
    ) -> None:
        with pytest.raises(UsageError):
            store.search_experiments(query)
