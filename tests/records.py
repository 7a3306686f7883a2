"""Records to test commands on, and a way to call the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proj import cli, paths
from proj.model import Metric, NewRun, RunStatus
from proj.times import now_ms
from proj.tracking import open_tracking

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from proj.model import RunRecord


class Answer(msgspec.Struct, frozen=True):
    """What a command said."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    @property
    def data(self) -> Any:
        return self.json["data"]


class Command:
    """Calls the command line in this process, as a person would outside of a terminal."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str) -> Answer:
        self._capsys.readouterr()
        exit_code = cli.invoke(argv)
        captured = self._capsys.readouterr()
        return Answer(exit_code, captured.out, captured.err)


def record_run(
    name: str,
    *,
    experiment: str = "wine",
    status: RunStatus = RunStatus.FINISHED,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    started_ago_s: int = 0,
) -> RunRecord:
    """Record a run in the home of the test."""
    started_ms = now_ms() - started_ago_s * 1000
    with open_tracking(paths.home()) as tracking:
        run = tracking.runs.create_run(
            NewRun(
                experiment_id=tracking.runs.create_experiment(experiment).experiment_id,
                run_name=name,
                started_ms=started_ms,
                user="ada",
                status=RunStatus.RUNNING,
                params=params or {},
                tags=tags or {},
            )
        )
        tracking.runs.log(
            run.run_id,
            metrics=[
                Metric(key=key, value=value, timestamp_ms=started_ms, step=7)
                for key, value in (metrics or {}).items()
            ],
        )
        if status is not RunStatus.RUNNING:
            tracking.runs.update_run(run.run_id, status=status, ended_ms=started_ms + 12_000)
        for path, content in (files or {}).items():
            tracking.artifacts.write(run.artifact_uri, path, content)
        return tracking.runs.run(run.run_id)
