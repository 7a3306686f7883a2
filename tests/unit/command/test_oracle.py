"""Programs receive under `proj` what they received under `mlflow run`, the documented difference apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oracle_cases import EXPECTATIONS, Case, Workshop, cases
from proj import command, parameters, process, projectfile
from proj.errors import ProjError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

RECORDED: dict[str, Any] = json.loads(EXPECTATIONS.read_text("utf-8"))
CASES = list(cases())


def refuse_download(uri: str) -> Path:
    raise SourceError(f"no downloads here: {uri}")


def line_of(case: Case, project_dir: Path) -> str:
    project = projectfile.load(project_dir)
    entry_point, _ = projectfile.entry_point(project, case.entry_point)
    bound = parameters.bind(
        entry_point,
        case.parameters,
        caller_dir=project_dir,
        project_dir=project_dir,
        download=refuse_download,
    )
    quoting = project.extensions.quoting or "safe"
    return command.render(entry_point.command, bound, quoting=quoting)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.identifier)
def test_programs_receive_what_mlflow_gives_them(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RECORDED["runs"][case.identifier]
    assert (recorded["outcome"] == "refused") == (case.expect == "refused")
    workshop = Workshop(case, tmp_path)
    for name, value in workshop.variables.items():
        monkeypatch.setenv(name, value)
    if case.expect == "refused" and case.ours is None:
        with pytest.raises(ProjError):
            line_of(case, workshop.project)
        return
    completed = process.run(
        command.shell_argv(line_of(case, workshop.project)), cwd=workshop.project, check=False
    )
    calls = [call._asdict() for call in workshop.calls()]
    if case.expect == "same":
        assert calls == recorded["calls"]
        assert (completed.returncode == 0) == (recorded["outcome"] == "finished"), completed.stderr
    else:
        assert [call["argv"] for call in calls] == case.ours
        assert case.ours != [call["argv"] for call in recorded["calls"]]


def test_the_corpus_is_recorded_and_large_enough() -> None:
    assert {case.identifier for case in CASES} == set(RECORDED["runs"])
    assert len({case.project for case in CASES}) >= 40
    assert sum(bool(recorded["calls"]) for recorded in RECORDED["runs"].values()) >= 50
