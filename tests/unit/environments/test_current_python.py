from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

import pytest

from proj import paths
from proj.environments.current import current_facts
from proj.environments.facts import platform_name
from proj.model import Package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REAL = os.path.realpath(sys.executable)
BROKEN = "#!/bin/sh\necho never started >&2\nexit 97\n"
DEMO = Package(name="demo", version="1.2")


def program(path: Path, content: str | None = None) -> Path:
    """A link to a real Python, or a script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.symlink_to(REAL)
    else:
        path.write_text(content)
        path.chmod(0o755)
    return path


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder all of PATH."""

    def set_path(folder: Path) -> None:
        monkeypatch.setenv("PATH", str(folder))

    return set_path


def memory() -> Path:
    return paths.cache() / "current-python.json"


def install(site: Path) -> None:
    (site / "demo-1.2.dist-info").mkdir(parents=True)


def test_the_python_on_path_is_asked(tmp_path: Path, only: Callable[[Path], None]) -> None:
    only(program(tmp_path / "bin" / "python").parent)
    facts = current_facts()
    assert facts.implementation == "CPython"
    assert facts.python_version == platform.python_version()
    assert facts.platform == platform.platform()


def test_an_answer_is_kept_until_something_changes(
    tmp_path: Path, only: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    only(program(tmp_path / "bin" / "python").parent)
    monkeypatch.setenv("PYTHONPATH", str(site))
    before = current_facts()
    asked = memory().stat()
    assert current_facts() == before
    assert memory().stat().st_mtime_ns == asked.st_mtime_ns, "the answer was at hand"

    install(site)
    assert DEMO in current_facts().packages
    asked = memory().stat()
    (site / "more.pth").write_text(f"{tmp_path / 'more'}\n")
    install(tmp_path / "more")
    current_facts()
    assert memory().stat().st_mtime_ns != asked.st_mtime_ns, "a new .pth file may have changed the path"

    monkeypatch.delenv("PYTHONPATH")
    assert DEMO not in current_facts().packages


def test_a_memory_that_cannot_be_read_is_made_anew(tmp_path: Path, only: Callable[[Path], None]) -> None:
    only(program(tmp_path / "bin" / "python").parent)
    memory().parent.mkdir(parents=True, exist_ok=True)
    memory().write_text('{"some": "thing else"}')
    assert current_facts().python_version == platform.python_version()
    assert b"executable" in memory().read_bytes()


def test_a_wrapper_is_asked_each_time(tmp_path: Path, only: Callable[[Path], None]) -> None:
    only(program(tmp_path / "bin" / "python", f'#!/bin/sh\nexec "{REAL}" "$@"\n').parent)
    assert current_facts().python_version == platform.python_version()
    assert not memory().exists()


def test_what_is_no_python_is_named_all_the_same(tmp_path: Path, only: Callable[[Path], None]) -> None:
    broken = program(tmp_path / "bin" / "python", BROKEN)
    only(broken.parent)
    facts = current_facts()
    assert facts.interpreter == str(broken)
    assert facts.python_version is None
    assert facts.packages == ()


def test_without_any_python_there_is_the_platform(tmp_path: Path, only: Callable[[Path], None]) -> None:
    only(tmp_path)
    assert current_facts().interpreter is None
    assert current_facts().platform == platform_name()


def test_a_virtual_environment_is_read_from_its_files(tmp_path: Path, only: Callable[[Path], None]) -> None:
    only(program(tmp_path / "venv" / "bin" / "python", BROKEN).parent)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("version = 3.12.4\ninclude-system-site-packages = false\n")
    install(tmp_path / "venv" / "lib" / "python3.12" / "site-packages")
    facts = current_facts()
    assert (facts.python_version, facts.packages) == ("3.12.4", (DEMO,))


@pytest.mark.parametrize("says", ["variable", "folder", "global"])
def test_a_shim_of_pyenv_is_seen_through(
    tmp_path: Path, only: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    root, here = tmp_path / "pyenv", tmp_path / "project" / "inner"
    only(program(root / "shims" / "python", BROKEN).parent)
    program(root / "versions" / "right" / "bin" / "python")
    program(root / "versions" / "wrong" / "bin" / "python", BROKEN)
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (root / "version").write_text("right\n" if says == "global" else "wrong\n")
    if says == "folder":
        (here.parent / ".python-version").write_text("right\n")
    if says == "variable":
        monkeypatch.setenv("PYENV_VERSION", "right:wrong")
    else:
        monkeypatch.delenv("PYENV_VERSION", raising=False)
    assert current_facts().python_version == platform.python_version()


def test_a_shim_that_leads_nowhere_is_started(
    tmp_path: Path, only: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyenv" / "versions").mkdir(parents=True)
    only(program(tmp_path / "pyenv" / "shims" / "python", f'#!/bin/sh\nexec "{REAL}" "$@"\n').parent)
    monkeypatch.setenv("PYENV_VERSION", "system")
    assert current_facts().python_version == platform.python_version()
