"""The contract suite of `InputStore`; subclass it as `proj.testing.stores` shows."""
# ruff: noqa: S101, D102  asserts as in tests; a test's name says what it shows

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.errors import ConflictError, NotFoundError
from proj.model import NewRun
from proj.testing.differences import Contract
from proj.tracking.inputs import Dataset, DatasetInput, DatasetSummary, ModelOutput, RunInputs
from proj.tracking.store import RunQuery

if TYPE_CHECKING:
    from proj.model import RunRecord
    from proj.tracking import Tracking


def dataset(name: str = "wine", digest: str = "d1") -> Dataset:
    """Return a dataset."""
    return Dataset(
        name=name, digest=digest, source_type="http", source='{"url": "u"}', schema="{}", profile=None
    )


class InputContract(Contract):
    """What every `InputStore` guarantees. Subclasses give the fixture `tracking`, with empty stores."""

    @pytest.fixture
    def tracking(self) -> Tracking:
        raise NotImplementedError

    @pytest.fixture
    def run(self, tracking: Tracking) -> RunRecord:
        """Make a run."""
        return tracking.runs.create_run(NewRun(experiment_id="0", run_name="r", started_ms=1))

    def test_what_was_logged_comes_back(self, tracking: Tracking, run: RunRecord) -> None:
        other = tracking.runs.create_run(NewRun(experiment_id="0", run_name="other", started_ms=1))
        train = DatasetInput(dataset=dataset(), tags={"mlflow.data.context": "training"})
        test = DatasetInput(dataset=dataset(digest="d2"))
        tracking.inputs.log_inputs(run.run_id, datasets=[train, test], models=["m-1"])
        tracking.inputs.log_outputs(run.run_id, [ModelOutput(model_id="m-2", step=3)])
        expected = RunInputs(
            datasets=(train, test), models=("m-1",), outputs=(ModelOutput(model_id="m-2", step=3),)
        )
        found = tracking.inputs.of_runs([run.run_id, other.run_id, "0" * 32])
        assert found == {run.run_id: expected}

    def test_the_same_twice_is_one_and_keeps_its_tags(self, tracking: Tracking, run: RunRecord) -> None:
        first = DatasetInput(dataset=dataset(), tags={"mlflow.data.context": "training"})
        again = DatasetInput(dataset=dataset(), tags={"mlflow.data.context": "test"})
        for each in (first, again):
            tracking.inputs.log_inputs(run.run_id, datasets=[each], models=["m-1", "m-1"])
            tracking.inputs.log_outputs(run.run_id, [ModelOutput(model_id="m-2")])
        found = tracking.inputs.of_runs([run.run_id])[run.run_id]
        assert found.datasets == (first,)
        assert (found.models, found.outputs) == (("m-1",), (ModelOutput(model_id="m-2"),))

    def test_a_run_must_be_there_and_active(self, tracking: Tracking, run: RunRecord) -> None:
        tracking.runs.delete_runs([run.run_id])
        for run_id, error in ((run.run_id, ConflictError), ("0" * 32, NotFoundError)):
            with pytest.raises(error):
                tracking.inputs.log_inputs(run_id, models=["m-1"])
            with pytest.raises(error):
                tracking.inputs.log_outputs(run_id, [])

    def test_datasets_of_experiments_are_found(self, tracking: Tracking, run: RunRecord) -> None:
        contexts = ("training", "training", None)
        for number, context in enumerate(contexts):
            each = tracking.runs.create_run(NewRun(experiment_id="0", run_name=str(number), started_ms=1))
            tags = {} if context is None else {"mlflow.data.context": context}
            tracking.inputs.log_inputs(each.run_id, datasets=[DatasetInput(dataset=dataset(), tags=tags)])
        tracking.inputs.log_inputs(run.run_id, datasets=[DatasetInput(dataset=dataset("beer"))])
        assert tracking.inputs.search_datasets(["0", "x"]) == (
            DatasetSummary(experiment_id="0", name="beer", digest="d1"),
            DatasetSummary(experiment_id="0", name="wine", digest="d1"),
            DatasetSummary(experiment_id="0", name="wine", digest="d1", context="training"),
        )
        assert tracking.inputs.search_datasets([]) == tracking.inputs.search_datasets(["999999"]) == ()

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("dataset.name = 'wine'", True),
            ("datasets.digest LIKE 'd%' and dataset.context = 'training'", True),
            ("dataset.context IN ('test', 'training')", True),
            ("dataset.name = 'beer'", False),
            ("dataset.context IS NULL", False),
        ],
    )
    def test_runs_are_searched_by_dataset(
        self, tracking: Tracking, run: RunRecord, text: str, found: bool
    ) -> None:
        train = DatasetInput(dataset=dataset(), tags={"mlflow.data.context": "training"})
        tracking.inputs.log_inputs(run.run_id, datasets=[train])
        runs = tracking.runs.search_runs(RunQuery(filter=text)).runs
        assert [each.run_id for each in runs] == ([run.run_id] if found else [])

    def test_a_purged_run_leaves_nothing(self, tracking: Tracking, run: RunRecord) -> None:
        tracking.inputs.log_inputs(run.run_id, datasets=[DatasetInput(dataset=dataset())], models=["m-1"])
        tracking.inputs.log_outputs(run.run_id, [ModelOutput(model_id="m-2")])
        tracking.runs.delete_runs([run.run_id])
        tracking.runs.purge_runs([run.run_id])
        assert tracking.inputs.of_runs([run.run_id]) == {}
        assert tracking.inputs.search_datasets(["0"]) == ()
