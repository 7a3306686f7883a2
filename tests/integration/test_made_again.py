"""Runs made again under their id, values that are no text, and files that stand in the way."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from proj import record
from proj.errors import ProjError
from proj.planning import RunRequest
from proj.runner import run
from projkit import eventually

if TYPE_CHECKING:
    from projkit import ProjFolder

SLEEPER = {"MLproject": 'name: p\nentry_points: {main: {command: "${COMMAND}"}}\n'}


def test_a_killed_second_go_is_not_told_as_the_first(folder: ProjFolder) -> None:
    folder.write(SLEEPER)
    assert folder.process("run", ".", env={"COMMAND": "true"}).code == 0
    (made,) = folder.runs()
    second = folder.start("run", ".", "--run-id", made.run_id, env={"COMMAND": "sleep 60"})
    eventually(lambda: folder.runs()[0].status.value == "RUNNING")
    second.signal(signal.SIGKILL)
    second.finish()
    folder.run("runs")
    (made,) = folder.runs()
    assert (made.status.value, made.tags[record.TAG_FAILURE]) == ("KILLED", "lost")
    assert record.TAG_EXIT_CODE not in made.tags


def test_a_refused_second_go_leaves_the_record_as_it_is(folder: ProjFolder) -> None:
    folder.write({"MLproject": 'name: p\nentry_points: {main: {command: "false"}}\n'})
    assert folder.run("run", ".", "-P", "n=1").code == 1
    (before,) = folder.runs()
    assert folder.run("run", ".", "-P", "n=2", "--run-id", before.run_id).code == 2
    assert folder.runs() == (before,)


@pytest.mark.parametrize("extra", [(), ("--no-wait",)])
def test_values_and_folders_need_not_be_text(folder: ProjFolder, extra: tuple[str, ...]) -> None:
    odd = os.fsdecode(b"caf\xe9")
    project = 'entry_points: {main: {parameters: {n: str}, command: "printf %s {n}"}}\n'
    folder.write({f"{odd}/MLproject": project})
    assert folder.process("run", odd, "-P", f"n={odd}", *extra).code == 0
    folder.run("wait", "latest")
    (made,) = folder.runs()
    assert made.status.value == "FINISHED"
    assert folder.artifact(made, record.STDOUT) == b"caf\xe9"
    assert made.params == {"n": "caf\\udce9"}


def test_a_detached_run_imports_nothing_from_where_the_caller_stands(folder: ProjFolder) -> None:
    folder.write(
        {
            "MLproject": 'name: p\nentry_points: {main: {command: "true"}}\n',
            "selectors.py": "open('imported', 'w')\n",
            "proj/__init__.py": "open('imported', 'w')\n",
        }
    )
    assert folder.process("run", ".", "--no-wait").code == 0
    folder.run("wait", "latest")
    assert folder.runs()[0].status.value == "FINISHED"
    assert not (folder.path / "imported").exists()


def test_outputs_never_replace_the_record(folder: ProjFolder) -> None:
    folder.write(
        {
            "MLproject": 'proj: {outputs: ["**/*.log"]}\nentry_points: {main: {command: "echo true"}}\n',
            "proj/stdout.log": "false\n",
            "kept.log": "kept\n",
        }
    )
    result = folder.run("run", ".")
    assert result.code == 0
    assert "proj/stdout.log is not stored" in result.stderr
    (made,) = folder.runs()
    assert folder.artifact(made, record.STDOUT) == b"true\n"
    assert folder.artifact(made, "kept.log") == b"kept\n"


@pytest.mark.parametrize("pattern", ["", ".", "/etc/*", "~/x", "../x", "a/../../x"])
def test_outputs_that_name_nothing_in_the_project_are_refused(folder: ProjFolder, pattern: str) -> None:
    folder.write(
        {"MLproject": f'proj: {{outputs: ["{pattern}"]}}\nentry_points: {{main: {{command: "true"}}}}\n'}
    )
    result = folder.run("run", ".")
    assert result.code == 125
    assert "names no files in the project's folder" in result.stderr
    assert not folder.runs()


@pytest.mark.parametrize("name", ["proj.claim", "proj.anything", "mlflow.source.name", "mlflow.user"])
def test_tags_that_are_ours_cannot_be_given(folder: ProjFolder, name: str) -> None:
    folder.write({"MLproject": 'name: p\nentry_points: {main: {command: "true"}}\n'})
    result = folder.run("run", ".", "--tag", f"{name}=x")
    assert result.code == 2
    assert not folder.runs()


def test_of_two_goes_at_one_run_at_once_one_is_refused(folder: ProjFolder) -> None:
    folder.write(SLEEPER | {"wait.sh": "while [ ! -e go ]; do sleep 0.02; done\n"})
    assert folder.process("run", ".", env={"COMMAND": "true"}).code == 0
    (made,) = folder.runs()
    again = ("run", ".", "--run-id", made.run_id)
    goes = [folder.start(*again, env={"COMMAND": "sh wait.sh"}) for _ in range(2)]
    eventually(lambda: any(go.process.poll() is not None for go in goes), says="one of them ends")
    folder.write({"go": ""})
    assert sorted(go.finish().code for go in goes) == [0, 2]


def test_a_defect_of_ours_is_not_told_as_cancelled(
    folder: ProjFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write({"MLproject": 'name: p\nentry_points: {main: {command: "true"}}\n'})

    def fail(*_: object) -> None:
        raise RuntimeError("a plugin's defect")

    monkeypatch.setattr("proj.environments.system.SystemEnvironment.prepare", fail)
    with pytest.raises((RuntimeError, ProjError)):
        run(RunRequest(uri=str(folder.path)))
    (made,) = folder.runs()
    assert made.status.value == "FAILED"
    assert "a plugin's defect" in made.tags[record.TAG_MESSAGE]


def test_what_is_given_is_told_where_it_may_not_be_meant(folder: ProjFolder) -> None:
    project = (
        "entry_points: {main: {parameters: {epochs: {default: 1}}, command: 'sh -c \"echo {epochs}\"'}}\n"
    )
    folder.write({"MLproject": project})
    result = folder.run("run", ".", "-P", "epocs=2", "-P", "other=3")
    assert "Did you mean epochs?" in result.stderr.replace("`", "")
    assert "other" not in "".join(line for line in result.lines if line.startswith("note:"))
    assert "code of another shell" in folder.run("run", ".", "-P", "epochs=$(id)").stderr
    assert "code of another shell" not in folder.run("run", ".", "-P", "epochs=plain").stderr
