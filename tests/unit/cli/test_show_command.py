from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from proj import record
from proj.cli.showtext import artifact_tree
from proj.host import Host
from proj.model import ArtifactInfo, EnvironmentFacts, Outcome, RunStatus
from proj.tracking import open_tracking
from proj.tracking.inputs import ModelOutput
from proj.tracking.logged_models import NewLoggedModel
from records import record_run

if TYPE_CHECKING:
    import pytest

    from proj.model import RunRecord
    from records import Command


def a_full_record() -> RunRecord:
    documents: dict[str, object] = {
        record.SOURCE: record.SourceRecord(
            uri="https://host/team/repo",
            kind="git",
            subdir="",
            version="v1",
            commit="c0ffee" * 6,
            committed_at_s=1,
            branch="main",
            repository_url="https://host/team/repo.git",
            dirty=True,
            changed_files=tuple(f"file{number}.py" for number in range(15)),
        ),
        record.COMMAND: record.CommandRecord(
            line="python train.py \\\n  --alpha 0.5",
            argv=("bash", "-c", "…"),
            cwd="/work/there",
            variables=("MLFLOW_RUN_ID",),
            parameters=(),
        ),
        record.ENVIRONMENT: record.EnvironmentRecord(
            kind="python",
            summary="python 3.11 from python_env.yaml",
            python_requested="3.11.1",
            as_of_s=None,
            lock="proj/environment/pylock.toml",
            lock_digest="sha256:1234",
            notes=("Python 3.11.7 instead of 3.11.1",),
            facts=EnvironmentFacts(),
            image=record.ImageRecord(
                name="proj/wine:code",
                reference="sha256:5678",
                digest="sha256:9abc",
                image_id="sha256:5678",
                base="python:3.11-slim",
                base_digest="sha256:def0",
                made="assembled",
                has_code=True,
            ),
        ),
        record.HOST: Host(
            hostname="box",
            system="Linux",
            kernel="6.1",
            distribution="Debian 12",
            machine="x86_64",
            cpu_model=None,
            cpu_count=2,
            memory_bytes=2**34,
        ),
        record.OUTCOME: record.OutcomeRecord(
            outcome=Outcome(status=RunStatus.FAILED, exit_code=3, peak_memory_bytes=2**20)
        ),
    }
    return record_run(
        "brisk-otter",
        status=RunStatus.FAILED,
        params={"alpha": "0.5"},
        metrics={"rmse": 0.123456789},
        tags={
            "team": "red",
            "proj.failure": "user_exit",
            "proj.exit_code": "3",
            "proj.failure.message": "The entry point ended with exit code 3.",
            "mlflow.source.name": "https://host/team/repo",
            "mlflow.project.entryPoint": "train",
        },
        files={path: msgspec.json.encode(value) for path, value in documents.items()}
        | {"model/model.pkl": b"x" * 5000},
    )


def test_all_is_shown(proj: Command) -> None:
    run = a_full_record()
    answer = proj("show", run.run_id[:6])
    assert answer.exit_code == 0
    for expected in (
        f"run          {run.run_id}  brisk-otter",
        "experiment   wine",
        "status       FAILED, user_exit, exit code 3, peak memory 1.0 MiB",
        "cause        The entry point ended with exit code 3.",
        "took         12s",
        "source       https://host/team/repo\n",
        f"commit       {'c0ffee' * 6} (main)",
        "changed      file0.py\n             file1.py",
        "… and 3 more",
        "entry point  train",
        "command      python train.py \\\n               --alpha 0.5",
        "folder       /work/there",
        "environment  python 3.11 from python_env.yaml\n             Python 3.11.7 instead of 3.11.1",
        "lock         sha256:1234",
        (
            "image        proj/wine:code\n             digest sha256:9abc\n             id sha256:5678\n"
            "             made on python:3.11-slim (sha256:def0)"
        ),
        "host         box, Debian 12, 2 CPUs, 16.0 GiB",
        "alpha      0.5",
        "rmse    0.123457     7",
        "team  red",
        "  model/\n    model.pkl  4.9 KiB",
    ):
        assert expected in answer.out, expected


def test_all_is_in_the_json(proj: Command) -> None:
    run = a_full_record()
    data = proj("show", "brisk-otter", "--json").data
    assert data["run"]["run_id"] == run.run_id
    assert data["message"] == "The entry point ended with exit code 3."
    assert data["command"]["line"].startswith("python train.py")
    assert data["environment"]["lock_digest"] == "sha256:1234"
    assert data["host"]["cpu_count"] == 2
    assert data["outcome"]["outcome"]["exit_code"] == 3
    assert data["metrics"] == [
        {"key": "rmse", "value": 0.123456789, "timestamp_ms": run.started_ms, "step": 7}
    ]
    assert {"path": "model/model.pkl", "is_dir": False, "size_bytes": 5000} in data["artifacts"]


def test_a_logged_model_is_shown_with_its_files(proj: Command) -> None:
    run = record_run("modelled")
    with open_tracking() as tracking:
        model = tracking.logged_models.create_logged_model(
            NewLoggedModel(experiment_id=run.experiment_id, name="ridge", source_run_id=run.run_id)
        )
        tracking.artifacts.write(model.artifact_location, "data/model.pkl", b"x" * 5000)
        gone = tracking.logged_models.create_logged_model(NewLoggedModel(experiment_id=run.experiment_id))
        outputs = [ModelOutput(model_id=each.model_id) for each in (model, gone)]
        tracking.inputs.log_outputs(run.run_id, outputs)
        tracking.logged_models.delete_logged_model(gone.model_id)
    expected = f"MODELS\n  ridge/  {model.model_id}  PENDING\n    data/\n      model.pkl  4.9 KiB\n"
    assert proj("show", run.run_id).out.endswith(expected)
    shown = proj("show", run.run_id, "--json").data["models"]
    assert [(each["name"], each["status"], len(each["files"])) for each in shown] == [("ridge", "PENDING", 1)]


def test_a_record_with_little_in_it(proj: Command) -> None:
    """As a client other than proj makes, or a run that ended before it began."""
    record_run("bare", status=RunStatus.RUNNING, files={record.COMMAND: b"not json"})
    answer = proj("show", "latest")
    assert answer.exit_code == 0
    assert "so far" in answer.out
    assert "command  " not in answer.out
    assert proj("show", "latest", "--json").data["command"] is None


def test_a_deleted_run_is_shown_as_such(proj: Command) -> None:
    run = record_run("gone")
    proj("rm", run.run_id)
    assert "(deleted)" in proj("show", run.run_id).out


def test_an_unknown_run_is_a_usage_error(proj: Command) -> None:
    answer = proj("show", "nothing")
    assert answer.exit_code == 2
    assert "There is no run 'nothing'" in answer.err
    assert "proj runs" in answer.err
    assert proj("show", "nothing", "--json").json["error"]["code"] == "not_found"


def test_a_tree_of_files() -> None:
    files = [ArtifactInfo(path=path, is_dir=False, size_bytes=1) for path in ("a/b/x", "a/b/y", "a/z", "c")]
    assert list(artifact_tree(files)) == [
        "  a/", "    b/", "      x  1 B", "      y  1 B", "    z  1 B", "  c  1 B",
    ]  # fmt: skip


def test_nested_runs_know_of_each_other(proj: Command) -> None:
    parent = record_run("outer")
    child = record_run(
        "inner", tags={"mlflow.parentRunId": parent.run_id, "mlflow.project.entryPoint": "step"}
    )
    assert f"parent run   {parent.run_id}" in proj("show", "inner").out
    lines = proj("show", "outer").out.splitlines()
    header = next(number for number, line in enumerate(lines) if line.startswith("CHILD RUN"))
    assert lines[header + 1].split() == [child.run_id[:8], "inner", "FINISHED", "step"]
    (told,) = proj("show", "outer", "--json").data["children"]
    assert told["run_id"] == child.run_id
    assert proj("show", "inner", "--json").data["children"] == []


def test_what_is_known_is_shown_while_the_files_are_away(
    proj: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJ_ARTIFACT_ROOT", "file://elsewhere/runs")
    record_run("alone", metrics={"loss": 0.5})
    answer = proj("show", "alone")
    assert answer.exit_code == 0
    assert "loss" in answer.out
    assert answer.err.startswith("warning: Files of this run cannot be read now: ")
    assert answer.err.count("elsewhere") == answer.err.count("warning") * 2
    data = proj("show", "alone", "--json").data
    assert (data["outcome"], data["artifacts"]) == (None, [])
    assert "another machine" in data["unread"]
