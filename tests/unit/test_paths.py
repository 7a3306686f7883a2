from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs
import pytest

from proj import paths


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROJ_HOME", "PROJ_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJ_HOME", "~/records")
    monkeypatch.setenv("PROJ_CACHE", "relative")
    assert paths.home() == Path.home() / "records"
    assert paths.cache() == Path.cwd() / "relative"


@pytest.mark.parametrize("value", [None, "", "/elsewhere", "not/absolute"])
def test_the_defaults_are_those_of_the_platform(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("XDG_DATA_HOME", value)
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert paths.home() == Path(platformdirs.user_data_dir("proj", appauthor=False))
    assert paths.cache() == Path(platformdirs.user_cache_dir("proj", appauthor=False))


def test_programs_are_found_as_a_shell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\n")
    (second / "tool").chmod(0o755)
    (first / "folder").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'nowhere'}{os.pathsep}{first}{os.pathsep}{second}")
    for name in ("tool", "folder", "nothing"):
        assert paths.find_program(name) == shutil.which(name)
    assert paths.find_program("tool") == str(second / "tool")
