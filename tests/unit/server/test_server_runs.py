from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpkit import Client
    from proj.tracking import Tracking


def test_a_run_is_created(client: Client, tracking: Tracking) -> None:
    tags = [{"key": "a", "value": "1"}]
    run = client.ok("POST", "runs/create", experiment_id="0", user_id="ada", start_time="12", tags=tags)[
        "run"
    ]
    assert run["info"]["status"] == "RUNNING"
    assert run["info"]["start_time"] == 12
    stored = tracking.runs.run(run["info"]["run_id"])
    assert stored.user == "ada"
    assert stored.tags["a"] == "1"
    assert stored.artifact_uri == run["info"]["artifact_uri"]


def test_two_names_for_a_run_contradict_each_other(client: Client) -> None:
    answer = client.post("runs/create", run_name="a", tags=[{"key": "mlflow.runName", "value": "b"}])
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")


def test_an_experiment_that_is_not_there(client: Client) -> None:
    answer = client.post("runs/create", experiment_id="77")
    assert (answer.status, answer.error) == (404, "RESOURCE_DOES_NOT_EXIST")
