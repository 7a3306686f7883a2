"""The contract suite of `LoggedModelStore`; subclass it as `proj.testing.stores` shows."""
# ruff: noqa: S101, S106, PLR2004, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj.errors import ConflictError, NotFoundError, ParameterConflictError, UsageError
from proj.model import Metric, NewRun
from proj.testing.differences import Contract
from proj.tracking.logged_models import (
    DatasetChoice,
    LoggedModelOrder,
    LoggedModelQuery,
    LoggedModelStatus,
    NewLoggedModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from proj.tracking import Tracking
    from proj.tracking.experiments import Lifecycle
    from proj.tracking.logged_models import LoggedModel, LoggedModelStore

_UNKNOWN = f"m-{'0' * 32}"


def measure(
    model: LoggedModel, key: str, value: float, *, timestamp_ms: int = 1, dataset: str | None = None
) -> Metric:
    """Return a point that measures a model."""
    return Metric(
        key=key,
        value=value,
        timestamp_ms=timestamp_ms,
        model_id=model.model_id,
        dataset_name=dataset,
        dataset_digest=dataset and f"digest-{dataset}",
    )


def make_three(tracking: Tracking) -> None:
    """Create models a, b, c that differ in all a search can look at."""
    made: dict[str, tuple[dict[str, str], dict[str, str], list[tuple[str, float, int, str | None]]]] = {
        "a": ({"alpha": "0.5"}, {"team": "red"}, [("loss", 0.1, 1, "train"), ("loss", 0.9, 2, "test")]),
        "b": ({"alpha": "1"}, {}, [("loss", 0.5, 1, "test"), ("val loss", 2.0, 1, None)]),
        "c": ({}, {}, [("loss", math.nan, 1, None)]),
    }
    run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
    for name, (params, tags, metrics) in made.items():
        model = tracking.logged_models.create_logged_model(
            NewLoggedModel(
                experiment_id="0",
                name=name,
                params=params,
                tags=tags,
                model_type="agent" if name == "a" else None,
                source_run_id="r" * 32 if name == "b" else None,
            )
        )
        points = [
            measure(model, key, value, timestamp_ms=timestamp_ms, dataset=dataset)
            for key, value, timestamp_ms, dataset in metrics
        ]
        tracking.runs.log(run.run_id, metrics=points)


def found_by(models: LoggedModelStore, query: LoggedModelQuery) -> str:
    """Names of all the models that a query finds, page after page."""
    found = ""
    token: str | None = None
    while True:
        page = models.search_logged_models(msgspec.structs.replace(query, page_token=token))
        found += "".join(model.name for model in page.models)
        token = page.next_page_token
        if token is None:
            return found
        assert len(page.models) == query.limit


def writing(models: LoggedModelStore) -> list[Callable[[str], object]]:
    """Return calls that change a model."""
    return [
        lambda each: models.finalize_logged_model(each, LoggedModelStatus.READY),
        lambda each: models.set_logged_model_tags(each, {"a": "1"}),
        lambda each: models.log_logged_model_params(each, {"a": "1"}),
    ]


class LoggedModelContract(Contract):
    """What every `LoggedModelStore` guarantees. Subclasses give the fixture `tracking`, with empty stores."""

    @pytest.fixture
    def tracking(self) -> Tracking:
        raise NotImplementedError

    @pytest.fixture
    def models(self, tracking: Tracking) -> LoggedModelStore:
        return tracking.logged_models

    @pytest.fixture
    def model(self, models: LoggedModelStore) -> LoggedModel:
        """Make a model."""
        return models.create_logged_model(NewLoggedModel(experiment_id="0", name="wine"))

    def test_a_model_comes_back_as_it_was_created(self, models: LoggedModelStore) -> None:
        made = models.create_logged_model(
            NewLoggedModel(
                experiment_id="0",
                name="wine é",
                model_type="agent",
                source_run_id="a" * 32,
                params={"p": "1", "empty": ""},
                tags={"t": "2"},
            )
        )
        assert made.model_id.startswith("m-")
        assert len(made.model_id) == 34
        assert made.artifact_location.endswith(f"/models/{made.model_id}/artifacts")
        assert (made.experiment_id, made.name, made.model_type) == ("0", "wine é", "agent")
        assert (made.source_run_id, made.status) == ("a" * 32, LoggedModelStatus.PENDING)
        assert (made.params, made.tags, made.metrics) == ({"p": "1", "empty": ""}, {"t": "2"}, ())
        assert made.created_ms == made.updated_ms > 0
        assert models.logged_model(made.model_id) == made

    def test_a_name_is_made_up(self, models: LoggedModelStore) -> None:
        assert models.create_logged_model(NewLoggedModel(experiment_id="0")).name

    def test_an_experiment_with_a_place_of_its_own_keeps_its_models_there(self, tracking: Tracking) -> None:
        far = tracking.runs.create_experiment("far", artifact_location="s3://bucket/far")
        made = tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id=far.experiment_id))
        assert made.artifact_location == f"s3://bucket/far/models/{made.model_id}/artifacts"

    def test_an_experiment_must_be_there_and_active(self, tracking: Tracking) -> None:
        gone = tracking.runs.create_experiment("gone")
        tracking.runs.delete_experiment(gone.experiment_id)
        for experiment_id, error in (("999999", NotFoundError), (gone.experiment_id, ConflictError)):
            with pytest.raises(error):
                tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id=experiment_id))

    def test_a_status_is_set(self, models: LoggedModelStore, model: LoggedModel) -> None:
        for status in (LoggedModelStatus.FAILED, LoggedModelStatus.READY):
            changed = models.finalize_logged_model(model.model_id, status)
            assert changed.status is status
            assert models.logged_model(model.model_id) == changed

    def test_the_message_of_a_status_is_kept(self, models: LoggedModelStore, model: LoggedModel) -> None:
        failed = models.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED, "no disk")
        assert failed.status_message == "no disk"
        assert models.logged_model(model.model_id) == failed
        assert models.finalize_logged_model(model.model_id, LoggedModelStatus.READY).status_message is None

    def test_tags_and_parameters(self, models: LoggedModelStore, model: LoggedModel) -> None:
        models.set_logged_model_tags(model.model_id, {"a": "1", "b": "1"})
        models.set_logged_model_tags(model.model_id, {"a": "2"})
        assert models.remove_logged_model_tags(model.model_id, "b", "never-there") == 1
        models.log_logged_model_params(model.model_id, {"p": "1"})
        models.log_logged_model_params(model.model_id, {"p": "1", "q": "2"})
        with pytest.raises(ParameterConflictError, match=model.model_id) as caught:
            models.log_logged_model_params(model.model_id, {"new": "x", "p": "3"})
        assert caught.value.conflicts == (("p", "1", "3"),)
        found = models.logged_model(model.model_id)
        assert (found.tags, found.params) == ({"a": "2"}, {"p": "1", "q": "2"})

    def test_metrics_of_runs_measure_models(self, tracking: Tracking, model: LoggedModel) -> None:
        run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
        points = [
            measure(model, "loss", 0.5, timestamp_ms=1, dataset="train"),
            measure(model, "loss", 0.4, timestamp_ms=2),
        ]
        for _ in range(2):
            tracking.runs.log(run.run_id, metrics=[*points, Metric(key="other", value=1.0, timestamp_ms=1)])
        found = tracking.logged_models.logged_model(model.model_id)
        assert [each.metric for each in found.metrics] == points
        assert {each.run_id for each in found.metrics} == {run.run_id}
        history = tracking.runs.metric_history(run.run_id, "loss")
        assert [each.value for each in history] == [0.5, 0.4]

    def test_a_deleted_model_is_not_found(self, models: LoggedModelStore, model: LoggedModel) -> None:
        models.delete_logged_model(model.model_id)
        assert models.logged_model(model.model_id, allow_deleted=True).lifecycle_stage == "deleted"
        assert found_by(models, LoggedModelQuery()) == ""
        for call in (models.logged_model, models.delete_logged_model, models.remove_logged_model_tags):
            with pytest.raises(NotFoundError):
                call(model.model_id)

    def test_nothing_is_written_to_a_deleted_model(
        self, models: LoggedModelStore, model: LoggedModel
    ) -> None:
        models.delete_logged_model(model.model_id)
        for call in writing(models):
            with pytest.raises(NotFoundError):
                call(model.model_id)

    def test_a_model_that_there_never_was_is_not_found(self, models: LoggedModelStore) -> None:
        calls: list[Callable[[str], object]] = [
            models.logged_model,
            lambda each: models.logged_model(each, allow_deleted=True),
            models.delete_logged_model,
            models.remove_logged_model_tags,
            *writing(models),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                call(_UNKNOWN)

    def test_deleted_models_are_found_and_purged(self, tracking: Tracking, model: LoggedModel) -> None:
        models = tracking.logged_models
        kept = models.create_logged_model(NewLoggedModel(experiment_id="0", name="kept", params={"a": "1"}))
        run = tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))
        tracking.runs.log(run.run_id, metrics=[measure(model, "loss", 0.5), measure(kept, "loss", 0.5)])
        models.delete_logged_model(model.model_id)
        cases: list[tuple[Lifecycle, int | None, str]] = [
            ("active", None, "kept"),
            ("deleted", None, "wine"),
            ("deleted", 2**50, "wine"),
            ("deleted", 1, ""),
        ]
        for lifecycle, before_ms, expected in cases:
            query = LoggedModelQuery(lifecycle=lifecycle, deleted_before_ms=before_ms)
            assert found_by(models, query) == expected
        models.purge_logged_models([model.model_id, kept.model_id, _UNKNOWN])
        with pytest.raises(NotFoundError):
            models.logged_model(model.model_id, allow_deleted=True)
        left = models.logged_model(kept.model_id)
        assert (left.params, len(left.metrics)) == ({"a": "1"}, 1)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "abc"),
            ("name = 'a'", "a"),
            ("attributes.name IN ('a', 'c')", "ac"),
            ("model_type = 'agent'", "a"),
            ("source_run_id LIKE 'r%'", "b"),
            ("status = 'PENDING' and creation_timestamp > 0", "abc"),
            ("status != 'PENDING'", ""),
            ("params.alpha = '0.5'", "a"),
            ("params.alpha LIKE '%'", "ab"),
            ("tags.team ILIKE 'RED'", "a"),
            ("metrics.loss < 0.3", "a"),
            ("metrics.loss >= 0.5", "ab"),
            ("metrics.loss != 0.5", "ac"),
            ("metrics.`val loss` = 2", "b"),
        ],
    )
    def test_a_filter_chooses(self, tracking: Tracking, text: str, expected: str) -> None:
        make_three(tracking)
        for limit in (1, 2, 100):
            query = LoggedModelQuery(filter=text, limit=limit, experiment_ids=("0", "x", "999999"))
            assert "".join(sorted(found_by(tracking.logged_models, query))) == expected
        assert found_by(tracking.logged_models, LoggedModelQuery(filter=text, experiment_ids=("1",))) == ""

    @pytest.mark.parametrize(
        ("text", "dataset", "expected"),
        [
            ("", DatasetChoice(name="test"), "ab"),
            ("", DatasetChoice(name="train", digest="digest-train"), "a"),
            ("", DatasetChoice(name="train", digest="other"), ""),
            ("metrics.loss < 0.3", DatasetChoice(name="test"), ""),
            ("metrics.loss > 0.3", DatasetChoice(name="test"), "ab"),
        ],
    )
    def test_metrics_on_a_dataset_choose(
        self, tracking: Tracking, text: str, dataset: DatasetChoice, expected: str
    ) -> None:
        make_three(tracking)
        query = LoggedModelQuery(filter=text, datasets=(dataset,))
        assert "".join(sorted(found_by(tracking.logged_models, query))) == expected

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            (LoggedModelOrder(field="name"), "abc"),
            (LoggedModelOrder(field="name", ascending=False), "cba"),
            (LoggedModelOrder(field="metrics.loss"), "bac"),
            (LoggedModelOrder(field="metrics.loss", ascending=False), "abc"),
            (LoggedModelOrder(field="metrics.loss", dataset=DatasetChoice(name="train")), "a"),
            (LoggedModelOrder(field="metrics.val loss"), "b"),
            (LoggedModelOrder(field="model_type"), "a"),
        ],
    )
    def test_an_order_sorts_and_what_is_missing_comes_last(
        self, tracking: Tracking, order: LoggedModelOrder, expected: str
    ) -> None:
        make_three(tracking)
        for limit in (1, 2, 100):
            query = LoggedModelQuery(order_by=(order,), limit=limit)
            assert found_by(tracking.logged_models, query).startswith(expected)

    @pytest.mark.parametrize(
        "query",
        [
            LoggedModelQuery(filter="nmae = 'x'"),
            LoggedModelQuery(order_by=(LoggedModelOrder(field="nothing"),)),
            LoggedModelQuery(order_by=(LoggedModelOrder(field="params.a"),)),
            LoggedModelQuery(limit=0),
            LoggedModelQuery(page_token="nonsense"),
        ],
    )
    def test_what_cannot_be_understood_is_a_usage_error(
        self, models: LoggedModelStore, query: LoggedModelQuery
    ) -> None:
        with pytest.raises(UsageError):
            models.search_logged_models(query)
