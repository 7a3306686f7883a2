"""The contract suite of `PastStore`.

A third party proves a store by subclassing it, in a test module of its own::

    class TestMyStore(PastStoreContract):
        @pytest.fixture
        def tracking(self) -> Iterator[Tracking]:
            ...
"""
# ruff: noqa: S101, PLR2004, D102  asserts and literals as in tests; a test's name says what it shows

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from proj.errors import NotFoundError
from proj.model import Metric, NewRun, RunStatus
from proj.testing.differences import Contract
from proj.testing.threads import in_threads
from proj.tracking.inputs import Dataset, DatasetInput, ModelOutput, RunInputs
from proj.tracking.logged_models import LoggedModelStatus, ModelMetric
from proj.tracking.past import PastExperiment, PastLoggedModel, PastModel, PastRun
from proj.tracking.registry import ModelVersion, NewModelVersion, Stage
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.tracking import Tracking
    from proj.tracking.past import PastStore

RUN = "0123456789abcdef0123456789abcdef"
MODEL = "m-0123456789abcdef0123456789abcdef"
EXPERIMENT = PastExperiment(
    name="wine", created_ms=10, updated_ms=20, tags={"mark": "there#7", "team": "red"}, mark="mark"
)


def past_run(experiment_id: str) -> PastRun:
    """Return a run that had ended."""
    return PastRun(
        run_id=RUN,
        experiment_id=experiment_id,
        name="old",
        user="ada",
        status=RunStatus.FINISHED,
        started_ms=100,
        ended_ms=200,
        params={"alpha": "1"},
        tags={"mlflow.runName": "old", "team": "red"},
        metrics=(
            Metric(key="loss", value=0.5, timestamp_ms=1, step=0),
            Metric(key="loss", value=math.nan, timestamp_ms=2, step=1),
        ),
        inputs=RunInputs(
            datasets=(DatasetInput(dataset=Dataset(name="d", digest="1", source_type="local", source="{}")),),
            models=(MODEL,),
            outputs=(ModelOutput(model_id=MODEL, step=4),),
        ),
    )


def version(number: int, **changes: object) -> ModelVersion:
    """Return a version of the model `wine`."""
    plain = ModelVersion(
        name="wine", version=number, created_ms=number * 10, updated_ms=500, source="s3://b/x"
    )
    return msgspec.structs.replace(plain, **changes)


class PastStoreContract(Contract):
    """What every `PastStore` guarantees. Subclasses give the fixture `tracking`, empty records."""

    @pytest.fixture
    def tracking(self) -> Tracking:
        raise NotImplementedError

    @pytest.fixture
    def past(self, tracking: Tracking) -> PastStore:
        past = tracking.past
        assert past is not None
        return past

    # --- experiments ----------------------------------------------------------------------------------

    def test_an_experiment_keeps_its_times(self, tracking: Tracking, past: PastStore) -> None:
        added = past.add_experiment(EXPERIMENT)
        assert (added.new, added.deleted) == (True, False)
        there = tracking.runs.experiment(added.id)
        assert (there.name, there.created_ms, there.updated_ms) == ("wine", 10, 20)
        assert there.tags == EXPERIMENT.tags
        again = past.add_experiment(EXPERIMENT)
        assert (again.id, again.new, again.values) == (added.id, False, 0)

    def test_an_experiment_is_found_by_its_mark_then_by_its_name(
        self, tracking: Tracking, past: PastStore
    ) -> None:
        mine = tracking.runs.create_experiment("wine", tags={"team": "ours"})
        first = past.add_experiment(EXPERIMENT)
        assert first.id == mine.experiment_id
        tracking.runs.rename_experiment(first.id, "cellar")
        assert past.add_experiment(EXPERIMENT).id == first.id
        assert tracking.runs.experiment(first.id).tags["team"] == "ours"

    def test_an_experiment_that_was_deleted_there_is_deleted_here(
        self, tracking: Tracking, past: PastStore
    ) -> None:
        added = past.add_experiment(msgspec.structs.replace(EXPERIMENT, deleted=True))
        assert added.deleted
        assert tracking.runs.experiment(added.id).lifecycle_stage == "deleted"
        past.add_runs([past_run(added.id)])
        assert tracking.runs.run(RUN).lifecycle_stage == "deleted"

    # --- runs -----------------------------------------------------------------------------------------

    def test_a_run_keeps_its_id_and_times(self, tracking: Tracking, past: PastStore) -> None:
        experiment = past.add_experiment(EXPERIMENT).id
        (added,) = past.add_runs([past_run(experiment)])
        assert (added.id, added.new, added.points) == (RUN, True, 2)
        run = tracking.runs.run(RUN)
        assert (run.run_name, run.user, run.status) == ("old", "ada", RunStatus.FINISHED)
        assert (run.started_ms, run.ended_ms, run.experiment_id) == (100, 200, experiment)
        assert run.params == {"alpha": "1"}
        assert run.metrics["loss"].step == 1
        assert math.isnan(run.metrics["loss"].value)
        inputs = tracking.inputs.of_runs([RUN])[RUN]
        assert (inputs.models, inputs.outputs[0].step) == ((MODEL,), 4)
        assert past.known_runs([RUN, "f" * 32]) == {
            RUN: past.known_runs([RUN])[RUN],
        }
        assert past.known_runs([RUN])[RUN].artifact_uri == run.artifact_uri

    def test_files_of_a_run_can_be_there_before_it_is(self, tracking: Tracking, past: PastStore) -> None:
        uri = past.artifact_uri(EXPERIMENT.name, RUN)
        tracking.artifacts.write(uri, "early.txt", b"x")
        past.add_runs([past_run(past.add_experiment(EXPERIMENT).id)])
        assert tracking.runs.run(RUN).artifact_uri == uri
        assert [info.path for info in tracking.artifacts.walk(uri)] == ["early.txt"]

    def test_adding_a_run_again_changes_nothing(self, tracking: Tracking, past: PastStore) -> None:
        experiment = past.add_experiment(EXPERIMENT).id
        past.add_runs([past_run(experiment)])
        before = tracking.runs.run(RUN)
        (again,) = past.add_runs([past_run(experiment)])
        assert (again.new, again.changed, again.points, again.values) == (False, False, 0, 0)
        after = tracking.runs.run(RUN)
        assert (after.params, after.tags, after.status) == (before.params, before.tags, before.status)

    def test_only_what_is_new_is_added_to_a_run_that_has_ended(
        self, tracking: Tracking, past: PastStore
    ) -> None:
        run = past_run(past.add_experiment(EXPERIMENT).id)
        past.add_runs([run])
        tracking.runs.log(RUN, tags={"team": "ours"})
        more = msgspec.structs.replace(
            run,
            status=RunStatus.FAILED,
            params={"alpha": "2", "beta": "3"},
            tags={"team": "blue", "new": "1"},
            metrics=(*run.metrics, Metric(key="loss", value=0.1, timestamp_ms=3, step=2)),
        )
        (added,) = past.add_runs([more])
        assert (added.changed, added.points, added.values) == (False, 1, 2)
        there = tracking.runs.run(RUN)
        assert there.status is RunStatus.FINISHED
        assert there.params == {"alpha": "1", "beta": "3"}
        assert (there.tags["team"], there.tags["new"]) == ("ours", "1")
        assert there.metrics["loss"].value == 0.1

    def test_an_open_run_follows(self, tracking: Tracking, past: PastStore) -> None:
        run = past_run(past.add_experiment(EXPERIMENT).id)
        past.add_runs([msgspec.structs.replace(run, status=RunStatus.RUNNING, ended_ms=None)])
        (added,) = past.add_runs(
            [msgspec.structs.replace(run, name="new", tags={"mlflow.runName": "new", "team": "blue"})]
        )
        assert (added.new, added.changed) == (False, True)
        there = tracking.runs.run(RUN)
        assert (there.status, there.ended_ms, there.run_name) == (RunStatus.FINISHED, 200, "new")
        assert (there.tags["mlflow.runName"], there.tags["team"]) == ("new", "blue")

    def test_a_deleted_run_stays_deleted(self, tracking: Tracking, past: PastStore) -> None:
        run = past_run(past.add_experiment(EXPERIMENT).id)
        past.add_runs([run])
        tracking.runs.delete_runs([RUN])
        (added,) = past.add_runs([run])
        assert added.deleted
        assert tracking.runs.run(RUN).lifecycle_stage == "deleted"
        assert tracking.runs.search_runs(RunQuery(deleted_before_ms=2**62, lifecycle="deleted")).runs

    def test_runs_are_added_all_or_none(self, tracking: Tracking, past: PastStore) -> None:
        run = past_run(past.add_experiment(EXPERIMENT).id)
        lost = msgspec.structs.replace(run, run_id="f" * 32, experiment_id="999999")
        with pytest.raises(NotFoundError):
            past.add_runs([run, lost])
        assert not tracking.runs.search_runs(RunQuery(lifecycle="all")).runs

    def test_many_add_the_same_at_once(self, tracking: Tracking, past: PastStore) -> None:
        def add() -> None:
            past.add_runs([past_run(past.add_experiment(EXPERIMENT).id)])

        in_threads([add] * 4)
        assert len(tracking.runs.metric_history(RUN, "loss")) == 2
        assert len(tracking.runs.search_runs(RunQuery(lifecycle="all")).runs) == 1

    # --- models ---------------------------------------------------------------------------------------

    def test_a_logged_model_keeps_its_id_and_follows_its_upload(
        self, tracking: Tracking, past: PastStore
    ) -> None:
        experiment = past.add_experiment(EXPERIMENT).id
        past.add_runs([past_run(experiment)])
        point = Metric(key="acc", value=0.5, timestamp_ms=1, model_id=MODEL)
        model = PastLoggedModel(
            model_id=MODEL,
            experiment_id=experiment,
            name="net",
            status=LoggedModelStatus.PENDING,
            created_ms=30,
            updated_ms=40,
            params={"depth": "3"},
            metrics=(ModelMetric(metric=point, run_id=RUN), ModelMetric(metric=point, run_id="f" * 32)),
        )
        (added,) = past.add_logged_models([model])
        assert (added.id, added.new, added.points, added.values) == (MODEL, True, 1, 1)
        ready = msgspec.structs.replace(model, status=LoggedModelStatus.READY, tags={"a": "b"})
        (again,) = past.add_logged_models([ready])
        assert (again.new, again.changed, again.points, again.values) == (False, True, 0, 1)
        there = tracking.logged_models.logged_model(MODEL)
        assert (there.status, there.created_ms, there.params) == (LoggedModelStatus.READY, 30, {"depth": "3"})
        assert [each.run_id for each in there.metrics] == [RUN]

    def test_versions_keep_their_numbers_and_gaps(self, tracking: Tracking, past: PastStore) -> None:
        model = PastModel(
            name="wine",
            created_ms=1,
            updated_ms=2,
            description="d",
            tags={"kind": "red"},
            aliases={"champion": 4},
            versions=(version(4, stage=Stage.PRODUCTION, tags={"n": "4"}), version(1)),
            last_version=6,
        )
        added = past.add_model(model)
        assert (added.new, added.versions, added.renumbered) == (True, 2, {})
        there = tracking.registry.model("wine")
        assert (there.created_ms, there.updated_ms, there.aliases) == (1, 2, {"champion": 4})
        fourth = tracking.registry.version("wine", 4)
        assert (fourth.created_ms, fourth.stage, fourth.tags) == (40, Stage.PRODUCTION, {"n": "4"})
        assert past.add_model(model).versions == 0
        new = tracking.registry.create_version("wine", NewModelVersion(source="s3://b/y"))
        assert new.version == 7

    def test_a_number_that_is_taken_is_another_one_and_stays_so(
        self, tracking: Tracking, past: PastStore
    ) -> None:
        tracking.registry.create_model("wine")
        tracking.registry.create_version("wine", NewModelVersion(source="s3://b/ours"))
        model = PastModel(
            name="wine", created_ms=1, updated_ms=2, aliases={"best": 1}, versions=(version(1), version(2))
        )
        added = past.add_model(model)
        assert (added.new, added.versions, added.renumbered) == (False, 2, {1: 2, 2: 3})
        assert tracking.registry.model("wine").aliases == {"best": 2}
        assert tracking.registry.version("wine", 1).source == "s3://b/ours"
        again = past.add_model(model)
        assert (again.versions, again.renumbered) == (0, {})

    def test_of_a_version_the_later_change_counts(self, tracking: Tracking, past: PastStore) -> None:
        model = PastModel(name="wine", created_ms=1, updated_ms=2, versions=(version(1),))
        past.add_model(model)
        later = version(1, updated_ms=600, stage=Stage.STAGING)
        assert past.add_model(msgspec.structs.replace(model, versions=(later,))).changed
        assert tracking.registry.version("wine", 1).stage is Stage.STAGING
        tracking.registry.transition_stage("wine", 1, Stage.ARCHIVED)
        assert not past.add_model(msgspec.structs.replace(model, versions=(later,))).changed
        assert tracking.registry.version("wine", 1).stage is Stage.ARCHIVED

    def test_an_alias_that_is_here_stays(self, tracking: Tracking, past: PastStore) -> None:
        model = PastModel(
            name="wine",
            created_ms=1,
            updated_ms=2,
            aliases={"best": 1, "lost": 9},
            versions=(version(1), version(2)),
        )
        past.add_model(model)
        tracking.registry.set_alias("wine", "best", 2)
        assert past.add_model(model).values == 0
        assert tracking.registry.model("wine").aliases == {"best": 2}

    def test_a_run_that_was_made_here_is_not_touched(self, tracking: Tracking, past: PastStore) -> None:
        experiment = past.add_experiment(EXPERIMENT).id
        mine = tracking.runs.create_run(NewRun(experiment_id=experiment, run_name="mine", started_ms=1))
        past.add_runs([past_run(experiment)])
        assert tracking.runs.run(mine.run_id) == mine
