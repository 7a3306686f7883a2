"""The completion scripts, in the shells they are for."""

from __future__ import annotations

import os
import shutil
import subprocess  # noqa: TID251  shells
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from projkit import PROJ, ProjFolder
from terminals import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = """
entry_points:
  train: {command: "echo {alpha}", parameters: {alpha: {default: 1}, beta: {default: 2}}}
  test: {command: "true"}
"""


def bash(folder: ProjFolder) -> Callable[[str], list[str]]:
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        script = 'eval "$(proj completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        script += '_proj_completion proj; printf "%s\\n" "${COMPREPLY[@]}"'
        return call(folder, ["bash", "--norc", "-c", script, "bash", *words])

    return complete


def fish(folder: ProjFolder) -> Callable[[str], list[str]]:
    def complete(line: str) -> list[str]:
        script = f"proj completion fish | source; complete -C '{line}'"
        return call(folder, ["fish", "--no-config", "-c", script])

    return complete


def call(folder: ProjFolder, argv: list[str]) -> list[str]:
    done = subprocess.run(
        argv, cwd=folder.path, env=variables(folder), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done
    assert done.stderr == ""
    return done.stdout.split()


def variables(folder: ProjFolder) -> dict[str, str]:
    path = f"{Path(PROJ).parent}{os.pathsep}{os.environ['PATH']}"
    return folder.environment({"PATH": path, "HOME": str(folder.base), "XDG_CONFIG_HOME": str(folder.base)})


SHELLS = {"bash": bash, "fish": fish}


@pytest.fixture(params=list(SHELLS))
def complete(request: pytest.FixtureRequest, folder: ProjFolder) -> Callable[[str], list[str]]:
    """What a shell offers for a line that is being typed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return SHELLS[request.param](folder)


def test_what_a_shell_offers(folder: ProjFolder, complete: Callable[[str], list[str]]) -> None:
    folder.write({"MLproject": PROJECT})
    assert folder.run("run", ".", "-e", "test").code == 0
    run = folder.the_run()
    assert complete("proj run . -e tr") == ["train"]
    assert set(complete("proj run . -e ")) == {"train", "test"}
    assert complete("proj run . -e train -P al") == ["alpha="]
    assert "cancel" in complete("proj can")
    assert complete(f"proj wait {run.run_id[:4]}") == [run.run_id[:8]]
    assert run.run_name in complete("proj logs ")
    assert "--env-manager" in complete("proj run --env")
    assert complete(f"proj restore {run.run_id[:4]}") == []
    assert folder.run("rm", run.run_id).code == 0
    assert complete(f"proj restore {run.run_id[:4]}") == [run.run_id[:8]]
    assert complete(f"proj rm {run.run_id[:4]}") == []


def test_what_is_offered_is_of_the_project_that_is_named(
    folder: ProjFolder, complete: Callable[[str], list[str]]
) -> None:
    folder.write({"MLproject": PROJECT})
    (folder.path / "other" / "inner").mkdir(parents=True)
    (folder.path / "other" / "MLproject").write_text(
        "entry_points: {fit: {command: 'echo {c}', parameters: {c: float}}, main: {command: 'true'}}"
    )
    (folder.path / "other" / "inner" / "MLproject").write_text("entry_points: {deep: {command: 'true'}}")
    assert set(complete("proj run other -e ")) == {"fit", "main"}
    assert complete("proj run other -e fit -P ") == ["c="]
    assert complete("proj run -e fit other -P ") == ["c="]
    assert complete(f"proj run {folder.path}/other#inner -e ") == ["deep"]
    assert complete("proj run nowhere -e ") == []


def test_nothing_is_offered_where_there_is_nothing(
    folder: ProjFolder, complete: Callable[[str], list[str]]
) -> None:
    folder.write({"MLproject": "entry_points: ["})
    assert complete("proj run . -e tr") == []
    assert complete("proj wait ab") == []
    assert not folder.home.exists()


@pytest.fixture
def zsh(folder: ProjFolder) -> Iterator[Person]:
    """A person at a zsh that has loaded the script."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    person = Person(["zsh", "-f", "-i"], cwd=folder.path, env=variables(folder), columns=200)
    person.type('autoload -U compinit; compinit -u; eval "$(proj completion zsh)"; echo rea""dy\r')
    person.sees("ready\r\n")
    yield person
    person.close()


def test_zsh_completes_what_is_typed(folder: ProjFolder, zsh: Person) -> None:
    folder.write({"MLproject": PROJECT})
    for typed, wanted in (
        ("proj run . -e tr\t", "proj run . -e train"),
        ("proj run . -e train -P al\t", "proj run . -e train -P alpha="),
        ("proj canc\t", "proj cancel"),
    ):
        # The keys after the tab are read when the completion is done: put `echo` before the line, and look.
        zsh.type(f"{typed}\x01echo :\r")
        zsh.sees(f"\r\n:{wanted}")
