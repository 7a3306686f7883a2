"""Environments from the real package index: dates, old Pythons, builds from source, real tools."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING

import pytest

from proj.environments.interpreters import find_interpreters
from proj.environments.inventory import list_environments
from proj.environments.python import PythonEnvironment
from proj.environments.verify import verify
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentRequest, HostRuntime, LockMode, PreparedEnvironment
from proj.process import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

ENVIRONMENT = PythonEnvironment()
MARCH_2021 = calendar.timegm(time.strptime("2021-03-04T12", "%Y-%m-%dT%H"))
MINORS = tuple(
    f"3.{minor}" for minor in sorted({item.version[1] for item in find_interpreters(remember=False)})
)
"""The Pythons that are here; one of them runs the tests."""


def prepare(folder: Path, content: str, **changes: object) -> PreparedEnvironment:
    (folder / "python_env.yaml").write_text(content)
    fields: dict[str, object] = {"project_dir": folder, "root": folder, **changes}
    return ENVIRONMENT.prepare(EnvironmentRequest(**fields))  # type: ignore[arg-type]  # the tests name the fields


def packages(prepared: PreparedEnvironment) -> dict[str, str]:
    return {package.name: package.version for package in ENVIRONMENT.facts(prepared).packages}


def python(prepared: PreparedEnvironment, code: str) -> str:
    assert isinstance(prepared.runtime, HostRuntime)
    return run([f"{prepared.runtime.path[0]}/python", "-I", "-c", code]).stdout.strip()


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_every_python(tmp_path: Path, minor: str, manager: str) -> None:
    prepared = prepare(tmp_path, f'python: "{minor}"\ndependencies: [six]\n', manager=manager)
    assert python(prepared, "import six, pkg_resources, sys; print('%d.%d' % sys.version_info[:2])") == minor
    assert packages(prepared)["six"]
    (info,) = list_environments()
    assert verify(info) == ()


def test_packages_are_those_of_the_date(tmp_path: Path) -> None:
    then = prepare(tmp_path, 'python: "3.9"\ndependencies: [requests]\n', as_of_s=MARCH_2021)
    assert packages(then)["requests"] == "2.25.1"
    assert then.lock is not None
    assert b"upload-time = 2020-12-16" in then.lock
    again = prepare(tmp_path, 'python: "3.9"\ndependencies: [requests]\n', as_of_s=MARCH_2021, offline=True)
    assert again.reused
    now = prepare(tmp_path, 'python: "3.9"\ndependencies: [requests]\n', mode=LockMode.UPGRADE)
    assert packages(now)["requests"] != "2.25.1"


def test_a_version_from_the_future_is_told_with_its_date(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        prepare(tmp_path, 'python: "3.9"\ndependencies: ["requests==2.28.0"]\n', as_of_s=MARCH_2021)
    assert "--as-of 2022-06-" in (caught.value.hint or "")


def test_no_such_package(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError) as caught:
        prepare(tmp_path, 'python: "3.9"\ndependencies: ["six==999"]\n')
    assert any("six==999" in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("minor", "as_of_s"),
    [
        *((minor, MARCH_2021) for minor in MINORS if minor == "3.8"),
        *((minor, None) for minor in dict.fromkeys((MINORS[0], MINORS[-1]))),
    ],
)
def test_editable_with_the_build_tools_of_any_time(tmp_path: Path, minor: str, as_of_s: int | None) -> None:
    (tmp_path / "setup.py").write_text(
        'from setuptools import setup\nsetup(name="own", version="1", py_modules=["own"])\n'
    )
    (tmp_path / "own.py").write_text("value = 1\n")
    declared = f'python: "{minor}"\ndependencies: ["-e ."]\n'
    before = set(tmp_path.iterdir())
    prepared = prepare(tmp_path, declared, as_of_s=as_of_s)
    assert set(tmp_path.iterdir()) - {tmp_path / "python_env.yaml"} == before, "builds leave nothing behind"
    assert python(prepared, "import own; print(own.value)") == "1"
    (tmp_path / "own.py").write_text("value = 2\n")
    assert python(prepare(tmp_path, declared, as_of_s=as_of_s), "import own; print(own.value)") == "2"


def test_a_setup_script_that_imports_what_it_does_not_declare(tmp_path: Path) -> None:
    source = tmp_path / "old-1.0"
    source.mkdir()
    (source / "setup.py").write_text(
        "import pkg_resources, six\nfrom setuptools import setup\n"
        "setup(name='old', version='1.0', py_modules=['old'])\n"
    )
    (source / "old.py").touch()
    (source / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: old\nVersion: 1.0\n")
    links = tmp_path / "links"
    links.mkdir()
    run(["tar", "-czf", str(links / "old-1.0.tar.gz"), "-C", str(tmp_path), "old-1.0"])
    prepared = prepare(tmp_path, 'python: "3.9"\ndependencies: ["--find-links links", old]\n')
    assert packages(prepared)["old"] == "1.0"
    assert any("needs six to be built" in note for note in prepared.notes)
