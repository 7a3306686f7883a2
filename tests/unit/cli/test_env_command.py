from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj.cli.env import parse_size
from proj.environments.python import PythonEnvironment
from proj.errors import UsageError
from proj.model import EnvironmentRequest

if TYPE_CHECKING:
    from records import Command

pytestmark = pytest.mark.usefixtures("_no_index")


@pytest.fixture
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_")) and name != "UV_OFFLINE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose environment is complete without a package: its lock is empty."""
    (tmp_path / "MLproject").write_text("entry_points: {main: {command: 'true'}}\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = []\n'
    )
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "test"\npackages = []\n')
    return tmp_path


@pytest.fixture
def key(project: Path) -> str:
    prepared = PythonEnvironment().prepare(EnvironmentRequest(project_dir=project, root=project))
    assert prepared.directory is not None
    return prepared.directory.parent.name


def test_an_empty_cache(proj: Command) -> None:
    found = proj("env", "list", "--json").data
    assert (found["environments"], found["size_bytes"], found["conda_packages"]["count"]) == ([], 0, 0)
    answer = proj("env", "list")
    assert (answer.exit_code, answer.out) == (0, "")


def test_list_and_show(proj: Command, key: str, project: Path) -> None:
    assert key[:8] in proj("env", "list").out
    (listed,) = proj("env", "list", "--json").data["environments"]
    assert (listed["key"], listed["origin"], listed["project_dir"]) == (key, "pyproject.toml", str(project))
    shown = proj("env", "show", key[:5]).out
    assert f"environment  {key} (complete)" in shown
    assert "runs         none" in shown


def test_an_unknown_environment(proj: Command, key: str) -> None:
    answer = proj("env", "show", "zzz")
    assert answer.exit_code == 2
    assert key in answer.err


def test_verify(proj: Command, key: str) -> None:
    assert proj("env", "verify").out == f"{key}: as locked\n"
    (environment,) = proj("env", "list", "--json").data["environments"]
    site = next(Path(environment["directory"]).glob("lib/python3*/site-packages"))
    (site / "stray-1.0.dist-info").mkdir()
    answer = proj("env", "verify", key)
    assert answer.exit_code == 1
    assert answer.out == f"{key}: 1 problem\n  stray is installed but not in the lock.\n"


def test_prune(proj: Command, key: str) -> None:
    assert proj("env", "prune", "--older-than", "30d", "--max-size", "10GB").out.startswith("0 environments")
    assert key in proj("env", "prune", "--all", "--dry-run").out
    assert len(proj("env", "prune", "--all", "--json").data["removed"]) == 1
    assert proj("env", "list").out == ""


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("10", 10), ("500MB", 500_000_000), ("1.5 GiB", 1610612736), ("2k", 2000), ("1tb", 10**12)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "x", "-1", "10 apples", "1e3"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="Not a size"):
        parse_size(text)


def test_lock(proj: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pylock.toml").unlink()
    (project / "pyproject.toml").unlink()
    (project / "python_env.yaml").write_text("build_dependencies: [setuptools]\ndependencies: []\n")
    failed = proj("env", "lock", str(project))
    assert failed.exit_code == 125
    assert "Cannot resolve python_env.yaml" in failed.err
    assert not (project / "pylock.toml").exists()
    info = "setuptools-70.0.dist-info"
    with zipfile.ZipFile(project / "setuptools-70.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: setuptools\nVersion: 70.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    assert "1 packages" not in proj("env", "lock", str(project)).out
    assert 'version = "70.0"' in (project / "pylock.toml").read_text()
    again = proj("env", "lock", str(project), "--json").data
    assert (again["packages"], again["changed"]) == (1, False)


def test_lock_of_what_only_conda_can_install(proj: Command, project: Path) -> None:
    (project / "pylock.toml").unlink()
    (project / "pyproject.toml").unlink()
    (project / "conda.yaml").write_text("dependencies: [python, cudatoolkit=11.8]\n")
    refused = proj("env", "lock", str(project), "--env-manager", "uv")
    assert refused.exit_code == 125
    assert "cudatoolkit=11.8" in refused.err
    assert "--drop-missing" in refused.err
    assert not (project / "pylock.toml").exists()
    left_out = proj("env", "lock", str(project), "--env-manager", "uv", "--drop-missing")
    assert "cudatoolkit" not in left_out.err  # what is missing here is `wheel`, which the index has not


def test_lock_by_nobody(proj: Command, project: Path) -> None:
    answer = proj("env", "lock", str(project), "--env-manager", "python")
    assert answer.exit_code == 2
    assert "Unknown environment manager 'python'" in answer.err


def test_lock_of_a_folder_that_declares_nothing(proj: Command, project: Path) -> None:
    (project / "pylock.toml").unlink()
    (project / "pyproject.toml").unlink()
    answer = proj("env", "lock", str(project))
    assert answer.exit_code == 2
    assert "no requirements to lock" in answer.err


def test_a_folder_that_is_gone_is_not_named(proj: Command, key: str, project: Path) -> None:
    assert f"{project}/pyproject.toml" in proj("env", "list").out
    project.rename(project.parent / "elsewhere")
    listed = proj("env", "list").out.splitlines()[1]
    assert listed.startswith(key[:8])
    assert listed.endswith("  pyproject.toml")
