from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import proj
from proj.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> str:
    (tmp_path / "MLproject").write_text(
        "entry_points:\n"
        "  main: {command: 'exit 3'}\n"
        "  fail: {command: 'echo {a}; exit 4', parameters: {a: int}}\n"
    )
    return str(tmp_path)


@pytest.mark.parametrize("name", ["parameters", "docker_args", "tags"])
@pytest.mark.parametrize(("value", "what"), [(["a"], "list"), ("a=1", "str"), ({"a"}, "set")])
def test_what_is_no_mapping_is_refused_by_name(project: str, name: str, value: Any, what: str) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=f"`{name}` must map names to values, but is a {what}") as caught:
        proj.run(project, **arguments)
    assert f'{name}={{"' in str(caught.value.hint)


@pytest.mark.parametrize("option", [{"pull": "sometimes"}, {"lock_mode": "lock"}, {"pull": None}])
def test_a_word_that_is_none_of_an_option_s_is_refused(project: str, option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(UsageError, match=f"`{name}` is .*, but must be one of "):
        proj.run(project, **option)


def test_which_lock_is_chosen_by_a_word(project: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("wheel\n")
    with pytest.raises(proj.ProjError, match="ships no lock"):
        proj.run(project, env_manager="uv", lock_mode="frozen", quiet=True)


def test_an_argument_of_docker_may_be_given_several_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    (tmp_path / "MLproject").write_text(
        "docker_env: {image: none/such:1}\nentry_points: {main: {command: ls}}\n"
    )
    good = {"rm": True, "init": None, "env": ["A=1", "B=2"]}
    with pytest.raises(UsageError, match="The docker argument dns=x: x is no IP address"):
        proj.run(str(tmp_path), docker_args={**good, "dns": ("10.0.0.1", "x")})


def test_a_failed_run_names_itself_and_what_ran(project: str) -> None:
    with pytest.raises(proj.RunFailedError) as caught:
        proj.run(project, "fail", parameters={"a": 1}, run_name="brave-run", env_manager="local", quiet=True)
    error = caught.value
    assert str(error).startswith(f"Run {error.run.run_id[:8]} (brave-run) of entry point `fail`: ")
    assert "exit code 4" in str(error)
    assert error.exit_code == 4


def test_a_failed_run_of_the_default_entry_point_names_it_too(project: str) -> None:
    with pytest.raises(proj.RunFailedError, match="of entry point `main`: "):
        proj.run(project, env_manager="local", quiet=True)
