"""The part of `RunStoreContract` that is about finding runs: by names, by filters, page after page."""
# ruff: noqa: S101, S106, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from proj.errors import NotFoundError, UsageError
from proj.model import Metric, NewRun, RunStatus
from proj.testing.experiments import ExperimentContract
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.model import RunRecord
    from proj.tracking.store import RunStore


def point(key: str, value: float, *, step: int = 0, timestamp_ms: int = 1) -> Metric:
    """Return a point of a metric."""
    return Metric(key=key, value=value, timestamp_ms=timestamp_ms, step=step)


def new_run(store: RunStore, name: str = "a-run", started_ms: int = 1) -> RunRecord:
    """Create a run in the experiment `contract`."""
    experiment = store.create_experiment("contract")
    return store.create_run(
        NewRun(experiment_id=experiment.experiment_id, run_name=name, started_ms=started_ms)
    )


def make_four(store: RunStore) -> None:
    """Create runs a, b, c, d, oldest first, that differ in all a search can look at."""
    experiment = store.create_experiment("contract").experiment_id
    made = {
        "a": ({"alpha": "0.5", "model": "Ridge"}, {"team": "red"}, [("loss", 0.1), ("val loss", 2.0)]),
        "b": ({"alpha": "0.5", "model": "ridge"}, {"team": "red2"}, [("loss", 0.5)]),
        "c": ({"alpha": "1"}, {}, [("loss", 2.0)]),
        "d": ({"quote": "it's"}, {}, [("loss", math.nan)]),
    }
    for number, (name, (params, tags, metrics)) in enumerate(made.items(), start=1):
        run = store.create_run(
            NewRun(
                experiment_id=experiment,
                run_name=name,
                started_ms=number * 10,
                user="ada" if name == "a" else "bob",
                params=params,
                tags=tags,
            )
        )
        store.log(run.run_id, metrics=[point(key, value) for key, value in metrics])
        if name == "b":
            store.update_run(run.run_id, status=RunStatus.FAILED, ended_ms=25)


def names(store: RunStore, query: RunQuery) -> list[str]:
    """Names of all the runs that a query finds, page after page."""
    page = store.search_runs(query)
    found = [run.run_name for run in page.runs]
    while page.next_page_token is not None:
        assert len(page.runs) == query.limit
        page = store.search_runs(
            RunQuery(
                filter=query.filter,
                order_by=query.order_by,
                experiment_ids=query.experiment_ids,
                lifecycle=query.lifecycle,
                limit=query.limit,
                page_token=page.next_page_token,
            )
        )
        found += [run.run_name for run in page.runs]
    return found


class RunFindingContract(ExperimentContract):
    """What every `RunStore` finds. Subclasses give the fixture `store`, an empty store."""

    @pytest.fixture
    def run(self, store: RunStore) -> RunRecord:
        """Make a run to log to."""
        return new_run(store)

    # --- by name --------------------------------------------------------------------------------------

    def test_a_run_is_found_by_id_prefix_and_name(self, store: RunStore) -> None:
        run = new_run(store, "only-one")
        new_run(store, "another")
        for name in (run.run_id, run.run_id[:8], run.run_id[:8].upper(), "only-one"):
            assert store.find_run(name).run_id == run.run_id

    def test_latest_is_the_newest_run(self, store: RunStore) -> None:
        new_run(store, "old", started_ms=1)
        newest = new_run(store, "new", started_ms=3)
        new_run(store, "middle", started_ms=2)
        assert store.find_run("latest") == newest

    def test_latest_is_no_run_that_another_one_made(self, store: RunStore) -> None:
        made = [new_run(store, "own", started_ms=1)]
        for key in ("mlflow.parentRunId", "proj.owner"):
            made.append(new_run(store, key, started_ms=len(made) + 1))
            store.log(made[-1].run_id, tags={key: made[0].run_id})
        assert store.find_run("latest").run_name == "own"
        store.delete_runs([made[0].run_id])
        assert store.find_run("latest").run_name == "proj.owner"
        assert store.find_run("latest", "all").run_name == "proj.owner"
        assert store.find_run("latest", "deleted").run_name == "own"
        store.delete_runs([run.run_id for run in made])
        assert store.find_run("latest", "all").run_name == "own"

    def test_latest_is_found_behind_many_that_it_made(self, store: RunStore) -> None:
        own = new_run(store, "own", started_ms=1)
        experiment = own.experiment_id
        for number in range(130):
            child = NewRun(
                experiment_id=experiment,
                run_name=str(number),
                started_ms=number + 2,
                tags={"mlflow.parentRunId": own.run_id},
            )
            store.create_run(child)
        assert store.find_run("latest") == own

    def test_a_name_of_several_runs_lists_them(self, store: RunStore) -> None:
        runs = [new_run(store, "twin"), new_run(store, "twin")]
        with pytest.raises(NotFoundError, match="several") as caught:
            store.find_run("twin")
        listed = "\n".join(caught.value.details)
        assert all(run.run_id in listed for run in runs)

    @pytest.mark.parametrize("name", ["", "nope", "%", "zzzzzzzz", "' OR 1=1 --"])
    @pytest.mark.usefixtures("run")
    def test_what_stands_for_no_run_is_not_found(self, store: RunStore, name: str) -> None:
        with pytest.raises(NotFoundError):
            store.find_run(name)

    # --- by filter ------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "abcd"),
            ("metrics.loss < 1", "ab"),
            ("metrics.loss >= 0.5 and metrics.loss <= 2", "bc"),
            ("metrics.loss != 0.5", "acd"),
            ("metrics.loss = 2.0", "c"),
            ("metric.`val loss` > -1e3", "a"),
            ("params.alpha = '0.5'", "ab"),
            ("params.alpha != '0.5'", "c"),
            ("parameters.alpha LIKE '0.%'", "ab"),
            ("params.model LIKE 'R%'", "a"),
            ("params.model ILIKE 'R%'", "ab"),
            ("params.model LIKE 'R*'", ""),
            ("params.alpha IN ('1', '2')", "c"),
            ("params.alpha IS NULL", "d"),
            ("params.alpha IS NOT NULL AND tags.team = 'red'", "a"),
            ("tags.`mlflow.runName` = 'b'", "b"),
            ("tags.mlflow.runName = 'b'", "b"),
            ("tag.\"mlflow.runName\" = 'b'", "b"),
            ("attributes.run_name IN ('a', 'd')", "ad"),
            ("run_name NOT IN ('a', 'd')", "bc"),
            ("`run name` = 'a'", "a"),
            ("attributes.status = 'FAILED'", "b"),
            ("start_time > 10 and start_time <= 30", "bc"),
            ("end_time IS NOT NULL", "b"),
            ("attr.user_id = 'ada'", "a"),
            ("params.quote = 'it''s'", "d"),
            ('params.quote = "it\'s"', "d"),
        ],
    )
    def test_a_filter_chooses(self, store: RunStore, text: str, expected: str) -> None:
        make_four(store)
        assert "".join(sorted(names(store, RunQuery(filter=text)))) == expected

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ((), "dcba"),
            (("start_time ASC",), "abcd"),
            (("metrics.loss",), "abcd"),
            (("metrics.loss DESC",), "cbad"),  # NaN comes after numbers, whatever the direction
            (("params.alpha DESC", "start_time"), "cabd"),
            (("params.alpha",), "bacd"),
            (("attributes.end_time",), "bdca"),
            (("tags.`team` desc",), "badc"),
            (("run_name desc",), "dcba"),
        ],
    )
    def test_an_order_sorts_and_what_is_missing_comes_last(
        self, store: RunStore, order: tuple[str, ...], expected: str
    ) -> None:
        make_four(store)
        assert "".join(names(store, RunQuery(order_by=order))) == expected
        for limit in (1, 2, 3):
            assert "".join(names(store, RunQuery(order_by=order, limit=limit))) == expected

    def test_pages_neither_repeat_nor_miss_a_run_when_others_come_and_go(self, store: RunStore) -> None:
        runs = [new_run(store, str(number), started_ms=number) for number in range(6)]
        first = store.search_runs(RunQuery(limit=2))
        new_run(store, "newer", started_ms=99)
        store.delete_runs([runs[5].run_id, runs[3].run_id])
        second = store.search_runs(RunQuery(limit=2, page_token=first.next_page_token))
        assert [run.run_name for run in first.runs + second.runs] == ["5", "4", "2", "1"]

    def test_a_page_token_belongs_to_its_search(self, store: RunStore) -> None:
        make_four(store)
        token = store.search_runs(RunQuery(limit=2)).next_page_token
        assert token is not None
        for query in (
            RunQuery(limit=2, filter="start_time > 1", page_token=token),
            RunQuery(limit=2, page_token="nonsense"),
            RunQuery(limit=2, page_token="é"),
        ):
            with pytest.raises(UsageError, match="page token"):
                store.search_runs(query)

    def test_a_search_keeps_to_its_experiments(self, store: RunStore) -> None:
        one, two = store.create_experiment("one"), store.create_experiment("two")
        for experiment in (one, two):
            store.create_run(
                NewRun(experiment_id=experiment.experiment_id, run_name=experiment.name, started_ms=1)
            )
        assert names(store, RunQuery(experiment_ids=(two.experiment_id,))) == ["two"]
        assert names(store, RunQuery(experiment_ids=(one.experiment_id, two.experiment_id, "x")))
        assert names(store, RunQuery(experiment_ids=())) == []

    @pytest.mark.parametrize(
        "text",
        [
            "metrics.loss < 'a'", "metrics.loss", "metrics.loss <", "loss < 1", "nothing.loss < 1",
            "params.a = 1", "params.a = 'x", "params.a < 'x'", "params.a = 'x' or params.b = 'y'",
            "params.a IN ()", "params.a IN ('x'", "status IS", "(params.a = 'x')", "metrics. < 1",
            "params.a = 'x' and", ";", "metrics.loss LIKE 'x'", "start_time = '1'", "dataset.size = 'x'",
        ],
    )  # fmt: skip
    def test_a_filter_that_cannot_be_understood_is_a_usage_error(self, store: RunStore, text: str) -> None:
        with pytest.raises(UsageError, match="column"):
            store.search_runs(RunQuery(filter=text))

    @pytest.mark.parametrize(
        "query",
        [
            RunQuery(filter=" and ".join(f"params.p{number} = 'x'" for number in range(3000))),
            RunQuery(order_by=tuple(f"metrics.m{number}" for number in range(100))),
            RunQuery(filter=f"params.a LIKE '{'%a' * 40_000}'"),
            RunQuery(filter="params.a = '\ud800'"),
        ],
        ids=["conditions", "orders", "pattern", "text"],
    )
    @pytest.mark.usefixtures("run")
    def test_a_search_that_is_too_large_is_a_usage_error(self, store: RunStore, query: RunQuery) -> None:
        store.log(store.find_run("a-run").run_id, params={"a": "a" * 1000})
        with pytest.raises(UsageError):
            store.search_runs(query)

    def test_experiments_that_are_none_hold_nothing(self, store: RunStore) -> None:
        assert names(store, RunQuery(experiment_ids=("9" * 5000, "²", "-1", "x"))) == []

    def test_an_order_that_cannot_be_understood_is_a_usage_error(self, store: RunStore) -> None:
        for text in ("", "metrics.loss up", "nothing", "metrics.a, metrics.b"):
            with pytest.raises(UsageError):
                store.search_runs(RunQuery(order_by=(text,)))
