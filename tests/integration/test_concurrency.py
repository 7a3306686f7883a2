"""Many runs at once in one home: none is lost, nobody waits in vain, nothing is done twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import proj
from projkit import ProjFolder, bare_repository, echo_project, local_environment

PARAMETERS = """
entry_points:
  main:
    parameters: {number: int}
    command: "echo {number}; echo to {number} >&2"
"""


@pytest.mark.parametrize(
    ("count", "exists"),
    [
        (8, False),
        pytest.param(50, False, marks=pytest.mark.slow),
        pytest.param(50, True, marks=pytest.mark.slow),
    ],
)
def test_runs_at_once_in_one_home(folder: ProjFolder, count: int, exists: bool) -> None:
    folder.write({"MLproject": PARAMETERS})
    if exists:
        assert folder.run("run", ".", "-P", "number=0").code == 0
    started = [folder.start("run", ".", "-P", f"number={number}") for number in range(1, count + 1)]
    for number, run in enumerate(started, start=1):
        result = run.finish()
        assert (result.code, result.stdout) == (0, f"{number}\n"), result
        assert "locked" not in result.stderr
    folder.clean()
    runs = folder.runs()
    assert {run.status.value for run in runs} == {"FINISHED"}
    assert len({run.run_name for run in runs}) == len(runs)
    found = {int(run.params["number"]): run for run in runs}
    assert sorted(found) == list(range(0 if exists else 1, count + 1))
    assert len({run.experiment_id for run in runs}) == 1
    for number, recorded in found.items():
        assert folder.artifact(recorded, "proj/stdout.log") == f"{number}\n".encode()
        assert folder.artifact(recorded, "proj/stderr.log") == f"to {number}\n".encode()
        assert folder.outcome(recorded).exit_code == 0


def test_first_runs_at_once_build_an_environment_once(folder: ProjFolder) -> None:
    project = 'python_env: python_env.yaml\nentry_points: {main: {command: "python -m tiny; which python"}}\n'
    folder.write({"MLproject": project} | local_environment())
    started = [folder.start("run", ".") for _ in range(8)]
    results = [run.finish() for run in started]
    assert [result.code for result in results] == [0] * 8, results
    assert len({result.stdout for result in results}) == 1
    assert str(folder.cache) in results[0].stdout
    assert sum("Installing" in result.stderr for result in results) == 1
    (entry,) = (folder.cache / "environments").iterdir()
    assert len([path for path in entry.iterdir() if path.is_dir()]) == 1
    folder.clean()
    locks = {run.tags["proj.lock"] for run in folder.runs()}
    assert len(locks) == 1


def test_runs_at_once_of_one_repository(folder: ProjFolder) -> None:
    url, commit = bare_repository(folder, {"MLproject": echo_project("cat data"), "data": "here\n"})
    started = [folder.start("run", url) for _ in range(6)]
    for run in started:
        result = run.finish()
        assert (result.code, result.stdout) == (0, "here\n"), result
    folder.clean()
    assert {run.tags["mlflow.source.git.commit"] for run in folder.runs()} == {commit}
    assert len(folder.runs()) == 6


def test_runs_at_once_in_threads_of_one_process(folder: ProjFolder) -> None:
    folder.write({"MLproject": PARAMETERS})

    def run(number: int) -> str:
        made = proj.run(str(folder.path), parameters={"number": number}, quiet=True)
        return (made.artifacts / "proj" / "stdout.log").read_text()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(16))) == [f"{number}\n" for number in range(16)]
    folder.clean()
    assert len(folder.runs()) == 16
