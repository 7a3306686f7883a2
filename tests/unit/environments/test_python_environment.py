from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proj import paths
from proj.environments.choose import choose_python
from proj.environments.inventory import list_environments
from proj.environments.python import PythonEnvironment
from proj.errors import EnvironmentFailedError
from proj.model import EnvironmentDeclaration, HostRuntime, LockMode, PreparedEnvironment
from proj.process import run

if TYPE_CHECKING:
    from environment_kit import RequestMaker, WheelMaker

ENVIRONMENT = PythonEnvironment()


def packages(prepared: PreparedEnvironment) -> dict[str, str]:
    return {package.name: package.version for package in ENVIRONMENT.facts(prepared).packages}


def evaluate(prepared: PreparedEnvironment, expression: str) -> str:
    assert isinstance(prepared.runtime, HostRuntime)
    python = f"{prepared.runtime.path[0]}/python"
    return run([python, "-I", "-c", f"import sys;print({expression})"]).stdout.strip()


def write(project: Path, *dependencies: str, extra: str = "", python: str = "") -> None:
    lines = "".join(f"  - {line!r}\n" for line in dependencies)
    asked = f"python: {python}\n" if python else ""
    (project / "python_env.yaml").write_text(f"{asked}{extra}dependencies:\n{lines}")


def test_python_env(project: Path, request_for: RequestMaker, heard: list[str], current: str) -> None:
    (project / "requirements.txt").write_text("alpha<2\n")
    write(project, "-r requirements.txt", python=current, extra="build_dependencies: [pip, setuptools]\n")
    prepared = ENVIRONMENT.prepare(request_for(project))
    assert packages(prepared) == {"alpha": "1.0", "beta": "1.0", "pip": "23.0", "setuptools": "65.0"}
    assert prepared.python_requested == current
    assert prepared.summary.endswith("from python_env.yaml")
    assert "step: Resolving 1 requirement of python_env.yaml" in heard
    assert any(line.startswith("step: Installing 4 packages for Python ") for line in heard)
    assert evaluate(prepared, "__import__('alpha').version") == "1.0"


def test_build_dependencies_are_mlflows_where_none_are_named(
    project: Path, request_for: RequestMaker
) -> None:
    write(project, "alpha")
    assert set(packages(ENVIRONMENT.prepare(request_for(project)))) == {
        "alpha", "beta", "pip", "setuptools", "wheel",
    }  # fmt: skip


def test_pinned_build_dependencies_give_way(
    project: Path, request_for: RequestMaker, make_wheel: WheelMaker, heard: list[str]
) -> None:
    make_wheel("modern", "1.0", "setuptools>=60")
    make_wheel("setuptools", "50.0")
    write(project, "modern", extra="build_dependencies: ['setuptools==50.0']\n")
    prepared = ENVIRONMENT.prepare(request_for(project))
    assert packages(prepared)["setuptools"] == "65.0"
    assert any("contradict" in note for note in prepared.notes)
    assert any(line.startswith("warning: ") and "contradict" in line for line in heard)
    assert any("contradict" in note for note in ENVIRONMENT.prepare(request_for(project)).notes)


def test_a_warm_environment_starts_no_process(
    project: Path, request_for: RequestMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "alpha")
    first = ENVIRONMENT.prepare(request_for(project))
    monkeypatch.setattr("proj.process.run", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setattr("proj.environments.uv.run", lambda *_, **__: pytest.fail("uv was started"))
    second = ENVIRONMENT.prepare(request_for(project))
    assert second.reused
    assert second.directory == first.directory


def test_an_interrupted_build_is_built_again(project: Path, request_for: RequestMaker) -> None:
    write(project, "alpha")
    first = ENVIRONMENT.prepare(request_for(project))
    assert first.directory is not None
    entry = first.directory.parent
    (entry / "complete").unlink()
    (first.directory / "bin" / "python").unlink()
    assert not ENVIRONMENT.plan(request_for(project)).built
    second = ENVIRONMENT.prepare(request_for(project))
    assert not second.reused
    assert second.directory != first.directory
    assert not first.directory.exists(), "what the interrupted build left is removed"


def test_a_failed_install_leaves_nothing(
    project: Path, request_for: RequestMaker, links: Path, make_wheel: WheelMaker
) -> None:
    wheel = make_wheel("delta")
    write(project, "delta")
    ENVIRONMENT.prepare(request_for(project))
    for entry in (paths.cache() / "environments").iterdir():
        (entry / "complete").unlink()
    wheel.write_bytes(wheel.read_bytes() + b"changed")  # its hash is no longer the locked one
    run(["uv", "cache", "clean", "delta"], env={"PATH": str(Path(sys.executable).parent)}, check=False)
    with pytest.raises(EnvironmentFailedError) as caught:
        ENVIRONMENT.prepare(request_for(project))
    assert "Cannot install the packages of python_env.yaml" in caught.value.message
    assert any("delta" in line for line in caught.value.details)
    for entry in (paths.cache() / "environments").iterdir():
        assert not [item for item in entry.iterdir() if item.is_dir()]
        assert not (entry / "complete").exists()


def test_an_unresolvable_requirement_is_named(project: Path, request_for: RequestMaker) -> None:
    write(project, "alpha==7")
    with pytest.raises(
        EnvironmentFailedError, match=r"Cannot resolve python_env\.yaml for Python 3"
    ) as caught:
        ENVIRONMENT.prepare(request_for(project))
    assert any("alpha==7" in line for line in caught.value.details)
    assert "--as-of" in (caught.value.hint or "")


def test_editable_and_installed_local_packages(
    project: Path, local_package: Path, request_for: RequestMaker
) -> None:
    local_package.rename(project / "package")
    write(project, "-e ./package")
    editable = ENVIRONMENT.prepare(request_for(project))
    assert packages(editable)["local-package"] == "1.0"
    assert packages(editable)["alpha"] == "2.0", "its own requirements come with it"
    (project / "package" / "local_module.py").write_text("value = 2\n")
    assert ENVIRONMENT.prepare(request_for(project)).reused
    assert evaluate(editable, "__import__('local_module').value") == "2"

    write(project, "./package")
    installed = ENVIRONMENT.prepare(request_for(project))
    assert installed.directory != editable.directory
    assert evaluate(installed, "__import__('local_module').value") == "2"
    (project / "package" / "local_module.py").write_text("value = 3\n")
    rebuilt = ENVIRONMENT.prepare(request_for(project))
    assert not rebuilt.reused
    assert evaluate(rebuilt, "__import__('local_module').value") == "3"


def test_every_checkout_of_a_commit_has_the_same_environment(
    project: Path, local_package: Path, request_for: RequestMaker
) -> None:
    local_package.rename(project / "package")
    (project / "package" / "large.bin").write_bytes(bytes(2 * 1024 * 1024))
    write(project, "-e ./package")
    prepared = []
    for identifier in ("0123456789ab", "123456789abc"):
        checkout = paths.cache() / "checkouts" / identifier / "project"
        shutil.copytree(project, checkout, copy_function=shutil.copyfile)
        prepared.append(ENVIRONMENT.prepare(request_for(checkout)))
        shutil.rmtree(checkout)
    first, again = prepared
    assert (first.reused, again.reused) == (False, True)
    assert again.directory == first.directory
    assert again.lock_digest == first.lock_digest
    assert evaluate(again, "__import__('local_module').value") == "1"
    assert [info.orphaned for info in list_environments()] == [False]
    assert first.lock is not None
    assert b"editable" not in first.lock, "the record says what is installed"
    changed = paths.cache() / "checkouts" / "23456789abcd" / "project"
    shutil.copytree(project, changed)
    (changed / "package" / "large.bin").write_bytes(bytes(2 * 1024 * 1024 - 1) + b"1")
    assert not ENVIRONMENT.prepare(request_for(changed)).reused


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ((), "checkout"),
        (("alpha.py",), "copy"),
        (("turtle.py",), "copy"),
        (("test/__init__.py",), "checkout"),
    ],
)
def test_a_checkouts_own_code_is_imported_with_what_is_beside_it(
    project: Path,
    local_package: Path,
    request_for: RequestMaker,
    monkeypatch: pytest.MonkeyPatch,
    extra: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    local_package.rename(project / "package")
    for name in extra:
        (project / "package" / name).parent.mkdir(exist_ok=True)
        (project / "package" / name).touch()
    write(project, "-e ./package")
    for identifier in ("0123456789ab", "123456789abc"):
        checkout = paths.cache() / "checkouts" / identifier / "project"
        shutil.copytree(project, checkout)
        prepared = ENVIRONMENT.prepare(request_for(checkout))
        runtime = prepared.runtime
        assert isinstance(runtime, HostRuntime)
        said = run(
            [f"{runtime.path[0]}/python", "-c", "import local_module as m, sys;print(m.__file__, sys.path)"],
            env=runtime.variables,
        ).stdout
        where = checkout / "package" if expected == "checkout" else prepared.directory
        assert said.startswith(f"{where}/")
        assert "/of/the/user" in said


def test_a_lock_refers_to_local_packages_relative_to_the_project(
    project: Path, local_package: Path, request_for: RequestMaker
) -> None:
    local_package.rename(project / "package")
    write(project, "-e ./package")
    prepared = ENVIRONMENT.prepare(request_for(project))
    assert prepared.lock is not None
    assert b'directory = { path = "package", editable = true }' in prepared.lock
    assert str(project).encode() not in prepared.lock


def test_find_links_of_the_project_work_in_any_checkout(
    tmp_path: Path, project: Path, request_for: RequestMaker, links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links.rename(project / "wheels")
    monkeypatch.delenv("PIP_FIND_LINKS")
    write(project, "--find-links wheels", "alpha")
    first = ENVIRONMENT.prepare(request_for(project))
    assert first.lock is not None
    assert str(project).encode() not in first.lock
    moved = project.rename(tmp_path / "elsewhere")
    run(["rm", "-rf", str(paths.cache() / "environments")])
    assert packages(ENVIRONMENT.prepare(request_for(moved)))["alpha"] == "2.0"


def test_virtualenv_installs_the_same_lock(
    project: Path, request_for: RequestMaker, local_package: Path, current: str
) -> None:
    local_package.rename(project / "package")
    write(project, "alpha", "./package", python=current, extra="build_dependencies: [wheel]\n")
    by_uv = ENVIRONMENT.prepare(request_for(project))
    by_pip = ENVIRONMENT.prepare(request_for(project, manager="virtualenv"))
    assert by_pip.lock == by_uv.lock
    assert by_pip.directory != by_uv.directory
    installed = packages(by_pip)
    assert installed.pop("pip")
    assert installed == packages(by_uv)


def test_a_script_block_is_the_whole_environment(project: Path, request_for: RequestMaker) -> None:
    (project / "requirements.txt").write_text("alpha\n")
    (project / "s.py").write_text('# /// script\n# dependencies = ["beta"]\n# ///\nimport beta\n')
    (project / "t.py").write_text("import alpha\n")
    assert packages(ENVIRONMENT.prepare(request_for(project, script="s.py"))) == {"beta": "1.0"}
    assert "alpha" in packages(ENVIRONMENT.prepare(request_for(project, script="t.py")))


def test_hashed_requirements_are_a_lock(project: Path, request_for: RequestMaker, links: Path) -> None:
    wheel = links / "beta-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (project / "requirements.txt").write_text(f"beta==1.0 --hash=sha256:{digest}\n")
    prepared = ENVIRONMENT.prepare(request_for(project, mode=LockMode.LOCKED))
    assert packages(prepared) == {"beta": "1.0"}
    (project / "requirements.txt").write_text(f"beta==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentFailedError):
        ENVIRONMENT.prepare(request_for(project))


def test_conda_file_with_pip_packages_alone(project: Path, request_for: RequestMaker, current: str) -> None:
    (project / "conda.yaml").write_text(
        f"dependencies: [python={current}, pip=23.0, pip: [alpha==1.0]]\n", encoding="utf-8"
    )
    prepared = ENVIRONMENT.prepare(request_for(project))
    assert packages(prepared) == {
        "alpha": "1.0",
        "beta": "1.0",
        "pip": "23.0",
        "setuptools": "65.0",
        "wheel": "0.40",
    }


def test_conda_packages_are_taken_from_the_index(
    project: Path, request_for: RequestMaker, make_wheel: WheelMaker, heard: list[str]
) -> None:
    make_wheel("torch", "1.9.1")
    make_wheel("torch", "2.0")
    (project / "conda.yaml").write_text(
        "dependencies: [python, pytorch=1.9, alpha<2, openssl=1.1.1, pip: [beta]]\n"
    )
    prepared = ENVIRONMENT.prepare(request_for(project, manager="uv"))
    assert packages(prepared)["torch"] == "1.9.1"
    assert packages(prepared)["alpha"] == "1.0"
    assert "openssl" not in packages(prepared)
    said = [
        "Left out, since Python and wheels bring their own or do without: openssl.",
        "Taken from PyPI instead of conda: torch 1.9.1, alpha 1.0.",
    ]
    assert list(prepared.notes) == said
    assert [line for line in heard if line.startswith("warning: ")] == [f"warning: {note}" for note in said]
    heard.clear()
    assert ENVIRONMENT.prepare(request_for(project, manager="uv")).reused
    assert [line for line in heard if line.startswith("warning: ")] == [f"warning: {note}" for note in said]


def test_conda_packages_that_the_index_has_not(
    project: Path, request_for: RequestMaker, heard: list[str]
) -> None:
    (project / "conda.yaml").write_text(
        "dependencies: [python, cudatoolkit=10.1, nowhere=1.0, also-nowhere, alpha=1.5, pip: [beta]]\n"
    )
    with pytest.raises(EnvironmentFailedError, match="PyPI has nothing for") as caught:
        ENVIRONMENT.prepare(request_for(project, manager="uv"))
    assert all(name in caught.value.message for name in ("cudatoolkit=10.1", "nowhere=1.0", "also-nowhere"))
    assert "--drop-missing" in (caught.value.hint or "")
    assert not any("Taken from PyPI" in line for line in heard), "nothing was"
    prepared = ENVIRONMENT.prepare(request_for(project, manager="uv", drop_missing=True))
    assert set(packages(prepared)) >= {"alpha", "beta"}
    assert any("PyPI has no alpha=1.5" in note for note in prepared.notes)
    left = "Left out, since PyPI has nothing for them: cudatoolkit=10.1, nowhere=1.0, also-nowhere."
    assert left in prepared.notes
    assert any(note.startswith("Taken from PyPI instead of conda: alpha ") for note in prepared.notes)
    heard.clear()
    assert ENVIRONMENT.prepare(request_for(project, manager="uv", drop_missing=True)).reused
    assert f"warning: {left}" in heard
    with pytest.raises(EnvironmentFailedError, match="PyPI has nothing for"):
        ENVIRONMENT.prepare(request_for(project, manager="uv"))  # what was left out once is not so for ever


def test_the_named_file_is_relative_to_the_project(project: Path, request_for: RequestMaker) -> None:
    (project / "envs").mkdir()
    (project / "envs" / "train.yaml").write_text("dependencies: ['-r more.txt']\n")
    (project / "envs" / "more.txt").write_text("beta\n")
    declaration = EnvironmentDeclaration(kind="python_env", file="envs/train.yaml")
    assert "beta" in packages(ENVIRONMENT.prepare(request_for(project, declaration=declaration)))
    gone = EnvironmentDeclaration(kind="python_env", file="gone.yaml")
    with pytest.raises(EnvironmentFailedError, match=r"gone\.yaml is not there"):
        ENVIRONMENT.prepare(request_for(project, declaration=gone))


def test_python_option_replaces_the_projects_own(
    project: Path, request_for: RequestMaker, current: str
) -> None:
    write(project, "beta", python='"2.0"')
    prepared = ENVIRONMENT.prepare(request_for(project, python=current))
    assert prepared.python_requested == current
    with pytest.raises(EnvironmentFailedError, match="asks for Python 2"):
        ENVIRONMENT.plan(request_for(project))


def test_the_interpreter_that_is_used_is_the_one_chosen(project: Path, request_for: RequestMaker) -> None:
    write(project, "beta")
    prepared = ENVIRONMENT.prepare(request_for(project))
    chosen = choose_python(None, origin="x").interpreter
    assert evaluate(prepared, "sys.base_prefix") == str(Path(chosen.path).parent.parent)
    assert prepared.python_version == chosen.version_text
