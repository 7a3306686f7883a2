from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import paths
from proj.environments import interpreters
from proj.environments.choose import choose_python
from proj.environments.interpreters import current_interpreter, find_interpreters
from proj.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = ".".join(map(str, sys.version_info[:3]))
DAY_2021 = 1614816000  # 2021-03-04


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but pyenv shims on PATH and the Python that runs the tests."""
    root = tmp_path / "pyenv"
    for name in ("python", "python3", "python3.9"):
        executable(
            root / "shims" / name, "#!/bin/sh\necho called >> " + str(tmp_path / "calls") + "\nexit 1\n"
        )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setenv("PATH", str(root / "shims"))
    monkeypatch.setattr(interpreters, "_USUAL_FOLDERS", ())
    monkeypatch.setattr(interpreters, "_opt_folders", lambda: iter(()))
    return tmp_path


@pytest.fixture
def install(machine: Path) -> Callable[[str], Path]:
    """Adds a Python to pyenv: found by the name of its folder, never started."""

    def add(version: str) -> Path:
        minor = ".".join(version.split(".")[:2])
        return executable(
            machine / "pyenv" / "versions" / version / "bin" / f"python{minor}", f"\x7fELF{version}"
        )

    return add


def versions() -> list[str]:
    return [item.version_text for item in find_interpreters() if item.version_text != CURRENT]


def test_pyenv_is_found_by_its_shims_which_are_never_called(
    machine: Path, install: Callable[[str], Path]
) -> None:
    install("3.6.15")
    install("3.8.18")
    install("2.7.18")
    (machine / "pyenv" / "versions" / "3.8-dev").mkdir()
    assert versions() == ["3.8.18", "3.6.15"]
    assert not (machine / "calls").exists()


def test_what_uv_has_installed_is_found(machine: Path) -> None:
    folder = machine / "data" / "uv" / "python" / "cpython-3.7.9-linux-x86_64-gnu"
    executable(folder / "bin" / "python3.7", "\x7fELF")
    executable(folder.with_name("pypy-3.7.9-linux") / "bin" / "python3.7", "\x7fELF")
    (found,) = [item for item in find_interpreters() if item.origin == "uv"]
    assert (found.version_text, found.path) == ("3.7.9", str(folder / "bin" / "python3.7"))


def test_an_executable_on_path_is_started_once_in_its_life(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "bin").mkdir()
    (machine / "bin" / "python3").symlink_to(current_interpreter().path)
    monkeypatch.setenv("PATH", str(machine / "bin"))
    asked: list[str] = []
    probe = interpreters._probe

    def counting(path: str) -> str:
        asked.append(path)
        return probe(path)

    monkeypatch.setattr(interpreters, "_probe", counting)
    first = find_interpreters()
    assert find_interpreters() == first
    assert asked == [current_interpreter().path]
    assert (paths.cache() / "interpreters.json").is_file()


def test_a_damaged_memory_is_made_anew(machine: Path) -> None:
    paths.cache().mkdir(parents=True)
    (paths.cache() / "interpreters.json").write_bytes(b"{broken")
    assert current_interpreter().version in [item.version for item in find_interpreters()]


def test_exact_else_the_nearest_patch(install: Callable[[str], Path]) -> None:
    for version in ("3.7.9", "3.7.16", "3.8.18"):
        install(version)
    assert choose_python("3.7.9", origin="x").interpreter.version_text == "3.7.9"
    nearest = choose_python("3.7.11", origin="x")
    assert nearest.interpreter.version_text == "3.7.9"
    assert nearest.requested == "3.7.11"
    assert "3.7.11 is not here: 3.7.9" in nearest.notes[0]


def test_exact_refuses_another_patch(install: Callable[[str], Path]) -> None:
    install("3.7.16")
    with pytest.raises(EnvironmentFailedError, match=r"asks for Python 3\.7\.11") as caught:
        choose_python("3.7.11", origin="python_env.yaml", exact=True)
    assert "--python 3.7" in (caught.value.hint or "")


def test_a_missing_python_lists_what_there_is(install: Callable[[str], Path]) -> None:
    install("3.7.16")
    with pytest.raises(EnvironmentFailedError, match=r"python_env\.yaml asks for Python 3\.5") as caught:
        choose_python("3.5", origin="python_env.yaml")
    assert "3.7.16" in (caught.value.hint or "")
    assert "--python 3.7" in (caught.value.hint or "")


def test_a_range_prefers_the_current_python(install: Callable[[str], Path]) -> None:
    install("3.99.1")
    assert choose_python(">=3.8", origin="x").interpreter.version_text == CURRENT
    assert choose_python(">=3.50", origin="x").interpreter.version_text == "3.99.1"


def test_nobody_asks_for_a_python(install: Callable[[str], Path]) -> None:
    for version in ("3.7.16", "3.8.18", "3.9.18"):
        install(version)
    assert choose_python(None, origin="x").interpreter.version_text == CURRENT
    chosen = choose_python(None, origin="x", as_of_s=DAY_2021)
    assert chosen.interpreter.version_text == "3.8.18"
    assert "--python chooses" in chosen.notes[0]


def test_a_range_keeps_to_the_time_of_the_packages(install: Callable[[str], Path]) -> None:
    for version in ("3.7.16", "3.8.18", "3.9.18"):
        install(version)
    assert choose_python(">=3.7", origin="x", as_of_s=DAY_2021).interpreter.version_text == "3.8.18"
    assert choose_python(">=3.9,<3.10", origin="x", as_of_s=DAY_2021).interpreter.version_text == "3.9.18"


def test_a_download_that_failed_is_not_tried_again(
    machine: Path, install: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, heard: list[str]
) -> None:
    install("3.7.16")
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS")
    for _ in range(2):
        chosen = choose_python("3.7.1", origin="x", download=True)
        assert chosen.interpreter.version_text == "3.7.16"
    assert heard == ["step: Downloading Python 3.7.1"]
    choose_python("3.7.1", origin="x", download=True, retry=True)
    assert len(heard) == 2


def test_the_current_interpreter_is_no_virtual_environment() -> None:
    assert not (Path(current_interpreter().path).parent.parent / "pyvenv.cfg").exists()
    assert os.access(current_interpreter().path, os.X_OK)
