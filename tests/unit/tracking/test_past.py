from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proj.testing.past import EXPERIMENT, MODEL, RUN, PastStoreContract, past_run
from proj.tracking import open_tracking
from proj.tracking.logged_models import LoggedModelStatus
from proj.tracking.past import PastLoggedModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proj.tracking import Tracking


class TestContract(PastStoreContract):
    @pytest.fixture
    def tracking(self, tmp_path: Path) -> Iterator[Tracking]:
        with open_tracking(tmp_path) as tracking:
            yield tracking


@pytest.mark.parametrize(
    ("location", "run_uri", "model_uri"),
    [
        (None, "memory://root/{run}", "memory://root/models/{model}/artifacts"),
        ("memory://own", "memory://own/{run}/artifacts", "memory://own/models/{model}/artifacts"),
    ],
)
def test_files_go_where_those_of_new_runs_go(
    tmp_path: Path, location: str | None, run_uri: str, model_uri: str
) -> None:
    with open_tracking(tmp_path, "memory://root") as tracking:
        experiment = tracking.runs.create_experiment("wine", artifact_location=location).experiment_id
        past = tracking.past
        assert past is not None
        assert past.add_experiment(EXPERIMENT).id == experiment
        past.add_runs([past_run(experiment)])
        past.add_logged_models(
            [
                PastLoggedModel(
                    model_id=MODEL,
                    experiment_id=experiment,
                    name="net",
                    status=LoggedModelStatus.READY,
                    created_ms=1,
                    updated_ms=1,
                )
            ]
        )
        assert tracking.runs.run(RUN).artifact_uri == run_uri.format(run=RUN)
        assert tracking.logged_models.logged_model(MODEL).artifact_location == model_uri.format(model=MODEL)
