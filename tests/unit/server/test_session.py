"""What the endpoint of a run allows, and where it is kinder than MLflow's server."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from httpkit import Client, serving
from proj.errors import FailureCode
from proj.model import NewRun, Outcome, RunStatus
from proj.server.endpoint import EndpointSettings
from proj.server.program import same_text
from proj.server.session import RunToken, Session
from proj.tracking.logged_models import NewLoggedModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proj.tracking import Tracking

TOKEN = "s3cret"
WELL = Outcome(status=RunStatus.FINISHED, exit_code=0, started_ms=1, ended_ms=9)


def new_run(tracking: Tracking, **tags: str) -> str:
    new = NewRun(experiment_id="0", run_name="own", started_ms=1, status=RunStatus.RUNNING, tags=tags)
    return tracking.runs.create_run(new).run_id


@pytest.fixture
def own(tracking: Tracking) -> str:
    """The run whose endpoint it is."""
    run_id = new_run(tracking)
    tracking.runs.log(run_id, params={"alpha": "050", "flag": "True", "data": "x.csv"})
    return run_id


class Program:
    """The program of a run, as it sees its endpoint."""

    def __init__(self, client: Client, session: Session) -> None:
        self.client = client
        self.session = session


@contextlib.contextmanager
def program_of(tracking: Tracking, own: str, *, chosen: bool = False) -> Iterator[Program]:
    settings = EndpointSettings(
        run_id=own, experiment_id="0", experiment_chosen=chosen, values={"data": "/here/x.csv"}
    )
    session = Session(tracking, settings)
    with serving(tracking, RunToken(TOKEN, session), rules=session) as client:
        yield Program(Client(client.url, {"Authorization": f"Bearer {TOKEN}"}), session)


@pytest.fixture
def program(tracking: Tracking, own: str) -> Iterator[Program]:
    with program_of(tracking, own) as found:
        yield found


# --- what it may do -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_is_answered(program: Program, authorization: str | None) -> None:
    stranger = Client(program.client.url)
    headers = {} if authorization is None else {"Authorization": authorization.encode().decode("latin-1")}
    answer = stranger.send("GET", "experiments/get?experiment_id=0", headers=headers)
    assert (answer.status, answer.error) == (401, "UNAUTHENTICATED")


def test_the_token_may_come_as_a_password(program: Program) -> None:
    for password, status in ((TOKEN, 200), ("wrong", 401)):
        credentials = base64.b64encode(f"run:{password}".encode()).decode()
        client = Client(program.client.url, {"Authorization": f"Basic {credentials}"})
        assert client.get("experiments/get", experiment_id="0").status == status


def test_other_runs_are_read_and_not_written(program: Program, tracking: Tracking) -> None:
    other = new_run(tracking)
    assert program.client.ok("GET", "runs/get", run_id=other)
    for path, fields in (
        ("runs/set-tag", {"key": "k", "value": "v"}),
        ("runs/log-batch", {"tags": [{"key": "k", "value": "v"}]}),
        ("runs/update", {"status": "FINISHED"}),
        ("runs/delete", {}),
        ("runs/log-inputs", {}),
        ("runs/set-tag", {"run_uuid": other, "key": "k"}),
    ):
        answer = program.client.post(path, **{"run_id": other, **fields})
        assert (answer.status, answer.error) == (403, "PERMISSION_DENIED")
    assert tracking.runs.run(other).status is RunStatus.RUNNING


def test_a_run_is_not_written_under_two_names(program: Program, tracking: Tracking, own: str) -> None:
    """What is checked is what is written, whichever of its two names a request gives."""
    other = new_run(tracking)
    program.client.post("runs/set-tag", run_id=own, run_uuid=other, key="k", value="v")
    assert "k" not in tracking.runs.run(other).tags


def test_runs_below_its_own_are_written(program: Program, tracking: Tracking, own: str) -> None:
    child = new_run(tracking, **{"mlflow.parentRunId": own})
    grandchild = new_run(tracking, **{"mlflow.parentRunId": child})
    program.client.ok("POST", "runs/set-tag", run_id=grandchild, key="k", value="v")


def test_what_it_made_it_may_delete_but_not_its_own_run(program: Program, own: str) -> None:
    made = program.client.ok("POST", "runs/create")["run"]["info"]["run_id"]
    program.client.ok("POST", "runs/delete", run_id=made)
    assert program.client.post("runs/delete", run_id=own).status == 403


def test_logged_models_of_other_runs_are_read_and_not_changed(
    program: Program, tracking: Tracking, own: str
) -> None:
    foreign = tracking.logged_models.create_logged_model(
        NewLoggedModel(experiment_id="0", name="ridge", source_run_id=new_run(tracking), tags={"k": "v"})
    )
    path = f"logged-models/{foreign.model_id}"
    item = [{"key": "k", "value": "w"}]
    assert program.client.ok("GET", path)
    for method, end, fields in (
        ("PATCH", "", {"status": "LOGGED_MODEL_READY"}),
        ("DELETE", "", {}),
        ("PATCH", "/tags", {"tags": item}),
        ("DELETE", "/tags/k", {}),
        ("POST", "/params", {"params": item}),
    ):
        answer = program.client.send(method, f"{path}{end}", json.dumps(fields).encode())
        assert (answer.status, answer.error) == (403, "PERMISSION_DENIED")
    made_of = {"experiment_id": "0", "name": "m", "source_run_id": foreign.source_run_id}
    assert program.client.post("logged-models", **made_of).status == 403
    assert tracking.logged_models.logged_model(foreign.model_id) == foreign
    for source in ({"source_run_id": own}, {}):
        made = program.client.ok("POST", "logged-models", experiment_id="0", name="m", **source)["model"]
        program.client.ok("PATCH", f"logged-models/{made['info']['model_id']}/tags", tags=item)


def test_the_registry_belongs_to_no_run(program: Program, tracking: Tracking) -> None:
    """Scripts promote what they trained, and put out of service what others had registered."""
    tracking.registry.create_model("wine")
    program.client.ok("POST", "registered-models/set-tag", name="wine", key="k", value="v")
    program.client.ok("DELETE", "registered-models/delete", name="wine")


def test_experiments_are_made_and_tagged_but_not_removed(program: Program) -> None:
    made = program.client.ok("POST", "experiments/create", name="x")["experiment_id"]
    program.client.ok("POST", "experiments/set-experiment-tag", experiment_id=made, key="k", value="v")
    for path in ("experiments/delete", "experiments/update"):
        assert program.client.post(path, experiment_id=made, new_name="y").status == 403


# --- kinder than MLflow -------------------------------------------------------------------------------


def join(program: Program, own: str) -> str:
    """What `mlflow.start_run()` does with MLFLOW_RUN_ID; returns the experiment that the client sees."""
    seen = program.client.ok("GET", "runs/get", run_id=own)["run"]["info"]["experiment_id"]
    program.client.ok("POST", "runs/update", run_id=own, status="RUNNING")
    return str(seen)


def test_joining_the_run_moves_it_to_the_experiment_that_was_set(
    program: Program, tracking: Tracking, own: str
) -> None:
    wine = program.client.ok("POST", "experiments/create", name="wine")["experiment_id"]
    assert join(program, own) == wine
    assert tracking.runs.run(own).experiment_id == wine


def test_an_experiment_that_was_there_is_set_by_looking_it_up(
    program: Program, tracking: Tracking, own: str
) -> None:
    wine = tracking.runs.create_experiment("wine").experiment_id
    program.client.ok("GET", "experiments/get-by-name", experiment_name="wine")
    assert join(program, own) == wine
    assert tracking.runs.run(own).experiment_id == wine


def test_a_program_that_sets_none_stays_where_it_is(program: Program, tracking: Tracking, own: str) -> None:
    assert join(program, own) == "0"
    assert tracking.runs.run(own).experiment_id == "0"


def test_a_lookup_after_joining_moves_nothing(program: Program, tracking: Tracking, own: str) -> None:
    join(program, own)
    program.client.ok("POST", "experiments/create", name="wine")
    program.client.ok("POST", "runs/update", run_id=own, status="FINISHED")
    assert tracking.runs.run(own).experiment_id == "0"


def test_an_experiment_that_the_user_chose_stays(tracking: Tracking, own: str) -> None:
    with program_of(tracking, own, chosen=True) as program:
        wine = program.client.ok("POST", "experiments/create", name="wine")["experiment_id"]
        assert join(program, own) == wine
        assert tracking.runs.run(own).experiment_id == "0"


def step_of(program: Program) -> str:
    """What `mlflow.run` makes for a program of its own."""
    tags = [{"key": "mlflow.source.type", "value": "PROJECT"}]
    return str(program.client.ok("POST", "runs/create", tags=tags)["run"]["info"]["run_id"])


def test_a_step_that_sets_an_experiment_moves_itself_only(
    program: Program, tracking: Tracking, own: str
) -> None:
    main = program.client.ok("POST", "experiments/create", name="main")["experiment_id"]
    step = step_of(program)
    wine = program.client.ok("POST", "experiments/create", name="wine")["experiment_id"]
    assert join(program, step) == wine
    program.client.ok("POST", "runs/update", run_id=step, status="FINISHED")
    assert join(program, own) == main
    assert tracking.runs.run(step).experiment_id == wine
    assert tracking.runs.run(step).status is RunStatus.FINISHED
    assert tracking.runs.run(own).experiment_id == main


def test_a_step_stays_where_its_maker_put_it(program: Program, tracking: Tracking) -> None:
    program.client.ok("POST", "experiments/create", name="looked up by the maker")
    step = step_of(program)
    assert join(program, step) == "0"
    assert tracking.runs.run(step).experiment_id == "0"


def test_a_parameter_may_be_logged_again_in_other_writing(
    program: Program, tracking: Tracking, own: str
) -> None:
    for key, value in (("alpha", "50"), ("flag", "true"), ("data", "/here/x.csv")):
        program.client.ok("POST", "runs/log-parameter", run_id=own, key=key, value=value)
    batch = [{"key": "alpha", "value": "50.0"}, {"key": "new", "value": "1"}]
    program.client.ok("POST", "runs/log-batch", run_id=own, params=batch)
    assert tracking.runs.run(own).params == {"alpha": "050", "flag": "True", "data": "x.csv", "new": "1"}


def test_another_value_is_refused_all_the_same(program: Program, tracking: Tracking, own: str) -> None:
    batch = [{"key": "alpha", "value": "50"}, {"key": "flag", "value": "no"}, {"key": "new", "value": "1"}]
    answer = program.client.post("runs/log-batch", run_id=own, params=batch)
    assert (answer.status, answer.error) == (400, "INVALID_PARAMETER_VALUE")
    assert "new" not in tracking.runs.run(own).params


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("050", "50"),
        ("0.10", "0.1"),
        ("1", "1.0"),
        ("1e-3", "0.001"),
        ("True", "true"),
        ("None", "none"),
        ("nan", "NaN"),
    ],
)
def test_same_in_other_writing(one: str, other: str) -> None:
    assert same_text(one, other)
    assert same_text(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"),
        ("1", "1.1"),
        ("", "0"),
        ("true", "1"),
        ("inf", "1e999"),
        ("10000000000000001", "10000000000000000"),
        ("1", "one"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same_text(one, other)
    assert not same_text(other, one)


# --- when the program has ended -----------------------------------------------------------------------


def test_a_program_that_ends_its_run_early_does_not_close_the_record(
    program: Program, tracking: Tracking, own: str
) -> None:
    answer = program.client.ok("POST", "runs/update", run_id=own, status="FINISHED", end_time=5)
    assert answer["run_info"]["status"] == "FINISHED"
    assert tracking.runs.run(own).status is RunStatus.RUNNING
    program.client.ok("POST", "runs/set-tag", run_id=own, key="k", value="v")
    assert program.session.settle(WELL) == WELL


@pytest.mark.parametrize("asked", [RunStatus.FAILED, RunStatus.KILLED])
def test_a_program_that_ends_well_may_say_that_it_failed(
    program: Program, own: str, asked: RunStatus
) -> None:
    program.client.ok("POST", "runs/update", run_id=own, status=asked.value)
    settled = program.session.settle(WELL)
    assert (settled.status, settled.exit_code, settled.failure) == (asked, 0, FailureCode.USER_EXIT)


def test_a_program_that_failed_cannot_say_that_it_ended_well(program: Program, own: str) -> None:
    failed = Outcome(status=RunStatus.FAILED, exit_code=3, failure=FailureCode.USER_EXIT)
    program.client.ok("POST", "runs/update", run_id=own, status="FINISHED")
    assert program.session.settle(failed) == failed


def test_a_failure_that_was_taken_back_is_none(program: Program, own: str) -> None:
    program.client.ok("POST", "runs/update", run_id=own, status="FAILED")
    join(program, own)
    assert program.session.settle(WELL) == WELL


def test_runs_that_were_left_open_are_closed(program: Program, tracking: Tracking) -> None:
    left, ended = (program.client.ok("POST", "runs/create")["run"]["info"]["run_id"] for _ in range(2))
    program.client.ok("POST", "runs/update", run_id=ended, status="FAILED", end_time=3)
    elsewhere = new_run(tracking)
    program.session.settle(WELL)
    assert tracking.runs.run(left).status is RunStatus.FINISHED
    assert tracking.runs.run(left).ended_ms == 9
    assert tracking.runs.run(ended).status is RunStatus.FAILED
    assert tracking.runs.run(elsewhere).status is RunStatus.RUNNING
